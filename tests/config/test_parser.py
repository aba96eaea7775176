"""What a command line and its config files become, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest
import yaml

from vfer.config.keys import flatten, key_types
from vfer.config.parser import build_parser, parse
from vfer.config.tree import PARTS
from vfer.config.version import check_version
from vfer.fit.main import main
from vfer.runtime.console import UsageError

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = CONFIGS / "tiny.yaml"


def refused(*words):
    with pytest.raises(UsageError) as caught:
        parse("vfer.fit", ["--config", str(TINY), *words])
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_parts_are_what_jsonargparse_makes_of_them(path):
    parser = build_parser("vfer.fit")
    theirs = parser.instantiate(parser.parse_args(["--config", str(path)]))
    ours = parse("vfer.fit", ["--config", str(path)])
    assert {name: getattr(ours, name) for name in PARTS if name != "trainer"} == {
        name: theirs[name] for name in PARTS if name != "trainer"
    }
    assert ours.trainer == vars(theirs.trainer)


def test_every_key_has_a_type_by_its_name_in_files():
    tree = flatten(parse("vfer.fit", ["--config", str(TINY)]).tree)
    keys = key_types().keys()
    assert tree.keys() - keys == {"config_version"}
    assert {"stages.vlan.from", "protocol.folds.groups", "data.faces.max_gap"} <= keys


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--data.segment_length=21", "data.segment_length is 21; it must be between 2 and 20"),
        ("--data.faces.max_gap=-1", "data.faces.max_gap is -1"),
        ("--data.flow.alpha=0", "data.flow.alpha is 0"),
        ("--data.facs.subjects=0", "data.facs.subjects is 0"),
        ("--data.windows.stride=2", "data.windows.per_clip is 2 and data.windows.stride 2"),
        ("--data.workers=0", "data.workers is 0"),
        ("--model.dropout=1", "model.dropout is 1"),
        ("--stages.vlan.iterations=-1", "stages.vlan.iterations is -1"),
        ("--stages.spatial.optimizer.lr=0", "stages.spatial.optimizer.lr is 0.0; it must be above"),
        (
            "--stages.spatial.optimizer.vlan_lr=1",
            "stages.spatial.optimizer.vlan_lr is for",
        ),
        ("--stages.temporal.augmentation.shift=51", "stages.temporal.augmentation.shift is 51"),
        ("--stages.spatial.frozen=[vlan]", "stages.spatial.frozen names vlan"),
        ("--protocol.retrain=true", "protocol.retrain goes with protocol.selection validation"),
        ("--trainer.num_nodes=0", "trainer.num_nodes is 0; it must be between 1 and"),
    ],
)
def test_a_refused_value_is_told_by_its_full_key(word, said):
    assert said in refused(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--data.corpus=mine", "data.corpus is 'mine'; it must be one of "),
        ("--model.width=wide", "model.width is wide; it must be a number"),
        ("--data.workers=x", "data.workers is x; it must be a whole number, or null"),
        (
            "--protocol.folds.groups=x",
            "protocol.folds.groups is 'x'; it must be a whole number",
        ),
        ("--stages.vlan.frozen=a", "a list, each a text"),
        ("--trainer.precision=16", "must be one of auto, 32, 32-true, bf16-mixed, or null"),
    ],
)
def test_a_value_of_another_type_is_told_what_it_may_be(word, said):
    assert said in refused(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--data.segment_lenght", "is no option; did you mean --data.segment_length?"),
        ("--sed", "did you mean --seeds?"),
        ("--max_gap", "did you mean --data.faces.max_gap?"),
        ("--stages.vlan.form", "did you mean --stages.vlan.from?"),
        ("--zzz", "--zzz is no option; --help=all lists all of them"),
        ("demo", "'demo' is no option; options begin with --"),
    ],
)  # fmt: skip
def test_a_misspelt_option_is_told_which_may_be_meant(word, said):
    assert said in refused(word, "3") if word.startswith("-") else refused(word)


def test_a_misspelt_key_in_a_file_is_told_which_may_be_meant(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages: {vlan: {optimizer: {momentun: 1}}}")
    said = refused("--config", str(path))
    assert "stages.vlan.optimizer.momentun is no key of the config" in said
    assert "did you mean stages.vlan.optimizer.momentum?" in said


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("data: {")
    assert f"--config {path}: " in refused("--config", str(path))


@pytest.mark.parametrize(("version", "said"), [(1, "keys were only added"), (3, "take the vfer")])
def test_a_config_of_another_version_is_refused(version, said, tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(f"config_version: {version}\nunheard_of: 3\n")
    assert main(["--config", str(TINY), "--config", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path} has config_version {version}, this vfer reads 2" in error
    assert said in error


def test_the_keys_that_a_version_added_are_there():
    with pytest.raises(UsageError) as caught:
        check_version(1, "mine.yaml")
    added = re.findall(r"[a-z]+(?:\.[a-z_]+)+(?=[,.])", str(caught.value).partition("meant: ")[2])
    assert {"data.name", "stages.network"} <= set(added)
    assert set(added) <= key_types().keys()


def test_a_config_without_a_version_is_current_and_the_dumped_one_has_it(tmp_path):
    given = yaml.safe_load(TINY.read_text())
    assert given.pop("config_version") == 2
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(given))
    assert parse("vfer.fit", ["--config", str(path)]).tree["config_version"] == 2


def test_a_run_of_an_earlier_version_is_not_resumed(tmp_path, capsys):
    tree = parse("vfer.fit", ["--config", str(TINY)]).tree
    record = yaml.safe_dump({key: value for key, value in tree.items() if key != "config_version"})
    (tmp_path / "config.yaml").write_text(record)
    assert main(["--config", str(TINY), "--output", str(tmp_path)]) == 2
    assert "an earlier version of vfer: finish it with that version" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output", "--data.cache", "--stages.cache"])
@pytest.mark.parametrize("below", ["", "sub"])
def test_a_file_where_a_folder_is_wanted_is_refused(option, below, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("mine")
    assert main(["--config", str(TINY), option, str(file / below)]) == 2
    said = capsys.readouterr().err
    assert f"{option.removeprefix('--') if '.' in option else option} is {file / below}" in said
    assert f"{file} is no folder; name one" in said
    assert file.read_text() == "mine"


def test_a_device_or_a_link_in_a_circle_is_no_folder(tmp_path, capsys):
    (tmp_path / "round").symlink_to("round")
    for path in (tmp_path / "round", Path("/dev/null")):
        assert main(["--config", str(TINY), "--data.cache", str(path)]) == 2
        assert f"data.cache is {path}, and {path} is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["foo", "0", "-2", "[]", "[0, 0]", "[-1]", "1.5"])
def test_devices_that_cannot_be_are_refused(value):
    said = refused(f"--trainer.devices={value}")
    assert said.startswith("trainer.devices is ")
    assert "auto" in said or "a whole number" in said


@pytest.mark.parametrize("value", ["2", "-1", "auto", "[0, 1]", "0,1"])
def test_devices_that_lightning_takes_are_taken(value):
    parse("vfer.fit", ["--config", str(TINY), f"--trainer.devices={value}"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:\n  corpus: facs\n  workers: 1\n  corpus: savee\n", "line 4: data.corpus"),
        ("model: {width: 0.5, width: 0.25}\n", "line 1: model.width"),
        ("protocol: {seed: 1}\nlogger: {}\nprotocol: {seed: 2}\n", "line 3: protocol"),
    ],
)
def test_a_key_that_stands_twice_in_a_file_is_refused(text, said, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    told = refused("--config", str(path))
    assert told.startswith(f"{path}, {said} stands in line ")
    assert told.endswith("already; remove one of them")
