"""The rows of the paper's tables, each as a config laid over a base config."""

from collections import defaultdict
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
import yaml

from vfer.config.keys import differing, flatten
from vfer.config.parser import parse
from vfer.config.tree import ProtocolConfig
from vfer.corpora import Corpus
from vfer.fit.main import main
from vfer.fit.plan import stages_of
from vfer.fit.run import Run, Seen
from vfer.fit.stages import TrainedStage, build
from vfer.networks import AlexNetStream, SegmentNetwork
from vfer.networks.alexnet import Variant
from vfer.networks.vlan import Pool
from vfer.results.scoring import CONTROLS
from vfer.results.tables import read_tables
from vfer.runtime.files import read_json, write_json
from vfer.segments.controls import PICTURES
from vfer.verify import main as verify

ROOT = Path(__file__).parents[2]
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
TABLES = sorted((ROOT / "experiments" / "tables").glob("*.yaml"))
FEATURES = 256  # at a sixteenth of the width
SIZES = {"pool_frame": 7 * FEATURES, "pool_stream": 14 * FEATURES}  # L is 8 in the demo


def test_the_names_of_controls_are_the_configs():
    kinds = get_args(get_type_hints(ProtocolConfig)["control"])
    assert [*get_args(kinds[0])] == [*CONTROLS]
    assert set(PICTURES) < set(CONTROLS)


def demo(*more):
    given = ["--config", ROOT / "configs" / "demo.yaml", "--model.width", "0.0625", *more]
    return parse("vfer.fit", [str(word) for word in given])


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_config_changes_what_it_names_and_nothing_else(path):
    named = flatten(yaml.safe_load(path.read_text()))
    config = demo("--config", path)
    assert set(differing(config.tree, demo().tree)) <= named.keys()
    assert {key: flatten(config.tree)[key] for key in named} == named
    assert config.output == Path("runs", path.stem)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_config_builds_its_networks(path):
    config = demo("--config", path)
    run = Run(config, Corpus("made", CLASSES, ()), None, (), None, "")
    before = {}
    for stage in stages_of(config):
        network = build(run, stage, 0, before)
        before[stage.name] = TrainedStage(network, "", (), [], Seen(), 0)
    network = before["vlan"].network.eval()
    names = [path.stem] if path.stem in ("spatial", "temporal") else ["spatial", "temporal"]
    assert list(network.streams) == names
    with torch.no_grad():
        images = torch.rand(2, 7, 3, 112, 112)
        assert network(dict.fromkeys(names, images)).shape == (2, len(CLASSES))
    assert network.fc9.in_features == SIZES.get(path.stem, FEATURES)
    kinds = [type(layer).__name__ for layer in network.streams[names[0]].classifier]
    assert kinds.count("Linear") == (1 if path.stem == "fc6" else 2)
    for name in names:  # stage 3 starts from the streams of the stages before
        theirs = before[name].network.stream.state_dict()
        ours = network.streams[name].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_control_says_so_in_its_bundle(tmp_path, capsys):
    given = [
        *("--config", ROOT / "configs" / "tiny.yaml", "--protocol.control", "still_frame"),
        *("--output", tmp_path / "run", "--data.cache", tmp_path),
    ]
    assert main([str(word) for word in given]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "a control, no result of the model: every clip's first frame repeated" in shown
    printed = read_json(tmp_path / "run" / "results.json")
    assert printed["protocol"]["control"] == "still_frame"
    assert verify([str(tmp_path / "run")]) == 0, capsys.readouterr().out
    tables = read_tables(tmp_path / "run", CLASSES)
    segments = defaultdict(set)
    for row in tables.segments:
        segments[row.clip].add(row.probabilities)
    assert {len(found) for found in segments.values()} == {1}  # there is but one picture to see
    without = printed | {"protocol": {"name": "losgo", "groups": printed["protocol"]["groups"]}}
    write_json(tmp_path / "run" / "results.json", without)
    capsys.readouterr()
    assert verify([str(tmp_path / "run")]) == 1
    assert "protocol.control: found still_frame" in capsys.readouterr().out


def test_a_single_stream_is_trained_and_scored_without_the_other(tmp_path, capsys):
    given = [
        *("--config", ROOT / "configs" / "tiny.yaml"),
        *("--config", ROOT / "experiments" / "tables" / "temporal.yaml"),
        *("--model.variant", "caffe", "--output", tmp_path / "run", "--data.cache", tmp_path),
    ]
    assert main([str(word) for word in given]) == 0
    shown = capsys.readouterr().out
    assert "stage 2 alone" in shown
    assert "stage 1 alone" not in shown
    assert verify([str(tmp_path / "run")]) == 0, capsys.readouterr().out
    tables = read_tables(tmp_path / "run", CLASSES)
    assert {row.stream for row in tables.streams} == {"temporal"}
    assert {point.stage for point in tables.curves} == {"temporal", "vlan"}
    folders = {path.name for path in (tmp_path / "run" / "fold-0").iterdir() if path.is_dir()}
    assert folders == {"temporal", "vlan"}


def count(network):
    return sum(p.numel() for p in network.parameters())


def numbers(cells):
    return [int(cell.replace(" ", "")) for cell in cells]


def test_the_sizes_and_parameter_counts_of_the_docs_are_those_of_the_code():
    text = (ROOT / "docs" / "model.md").read_text()
    rows = [[c.strip("` ") for c in line.strip("|").split("|")] for line in text.splitlines()]
    streams = [row for row in rows if row[0] in get_args(Variant) and len(row) == 4]
    pools = [row for row in rows if row[0] in get_args(Pool)]
    assert (len(streams), len(pools)) == (6, 3)
    with torch.device("meta"):
        for variant, insert_after, _, parameters in streams:
            stream = AlexNetStream(variant=variant, insert_after=insert_after)
            assert [count(stream)] == numbers([parameters])
        both = {name: AlexNetStream() for name in ("spatial", "temporal")}
        for pool, _, *said in pools:
            network = SegmentNetwork(both, frames=15, classes=6, pool=pool)
            head = count(network.vlan) + count(network.fc9)
            assert [network.vlan.out_features, head, count(network)] == numbers(said)


def test_weights_that_do_not_fit_are_refused_before_the_work_naming_the_file(tmp_path, capsys):
    torch.save(AlexNetStream(width=0.02).state_dict(), tmp_path / "narrow.pth")
    tiny = ["--config", ROOT / "configs" / "tiny.yaml", "--model.width", "1.0"]
    given = [*tiny, "--model.weights", tmp_path / "narrow.pth", "--output", tmp_path / "run"]
    assert main([str(word) for word in given]) == 2
    said = capsys.readouterr().err
    assert f"model.weights is {tmp_path / 'narrow.pth'}: the weights do not fit" in said
