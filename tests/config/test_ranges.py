"""Every number of the config has two bounds, and what is no number of them is refused."""

import math
from pathlib import Path

import pytest
import yaml

from vfer.config.keys import alternatives, key_types
from vfer.config.parser import parse
from vfer.config.ranges import RANGES, range_of
from vfer.fit.main import main
from vfer.runtime.console import UsageError

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
# One stage stands for all: their ranges are the same.
TYPES = {
    key: hint
    for key, hint in key_types().items()
    if not key.startswith(("stages.temporal.", "stages.vlan.", "stages.network."))
}
NUMBERS = sorted(key for key, hint in TYPES.items() if {int, float} & set(alternatives(hint)))
CHOICES = sorted(
    key
    for key, hint in TYPES.items()
    if key not in (*NUMBERS, "data", "data.corpus") and type(None) not in alternatives(hint)
)


def tree_with(key, value):
    """The tiny config with a value at a key."""
    tree = yaml.safe_load(TINY.read_text())
    node = tree
    *parts, last = key.split(".")
    for part in parts:
        if not isinstance(node.get(part), dict):
            node[part] = {}
        node = node[part]
    node[last] = value
    return tree


def said_of(tmp_path, key, value):
    """What is said of a config file with a value at a key."""
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(tree_with(key, value)))
    with pytest.raises(UsageError) as caught:
        parse("vfer.fit", ["--config", str(path)])
    return str(caught.value)


def test_every_number_has_a_range_and_every_range_a_number():
    assert [key for key in NUMBERS if range_of(key) is None] == []
    wanted = {key.replace(f".{key.split('.')[1]}.", ".*.", 1) for key in NUMBERS} | {*NUMBERS}
    assert RANGES.keys() <= wanted


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_outside_its_range_is_refused_with_both_bounds(tmp_path, key):
    wanted = range_of(key)
    wrong = [wanted.low - 1, 10 * wanted.high + 1]
    if float in alternatives(TYPES[key]):
        wrong += [math.nan, math.inf]
    if wanted.without:
        wrong.append(wanted.low if wanted.without == "low" else wanted.high)
    for value in wrong:
        said = said_of(tmp_path, key, value)
        assert said.startswith(f"{key} is {value}"), said
        assert f"{wanted.low}" in said
        assert f"{wanted.high}" in said


@pytest.mark.parametrize("key", [*NUMBERS, *CHOICES])
def test_null_is_refused_where_it_means_nothing(tmp_path, key):
    if type(None) not in alternatives(TYPES[key]):
        assert key in said_of(tmp_path, key, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "99999999999"], "--seeds is 99999999999; it must be between 1 and 1000"),
        (["--seeds=0"], "--seeds is 0; it must be between 1 and 1000"),
        (["--regroup=1001"], "--regroup is 1001; it must be between 1 and 1000"),
        (["--protocol.seed=" + "9" * 300], "protocol.seed is 10^300; it must be between 0 and"),
        (["--data.decode_timeout=" + "9" * 400], "--data.decode_timeout=999"),
        (["--fold=" + "9" * 300], "give a fold's number, 0 to 999999, or all"),
        (["--protocol.folds.groups=5"], "groups is 5; it must be at least 2 and at most data.facs"),
        (["--fold=2"], "--fold is 2; there are folds 0 to 1"),
    ],
)
def test_what_would_fail_late_ends_before_any_work(tmp_path, capsys, words, said):
    cache = tmp_path / "cache"
    start = ["--config", str(TINY), f"--output={tmp_path / 'run'}", f"--data.cache={cache}"]
    assert main([*start, *words]) == 2
    assert said in capsys.readouterr().err
    assert not cache.exists()
