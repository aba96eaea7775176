"""LOSGO: each fold is trained and tested, and the folds become one bundle (section 4)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vfer.corpora import Clip
from vfer.fit.descriptors import score_by_descriptors
from vfer.fit.environment import gather_environments
from vfer.fit.evaluation import Probabilities
from vfer.fit.loggers import WHOLE, Logger, Tracker
from vfer.fit.looks import face_facts
from vfer.fit.plan import stages_of
from vfer.fit.run import Fold, Run, run_key, split
from vfer.fit.stages import TrainedStage, train_stage
from vfer.report import figures
from vfer.report.terminal import print_summary
from vfer.results import bundle
from vfer.results.apart import UNTESTED
from vfer.results.clips import ClipFacts, write_clips
from vfer.results.faces import write_faces
from vfer.results.scoring import OFFICIAL, Header, mean_softmax
from vfer.results.tables import (
    ClipResult,
    CurvePoint,
    SegmentResult,
    StreamResult,
    Tables,
    read_tables,
)
from vfer.results.tally import tally
from vfer.runtime.ranks import first

StageLogs = Callable[[Path], list[Logger]]
"""The loggers of a stage, by its folder."""


@dataclass(frozen=True)
class Scores:
    """What the models of one fold say of its test clips.

    Attributes:
        segments: Of each clip ``(S, classes)``, the softmax of its segments by the whole model.
        starts: The first frames of these segments.
        streams: Of the networks of single streams, by name: of each clip ``(images, classes)``.
        curves: Training curves.
    """

    segments: Probabilities
    starts: Iterable[NDArray[np.int64]]
    streams: Mapping[str, Probabilities]
    curves: tuple[CurvePoint, ...]


def fold_tables(run: Run, fold: Fold, scores: Scores) -> Tables:
    """Return the rows of every clip of a fold's group, by the whole model and by each stream.

    A clip's score is the mean of its segments' softmax, a stream's the mean over its images.
    """
    number = fold.number
    at = {clip.name: i for i, clip in enumerate(fold.test.clips)}

    clips, streams = [], []
    for clip in run.corpus.clips:
        if clip.excluded is not None or not run.tests(number, clip):
            continue
        who = (clip.subject, clip.name, clip.emotion)
        i, entry = at.get(clip.name), run.store.entry(clip.name)
        if i is None:
            clips.append(ClipResult(number, *who, entry.status, entry.reason, None, 0))
        else:
            found = scores.segments[i]
            clips.append(ClipResult(number, *who, "scored", "", mean_softmax(found), len(found)))
        for stream, of_clips in scores.streams.items():
            score = None if i is None else mean_softmax(of_clips[i])
            status = entry.status if i is None else "scored"
            streams.append(StreamResult(number, stream, *who, status, score))
    segments = [
        SegmentResult(number, clip.subject, clip.name, clip.emotion, start, tuple(row.tolist()))
        for clip, starts, found in zip(fold.test.clips, scores.starts, scores.segments, strict=True)
        for start, row in zip(starts.tolist(), found, strict=True)
    ]
    return Tables(tuple(clips), tuple(segments), tuple(streams), scores.curves)


def train_stages(
    run: Run, fold: Fold, directory: Path, ends: Mapping[str, int], logs: StageLogs,
    console: Console,
) -> dict[str, TrainedStage]:  # fmt: skip
    """Train the stages of one fold in their order, each from those before it.

    Args:
        run: What all folds share.
        fold: The fold.
        directory: Each stage is left in a folder in it.
        ends: Iterations of each stage, where that is not its whole number.
        logs: Gives the loggers of a stage, by its folder.
        console: Where progress is shown.
    """
    stages: dict[str, TrainedStage] = {}
    for stage in stages_of(run.config):
        where = directory / stage.name
        stages[stage.name] = train_stage(
            run, fold, stage, stages, where, logs(where), console, ends.get(stage.name)
        )
    return stages


def _trained_scores(
    run: Run, fold: Fold, directory: Path, logs: StageLogs, console: Console
) -> Scores:
    """Train a fold's stages, to their last or a chosen iteration, and score its test clips."""
    if run.config.protocol.selection == "last":
        stages = train_stages(run, fold, directory, {}, logs, console)
    else:
        held = split(run, fold.number, validation=True)
        retrain = run.config.protocol.retrain
        where = directory / "selection" if retrain else directory
        stages = train_stages(run, held, where, {}, logs, console)
        ends = {name: stage.iteration for name, stage in stages.items()}
        console.print(f"fold {fold.number}: chosen iterations {ends}")
        if retrain:
            chosen, stages = stages, train_stages(run, fold, directory, ends, logs, console)
            for name, stage in stages.items():
                validated = (p for p in chosen[name].curves if p.split == "validation")
                stages[name] = replace(stage, curves=(*stage.curves, *validated))
    *_, whole = stages.values()
    singles = {
        stage.name: stages[stage.name].test for stage in stages_of(run.config) if stage.single
    }
    curves = tuple(point for stage in stages.values() for point in stage.curves)
    return Scores(whole.test, fold.test.starts, singles, curves)


def _described_scores(run: Run, fold: Fold, directory: Path, console: Console) -> Scores:
    """Fit a classifier to the descriptors of a fold's training clips, and score its test clips."""
    found = first(lambda: score_by_descriptors(run, fold, directory / "classifier", console))
    starts = [np.zeros(1, np.int64)] * len(found)  # the whole clip is one segment
    return Scores([row[None] for row in found], starts, {}, ())


def run_fold(run: Run, number: int, tracker: Tracker, console: Console) -> None:
    """Train on all groups but one, test that one, and write the fold's part of the bundle."""
    output = run.config.output
    key = run_key(run)
    if first(lambda: bundle.is_complete(output, number, key)):
        console.print(f"fold {number}: done before")
        return
    fold = split(run, number)
    if run.sentences:
        said = ", ".join(sorted(run.sentences[number]))
        console.print(f"fold {number}: tests its subjects with the sentences {said}", markup=False)
    directory = bundle.fold_directory(output, number)
    misses = fold.test.unusable
    console.print(
        f"fold {number} of {len(run.groups)}: {len(fold.train.clips)} clips to train on, "
        f"{len(fold.test.clips) + misses} to test"
        + f", of which {misses} have no usable crops and count as wrong"
        * bool(misses)
    )
    experiment = tracker.start(fold.folder)

    def logs(stage: Path) -> list[Logger]:
        name = "-".join(stage.relative_to(directory).parts)  # with ``selection``, or without
        return tracker.stage_loggers(experiment, fold.folder, name)

    if run.config.model.descriptor is not None:
        scores = _described_scores(run, fold, directory, console)
    else:
        scores = _trained_scores(run, fold, directory, logs, console)
    tables = fold_tables(run, fold, scores)
    first(
        lambda: bundle.write_fold(
            output, number, tables, subjects=run.groups[number], classes=run.corpus.classes, key=key
        )
    )
    counts = tally(tables.clips, run.corpus.classes)
    summary = {"accuracy": float(counts.accuracy()), "uar": float(counts.uar())}
    console.print(f"fold {number}: accuracy {summary['accuracy']:.1%}, UAR {summary['uar']:.1%}")
    tracker.finish(experiment, summary, tables.clips, run.corpus.classes)


def _reason(run: Run, clip: Clip) -> str | None:
    """Return why a clip is in no test group; None where it is in one."""
    if clip.excluded is not None:
        return clip.excluded
    number = next(k for k, group in enumerate(run.groups) if clip.subject in group)
    return None if run.tests(number, clip) else UNTESTED


def finish(run: Run, tracker: Tracker, console: Console) -> None:
    """Assemble the bundle from its folds, draw its figures, and show the summary."""
    config, output = run.config, run.config.output
    reasons = [(clip, _reason(run, clip)) for clip in run.corpus.clips]
    excluded = [
        ClipResult(None, clip.subject, clip.name, clip.emotion, "excluded", reason, None, 0)
        for clip, reason in reasons
        if reason is not None
    ]
    protocol, classes = config.protocol, run.corpus.classes
    known = run.corpus.subjects_known
    header = Header(
        run.corpus.name, classes, "losgo" if known else OFFICIAL, protocol.selection,
        [protocol.seed], protocol.control,
        apart=("subject", "sentence") if run.sentences else ("subject",),
        unit="subject" if known else "clip",
    )  # fmt: skip
    facts = [
        ClipFacts(clip.name, clip.gender or "", clip.sentence or "", *run.store.made_from(clip))
        for clip in run.corpus.clips
    ]
    write_clips(output, facts)
    results = bundle.assemble(output, header, excluded)
    write_faces(output, face_facts(run))
    tables = read_tables(output, classes)
    figures.draw_figures(
        output / "figures", results, tables, run.corpus, run.store, config.data.flow
    )
    gather_environments(output)
    bundle.seal(output)
    experiment = tracker.start(WHOLE)
    summary = {f"{WHOLE}/{name}": results[name]["mean"] for name in ("accuracy", "uar")}
    drawn = {name: output / "figures" / f"{name}.png" for name in ("crops", "curves")}
    pictures = {name: path for name, path in drawn.items() if path.is_file()}
    tracker.finish(experiment, summary, tables.clips, classes, pictures)
    print_summary(results, tables.curves, output, console)
