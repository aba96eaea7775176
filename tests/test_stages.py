"""Stages: a training that is interrupted ends as if it had not been."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from vfer.cli import parse
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
