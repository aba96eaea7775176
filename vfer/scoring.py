"""From clip scores to folds and to the whole protocol, with intervals: NumPy only, pure functions.

A clip without a usable face (``no_face``) or that cannot be decoded (``unreadable``) counts as
wrong in every accuracy and UAR; an ``excluded`` clip (a class or subject that the config leaves
out) counts nowhere.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vfer.tables import STATUSES, STREAMS, ClipResult, CurvePoint, Tables, first_largest

SCHEMA = 1
"""The version of ``results.json``."""
SELECTIONS = ("last", "validation")
LAST_STAGE = "vlan"
RESAMPLES = 2000
"""Bootstrap resamples; at the seed 0 of every bundle, so that an interval can be computed again."""


@dataclass(frozen=True)
class Tally:
    """Counts per class, from which accuracy and UAR follow.

    Attributes:
        clips: ``(…, classes)``, how many clips show the class.
        correct: ``(…, classes)``, how many of these were recognised.
    """

    clips: npt.NDArray[np.int64]
    correct: npt.NDArray[np.int64]

    def recall(self) -> npt.NDArray[np.float64]:
        """``(…, classes)``, 0…1; NaN for a class that no clip shows."""
        return np.where(self.clips > 0, self.correct / np.maximum(self.clips, 1), np.nan)

    def accuracy(self) -> npt.NDArray[np.float64]:
        """``(…)``, 0…1: the share of clips that were recognised."""
        share: npt.NDArray[np.float64] = self.correct.sum(-1) / self.clips.sum(-1)
        return share

    def uar(self) -> npt.NDArray[np.float64]:
        """``(…)``, 0…1: unweighted average recall, over the classes that any clip shows."""
        mean: npt.NDArray[np.float64] = np.nanmean(self.recall(), axis=-1)
        return mean


def counted(rows: Sequence[ClipResult]) -> list[ClipResult]:
    """The rows that enter accuracies: all but the excluded ones."""
    return [row for row in rows if row.status != "excluded"]


def tally(rows: Sequence[ClipResult], classes: Sequence[str]) -> Tally:
    """Counts per class, misses being wrong and excluded clips absent.

    Raises:
        ValueError: Nothing is left to count, or a label is none of the classes.
    """
    clips, correct = np.zeros((2, len(classes)), dtype=np.int64)
    for row in counted(rows):
        if row.label not in classes:
            raise ValueError(
                f"clip {row.clip!r}: label {row.label!r} is none of {', '.join(classes)}"
            )
        index = classes.index(row.label)
        clips[index] += 1
        correct[index] += row.prediction(classes) == row.label
    if not clips.any():
        raise ValueError("no clips to score: every one is excluded, or there are none")
    return Tally(clips, correct)


def confusion_matrix(rows: Sequence[ClipResult], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """``(classes, classes)`` counts of scored clips: rows the truth, columns the prediction."""
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for row in rows:
        prediction = row.prediction(classes)
        if prediction is not None:
            matrix[classes.index(row.label), classes.index(prediction)] += 1
    return matrix


def coverage(rows: Sequence[ClipResult]) -> dict[str, int]:
    """How many clips there are (``clips``), and how many of each status; these sum to it."""
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    return {"clips": len(rows), **counts}


def bootstrap_interval(
    rows: Sequence[ClipResult],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap over subjects of the pooled accuracy and UAR.

    Clips of one person are alike, therefore people are drawn (with replacement, as many as there
    are) and not clips. A class that a resample lacks is left out of its UAR. The variance between
    training runs is not in it.

    Args:
        rows: At least one clip that is not excluded; their order does not matter.
        classes: The class names.
        resamples: At least 1.
        seed: Of the resampling.

    Returns:
        ``accuracy`` and ``uar``, each the 2.5th and the 97.5th percentile, 0…1.
    """
    subjects = sorted({row.subject for row in counted(rows)})
    tallies = [tally([row for row in rows if row.subject == s], classes) for s in subjects]
    clips = np.stack([one.clips for one in tallies])  # (S, classes)
    correct = np.stack([one.correct for one in tallies])
    n = len(subjects)
    # Multinomial counts by way of uniform numbers: NumPy may change how multinomial() draws.
    drawn = np.floor(np.random.default_rng(seed).random((resamples, n)) * n).astype(np.int64)
    flat = (drawn + n * np.arange(resamples)[:, None]).ravel()
    times = np.bincount(flat, minlength=resamples * n).reshape(resamples, n)
    resampled = Tally(times @ clips, times @ correct)  # (resamples, classes)
    interval = {}
    for name, values in (("accuracy", resampled.accuracy()), ("uar", resampled.uar())):
        low, high = np.percentile(values, [2.5, 97.5])
        interval[name] = (float(low), float(high))
    return interval


def stream_rows(tables: Tables, stream: str) -> list[ClipResult]:
    """The clips that count, with the answers of one stage-1 or stage-2 network in place.

    Raises:
        ValueError: The network says nothing of a scored clip, or something of an unknown one.
    """
    answers = {row.clip: row for row in tables.streams if row.stream == stream}
    rows = []
    for clip in counted(tables.clips):
        answer = answers.pop(clip.clip, None)
        if answer is None and clip.status == "scored":
            raise ValueError(f"the {stream} stream has no row for the scored clip {clip.clip!r}")
        if answer is not None:
            clip = replace(clip, status=answer.status, probabilities=answer.probabilities)
        rows.append(clip)
    if answers:
        raise ValueError(f"the {stream} stream has rows of unknown clips: {', '.join(answers)}")
    return rows


def oracle_accuracy(curves: Sequence[CurvePoint], fold: int) -> float | None:
    """The best test accuracy along the fold's last stage; None where it was not measured.

    It was chosen on the test group and is therefore never a result, only an upper bound beside it.
    The last stage is ``vlan``, or without it the one whose point comes last.
    """
    points = [point for point in curves if point.fold == fold]
    stages = [point.stage for point in points]
    last = LAST_STAGE if LAST_STAGE in stages else stages[-1] if stages else None
    values = [p.accuracy for p in points if p.stage == last and p.split == "test"]
    return max((v for v in values if v is not None and math.isfinite(v)), default=None)


def results(
    tables: Tables,
    *,
    corpus: str,
    classes: Sequence[str],
    protocol: str,
    folds: Mapping[int, Sequence[str]],
    selection: str,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Everything that ``results.json`` says; fractions in 0…1, unrounded.

    ``mean`` and ``std`` (ddof 1; 0.0 for a single fold) run over folds, as the paper averages;
    ``pooled``, ``ci95``, ``segment_accuracy``, ``streams``, ``recall`` and ``majority`` over all.

    Args:
        tables: Of all folds, and the excluded clips; the order of rows does not matter.
        corpus: Its name.
        classes: In the order of every probability vector.
        protocol: Its name, ``losgo``.
        folds: Fold → subjects of its test group.
        selection: ``last`` or ``validation``: which iteration of a training run is scored.
        seeds: Of the training runs behind these tables.

    Raises:
        ValueError: A clip is there twice, is in no fold that `folds` names, or has a label that is
            no class; a fold has no clips; a stream leaves scored clips out.
    """
    clips = tables.clips
    twice = sorted(name for name, n in Counter(row.clip for row in clips).items() if n > 1)
    if twice:
        raise ValueError(f"clips that are there more than once: {', '.join(twice)}")
    unknown = sorted({row.fold for row in clips if row.fold is not None} - set(folds))
    if unknown:
        raise ValueError(f"rows of folds {unknown}; the folds are {sorted(folds)}")
    of_fold = {}
    for fold in sorted(folds):
        rows = [row for row in clips if row.fold == fold]
        if not rows:
            raise ValueError(f"fold {fold} has no clips")
        of_fold[fold] = tally(rows, classes)
    pooled = tally(clips, classes)
    interval = bootstrap_interval(clips, classes)

    def summary(name: str) -> dict[str, Any]:
        values = [float(getattr(one, name)()) for one in of_fold.values()]
        return {
            "mean": float(np.mean(values)),
            "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            "pooled": float(getattr(pooled, name)()),
            "ci95": list(interval[name]),
        }

    hits = [first_largest(row.probabilities, classes) == row.label for row in tables.segments]
    by_stream = {
        stream: tally(stream_rows(tables, stream), classes)
        for stream in STREAMS
        if any(row.stream == stream for row in tables.streams)
    }
    recall = pooled.recall()
    return {
        "schema": SCHEMA,
        "corpus": corpus,
        "classes": list(classes),
        "protocol": {"name": protocol, "groups": len(folds)},
        "selection": selection,
        "seeds": list(seeds),
        "accuracy": summary("accuracy"),
        "uar": summary("uar"),
        "recall": {
            name: None if math.isnan(value) else float(value)
            for name, value in zip(classes, recall, strict=True)
        },
        "segment_accuracy": sum(hits) / len(hits) if hits else 0.0,
        "chance": 1 / len(classes),
        "majority": int(pooled.clips.max()) / int(pooled.clips.sum()),
        "streams": {
            stream: {"accuracy": float(one.accuracy()), "uar": float(one.uar())}
            for stream, one in by_stream.items()
        },
        "folds": [
            {
                "fold": fold,
                "subjects": sorted(folds[fold]),
                "clips": int(one.clips.sum()),
                "segments": sum(row.fold == fold for row in tables.segments),
                "accuracy": float(one.accuracy()),
                "uar": float(one.uar()),
                "oracle_accuracy": oracle_accuracy(tables.curves, fold),
            }
            for fold, one in of_fold.items()
        ],
        "confusion_matrix": confusion_matrix(clips, classes).tolist(),
        "coverage": coverage(clips),
    }
