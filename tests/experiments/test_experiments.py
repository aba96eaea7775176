"""Every script of ``experiments/`` runs, here at its smallest size."""

from pathlib import Path

import pytest

from experiments import facs_difficulty, rehearsal, rooms
from experiments.benchmarks import __main__ as listing
from experiments.benchmarks import export, faces, predict, prepare, stabilise, startup, step

ROOT = Path(__file__).parents[2]
SMALL = ["--frames", "8", "--size", "160", "128"]


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_every_benchmark_is_listed_with_what_it_measures(capsys):
    listing.list_all()
    names = {path.stem for path in (ROOT / "experiments/benchmarks").glob("[!_]*.py")} - {"table"}
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[2].rpartition(".")[2] for line in lines} == names
    assert all(len(line.split()) > 6 for line in lines)


def test_the_difficulty_of_the_built_in_corpus_is_four_numbers_a_fold(tmp_path, capsys):
    few = ["--subjects", "2", "--clips", "1", "--folds", "2", "--steps", "2"]
    facs_difficulty.main(["--root", str(tmp_path), *few, *SMALL])
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "12 clips; chance is 16.7 %"
    assert [row.split()[0] for row in rows] == ["0", "1", "mean"]
    assert all(0 <= float(cell) <= 100 for row in rows for cell in row.split()[1:])
    assert all(len(row.split()) == 5 for row in rows)


def test_the_export_benchmark_has_a_row_a_way(capsys):
    export.main(["--rounds", "1", "--windows", "1", "--width", "0.0625", "--threads", "1"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [row.split("│")[2].strip() for row in rows] == [
        "torch",
        "onnxruntime",
        "onnxruntime, int8",
    ]
    largest = [float(row.split("│")[5]) for row in rows]
    assert largest[0] == 0
    assert 0 < largest[1] < 1e-3 < largest[2] < 0.2


def test_the_faces_benchmark_has_a_row_a_way(capsys):
    faces.main(["--subjects", "1", "--rounds", "1", "--threads", "1", *SMALL])
    found = capsys.readouterr().out
    assert "8 frames of 160×128" in found
    assert "MTCNN.detect, every frame" in found
    assert "cascade, every frame" in found


def test_the_predict_benchmark_has_shares_and_memory(capsys):
    predict.main([
        "--seconds", "1", "--minutes", "0.05", "--size", "320", "240", "--width", "0.0625",
        "--folds", "2", "--threads", "1",
    ])  # fmt: skip
    found = capsys.readouterr().out
    assert "1 s of 320×240, 1 threads" in found
    assert "memory over 0.05 minutes: at most" in found
    assert all(part in found for part in ("decoding", "faces", "flow", "networks"))


def test_the_prepare_benchmark_decodes_in_every_way_and_prepares(capsys):
    prepare.main(["--rounds", "1", "--clips", "2", "--processes", "1", *SMALL])
    found = capsys.readouterr().out
    assert "decoding mpeg4.avi" in found
    assert "decoding h264.mp4" in found
    assert "vfer.video.decode" in found
    assert "preparing clips of 8 frames, 160×128" in found


def test_the_startup_benchmark_measures_commands_beside_the_import_of_torch(capsys):
    startup.main(["--rounds", "1", "--match", "verify"])
    found = capsys.readouterr().out
    assert "import torch" in found
    assert "vfer verify --help" in found
    assert "vfer fit" not in found


def test_the_stabilise_benchmark_has_a_row_a_way(capsys):
    stabilise.main(["--subjects", "1", *SMALL])
    found = capsys.readouterr().out
    for way in ("frame", "smooth, σ = 2 frames", "clip"):
        assert way in found


def test_the_step_benchmark_measures_a_step(capsys):
    step.main([
        "--batch-size", "2", "--micro-batch", "1", "--length", "3", "--width", "0.0625",
        "--input-size", "64",
    ])  # fmt: skip
    assert "s a step" in capsys.readouterr().out


def test_the_picture_of_the_rooms_is_drawn_from_the_code_as_it_is():
    committed = (ROOT / "docs/rooms.svg").read_text(encoding="utf-8")
    assert committed == rooms.draw(rooms.rooms()), "run python -m experiments.rooms"
    assert len(committed) < 60_000


def test_a_room_is_read_from_its_docstring_and_its_imports(tmp_path):
    (tmp_path / "walk").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "walk/__init__.py").write_text('"""``vfer.walk``: one foot, then the other."""')
    (tmp_path / "walk/__main__.py").write_text("def main():\n    from vfer.foot import left\n")
    (tmp_path / "foot.py").write_text('"""Feet: ``left`` and right.\n\nMore."""\nimport numpy\n')
    (tmp_path / "runtime.py").write_text("import vfer.foot, vfer.nowhere\n")
    house = rooms.rooms(tmp_path)
    assert house == {
        "foot": rooms.Room("Feet: left and right", "import", frozenset()),
        "runtime": rooms.Room("", "carry", frozenset({"foot"})),
        "walk": rooms.Room("One foot, then the other", "run", frozenset({"foot"})),
    }
    assert rooms.ordered(house) == ["runtime", "walk", "foot"]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="reads /proc")
def test_the_rehearsal_says_what_each_command_takes(tmp_path, capsys):
    few = ["--subjects", "2", "--takes", "1", "--iterations", "1", "1", "1", *SMALL]
    smaller = {
        "data.segment_length": 3, "data.windows.per_clip": 2, "model.width": 0.05,
        "model.input_size": 64, "protocol.folds.groups": 2, "data.workers": 1,
        **{f"stages.{stage}.batch_size": 4 for stage in rehearsal.STAGES},
    }  # fmt: skip
    rehearsal.main([
        "--work", str(tmp_path), *few, *(f"--{key}={value}" for key, value in smaller.items())
    ])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in lines if "│" in line]
    names = ["prepare", "prepare, all there", "plan", "a fold", "a fold, all there"]
    rows = rows[-len(names) :]  # behind the table of the plan
    assert [name for name, *_ in rows] == names
    assert all(0.1 < float(memory) < 20 for *_, memory in rows)
    assert [line.split()[0] for line in lines[-3:]] == ["corpus:", "cache:", "run:"]
