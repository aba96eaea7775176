"""What is exported says what prediction says; what cannot be is told by name."""

import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from tests.predict.test_model import KINDS, tables_of
from vfer.export import trace
from vfer.export.check import OnnxModel
from vfer.export.main import main
from vfer.networks.build import build_frame_network, build_segment_network
from vfer.predict.load import load_model, stream_images
from vfer.runtime.files import sha256

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def crops_of(run, store, count):
    """The crops of some clips, ``(N, T, 150, 110, 3)``."""
    return np.stack([store.crops(row.clip) for row in tables_of(run).clips[:count]])


@pytest.mark.parametrize("windows", [1, 2, 5])
def test_any_number_of_windows_gets_what_prediction_says(windows, bundle, store, exported):
    said = OnnxModel(exported(bundle)[0].read_bytes())
    model, crops = load_model(bundle, device="cpu"), crops_of(bundle, store, windows)
    probabilities, by_fold = said(crops[:, 2:6])
    assert probabilities.shape == (windows, 6)
    assert by_fold.shape == (windows, 3, 6)
    expected = [model.score_clip(one, [2]).windows[0] for one in crops]
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    for fold in range(3):
        one = load_model(bundle, fold=fold, device="cpu")
        alone = [one.score_clip(clip, [2]).windows[0] for clip in crops]
        np.testing.assert_allclose(by_fold[:, fold], alone, atol=1e-4)


@pytest.mark.parametrize("length", [2, 3, 7])
def test_windows_of_any_length_get_what_a_network_of_that_length_says(
    length, bundle, store, exported
):
    crops = crops_of(bundle, store, 2)[:, :length]
    loaded = load_model(bundle, fold=1, device="cpu")
    model, data = loaded.bundle.model, loaded.bundle.data
    streams = {name: build_frame_network(model, 6) for name in model.stream_names}
    network = build_segment_network(model, 6, length - 1, streams).eval()
    network.load_state_dict(load_file(bundle / "fold-1" / "vlan" / "weights.safetensors"))
    with torch.inference_mode():
        logits = network(stream_images(torch.from_numpy(crops), data, model))
    expected = (logits / loaded.temperature).softmax(1).numpy()
    found = OnnxModel(exported(bundle)[0].read_bytes())(crops)[1][:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_file_says_what_it_is_and_not_where_it_was_made(bundle, exported):
    path, said = exported(bundle)
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    facts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    info = load_model(bundle, device="cpu").info()
    assert json.loads(facts["classes"]) == list(info.classes)
    assert facts["key"] == info.key
    assert facts["run"] == bundle.name
    assert facts["corpus"] == "facs"
    assert {name: json.loads(facts[name]) for name in ("folds", "length", "any_length")} == {
        "folds": [0, 1, 2],
        "length": 4,
        "any_length": True,
    }
    assert json.loads(facts["frame_rate"]) == 25.0
    assert json.loads(facts["temperature"]) == info.temperature
    assert facts["precision"] == "float32"
    assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()
    assert {path.name for path in path.parent.glob(f"*{path.stem}*")} == {path.name}  # one file
    listed = re.findall(r"largest difference from torch (\S+)", said)
    assert len(listed) == 3
    assert all(0 <= float(one) < 1e-3 for one in listed)


def test_a_model_without_motion_has_no_flow_and_one_fold_can_be_taken(fitted, store, exported):
    run = fitted("spatial", *KINDS["spatial"])
    path, _ = exported(run, "--fold", "2")
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert not kinds & {"Scan", "GridSample"}
    crops, model = crops_of(run, store, 2)[:, :4], load_model(run, fold=2, device="cpu")
    expected = [model.score_clip(one, [0]).windows[0] for one in crops]
    found, by_fold = OnnxModel(path.read_bytes())(crops)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(by_fold[:, 0], found)


def by_shape(self, images):
    """``Small`` of the tests' plugs, which takes its sizes from len(), by shapes."""
    parts = [self.pool(x.flatten(0, 1)) for x in images.values()]
    count = next(iter(images.values())).shape[0]
    return self.out(torch.cat([x.reshape(count, -1) for x in parts], dim=1))


@pytest.mark.parametrize("kind", ["caffe", "network"])
def test_other_networks_are_exported_too(kind, fitted, store, exported, plugs, monkeypatch):
    run = fitted(kind, *KINDS[kind])
    if kind == "network":
        monkeypatch.setattr(importlib.import_module("predict_plugs").Small, "forward", by_shape)
    trust = ["--trust-code"] if kind == "network" else []
    said = OnnxModel(exported(run, "--fold", "0", *trust)[0].read_bytes())
    crops = crops_of(run, store, 3)[:, :4]
    model = load_model(run, fold=0, device="cpu", trust_code=True)
    expected = [model.score_clip(one, [0]).windows[0] for one in crops]
    np.testing.assert_allclose(said(crops)[0], expected, atol=1e-4)
    if kind == "network":  # it knows windows of its own length alone
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            said(crops[:, :3])


def test_eight_bits_are_smaller_and_their_accuracy_is_told_out_of_fold(
    bundle, exported, tmp_path, capsys
):
    path, said = exported(bundle, "--int8")
    whole = exported(bundle)[0]
    assert path.stat().st_size < 0.5 * whole.stat().st_size
    facts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert facts["precision"] == "int8"
    (before,) = re.findall(r"float32: out of fold (\S+)% of (\d+) clips .* (\S+)% of (\d+)", said)
    (after,) = re.findall(r"int8: out of fold (\S+)% of (\d+) clips right, (\S+)% of (\d+)", said)
    tables = tables_of(bundle)
    assert before[1::2] == after[1::2] == (str(len(tables.clips)), str(len(tables.segments)))
    classes = json.loads(facts["classes"])
    right = np.mean([row.prediction(classes) == row.label for row in tables.clips])
    assert float(before[0]) == pytest.approx(100 * right, abs=0.06)
    assert abs(float(after[2]) - float(before[2])) <= 10
    (widest,) = re.findall(r"largest difference of a window's probability there: (\S+)", said)
    assert 0 < float(widest) < 0.1


def test_without_crops_it_is_said_that_the_accuracy_was_not_measured(fitted, tmp_path, capsys):
    run = shutil.copytree(fitted("spatial", *KINDS["spatial"]), tmp_path / "run")
    (run / "environment.json").unlink()
    words = ["--run", str(run), str(tmp_path / "x.onnx"), "--int8", "--fold", "0"]
    assert main(words) == 0
    assert "accuracy out of fold not measured: the crops are not at hand" in capsys.readouterr().out
    assert (tmp_path / "x.onnx").is_file()


def test_what_the_exporter_cannot_do_is_named_and_nothing_is_written(
    fitted, plugs, tmp_path, monkeypatch, capsys
):
    run, path = fitted("network", *KINDS["network"]), tmp_path / "out" / "x.onnx"
    network = importlib.import_module("predict_plugs").Small

    def lacking(self, images):
        return torch.special.bessel_j0(by_shape(self, images))

    def branching(self, images):
        said = by_shape(self, images)
        return said if said.sum() > 0 else -said

    for forward, reason in (
        (lacking, "ONNX has no counterpart of torch's prims::bessel_j0"),
        (network.forward, "its code fixes the number of windows"),
        (branching, "ata-dependent"),
    ):
        monkeypatch.setattr(network, "forward", forward)
        assert main(["--run", str(run), str(path), "--fold", "0", "--trust-code"]) == 1
        said = capsys.readouterr().err
        assert "model.network: predict_plugs.Small cannot be exported to ONNX: " in said
        assert reason in said
    assert not path.parent.exists()


def test_a_graph_that_says_something_else_is_not_written(fitted, tmp_path, monkeypatch, capsys):
    run, path = fitted("spatial", *KINDS["spatial"]), tmp_path / "x.onnx"
    path.write_text("before")
    answer = OnnxModel.__call__
    monkeypatch.setattr(OnnxModel, "__call__", lambda self, x: [y + 0.01 for y in answer(self, x)])
    assert main(["--run", str(run), str(path), "--fold", "0"]) == 1
    assert (
        "nothing is written: onnxruntime differs from torch by 1.0e-02" in capsys.readouterr().err
    )
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["x.onnx"]


def test_a_descriptor_and_what_is_not_trusted_are_refused(fitted, plugs, tmp_path, capsys):
    run = fitted("descriptor", *KINDS["descriptor"])
    path = str(tmp_path / "x.onnx")
    assert main(["--run", str(run), path, "--trust-code"]) == 2
    assert "is a bundle by a descriptor" in capsys.readouterr().err
    assert main(["--run", str(fitted("network", *KINDS["network"])), path]) == 2
    assert "--trust-code" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x.bin"], "FILE is x.bin; give a file whose name ends in .onnx"),
        (["x.onnx", "--run", "nowhere"], "--run is nowhere, which is no folder"),
        (["x.onnx", "--fold", "9"], "--fold is 9; "),
        (["x.onnx", "--int8", "--clips", "-1"], "--clips is -1; it must be at least 0"),
    ],
)
def test_a_wrong_command_line_is_status_2(words, said, bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--run", str(bundle), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_too_much_for_one_file_is_refused_before_any_work(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trace, "LARGEST", 100_000)
    assert main(["--run", str(bundle), str(tmp_path / "x.onnx")]) == 2
    said = capsys.readouterr().err
    assert "the 3 models have 0.0 GB of weights" in said
    assert "export one with --fold K" in said


def test_without_the_extra_it_is_said_how_to_install_it(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vfer.export.main.find_spec", lambda name: None)
    assert main(["--run", str(bundle), str(tmp_path / "x.onnx")]) == 2
    assert "needs onnx, onnxscript, onnxruntime: pip install 'vfer[export]'" in (
        capsys.readouterr().err
    )


def test_the_page_shows_how_to_run_it_without_this_package(
    bundle, store, exported, tmp_path, monkeypatch
):
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names = {line.split()[1].partition(".")[0] for line in code.splitlines() if "import " in line}
    assert names <= {"json", "numpy", "onnxruntime"}
    monkeypatch.chdir(tmp_path)
    shutil.copy(exported(bundle)[0], "model.onnx")
    row = tables_of(bundle).clips[0]
    np.save("crops.npy", store.crops(row.clip))
    found = {}
    exec(compile(code, "docs/export.md", "exec"), found)
    model = load_model(bundle, device="cpu")
    expected = model.score_clip(np.array(store.crops(row.clip)), found["starts"])
    np.testing.assert_allclose(found["probabilities"], expected.windows, atol=1e-4)
    assert found["answer"] == model.classes[expected.clip.argmax()]
    assert sha256(Path("model.onnx")) == sha256(exported(bundle)[0])
