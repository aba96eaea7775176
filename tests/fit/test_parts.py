"""How many samples go through a network at a time, by what memory is free."""

import io

import pytest
import torch
from rich.console import Console
from torch import nn

from tests.fit.test_stages import open_tiny, stage_of
from vfer.fit import parts
from vfer.fit.run import split
from vfer.fit.stages import build, train_stage
from vfer.networks.streams import FrameNetwork
from vfer.runtime.files import read_json

BATCH = 12  # of configs/tiny.yaml


class Normed(nn.Module):
    """A layer whose means follow what goes through it, and which keeps known bytes."""

    out_features = 3

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images):
        return self.norm(images).exp().mean((2, 3))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def spatial(cache):
    run = open_tiny(cache)
    stage = stage_of(run, "spatial")
    return run, split(run, 0), stage, build(run, stage, 0, {})


def needed(spatial, samples):
    """Return the free bytes that just do for a step of so many samples."""
    *_, network = spatial
    trained = sum(p.numel() * p.element_size() for p in network.parameters())
    fixed, each = parts.kept_bytes(*spatial)
    return int((3 * trained + parts.FACTOR * (fixed + samples * each)) / parts.USABLE) + 1


@pytest.mark.parametrize(
    ("does_for", "expected"),
    [(BATCH, None), (BATCH - 1, 6), (BATCH / 2, 6), (4, 4), (3.9, 3), (1, 1), (0, 1)],
)
def test_a_batch_is_cut_into_equal_parts_that_fit(spatial, monkeypatch, does_for, expected):
    free = needed(spatial, does_for)
    monkeypatch.setattr(parts, "free_memory", lambda: free)
    assert parts.fitting(*spatial) == expected


def test_what_a_sample_keeps_is_counted_and_leaves_no_trace(spatial):
    run, fold, stage, _ = spatial
    network = FrameNetwork(Normed(), 6)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    fixed, each = parts.kept_bytes(run, fold, stage, network)
    side = run.config.model.input_size
    image = 3 * side * side * 4
    assert each == 2 * image + 3 * 4  # what the norm, the exponential and the classifier keep
    assert fixed < 1000  # the norm's means
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_in_bfloat16_are_kept_once_and_not_for_each_sample(cache):
    found = []
    for precision in ("32-true", "bf16-mixed"):
        run = open_tiny(cache, "--trainer.precision", precision)
        stage = stage_of(run, "spatial")
        network = build(run, stage, 0, {})
        found.append(parts.kept_bytes(run, split(run, 0), stage, network))
    weights = sum(2 * p.numel() for name, p in network.named_parameters() if "weight" in name)
    plain, half = found
    assert half.fixed - plain.fixed == pytest.approx(weights, rel=0.05)
    assert 0.4 * plain.each < half.each < plain.each


def test_a_stage_that_would_not_fit_is_trained_in_parts_and_says_so(spatial, tmp_path, monkeypatch):
    run, fold, stage, _ = spatial
    free = needed(spatial, 4)
    monkeypatch.setattr(parts, "free_memory", lambda: free)
    console = Console(record=True, file=io.StringIO(), width=200)
    found = train_stage(run, fold, stage, {}, tmp_path / "found", [], console)
    assert "4 of 12 samples at a time" in console.export_text()
    assert read_json(tmp_path / "found" / "environment.json")["micro_batch"] == 4
    given = train_stage(run, fold, stage, {}, tmp_path / "given", [], console, micro_batch=4)
    for ours, theirs in zip(found.network.parameters(), given.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
