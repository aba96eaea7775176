"""Stages: a training that is interrupted ends as if it had not been."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
from pytorch_lightning.loggers import WandbLogger
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vfer.baselines.classifier import fit_classifier
from vfer.config.parser import parse
from vfer.fit import evaluation
from vfer.fit.datasets import EvaluatedClips
from vfer.fit.evaluation import evaluate
from vfer.fit.frames import Frames
from vfer.fit.loggers import StageLogger
from vfer.fit.main import main
from vfer.fit.module import StageModule
from vfer.fit.opening import open_run
from vfer.fit.plan import Randomness, stages_of
from vfer.fit.run import split
from vfer.fit.stages import build, train_stage
from vfer.fit.training import steps_of, transform_of
from vfer.networks.streams import FrameNetwork
from vfer.results.tables import read_tables
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_json
from vfer.verify import main as verify

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def words(cache, *more):
    given = ["--config", TINY, "--data.cache", cache, "--data.flow.cache", "false", *more]
    return [str(word) for word in given]


def open_tiny(cache, *more):
    return open_run(parse("vfer.fit", words(cache, *more)), QUIET)


def train(run, directory, stage="spatial", number=0, before=None, fold=None, end=None):
    fold = split(run, number) if fold is None else fold
    before, where = before or {}, directory / stage
    return train_stage(run, fold, stage_of(run, stage), before, where, [], QUIET, end)


def stage_of(run, name):
    return {stage.name: stage for stage in stages_of(run.config)}[name]


def images_of(run, name="vlan"):
    return transform_of(run, stage_of(run, name))


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


@pytest.mark.parametrize("steps", [(1,), (2,), (5, 5, 8)])
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
        "environment.json", "metrics.csv", "stage.json", "weights.safetensors",
    ]  # fmt: skip
    # It went on from the last checkpoint, and not from the beginning.
    after = begun[len(begun) - 1 - begun[::-1].index(steps[-1] // 2 * 2) :]
    assert after == list(range(steps[-1] // 2 * 2, 9))


def test_no_step_is_logged_twice_to_wandb(whole, tmp_path, monkeypatch):
    run, _ = whole
    logged = []
    monkeypatch.setattr(
        WandbLogger, "log_metrics", lambda self, metrics, step=None: logged.append(step)
    )

    def fit():
        loggers = [StageLogger(experiment=wandb.init(mode="disabled"), prefix="spatial")]
        spatial = stage_of(run, "spatial")
        return train_stage(run, split(run, 0), spatial, {}, tmp_path / "spatial", loggers, QUIET)

    with monkeypatch.context() as patch:
        kill_at(patch, 5)  # one step after the last checkpoint
        with pytest.raises(KilledError):
            fit()
    fit()
    assert logged == list(range(9))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_step_under_way_and_keeps_it(whole, tmp_path, monkeypatch, number):
    run, expected = whole
    run = replace(run, config=replace(run.config, stages=replace(
        run.config.stages, checkpoint_every=1000)))  # fmt: skip
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if module.global_step == 4:
            os.kill(os.getpid(), number)
        assert fresh or module.global_step > 4
        return step_of(module, batch, batch_idx)

    fresh = True
    monkeypatch.setattr(StageModule, "training_step", step)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's may be ignored
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path)
    signal.signal(signal.SIGINT, before)
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
    more = ("--fold", 0, "--stages.checkpoint_every", 1, "--stages.vlan.iterations", 24,
            "--stages.spatial.iterations", 1, "--stages.temporal.iterations", 1,
            "--stages.vlan.measure_every", 8)  # fmt: skip

    def fit():
        command = [sys.executable, "-m", "vfer.fit"]
        command += words(cache, "--output", tmp_path / "killed", *more)
        alone = os.environ | {"OMP_NUM_THREADS": "1"}  # as here: additions in the same order
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=alone
        )

    assert main(words(cache, "--output", tmp_path / "whole", *more)) == 0
    killed = fit()
    log = tmp_path / "killed" / "fold-0" / ".vlan.partial" / "metrics.csv"
    while not log.is_file() or log.read_text().count("\n") < 4:
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    again = fit()
    said = again.communicate()[0].decode()
    assert again.returncode == 0, said
    assert "vlan: resumed from iteration" in said
    for name in ("vlan/weights.safetensors", "vlan/metrics.csv", "curves.csv", "segments.csv"):
        ours = (tmp_path / "killed" / "fold-0" / name).read_bytes()
        assert ours == (tmp_path / "whole" / "fold-0" / name).read_bytes(), name


@pytest.fixture(scope="module")
def three(cache, tmp_path_factory):
    """The three stages of a fold, in a folder laid out as a bundle's."""
    output = tmp_path_factory.mktemp("three")
    run = open_tiny(cache)
    before = {}
    for stage in ("spatial", "temporal", "vlan"):
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
    assert stage.seen == before["spatial"].seen
    assert stage.seen.subjects == set(run.groups[1])
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
    other = ("--model.pool", "frame", "--stages.vlan.iterations", 7, "--data.flow.alpha", 20)
    variant = open_tiny(cache, *more, *other)  # all of which the spatial stage does not see
    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "training_step", None)  # would fail
        second = train(variant, tmp_path / "second")
    assert not changed(second.network, weights(first.network))
    assert left(tmp_path / "second") == left(tmp_path / "first")
    train(open_tiny(cache, *more, "--stages.spatial.batch_size", 5), tmp_path / "third")
    assert left(tmp_path / "third") != left(tmp_path / "first")


def test_a_stages_record_does_not_tell_which_of_the_runs_that_share_it_made_it(cache, tmp_path):
    train(open_tiny(cache), tmp_path / "first")
    train(open_tiny(cache, "--model.pool", "frame"), tmp_path / "second")
    assert left(tmp_path / "first") == left(tmp_path / "second")


CHOOSING = (
    *("--protocol.folds.groups", 3, "--protocol.selection", "validation"),
    *("--stages.spatial.measure_every", 1, "--stages.spatial.optimizer.lr", 0.0005),
    *("--model.dropout", 0, "--data.facs.difficulty", 0),
)


@pytest.fixture(scope="module")
def chosen(cache, tmp_path_factory):
    """A stage whose best validation accuracy is neither its first nor its last."""
    run = open_tiny(cache, *CHOOSING, "--stages.spatial.iterations", 8)
    directory = tmp_path_factory.mktemp("chosen")
    return run, train(run, directory, fold=split(run, 0, validation=True)), directory


def test_the_weights_are_those_of_the_first_best_measured_iteration(chosen, tmp_path):
    run, stage, _ = chosen  # of eight iterations, the seventh
    found = {p.iteration: p.accuracy for p in stage.curves if p.split == "validation"}
    assert sorted(found) == list(range(1, 9))
    assert stage.iteration == min(n for n, a in found.items() if a == max(found.values()))
    stopped = train(run, tmp_path, fold=split(run, 0), end=stage.iteration)
    assert stopped.seen.subjects == stage.seen.subjects | run.groups[1]
    held = split(run, 0, validation=True)
    stopped = train(run, tmp_path, fold=replace(held, validation=None), end=stage.iteration)
    assert not changed(stage.network, weights(stopped.network))
    for ours, theirs in zip(stage.test, stopped.test, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_validation_group_is_the_next_one_and_is_not_trained_on(chosen):
    run = chosen[0]
    for number in range(3):
        fold = split(run, number, validation=True)
        for side, group in ((fold.test, number), (fold.validation, (number + 1) % 3)):
            assert {clip.subject for clip in side.clips} == run.groups[group]
        assert {clip.subject for clip in fold.train.clips} == run.groups[(number + 2) % 3]


def test_the_choice_does_not_see_the_labels_of_the_test_group(chosen, tmp_path):
    run, stage, directory = chosen
    fold = split(run, 0, validation=True)
    clips = fold.test.clips
    mixed = tuple(
        replace(c, emotion=o.emotion) for c, o in zip(clips, (*clips[1:], clips[0]), strict=True)
    )
    other = train(run, tmp_path, fold=replace(fold, test=replace(fold.test, clips=mixed)))
    tests = [[p for p in s.curves if p.split == "test"] for s in (stage, other)]
    assert tests[0] != tests[1]
    assert other.iteration == stage.iteration
    assert left(tmp_path)[0] == left(directory)[0]


def test_a_choice_survives_an_interruption(chosen, cache, tmp_path, monkeypatch):
    _, stage, directory = chosen
    run = open_tiny(
        cache, *CHOOSING, "--stages.spatial.iterations", 8, "--stages.checkpoint_every", 1
    )
    with monkeypatch.context() as patch:
        kill_at(patch, min(stage.iteration, 7))
        with pytest.raises(KilledError):
            train(run, tmp_path, fold=split(run, 0, validation=True))
    train(run, tmp_path, fold=split(run, 0, validation=True))
    assert left(tmp_path) == left(directory)


@pytest.mark.parametrize("retrain", [pytest.param("false", marks=pytest.mark.slow), "true"])
def test_a_bundle_of_chosen_iterations_verifies(retrain, cache, tmp_path, capsys):
    output = tmp_path / "run"
    more = ("--protocol.selection", "validation", "--protocol.retrain", retrain,
            "--protocol.folds.groups", 3, "--stages.spatial.iterations", 1,
            "--stages.temporal.iterations", 1)  # fmt: skip
    assert main(words(cache, *more, "--output", output)) == 0
    assert "optimism gap" in capsys.readouterr().out
    assert verify([str(output)]) == 0, capsys.readouterr().out
    found = read_json(output / "results.json")
    assert found["selection"] == "validation"
    curves = read_tables(output, found["classes"]).curves
    for fold in range(3):
        record = read_json(output / f"fold-{fold}" / "vlan" / "stage.json")
        points = [p for p in curves if (p.fold, p.stage) == (fold, "vlan")]
        validation = {p.iteration: p.accuracy for p in points if p.split == "validation"}
        assert sorted(validation) == [2, 4]
        assert validation[record["iteration"]] == max(validation.values())
        ends = {p.split: max(q.iteration for q in points if q.split == p.split) for p in points}
        last = record["iteration"] if retrain == "true" else 4
        assert ends == {"train": last, "test": last, "validation": 4}
        groups = 2 if retrain == "true" else 1
        folds = read_json(output / "folds.json")
        trained = {n for n, names in folds.items() if set(names) & set(record["trained_on"])}
        assert len(trained) == groups
        assert str(fold) not in trained


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--protocol.selection", "validation"), "there are 2 subject groups"),
        (
            ("--protocol.selection", "validation", "--protocol.folds.groups", 3,
             "--stages.vlan.measure_every", 0), "stages.vlan.measure_every is 0",
        ),
        (("--protocol.retrain", "true"), "goes with protocol.selection validation"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_made_is_refused(more, said, cache, tmp_path, capsys):
    assert main(words(cache, *more, "--output", tmp_path / "run")) == 2
    assert said in capsys.readouterr().err


def test_the_non_trained_schema_is_logistic_regression_on_the_streams_features(
    cache, three, tmp_path
):
    """Its network is that of stage 3 with aₖ = 0, the streams of stages 1 and 2, and that layer."""
    _, before, _ = three
    run = open_tiny(cache, "--stages.schema", "non_trained", "--model.vlan_start", -2)
    stage = train(run, tmp_path, "vlan", 0, before)
    assert not stage.network.vlan.a.any()
    for name in ("spatial", "temporal"):
        pairs = zip(
            stage.network.streams[name].parameters(),
            before[name].network.stream.parameters(),
            strict=True,
        )
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    fold = split(run, 0)
    data = EvaluatedClips(fold.train, Frames(run.store, run.config.data), run.corpus.classes)
    found = evaluate(stage.network, data, images_of(run))
    stage.network.eval()
    features, labels, who = [], [], []
    for i, clip in enumerate(fold.train.clips):
        ((pairs, _, (segments,)),) = data.groups([i], 1)
        images = images_of(run)(pairs).images
        stream = {n: stage.network.streams[n](x[:, 0]) for n, x in images.items()}
        both = stream["spatial"] + stream["temporal"]
        features += [both[mine].sum(0).detach().numpy() for mine in segments]
        labels += [run.corpus.classes.index(clip.emotion)] * len(segments)
        who += [clip.subject] * len(segments)
    x, y = np.stack(features), np.array(labels)
    _, _, strength = fit_classifier(x, y, who, 6)
    x = StandardScaler().fit_transform(x)
    expected = LogisticRegression(C=strength, max_iter=5000).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-3)


@pytest.fixture(scope="module")
def dry(cache, tmp_path_factory):
    """Stages 1 and 2 without dropout, whose masks depend on what goes through together."""
    run, directory = open_tiny(cache, "--model.dropout", 0), tmp_path_factory.mktemp("dry")
    return {stage: train(run, directory, stage) for stage in ("spatial", "temporal")}


@pytest.mark.parametrize(("flow", "read"), [("computed", False), ("turned", True)])
def test_cached_flow_is_read_where_it_is_turned_with_the_crops(cache, flow, read):
    change = ("--stages.vlan.augmentation.rotation", 5, "--stages.vlan.augmentation.flow", flow)
    run = open_tiny(cache, "--data.flow.cache", "true", *change)
    stage = stages_of(run.config)[-1]
    batch = steps_of(run, split(run, 0), stage, Randomness(0, 0, "vlan"))[0]
    assert batch.warp is not None
    assert (batch.flow is not None) == read


@pytest.mark.parametrize("micro_batch", [1, 3])
@pytest.mark.parametrize("stage", ["spatial", "vlan"])
def test_micro_batches_train_the_network_of_the_whole_batch(
    cache, dry, stage, micro_batch, tmp_path
):
    plain = (
        *("--model.dropout", 0, f"--stages.{stage}.optimizer.name", "sgd"),
        *(f"--stages.{stage}.batch_size", 7, f"--stages.{stage}.iterations", 4),
        *(f"--stages.{stage}.optimizer.clip_norm", 0.5, f"--stages.{stage}.measure_every", 2),
    )
    whole = train(open_tiny(cache, *plain), tmp_path / "whole", stage, 0, dry)
    run = open_tiny(cache, *plain, f"--stages.{stage}.micro_batch", micro_batch)
    parts = train(run, tmp_path / "parts", stage, 0, dry)
    for ours, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert len(parts.curves) == len(whole.curves) == 4
    for ours, theirs in zip(parts.curves, whole.curves, strict=True):
        assert (ours.iteration, ours.split) == (theirs.iteration, theirs.split)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-4)
        assert ours.accuracy == pytest.approx(theirs.accuracy, abs=1e-6)


def test_a_training_in_micro_batches_goes_on_at_a_step(cache, tmp_path, monkeypatch):
    run = open_tiny(cache, *LONG, "--stages.spatial.micro_batch", 5)
    train(run, tmp_path / "whole")
    kill_at(monkeypatch, 5)
    with pytest.raises(KilledError):
        train(run, tmp_path / "killed")
    train(run, tmp_path / "killed")
    assert left(tmp_path / "killed") == left(tmp_path / "whole")


def test_evaluation_in_smaller_chunks_says_the_same(three, monkeypatch):
    run, before, _ = three
    data = EvaluatedClips(
        split(run, 0).test, Frames(run.store, run.config.data), run.corpus.classes
    )
    monkeypatch.setattr(evaluation, "CHUNK", 2)
    found = evaluate(before["vlan"].network, data, images_of(run))
    for ours, theirs in zip(found, before["vlan"].test, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_bf16_mixed_trains_float32_weights_and_is_scored_in_float32(cache, three, tmp_path):
    _, before, _ = three
    run = open_tiny(cache, "--trainer.precision", "bf16-mixed")
    for stage in ("spatial", "temporal", "vlan"):
        mixed = train(run, tmp_path, stage, 0, before)
        difference = 0.0
        for ours, theirs in zip(
            mixed.network.parameters(), before[stage].network.parameters(), strict=True
        ):
            assert ours.dtype == torch.float32
            difference = max(difference, (ours - theirs).abs().max().item())
        assert 0 < difference < 0.02


def test_a_point_of_the_test_groups_curve_costs_little_and_the_score_is_whole(
    cache, tmp_path, monkeypatch
):
    """Six steps of twelve images: a twentieth of three of them is less than an image a clip."""
    seen, describe = [], FrameNetwork.describe

    def watch(network, images):
        seen.append((len(images["spatial"]), torch.is_autocast_enabled("cpu")))
        return describe(network, images)

    monkeypatch.setattr(FrameNetwork, "describe", watch)
    stage = train(open_tiny(cache, "--trainer.precision", "bf16-mixed"), tmp_path)
    between = [images for images, half in seen if half]
    assert sum(between) == len(stage.test)  # the one point before the last, an image a clip
    assert sum(images for images, half in seen if not half) == sum(map(len, stage.test))
    points = [point for point in stage.curves if point.split == "test"]
    assert [point.iteration for point in points] == [3, 6]


def test_the_third_stages_test_group_is_measured_less_often_where_that_costs_much(
    cache, three, tmp_path
):
    """A point is measured only after so many steps that it is a twentieth of their work."""
    _, before, _ = three
    run = open_tiny(cache, "--stages.vlan.iterations", 80, "--stages.vlan.measure_every", 1)
    stage = train(run, tmp_path, "vlan", 0, before)
    train_at, test_at = (
        [p.iteration for p in stage.curves if p.split == one] for one in ("train", "test")
    )
    assert train_at == list(range(1, 81))
    frames = int(split(run, 0).test.starts.frames.sum())
    work = 3 * 6 * (run.config.data.segment_length - 1)
    steps = -(-20 * frames // work)  # a twentieth
    assert 1 < steps < 79
    assert test_at == [*range(steps, 80, steps), 80]


@pytest.mark.parametrize("bad", [3, 6])
def test_a_loss_that_is_no_number_stops_the_training_and_names_its_clips(
    cache, tmp_path, monkeypatch, bad
):
    run = open_tiny(cache, "--stages.spatial.measure_every", 0)
    forward, seen = StageModule.forward, []

    def broken(module, images):
        seen.append(module.global_step)
        return forward(module, images) * (float("nan") if module.global_step == bad - 1 else 1)

    monkeypatch.setattr(StageModule, "forward", broken)
    with pytest.raises(ValueError, match=f"fold 0 spatial: .* iteration {bad} is nan") as error:
        train(run, tmp_path)
    assert seen == list(range(min(bad + 1, 6)))
    fold = split(run, 0)
    steps = steps_of(run, fold, stage_of(run, "spatial"), Randomness(0, 0, "spatial"))
    labels = [clip.emotion for clip in fold.train.clips if clip.name in str(error.value)]
    drawn = {run.corpus.classes[label] for label in steps[bad - 1].label.tolist()}
    assert set(labels) == drawn


def only_room_for(monkeypatch, samples, after=0):
    """Let a training step with more samples at a time fail as a full device does."""
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if len(batch.label) > samples and module.global_step >= after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return step_of(module, batch, batch_idx)

    monkeypatch.setattr(StageModule, "training_step", step)


@pytest.mark.parametrize("after", [0, 5])
def test_a_training_that_is_out_of_memory_goes_on_with_fewer_samples_at_a_time(
    cache, tmp_path, monkeypatch, after
):
    words = (*LONG, "--model.dropout", 0, "--stages.spatial.batch_size", 12)
    whole = train(open_tiny(cache, *words), tmp_path / "whole")
    only_room_for(monkeypatch, 4, after)
    parts = train(open_tiny(cache, *words), tmp_path / "parts")
    for ours, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
    assert len(parts.curves) == len(whole.curves)
    assert read_json(tmp_path / "parts" / "spatial" / "environment.json")["micro_batch"] == 3
    assert "micro_batch" not in read_json(tmp_path / "whole" / "spatial" / "environment.json")


def test_memory_that_does_not_do_for_one_sample_is_told_with_what_takes_less(
    cache, tmp_path, monkeypatch
):
    only_room_for(monkeypatch, 0)
    with pytest.raises(RuntimeError, match=r"One sample at a time is too much.*model\.width"):
        train(open_tiny(cache), tmp_path)


def test_gradients_are_clipped_under_bf16_too(cache, tmp_path):
    run = open_tiny(
        cache, "--trainer.precision", "bf16-mixed", "--stages.spatial.optimizer.clip_norm", 1e-9,
        "--stages.spatial.optimizer.name", "sgd", "--stages.spatial.optimizer.weight_decay", 0,
    )  # fmt: skip
    stage = stages_of(run.config)[0]
    start = build(run, stage, Randomness(0, 0, stage.name).weights(), {})
    found = train(run, tmp_path)
    for ours, theirs in zip(found.network.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["precision", "strategy"])
def test_a_precision_or_strategy_that_stages_are_not_made_for_is_refused(name, cache, tmp_path):
    value = {"precision": "bf16-true", "strategy": "fsdp"}[name]
    with pytest.raises(UsageError, match=f"trainer.{name} is {value}; it must be one of"):
        open_tiny(cache, f"--trainer.{name}", value)


@pytest.mark.slow
def test_compiled_networks_train_like_plain_ones(cache, dry, tmp_path):
    plain = ("--model.dropout", 0, "--stages.vlan.optimizer.name", "sgd")
    expected = train(open_tiny(cache, *plain), tmp_path / "plain", "vlan", 0, dry)
    run = open_tiny(cache, *plain, "--stages.compile", "true")
    found = train(run, tmp_path / "compiled", "vlan", 0, dry)
    run = open_tiny(cache, *plain, "--stages.vlan.iterations", 0)
    start = train(run, tmp_path / "start", "vlan", 0, dry)
    ours, theirs, before = (
        torch.nn.utils.parameters_to_vector(left.network.parameters()).detach()
        for left in (found, expected, start)
    )
    # a last bit may change which of two equal pixels a max-pool takes, and with it a gradient
    assert (ours - theirs).norm() < 0.02 * (theirs - before).norm()


def test_folds_run_in_two_places_make_one_bundle_when_they_are_brought_together(
    cache, tmp_path, monkeypatch, capsys
):
    """With a stage left out and the non-trained schema, whose curves are single points."""
    more = ("--stages.spatial.iterations", 0, "--stages.temporal.iterations", 1,
            "--stages.schema", "non_trained")  # fmt: skip
    here, there = tmp_path / "here", tmp_path / "there"
    for fold, output in ((0, here), (1, there)):
        assert main(words(cache, *more, "--output", output, "--fold", fold)) == 0
    shutil.copytree(there / "fold-1", here / "fold-1")
    monkeypatch.setattr(StageModule, "training_step", None)  # nothing is trained again
    assert main(words(cache, *more, "--output", here)) == 0
    assert verify([str(here)]) == 0, capsys.readouterr().out
