"""Checks of a bundle's tables against each other."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vfer.results.tables import (
    PREDICTIONS,
    SEGMENTS,
    STREAM_SCORES,
    Tables,
    first_largest,
    flaw,
    read_table,
)

MEAN_TOLERANCE = 1e-9
"""Between a clip's probabilities and the mean over its segments."""


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree: where, what is there, and what it should be."""

    file: str
    key: str
    found: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: found {self.found}, recomputed {self.recomputed}"


def check_tables(
    directory: Path, tables: Tables, classes: Sequence[str], folds: dict[int, tuple[str, ...]]
) -> Iterator[Difference]:
    """Check the tables against each other and against the subject groups."""
    yield from _groups(tables, folds)
    yield from _predictions(directory, classes)
    yield from _probabilities(tables)
    yield from _segments(tables)
    yield from _same_clip(tables)


def _groups(tables: Tables, folds: dict[int, tuple[str, ...]]) -> Iterator[Difference]:
    """Check that groups are disjoint, rows in their subject's group, and clips there once."""
    homes = defaultdict(list)
    for fold, subjects in folds.items():
        for subject in subjects:
            homes[subject].append(fold)
    for subject, where in homes.items():
        if len(where) > 1:
            yield Difference("folds.json", f"subject {subject}", f"in folds {where}", "in one fold")
    for row in tables.clips:
        if row.fold is not None and row.fold not in homes[row.subject]:
            key = f"clip {row.clip}: fold of subject {row.subject}"
            yield Difference("predictions.csv", key, row.fold, homes[row.subject] or "in no fold")
    for clip, times in Counter(row.clip for row in tables.clips).items():
        if times > 1:
            yield Difference("predictions.csv", f"clip {clip}", f"{times} rows", "1 row")


def _predictions(directory: Path, classes: Sequence[str]) -> Iterator[Difference]:
    """Check that each printed prediction is the first largest of the printed probabilities."""
    for layout in (PREDICTIONS, SEGMENTS, STREAM_SCORES):
        for cells in read_table(directory / layout.name, layout.columns(classes)):
            scores = [cells[f"p_{name}"] for name in classes]
            wanted = first_largest([float(p) for p in scores], classes) if all(scores) else ""
            if cells["prediction"] != wanted:
                key = f"clip {cells['clip']}: prediction"
                yield Difference(layout.name, key, repr(cells["prediction"]), repr(wanted))


def _probabilities(tables: Tables) -> Iterator[Difference]:
    """Check that all are finite, in 0…1, and sum to 1."""
    clips = [(PREDICTIONS.name, row.clip, row.probabilities) for row in tables.clips]
    segments = [(SEGMENTS.name, row.clip, row.probabilities) for row in tables.segments]
    streams = [(STREAM_SCORES.name, row.clip, row.probabilities) for row in tables.streams]
    for file, clip, probabilities in (*clips, *segments, *streams):
        wrong = None if probabilities is None else flaw(probabilities)
        if wrong is not None:
            yield Difference(file, f"clip {clip}: probabilities", wrong, "finite, 0…1, sum 1")


def _segments(tables: Tables) -> Iterator[Difference]:
    """Check that a clip's count and probabilities are those of its segments.

    The mean is not taken by `vfer.results.scoring.mean_softmax`, which wrote it: a mistake there
    would not be seen here. The sum is exact, so it depends on no order of additions.
    """
    of_clip = defaultdict(list)
    for row in tables.segments:
        of_clip[row.clip].append(row.probabilities)
    for clip in tables.clips:
        rows = of_clip.pop(clip.clip, [])
        if clip.segments != len(rows):
            key = f"clip {clip.clip}: segments"
            yield Difference("predictions.csv", key, clip.segments, len(rows))
        elif clip.status == "scored" and not rows:
            yield Difference("predictions.csv", f"clip {clip.clip}: segments", 0, "at least 1")
        if clip.probabilities is None or not rows:
            continue
        means = tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
        pairs = zip(clip.probabilities, means, strict=True)
        if not all(abs(p - mean) <= MEAN_TOLERANCE for p, mean in pairs):
            key = f"clip {clip.clip}: probabilities"
            yield Difference("predictions.csv", key, clip.probabilities, means)
    for name, rows in of_clip.items():
        yield Difference("segments.csv", f"clip {name}", f"{len(rows)} rows", "no such clip")


def _same_clip(tables: Tables) -> Iterator[Difference]:
    """Check that segments and streams say of a clip what its row says."""
    clips = {row.clip: row for row in tables.clips}
    for segment in tables.segments:
        clip = clips.get(segment.clip)
        ours = (segment.fold, segment.subject, segment.label)
        if clip is not None and ours != (theirs := (clip.fold, clip.subject, clip.label)):
            yield Difference("segments.csv", f"clip {segment.clip}", ours, theirs)
    for row in tables.streams:
        clip = clips.get(row.clip)
        if clip is None:
            continue
        here, there = ((r.fold, r.subject, r.label, r.status) for r in (row, clip))
        if here != there:
            yield Difference("streams.csv", f"clip {row.clip}", here, there)
    for (stream, name), times in Counter((row.stream, row.clip) for row in tables.streams).items():
        if times > 1:
            yield Difference("streams.csv", f"{stream}, clip {name}", f"{times} rows", "1 row")
