"""The notebook on videos of one's own runs from top to bottom, as it stands and with a bundle."""

import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[2] / "docs" / "own-videos.ipynb"


def executed():
    """The outputs of every cell, run in a fresh kernel in the notebook's folder."""
    notebook = nbformat.read(PATH, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": PATH.parent}}
    )
    with warnings.catch_warnings(action="ignore"):  # of the kernel's client, not of ours
        client.execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def check(outputs, classes):
    text = "".join(one.get("text", "") for cell in outputs for one in cell)
    kinds = {kind for cell in outputs for one in cell for kind in one.get("data", {})}
    assert {"text/html", "image/png"} <= kinds  # the table and the figure
    table = next(one["data"]["text/html"] for cell in outputs for one in cell
                 if "text/html" in one.get("data", {}))  # fmt: skip
    assert all(f"p_{name}" in table for name in classes)
    assert "a face in " in text
    assert "temperature " in text
    assert "video,track,main,start_s,end_s" in text
    windows = table.count("<tr") - 1
    assert windows > 1
    streamed = [line for line in text.splitlines() if " s, face " in line]
    assert len(streamed) == windows  # a stream of the same frames has the same windows


def test_it_is_stored_without_outputs():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    used = "".join(cell.source for cell in code)
    for call in ("Predictor.load", ".predict(", ".to_dataframe()", ".plot()", ".stream("):
        assert call in used


def test_it_runs_with_a_bundle_and_a_video_of_ones_own(bundle, facs_root, monkeypatch):
    monkeypatch.setenv("VFER_RUN", str(bundle))
    monkeypatch.setenv("VFER_VIDEO", str(min(facs_root.rglob("*.avi"))))
    check(executed(), ("anger", "disgust", "fear", "happiness", "sadness", "surprise"))


@pytest.mark.slow  # trains the tiny bundle in a process of its own
def test_it_runs_as_it_stands(monkeypatch):
    for name in ("VFER_RUN", "VFER_VIDEO"):
        monkeypatch.delenv(name, raising=False)
    check(executed(), ("anger", "surprise"))
