"""Sweep files: what their points are, here and for W&B's agents, and how points are run."""

import csv
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from vfer.runtime.console import UsageError
from vfer.sweep import run as sweep
from vfer.sweep.main import main
from vfer.sweep.plan import plan
from vfer.sweep.points import choose, names_of, read_sweep
from vfer.verify import main as verify

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted((CONFIGS / "sweeps").glob("*.yaml"))
COMMAND = ["${env}", "python", "-m", "vfer.fit", "--config", str(CONFIGS / "tiny.yaml"), "${args}"]


def write(path, parameters, method="grid", command=COMMAND, **more):
    given = {"command": command, "method": method, "parameters": parameters, **more}
    path.write_text(yaml.safe_dump(given))
    return path


@pytest.fixture
def file(tmp_path):
    """A function that writes a sweep file and gives its points' values."""

    def chosen(parameters, method="grid", points=None, seed=0, **more):
        path = write(tmp_path / "sweep.yaml", parameters, method, **more)
        return choose(read_sweep(path), points, seed)

    return chosen


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_point_parses_with_the_demos_config(path, tmp_path):
    file = read_sweep(path)
    points = plan(file, choose(file, None, 0), tmp_path, [str(CONFIGS / "demo.yaml")])
    assert {p.config.data.corpus for p in points} == {"facs"}
    assert len({p.name for p in points}) == len({p.config.output for p in points}) == len(points)
    assert len({yaml.safe_dump(p.config.tree) for p in points}) == len(points) > 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_points_command_is_an_agents_and_parses(path, tmp_path, monkeypatch):
    """The agent's own functions expand the command, as ``wandb agent`` would run it."""
    monkeypatch.chdir(CONFIGS.parent)
    file, given = read_sweep(path), yaml.safe_load(path.read_text())
    assert given["metric"] == {"name": "losgo/accuracy", "goal": "maximize"}
    for point in plan(file, choose(file, None, 0), tmp_path):
        args = {key: {"value": value} for key, value in point.values.items()}
        filled = create_sweep_command_args({"args": args}) | {"env": ["/usr/bin/env"]}
        words = [
            word
            for part in create_sweep_command(list(given["command"]))
            for word in (filled[part[2:-1]] if part.startswith("${") else [part])
        ]
        assert words[:4] == ["/usr/bin/env", "python", "-m", "vfer.fit"]
        assert words[4:] == list(point.words[: len(words) - 4])  # the words that plan has parsed
        assert words[4:6] == ["--config", "configs/enterface.yaml"]


def test_segment_length_goes_over_the_papers_lengths():
    (path,) = (path for path in FILES if path.stem == "segment_length")
    lengths = [p["data.segment_length"] for p in choose(read_sweep(path), None, 0)]
    assert lengths == list(range(2, 21, 2))


def test_a_grid_is_the_product_of_the_values_and_may_be_nested(file):
    nested = {"model": {"parameters": {"pool": {"values": ["sum", "frame"]}}}}
    found = file({"protocol.seed": {"values": [1, 2, 3]}, **nested, "data.loaders": {"value": 0}})
    assert len(found) == 6
    assert {(p["model.pool"], p["protocol.seed"]) for p in found} == {
        (pool, seed) for pool in ("sum", "frame") for seed in (1, 2, 3)
    }
    assert all(p["data.loaders"] == 0 for p in found)
    assert file({"protocol.seed": {"values": [1, 2, 3]}}, run_cap=2) == [
        {"protocol.seed": seed} for seed in (1, 2)
    ]


def test_random_draws_within_the_ranges_and_by_the_seed(file):
    parameters = {
        "a": {"min": 2, "max": 4},
        "b": {"min": 0.5, "max": 1.0},
        "c": {"min": 1e-4, "max": 1.0, "distribution": "log_uniform_values"},
        "d": {"values": ["x", "y"]},
    }
    found = file(parameters, "random", 300)
    assert {p["a"] for p in found} == {2, 3, 4}
    assert all(type(p["a"]) is int and type(p["c"]) is float for p in found)  # as on a command line
    assert all(0.5 <= p["b"] <= 1.0 and 1e-4 <= p["c"] <= 1.0 for p in found)
    assert 100 < sum(p["c"] < 1e-2 for p in found) < 200  # half of the range's logarithm
    assert {p["d"] for p in found} == {"x", "y"}
    assert file(parameters, "random", 300) == found
    assert file(parameters, "random", 300, seed=1) != found
    listed = file({"d": {"values": ["x", "y"]}}, "random", run_cap=5)
    assert sorted(p["d"] for p in listed) == ["x", "y"]  # no point twice


@pytest.mark.parametrize(
    ("parameters", "method", "more", "said"),
    [
        ({"a": {"values": [1]}}, "bayes", {}, "method is bayes"),
        ({"a": {"values": [1]}}, "random", {}, "--points N"),
        ({"a": {"values": [1]}}, "grid", {"early_terminate": {}}, "early_terminate"),
        ({"a": {"values": [1]}}, "grid", {"command": ["python", "train.py"]}, "vfer.fit"),
        ({"a": {"min": 1, "max": 3}}, "grid", {}, "grid needs its values"),
        ({"a": {"min": 3, "max": 1}}, "random", {}, "min must be below max"),
        ({"a": {"mu": 1, "sigma": 3, "distribution": "normal"}}, "random", {}, "log_unif"),
        ({"a": {"values": []}}, "grid", {}, "give a list"),
        ({"a": 3}, "grid", {}, "parameter a is 3"),
        ({}, "grid", {}, "at least one"),
    ],
)
def test_a_file_that_cannot_be_run_here_is_refused(parameters, method, more, said, file):
    with pytest.raises(UsageError, match=said):
        file(parameters, method, **more)


@pytest.mark.parametrize(
    ("parameters", "words", "said"),
    [
        ({"data.segment_length": {"values": [4, 21]}}, (), ["segment_length-21", "between 2 and"]),
        ({"data.segment_lenght": {"values": [4, 6]}}, (), ["segment_lenght-4"]),
        ({"model.pool": {"values": ["sum"]}}, ("--fold", "0"), ["pool-sum", "--fold"]),
        ({"model.pool": {"values": ["sum"]}}, ("--model.width", "9"), ["model.width is 9"]),
    ],
)
def test_a_point_that_the_config_refuses_is_named_before_any_runs(
    parameters, words, said, tmp_path, capsys
):
    path = write(tmp_path / "sweep.yaml", parameters)
    assert main([str(path), "--output", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert all(part in error for part in said)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_names_are_safe_and_tell_points_apart(file):
    chosen = file(
        {
            "stages.spatial.iterations": {"values": [1, 2]},
            "stages.temporal.iterations": {"values": [1, 2]},
            "stages.vlan.frozen": {"values": ["[]", "[vlan]", "[vlan, streams]", "[vlan/streams]"]},
            "protocol.seed": {"values": [7]},
        }
    )
    names = names_of(chosen)
    assert len(set(names)) == len(chosen) == 16
    assert all(not set(name) & set(" /\\:*?\"<>|'[]") for name in names)
    assert any("frozen-vlan_streams" in n and "stages.spatial.iterations-2" in n for n in names)
    assert not any("seed" in name for name in names)
    assert names_of([{"protocol.seed": 7}]) == ["seed-7"]


def test_a_failed_point_fails_alone_and_finished_ones_are_not_run_again(
    facs_words, tmp_path, capfd, monkeypatch
):
    output = tmp_path / "out"
    few = [f"--stages.{stage}.iterations=1" for stage in ("spatial", "temporal")]
    words = ["--output", str(output), f"--data.cache={tmp_path / 'cache'}", *few, *facs_words]
    parameter = "stages.vlan.optimizer.lr"
    path = write(tmp_path / "sweep.yaml", {parameter: {"values": [1e30, 0.001]}})
    assert main([str(path), *words]) == 1
    said = capfd.readouterr()
    last = said.err.splitlines()[-1]
    assert "1 of 2 points failed" in last
    assert "lr-1e+30: " in last
    assert "diverged" in last
    assert "diverged" in (output / "lr-1e+30.log").read_text()
    assert verify([str(output / "lr-0.001")]) == 0
    with (output / "sweep.csv").open(newline="") as table:
        failed, done = csv.DictReader(table)
    assert (failed["status"], failed["accuracy_mean"]) == ("failed", "")
    assert (done["status"], float(done[parameter])) == ("done", 0.001)
    assert 0 <= float(done["accuracy_low"]) <= float(done["accuracy_pooled"]) <= 1
    assert (output / "report.html").is_file()
    shared = [len(list(output.glob(f"*/fold-0/{s}"))) for s in ("spatial", "vlan")]
    assert shared == [2, 1]
    assert len(list((output / "stages").iterdir())) == 2 * 2 + 2  # two folds, one vlan each

    monkeypatch.setattr(sweep, "COMMAND", ("-c", "raise SystemExit('run again')"))
    assert main([str(path), *words]) == 1
    said = capfd.readouterr()
    assert "point 2 of 2: lr-0.001: done before" in said.out
    assert "lr-1e+30: run again" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_the_point_and_is_status_130(tmp_path, monkeypatch, capfd, number):
    ended = tmp_path / "ended"
    child = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try:\n    print('up', file=sys.stderr, flush=True); time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(ended)!r}).touch(); sys.exit(130)\n"
    )
    monkeypatch.setattr(sweep, "COMMAND", ("-c", child))
    path = write(tmp_path / "sweep.yaml", {"model.pool": {"values": ["sum", "frame"]}})
    log = tmp_path / "out" / "pool-sum.log"

    def press():
        while not (log.is_file() and "up" in log.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's may be ignored
    threading.Thread(target=press, daemon=True).start()
    try:
        assert main([str(path), "--output", str(tmp_path / "out")]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_file()
    assert not (tmp_path / "out" / "pool-frame.log").exists()


def test_a_point_that_another_process_runs_is_left_to_it(tmp_path, monkeypatch, capsys):
    mark = tmp_path / "ran"
    child = f"import pathlib, sys; open({str(mark)!r}, 'a').write('once')"
    monkeypatch.setattr(sweep, "COMMAND", ("-c", child))
    path = write(tmp_path / "sweep.yaml", {"model.pool": {"values": ["sum", "frame"]}})
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".pool-sum.lock"):
        assert main([str(path), "--output", str(tmp_path / "out")]) == 0
    assert "pool-sum: another process is running it" in capsys.readouterr().out
    assert mark.read_text() == "once"
