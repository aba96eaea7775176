"""Nothing of a test subject reaches training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vfer.cli import parse
from vfer.datamodule import STAGES, Frames, StepDataset
from vfer.experiment import split
from vfer.fit import open_run
from vfer.stages import measure, train_stage

TINY = Path(__file__).parents[1] / "configs" / "tiny.yaml"
# Enough to learn sixty clips by heart in seconds: single frames, no dropout, no augmentation.
MEMORISER = (
    *("--data.facs.subjects", 10, "--data.facs.difficulty", 0, "--protocol.folds.groups", 5),
    *("--model.width", 0.125, "--model.dropout", 0),
    *("--stages.spatial.iterations", 120, "--stages.spatial.batch_size", 24),
    *("--stages.spatial.measure_every", 0),
    *("--stages.spatial.augmentation.flip", "false", "--stages.spatial.augmentation.shift", 0),
)


def open_tiny(cache, *more):
    words = ["--config", TINY, "--data.cache", cache, "--data.flow.cache", "false", *more]
    return open_run(parse("vfer.fit", [str(word) for word in words]), Console(quiet=True))


@pytest.fixture(scope="module")
def memoriser(tmp_path_factory):
    return open_tiny(tmp_path_factory.mktemp("cache"), *MEMORISER)


def test_every_batch_of_every_stage_holds_training_subjects_only(memoriser):
    run = memoriser
    tested = set()
    for number, group in enumerate(run.groups):
        fold = split(run, number)
        assert {c.subject for c in fold.test.clips} == group
        assert {c.subject for c in fold.train.clips}.isdisjoint(group)
        tested |= group
        frames = Frames(run.store, run.config.data)
        for stage in STAGES:
            settings = getattr(run.config.stages, stage)
            steps = StepDataset(fold.train, frames, run.corpus.classes, settings, stage, 0, number)
            seen = {run.corpus.clips[i].subject for n in range(3) for i in steps[n].clip.tolist()}
            assert seen
            assert seen.isdisjoint(group)
    assert tested == {c.subject for c in run.corpus.clips}


def accuracy(run, directory):
    """Accuracy of stage 1 on the test group and on its own training clips."""
    fold = split(run, 0)
    labels = {c.name: run.corpus.classes.index(c.emotion) for c in run.corpus.clips}
    stage = train_stage(run, fold, "spatial", {}, directory, [], Console(quiet=True))
    again = replace(fold, test=fold.train, unusable=0)
    known = train_stage(
        run, again, "spatial", {}, directory.with_name("known"), [], Console(quiet=True)
    )
    return [
        measure(found, [labels[c.name] for c in side.clips], 0)[0]
        for found, side in ((stage.test, fold.test), (known.test, again.test))
    ]


def test_labels_permuted_over_clips_score_at_chance(memoriser, tmp_path):
    """A network that learns permuted labels by heart says nothing right of unseen subjects."""
    on_truth, _ = accuracy(memoriser, tmp_path / "truth")
    assert on_truth > 0.4
    order = np.random.default_rng(1).permutation(len(memoriser.corpus.clips))
    clips = memoriser.corpus.clips
    mixed = tuple(
        replace(clip, emotion=clips[other].emotion)
        for clip, other in zip(clips, order, strict=True)
    )
    run = replace(memoriser, corpus=replace(memoriser.corpus, clips=mixed))
    on_test, on_train = accuracy(run, tmp_path / "mixed")
    assert on_train > 0.8  # it would show, were a test clip among the training clips
    assert on_test <= 0.42  # 12 clips at 1/6: five right or fewer in 97 % of draws
