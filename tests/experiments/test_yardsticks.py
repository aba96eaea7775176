"""Networks of torchvision as yardsticks: by config only, with weights where a file is given."""

from pathlib import Path

import pytest
import torch
import yaml

from experiments.reproduce.rows import SMALLER, YARDSTICKS
from experiments.yardsticks.models import R2Plus1D18, ResNet18, Swin3DT
from experiments.yardsticks.one_stream import OneStream
from vfer.config.parser import parse
from vfer.fit.main import main
from vfer.networks.build import build_frame_network, build_segment_network, try_on_noise
from vfer.networks.settings import ModelConfig
from vfer.runtime.files import read_json
from vfer.verify import main as verify

ROOT = Path(__file__).parents[2]
CONFIGS = {row.name: ROOT / "experiments" / f"{row.configs[0]}.yaml" for row in YARDSTICKS}
COUNTS = {
    "resnet18": 11_689_512 - 513 * 1000,
    "r2plus1d_18": 31_505_325 - 513 * 400 + 513 * 6,
    "swin3d_t": 28_158_070 - 769 * 400 + 769 * 6,
}
"""Parameters as torchvision prints them, with a last layer of six classes; ResNet-18 without."""
MAKE = {
    "resnet18": ResNet18,
    "r2plus1d_18": lambda weights=None: R2Plus1D18(6, 15, weights),
    "swin3d_t": lambda weights=None: Swin3DT(6, 15, weights),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_yardstick_takes_the_images_that_its_config_gives(name):
    config = ["--config", ROOT / "configs" / "tiny.yaml", "--config", CONFIGS[name]]
    settings = parse("vfer.fit", [str(word) for word in config]).model
    assert settings.weights is None
    try_on_noise(settings, 6, 3)
    count = sum(parameter.numel() for parameter in MAKE[name]().parameters())
    assert count == COUNTS[name]


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_are_taken_from_a_file_all_but_the_last_layers(name, tmp_path):
    given = MAKE[name]().layers.state_dict()
    head = "head" if name == "swin3d_t" else "fc"
    first = next(iter(given))
    given[first] = torch.full_like(given[first], 0.5)
    given |= {f"{head}.weight": torch.ones(400, 3), f"{head}.bias": torch.ones(400)}
    torch.save(given, tmp_path / "weights.pth")
    filled = MAKE[name](weights=str(tmp_path / "weights.pth")).layers.state_dict()
    assert (filled[first] == 0.5).all()
    torch.save({"conv9.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="another network"):
        MAKE[name](weights=str(tmp_path / "other.pth"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        MAKE[name](weights=str(tmp_path / "none.pth"))


def test_the_smallest_is_smaller_than_the_demo():
    demo = ["--config", str(ROOT / "configs" / "demo.yaml"), "--config", str(CONFIGS["swin3d_t"])]
    base, small = (parse("vfer.fit", [*demo, *w]) for w in ([], SMALLER["demo"]["swin3d_t"]))
    assert small.model.input_size < base.model.input_size
    for stage in yaml.safe_load((ROOT / "experiments/yardsticks/smallest.yaml").read_text())[
        "stages"
    ]:
        ours, theirs = getattr(small.stages, stage), getattr(base.stages, stage)
        assert ours.iterations * ours.batch_size < theirs.iterations * theirs.batch_size / 10


@pytest.mark.parametrize("name", CONFIGS)
def test_a_yardstick_runs_to_a_bundle_that_verifies(name, tmp_path, facs_words, capsys):
    given = [
        *("--config", ROOT / "configs" / "tiny.yaml", "--config", CONFIGS[name], *facs_words),
        *("--output", tmp_path / "run", "--data.cache", tmp_path, *SMALLER["tiny"][name]),
    ]
    assert main([str(word) for word in given]) == 0, capsys.readouterr().err
    assert verify([str(tmp_path / "run")]) == 0, capsys.readouterr().out
    plugs = read_json(tmp_path / "run" / "environment.json")["plugs"]
    assert "experiments.yardsticks.models" in str(plugs)


def test_one_network_for_both_inputs_is_the_papers_whose_streams_are_equal():
    model = ModelConfig(width=0.03, input_size=64, dropout=0.0, vlan_start=-1.0)
    single = build_frame_network(model, 6)
    two = build_segment_network(model, 6, 3, {"spatial": single, "temporal": single})
    one = OneStream(6, 3, width=0.03, dropout=0.0, vlan_start=-1.0)
    one.stream.load_state_dict(single.stream.state_dict())
    one.fc9.load_state_dict(two.fc9.state_dict())
    images = {name: torch.rand(2, 3, 3, 64, 64) for name in ("spatial", "temporal")}
    torch.testing.assert_close(one(images), two(images))
    count = [sum(p.numel() for p in net.parameters()) for net in (single.stream, one, two)]
    assert count[2] - count[1] == count[0]


def test_one_network_for_both_inputs_runs_to_a_bundle_that_verifies(tmp_path, facs_words, capsys):
    config = ROOT / "experiments" / "yardsticks" / "one_stream.yaml"
    given = [
        *("--config", ROOT / "configs" / "tiny.yaml", "--config", config, *facs_words),
        *("--output", tmp_path / "run", "--data.cache", tmp_path),
        "--model.network.init_args.width=0.05",
    ]
    assert main([str(word) for word in given]) == 0, capsys.readouterr().err
    assert verify([str(tmp_path / "run")]) == 0, capsys.readouterr().out
