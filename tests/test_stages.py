"""Stages: a training that is interrupted ends as if it had not been."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from vfer.cli import parse
from vfer.datamodule import STAGES
from vfer.experiment import split
from vfer.fit import open_run
from vfer.module import StageModule
from vfer.stages import train_stage

TINY = Path(__file__).parents[1] / "configs" / "tiny.yaml"
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def words(cache, *more):
    given = ["--config", TINY, "--data.cache", cache, "--data.flow.cache", "false", *more]
    return [str(word) for word in given]


def open_tiny(cache, *more):
    return open_run(parse("vfer.fit", words(cache, *more)), QUIET)


def train(run, directory, stage="spatial", number=0, before=None):
    fold = split(run, number)
    return train_stage(run, fold, stage, before or {}, directory / stage, [], QUIET)


def left(directory, stage="spatial"):
    names = ("weights.safetensors", "stage.json", "metrics.csv")
    return [(directory / stage / name).read_bytes() for name in names]


class KilledError(Exception):
    pass


# Long enough for two checkpoints; a cosine, momentum and dropout all have a state to keep.
LONG = (
    *("--stages.checkpoint_every", 2, "--stages.spatial.iterations", 9),
    *("--stages.spatial.optimizer.schedule", "cosine", "--stages.spatial.measure_every", 4),
    *("--trainer.log_every_n_steps", 1),
)


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    run = open_tiny(cache, *LONG)
    train(run, directory)
    return run, left(directory)


def kill_at(patch, *steps):
    """Let training raise when it comes to these steps, each once."""
    waiting = list(steps)
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if waiting and module.global_step == waiting[0]:
            waiting.pop(0)
            raise KilledError
        return step_of(module, batch, batch_idx)

    patch.setattr(StageModule, "training_step", step)


@pytest.mark.parametrize("steps", [(1,), (2,), (5, 5, 8), (3, 6)])
def test_a_training_killed_at_any_step_ends_with_the_same_bytes(
    whole, steps, tmp_path, monkeypatch
):
    run, expected = whole
    kill_at(monkeypatch, *steps)
    begun = []
    batch_start = StageModule.on_train_batch_start
    monkeypatch.setattr(
        StageModule,
        "on_train_batch_start",
        lambda m, b, i: begun.append(m.global_step) or batch_start(m, b, i),
    )
    for _ in steps:
        with pytest.raises(KilledError):
            train(run, tmp_path)
        assert not (tmp_path / "spatial").exists()
    train(run, tmp_path)
    assert left(tmp_path) == expected
    assert sorted(path.name for path in (tmp_path / "spatial").iterdir()) == [
        "metrics.csv", "stage.json", "weights.safetensors",
    ]  # fmt: skip
    # It went on from the last checkpoint, and not from the beginning.
    after = begun[len(begun) - 1 - begun[::-1].index(steps[-1] // 2 * 2) :]
    assert after == list(range(steps[-1] // 2 * 2, 9))


def test_an_interrupt_ends_the_step_under_way_and_keeps_it(whole, tmp_path, monkeypatch):
    run, expected = whole
    run = replace(run, config=replace(run.config, stages=replace(
        run.config.stages, checkpoint_every=1000)))  # fmt: skip
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if module.global_step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        assert fresh or module.global_step > 4
        return step_of(module, batch, batch_idx)

    fresh = True
    monkeypatch.setattr(StageModule, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path)
    fresh = False
    train(run, tmp_path)
    assert left(tmp_path) == expected


def test_a_checkpoint_of_other_inputs_is_not_gone_on_with(whole, cache, tmp_path, monkeypatch):
    run, expected = whole
    other = open_tiny(cache, *LONG, "--protocol.seed", 3)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(KilledError):
            train(other, tmp_path)
    train(run, tmp_path)
    assert left(tmp_path) == expected


def test_a_killed_process_goes_on_from_its_checkpoint(cache, tmp_path):
    """A real ``kill -9`` in the middle of the last stage."""
    more = ("--fold", 0, "--stages.checkpoint_every", 1, "--stages.vlan.iterations", 60,
            "--stages.spatial.iterations", 1, "--stages.temporal.iterations", 1,
            "--stages.vlan.measure_every", 20)  # fmt: skip

    def fit(output):
        command = [sys.executable, "-m", "vfer.fit", *words(cache, "--output", output, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    open_tiny(cache)
    killed, undisturbed = fit(tmp_path / "killed"), fit(tmp_path / "whole")
    log = tmp_path / "killed" / "fold-0" / ".vlan.partial" / "metrics.csv"
    while not log.is_file() or log.read_text().count("\n") < 6:
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    again = fit(tmp_path / "killed")
    said = again.communicate()[0].decode()
    assert again.returncode == 0, said
    assert "vlan: goes on from iteration" in said
    assert undisturbed.wait() == 0
    undisturbed.stdout.close()
    for name in ("vlan/weights.safetensors", "vlan/metrics.csv", "curves.csv", "segments.csv"):
        ours = (tmp_path / "killed" / "fold-0" / name).read_bytes()
        assert ours == (tmp_path / "whole" / "fold-0" / name).read_bytes(), name


@pytest.fixture(scope="module")
def three(cache, tmp_path_factory):
    """The three stages of a fold, in a folder laid out as a bundle's."""
    output = tmp_path_factory.mktemp("three")
    run = open_tiny(cache)
    before = {}
    for stage in STAGES:
        before[stage] = train(run, output / "fold-0", stage, 0, before)
    return run, before, output


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(network, start):
    now = network.state_dict()
    return {name.split(".")[0] for name in now if not torch.equal(now[name], start[name])}


@pytest.mark.parametrize(
    ("frozen", "trained"),
    [
        ("[]", {"streams", "vlan", "fc9"}),
        ("[vlan]", {"streams", "fc9"}),
        ("[streams]", {"vlan", "fc9"}),
        ("[streams,vlan]", {"fc9"}),
    ],
)
def test_a_frozen_part_keeps_its_values(cache, three, frozen, trained, tmp_path):
    _, before, _ = three
    still = open_tiny(cache, "--stages.vlan.iterations", 0)
    start = weights(train(still, tmp_path / "still", "vlan", 0, before).network)
    run = open_tiny(cache, "--stages.vlan.frozen", frozen)
    assert changed(train(run, tmp_path, "vlan", 0, before).network, start) == trained


def test_a_stage_of_no_iterations_leaves_its_network_as_it_starts(cache, three, tmp_path):
    _, before, _ = three
    run = open_tiny(cache, "--stages.vlan.iterations", 0)
    stage = train(run, tmp_path, "vlan", 0, before)
    for name in ("spatial", "temporal"):
        for ours, theirs in zip(
            stage.network.streams[name].parameters(),
            before[name].network.stream.parameters(),
            strict=True,
        ):
            assert torch.equal(ours, theirs)
    assert [(p.iteration, p.split) for p in stage.curves] == [(0, "test")]


def test_a_stage_starts_from_that_of_another_bundle(cache, three, tmp_path):
    _, before, output = three
    run = open_tiny(
        cache, "--stages.spatial.from", output, "--stages.spatial.iterations", 0,
        "--protocol.seed", 5, "--fold", 0,
    )  # fmt: skip
    stage = train(run, tmp_path)
    assert not changed(stage.network, weights(before["spatial"].network))
    assert stage.trained_on == before["spatial"].trained_on == set(run.groups[1])
    for ours, theirs in zip(stage.test, before["spatial"].test, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--protocol.folds.seed", 1), "held out here"),
        (("--model.width", 0.125), "model.width 0.0625; here it is 0.125"),
    ],
)
def test_a_stage_does_not_start_from_one_that_saw_its_test_subjects_or_is_another_network(
    cache, three, more, said, tmp_path
):
    words = ("--stages.spatial.from", three[2], "--fold", 0, *more)
    with pytest.raises(ValueError, match=said):
        train(open_tiny(cache, *words), tmp_path)


def test_a_start_that_is_not_there_is_said_before_the_work(cache, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"stages\.temporal\.from is .*fold-0.temporal"):
        open_tiny(cache, "--stages.temporal.from", tmp_path / "nothing")


def test_runs_share_the_stages_whose_inputs_are_the_same(cache, tmp_path, monkeypatch):
    more = ("--stages.cache", tmp_path / "stages")
    first = train(open_tiny(cache, *more), tmp_path / "first")
    variant = open_tiny(cache, *more, "--model.pool", "frame", "--stages.vlan.iterations", 7)
    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "training_step", None)  # would fail
        second = train(variant, tmp_path / "second")
    assert not changed(second.network, weights(first.network))
    assert left(tmp_path / "second") == left(tmp_path / "first")
    train(open_tiny(cache, *more, "--stages.spatial.batch_size", 5), tmp_path / "third")
    assert left(tmp_path / "third") != left(tmp_path / "first")
