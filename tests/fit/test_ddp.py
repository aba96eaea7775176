"""Several processes train the network that one would have trained."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from vfer.fit.main import main
from vfer.results.tables import read_tables

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
PORT = 29600
# SGD: AdamW divides by the size of gradients, and so makes rounding errors of small ones large.
SETTINGS = (
    *("--fold", 0, "--model.dropout", 0, "--data.flow.cache", "false"),
    *(
        word
        for stage, size in (("spatial", 7), ("temporal", 2), ("vlan", 5))
        for word in (
            *(f"--stages.{stage}.augmentation.flip", "false"),
            *(f"--stages.{stage}.augmentation.shift", 0, f"--stages.{stage}.batch_size", size),
            *(f"--stages.{stage}.optimizer.name", "sgd", f"--stages.{stage}.iterations"),
            2 if stage == "temporal" else 15,  # until a rounding error decides what is pooled
        )
    ),
)


def words(cache, output, *more):
    given = ["--config", TINY, "--data.cache", cache, "--output", output, *SETTINGS, *more]
    return [str(word) for word in given]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    assert main(words(folder / "cache", folder / "alone")) == 0
    return folder


def check(alone, output):
    ours, theirs = output / "fold-0", alone / "alone" / "fold-0"
    for stage in ("spatial", "temporal", "vlan"):
        found, expected = (load_file(f / stage / "weights.safetensors") for f in (ours, theirs))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)
    classes = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    found, expected = read_tables(ours, classes), read_tables(theirs, classes)
    for a, b in zip(found.curves, expected.curves, strict=True):
        assert (a.stage, a.iteration, a.split) == (b.stage, b.iteration, b.split)
        assert a.loss == pytest.approx(b.loss, abs=1e-4)
        assert a.accuracy == pytest.approx(b.accuracy, abs=1e-6)
    for a, b in zip(found.segments, expected.segments, strict=True):
        assert (a.clip, a.start) == (b.clip, b.start)
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-4)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_processes_under_torchrun_train_the_network_of_one(alone):
    """Seven samples make shares of four and three, in micro-batches of two."""
    output = alone / "torchrun"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    more = ("--trainer.devices", 2, "--stages.spatial.micro_batch", 2)
    said = run([*command, "--master-port", str(PORT), "-m", "vfer.fit",
                *words(alone / "cache", output, *more)])  # fmt: skip
    assert said.count("clips to train on") == 1
    check(alone, output)


@pytest.mark.slow
def test_two_processes_under_lightnings_launcher_train_the_network_of_one(alone):
    output = alone / "lightning"
    more = ("--trainer.devices", 2, "--trainer.strategy", "ddp")
    said = run([sys.executable, "-m", "vfer.fit", *words(alone / "cache", output, *more)])
    assert said.count("clips to train on") == 1
    check(alone, output)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "stages"),
    [("backbone", ("spatial", "temporal", "vlan")), ("network", ("network",))],
)
def test_two_processes_train_a_class_of_ones_own_as_one_does(own, stages, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        """
from torch import cat, nn


class Backbone(nn.Module):
    out_features = 6

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 6)

    def forward(self, images):
        return self.layer(images.mean((2, 3))).relu()


class Network(nn.Module):
    def __init__(self, classes, frames):
        super().__init__()
        self.layer = nn.Linear(6 * frames, classes)

    def forward(self, images):
        return self.layer(cat([*images.values()], 2).mean((3, 4)).flatten(1))
"""
    )
    monkeypatch.chdir(tmp_path)
    more = (f"--model.{own}", f"mine.{own.title()}", "--stages.network.batch_size", 5,
            "--stages.network.optimizer.name", "sgd", "--stages.network.augmentation.shift", 0,
            "--stages.network.augmentation.flip", "false")  # fmt: skip
    command = [sys.executable, "-m", "vfer.fit"]
    run([*command, *words("cache", "one", *more)])
    run([*command, *words("cache", "two", *more, "--trainer.devices", 2)])
    for stage in stages:
        found, expected = (
            load_file(tmp_path / name / "fold-0" / stage / "weights.safetensors")
            for name in ("two", "one")
        )
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)
