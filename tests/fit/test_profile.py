import io
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from vfer.config.parser import parse
from vfer.config.tree import OptimizerConfig
from vfer.fit.module import StageModule
from vfer.fit.opening import open_run
from vfer.fit.plan import Randomness, stages_of
from vfer.fit.profile import PARTS, flop
from vfer.fit.run import split
from vfer.fit.stages import train_stage
from vfer.networks.streams import FrameNetwork
from vfer.segments.batch import StreamInputs

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"


class Flat(nn.Module):
    """Two linear layers: 12 → 5 → 7."""

    out_features = 7

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 7))

    def forward(self, x):
        return self.layers(x)


def test_operations_are_two_a_product_forward_and_four_back_but_for_the_images_gradient():
    network = FrameNetwork(Flat(), classes=3)
    module = StageModule(network, OptimizerConfig(), 1, Randomness(0, 0, "spatial"))
    images = {"spatial": torch.rand(4, 2, 3, 2, 2)}
    found = flop(module, StreamInputs(images, torch.zeros(8, dtype=torch.int64), 1.0))
    products = 8 * torch.tensor([12 * 5, 5 * 7, 7 * 3])
    assert found == int((6 * products).sum() - 2 * products[0])
    assert all(one.grad is None for one in network.parameters())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What is printed with and without a profile, and the weights."""
    folder = tmp_path_factory.mktemp("profile")
    found = {}
    for profile in ("true", "false"):
        words = ["--config", TINY, "--data.cache", folder / "cache", "--trainer.profile", profile]
        console = Console(record=True, file=io.StringIO(), width=500)
        run = open_run(parse("vfer.fit", [str(word) for word in words]), console)
        stage = stages_of(run.config)[0]
        train_stage(run, split(run, 0), stage, {}, folder / profile / stage.name, [], console)
        weights = (folder / profile / stage.name / "weights.safetensors").read_bytes()
        found[profile] = (console.export_text(), weights)
    return found


def test_a_profile_says_where_the_time_went_and_changes_no_weight(trained):
    said, weights = trained["true"]
    (line,) = [line for line in said.splitlines() if "profile:" in line]
    shares = dict(re.findall(r"(\w+) (\d+)%", line.partition("; ")[2]))
    assert tuple(shares) == PARTS
    assert sum(map(int, shares.values())) == pytest.approx(100, abs=len(PARTS) / 2)
    assert float(re.search(r"(\d+) images/s", line)[1]) > 0
    assert weights == trained["false"][1]
    assert "profile:" not in trained["false"][0]
