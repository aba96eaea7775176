"""LOSGO: each fold is trained and tested, and the folds become one bundle (section 4)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from vfer.fit.datasets import STAGES
from vfer.fit.loggers import WHOLE, Tracker
from vfer.fit.run import Fold, Run, run_key, split, stages_of
from vfer.fit.stages import Stage, train_stage
from vfer.report import figures
from vfer.report.terminal import show
from vfer.results import bundle
from vfer.results.scoring import tally
from vfer.results.tables import ClipResult, SegmentResult, StreamResult, Tables, read_tables
from vfer.runtime.ranks import first


def fold_tables(run: Run, fold: Fold, stages: dict[str, Stage]) -> Tables:
    """What a fold has to say of each clip of its group, by the whole model and by each stream."""
    number, last = fold.number, stages[STAGES[-1]]
    at = {clip.name: i for i, clip in enumerate(fold.test.clips)}

    def mean(found: np.ndarray) -> tuple[float, ...]:
        return tuple(found.mean(axis=0).tolist())

    clips, streams = [], []
    for clip in run.corpus.clips:
        if clip.excluded is not None or clip.subject not in run.groups[number]:
            continue
        who = (clip.subject, clip.name, clip.emotion)
        i, entry = at.get(clip.name), run.store.entry(clip.name)
        if i is None:
            clips.append(ClipResult(number, *who, entry.status, entry.reason, None, 0))
        else:
            found = last.test[i]
            clips.append(ClipResult(number, *who, "scored", "", mean(found), len(found)))
        for stream in run.config.model.stream_names:
            scores = None if i is None else mean(stages[stream].test[i])
            status = entry.status if i is None else "scored"
            streams.append(StreamResult(number, stream, *who, status, scores))
    segments = [
        SegmentResult(number, clip.subject, clip.name, clip.emotion, start, tuple(row.tolist()))
        for clip, starts, found in zip(fold.test.clips, fold.test.starts, last.test, strict=True)
        for start, row in zip(starts.tolist(), found, strict=True)
    ]
    curves = [point for stage in stages.values() for point in stage.curves]
    return Tables(tuple(clips), tuple(segments), tuple(streams), tuple(curves))


def run_fold(run: Run, number: int, tracker: Tracker, console: Console) -> None:
    """Train the stages of one fold, test its group, and write its part of the bundle."""
    output = run.config.output
    key = run_key(run)
    if first(lambda: bundle.is_complete(output, number, key)):
        console.print(f"fold {number}: done before")
        return
    fold = split(run, number)
    directory = bundle.fold_directory(output, number)
    console.print(
        f"fold {number} of {len(run.groups)}: {len(fold.train.clips)} clips to train on, "
        f"{len(fold.test.clips)} to test"
    )
    experiment = tracker.start(f"fold-{number}")

    def train(side: Fold, directory: Path, ends: Mapping[str, int]) -> dict[str, Stage]:
        stages: dict[str, Stage] = {}
        for stage in stages_of(run.config):
            where = directory.relative_to(output).parts[1:]  # ``selection``, or none
            loggers = tracker.stage_loggers(experiment, number, "-".join((*where, stage)))
            stages[stage] = train_stage(
                run, side, stage, stages, directory / stage, loggers, console, ends.get(stage)
            )
        return stages

    protocol = run.config.protocol
    if protocol.selection == "last":
        stages = train(fold, directory, {})
    else:
        held = split(run, number, validation=True)
        where = directory / "selection" if protocol.retrain else directory
        stages = train(held, where, {})
        ends = {name: stage.iteration for name, stage in stages.items()}
        console.print(f"fold {number}: chosen iterations {ends}")
        if protocol.retrain:
            chosen, stages = stages, train(fold, directory, ends)
            for name, stage in stages.items():
                said = (p for p in chosen[name].curves if p.split == "validation")
                stages[name] = replace(stage, curves=(*stage.curves, *said))
    tables = fold_tables(run, fold, stages)
    first(
        lambda: bundle.write_fold(
            output, number, tables, subjects=run.groups[number], classes=run.corpus.classes, key=key
        )
    )
    counts = tally(tables.clips, run.corpus.classes)
    summary = {"accuracy": float(counts.accuracy()), "uar": float(counts.uar())}
    console.print(f"fold {number}: accuracy {summary['accuracy']:.1%}, UAR {summary['uar']:.1%}")
    tracker.finish(experiment, summary, tables.clips, run.corpus.classes)


def finish(run: Run, tracker: Tracker, console: Console) -> None:
    """Assemble the bundle from its folds, draw its figures, and show the summary."""
    config, output = run.config, run.config.output
    excluded = [
        ClipResult(None, c.subject, c.name, c.emotion, "excluded", c.excluded, None, 0)
        for c in run.corpus.clips
        if c.excluded is not None
    ]
    results = bundle.assemble(
        output,
        corpus=run.corpus.name,
        classes=run.corpus.classes,
        protocol="losgo",
        selection=config.protocol.selection,
        seeds=[config.protocol.seed],
        excluded=excluded,
    )
    tables = read_tables(output, run.corpus.classes)
    figures.draw(
        output / "figures", results, tables.curves, run.corpus, run.store, config.data.flow
    )
    bundle.seal(output)
    experiment = tracker.start(WHOLE)
    summary = {f"{WHOLE}/{name}": results[name]["mean"] for name in ("accuracy", "uar")}
    pictures = {name: output / "figures" / f"{name}.png" for name in ("crops", "curves")}
    tracker.finish(experiment, summary, tables.clips, run.corpus.classes, pictures)
    show(results, output, console)
