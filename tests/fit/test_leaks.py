"""Nothing of a test subject reaches training."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vfer.config.parser import parse
from vfer.fit.evaluation import measure
from vfer.fit.main import main
from vfer.fit.opening import open_run
from vfer.fit.plan import Randomness, stages_of
from vfer.fit.run import split
from vfer.fit.stages import train_stage
from vfer.fit.training import steps_of
from vfer.results.clips import read_clips
from vfer.results.tables import read_tables
from vfer.runtime.files import read_json, write_json
from vfer.verify import verify

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
# Enough to learn sixty clips by heart in seconds: single frames, no dropout, no augmentation.
MEMORISER = (
    *("--data.facs.subjects", 10, "--data.facs.difficulty", 0, "--protocol.folds.groups", 5),
    *("--model.width", 0.125, "--model.dropout", 0),
    *("--stages.spatial.iterations", 150, "--stages.spatial.batch_size", 24),
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
        for stage in stages_of(run.config):
            steps = steps_of(run, fold, stage, Randomness(0, number, stage.name))
            seen = {run.corpus.clips[i].subject for n in range(3) for i in steps[n].clip.tolist()}
            assert seen
            assert seen.isdisjoint(group)
    assert tested == {c.subject for c in run.corpus.clips}


def test_labels_permuted_over_clips_score_at_chance(memoriser, tmp_path):
    """A network that knows permuted labels by heart says nothing right of unseen subjects."""
    corpus = memoriser.corpus
    order = np.random.default_rng(1).permutation(len(corpus.clips)).tolist()
    mixed = tuple(
        replace(c, emotion=corpus.clips[i].emotion)
        for c, i in zip(corpus.clips, order, strict=True)
    )
    run = replace(memoriser, corpus=replace(corpus, clips=mixed))
    labels = {clip.name: corpus.classes.index(clip.emotion) for clip in mixed}

    def right(fold, name):
        """How many clips of the test side are recognised after stage 1."""
        spatial, *_ = stages_of(run.config)
        stage = train_stage(run, fold, spatial, {}, tmp_path / name, [], Console(quiet=True))
        share, _ = measure(stage.test, [labels[c.name] for c in fold.test.clips], 0)
        return round(share * len(fold.test.clips))

    folds = [split(run, number) for number in range(len(run.groups))]
    known = replace(folds[0], test=folds[0].train)  # a leak of every clip, to see that one shows
    assert right(known, "known") > 0.8 * len(known.test.clips)
    assert sum(right(fold, f"fold-{fold.number}") for fold in folds) <= 17  # of 60, at 1/6: 10 ± 3


def test_under_permuted_labels_only_testing_knows_the_true_ones(memoriser):
    protocol = replace(memoriser.config.protocol, control="permuted_labels")
    run = replace(memoriser, config=replace(memoriser.config, protocol=protocol))
    truth = {clip.name: clip.emotion for clip in run.corpus.clips}
    fold = split(run, 0, validation=True)
    assert all(clip.emotion == truth[clip.name] for clip in fold.test.clips)
    for side in (fold.train, fold.validation):
        wrong = sum(clip.emotion != truth[clip.name] for clip in side.clips)
        assert wrong > len(side.clips) / 2  # of six clips of a person one stays in the mean
        labels = Counter((clip.subject, clip.emotion) for clip in side.clips)
        assert labels == Counter((clip.subject, truth[clip.name]) for clip in side.clips)


def test_no_sentence_is_trained_on_and_tested(facs_root, tmp_path, capsys):
    """Three people, two sentences: the third fold tests the first sentence again."""
    videos = sorted(facs_root.rglob("*.avi"))
    rows = [
        f"{video},{(parts := video.relative_to(facs_root).parts)[0]},{parts[1]},{'ab'[i % 2]}"
        for i, video in enumerate(videos)
    ]
    table = tmp_path / "said.csv"
    table.write_text("path,subject,emotion,sentence\n" + "\n".join(rows) + "\n")
    output = tmp_path / "run"
    apart = ["--protocol.folds.apart", "[subject, sentence]", "--data.cache", str(tmp_path / "c")]
    given = [
        *("--config", str(TINY), "--data.corpus", "manifest", "--data.root", str(table)),
        *(*apart, "--protocol.folds.groups", "3", "--output", str(output)),
    ]
    run = open_run(parse("vfer.fit", given), Console(quiet=True))
    for number, sentence in enumerate("aba"):
        fold = split(run, number, validation=True)
        assert {c.sentence for c in fold.test.clips} == {sentence}
        for side in (fold.train, fold.validation):
            assert {c.sentence for c in side.clips} == {"b" if sentence == "a" else "a"}
    assert main(given) == 0
    assert "fold 1: tests its subjects with the sentences b" in capsys.readouterr().out
    assert verify(output) == []
    clips = read_tables(output, run.corpus.classes).clips
    reasons = Counter(row.reason for row in clips)
    untested = "apart: the fold of its subject tests other sentences"
    assert reasons == {"": len(videos) / 2, untested: len(videos) / 2}

    video = {one.clip: one.video for one in read_clips(output)}
    leaked = next(c for c in run.corpus.clips if c.sentence == "a" and run.tests(2, c))
    path = output / "fold-0" / "vlan" / "stage.json"
    record = read_json(path)
    write_json(path, record | {"videos": [*record["videos"], video[leaked.name]]})
    found = "\n".join(map(str, verify(output)))
    assert f"videos: found {leaked.name}, recomputed no clip that is held out" in found

    other = ["--output", str(tmp_path / "other")]
    assert main([*given, *other, "--stages.spatial.from", str(output)]) == 2
    assert "which may have been trained on any: train that stage here" in capsys.readouterr().err


def test_a_stage_is_not_started_from_one_that_saw_the_same_videos_under_other_names(
    facs_root, tmp_path, capsys
):
    """Two manifests that call the same people differently: their names say nothing."""
    videos = sorted(facs_root.rglob("*.avi"))
    people = sorted({video.relative_to(facs_root).parts[0] for video in videos})

    def manifest(folder, names):
        folder.mkdir()
        rows = [
            f"{video},{names[people.index(video.relative_to(facs_root).parts[0])]},"
            f"{video.relative_to(facs_root).parts[1]}"
            for video in videos
        ]
        (folder / "people.csv").write_text("path,subject,emotion\n" + "\n".join(rows) + "\n")
        return [
            *("--config", str(TINY), "--data.cache", str(tmp_path / "cache")),
            *("--data.corpus", "manifest", "--data.root", str(folder / "people.csv")),
            *("--protocol.folds.groups", "3", "--fold", "0"),
        ]

    first = manifest(tmp_path / "first", ["ann", "bob", "cem"])
    assert main([*first, "--output", str(tmp_path / "one")]) == 0
    start = ["--stages.spatial.from", str(tmp_path / "one")]
    again = [*first, *start, "--output", str(tmp_path / "again")]
    assert main(again) == 0  # the same groups of the same people
    second = manifest(tmp_path / "second", ["x", "y", "z"])
    capsys.readouterr()
    statuses = [
        main([*second, *start, "--protocol.folds.seed", str(seed), "--output",
              str(tmp_path / f"seed-{seed}-two")])
        for seed in range(4)
    ]  # fmt: skip
    assert 2 in statuses
    assert "was trained on videos that are held out here" in capsys.readouterr().err
    tested = {}
    for k, status in enumerate(statuses):
        if status == 0:  # by chance the same person is tested
            tested[k] = read_json(tmp_path / f"seed-{k}-two" / "folds.json")["0"]
    ours = read_json(tmp_path / "one" / "folds.json")["0"]
    same = dict(zip(["x", "y", "z"], ["ann", "bob", "cem"], strict=True))
    assert all([same[name] for name in names] == ours for names in tested.values())
