"""From clip scores to folds and to the whole protocol, with intervals: NumPy only, pure functions.

A clip without a usable face (``no_face``) or that cannot be decoded (``unreadable``) counts as
wrong in every accuracy and UAR; an ``excluded`` clip (a class or subject that the config leaves
out) counts nowhere.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vfer.results.tables import STATUSES, STREAMS, ClipResult, CurvePoint, Tables, first_largest

SCHEMA = 1
"""The version of ``results.json``."""
SELECTIONS = ("last", "validation")
MEASURES = ("accuracy", "uar", "macro_f1")
"""What is summarised with an interval; each is a method of `Tally`."""
LAST_STAGE = "vlan"
RESAMPLES = 2000
"""Bootstrap resamples; at the seed 0 of every bundle, so that an interval can be computed again."""
MIN_SUBJECTS = 12
"""With fewer subjects than these a bootstrap over them gives intervals that are too narrow."""


@dataclass(frozen=True)
class Tally:
    """Counts per class, from which all measures follow.

    Attributes:
        clips: ``(…, classes)``, how many clips show the class.
        correct: ``(…, classes)``, how many of these were recognised.
        predicted: ``(…, classes)``, how many clips were taken for the class.
    """

    clips: npt.NDArray[np.int64]
    correct: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    def precision(self) -> npt.NDArray[np.float64]:
        """``(…, classes)``, 0…1; NaN for a class that no clip was taken for."""
        return np.where(self.predicted > 0, self.correct / np.maximum(self.predicted, 1), np.nan)

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

    def macro_f1(self) -> npt.NDArray[np.float64]:
        """``(…)``, 0…1: F1 = 2·correct/(shown + predicted), averaged over the classes shown.

        A miss lowers recall and so F1; it is no prediction of any class.
        """
        f1 = 2 * self.correct / np.maximum(self.clips + self.predicted, 1)
        mean: npt.NDArray[np.float64] = np.nanmean(np.where(self.clips > 0, f1, np.nan), axis=-1)
        return mean


def counted(rows: Sequence[ClipResult]) -> list[ClipResult]:
    """The rows that enter accuracies: all but the excluded ones."""
    return [row for row in rows if row.status != "excluded"]


def tally(rows: Sequence[ClipResult], classes: Sequence[str]) -> Tally:
    """Counts per class, misses being wrong and excluded clips absent.

    Raises:
        ValueError: Nothing is left to count, or a label is none of the classes.
    """
    clips, correct, predicted = np.zeros((3, len(classes)), dtype=np.int64)
    for row in counted(rows):
        if row.label not in classes:
            raise ValueError(
                f"clip {row.clip!r}: label {row.label!r} is none of {', '.join(classes)}"
            )
        index = classes.index(row.label)
        prediction = row.prediction(classes)
        clips[index] += 1
        correct[index] += prediction == row.label
        if prediction is not None:
            predicted[classes.index(prediction)] += 1
    if not clips.any():
        raise ValueError("no clips to score: every one is excluded, or there are none")
    return Tally(clips, correct, predicted)


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


def _resampled(
    rows: Sequence[ClipResult], classes: Sequence[str], resamples: int, seed: int
) -> Tally:
    """``(resamples, classes)`` counts with subjects drawn again, as many as there are."""
    of_subject: dict[str, list[ClipResult]] = defaultdict(list)
    for row in counted(rows):
        of_subject[row.subject].append(row)
    tallies = [tally(of_subject[name], classes) for name in sorted(of_subject)]
    n = len(tallies)
    # Multinomial counts by way of uniform numbers: NumPy may change how multinomial() draws.
    drawn = np.floor(np.random.default_rng(seed).random((resamples, n)) * n).astype(np.int64)
    flat = (drawn + n * np.arange(resamples)[:, None]).ravel()
    times = np.bincount(flat, minlength=resamples * n).reshape(resamples, n)
    return Tally(*(times @ np.stack([getattr(t, f.name) for t in tallies]) for f in fields(Tally)))


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_interval(
    rows: Sequence[ClipResult],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap over subjects of each pooled measure.

    Clips of one person are alike, therefore people are drawn (with replacement, as many as there
    are) and not clips. A class that a resample lacks is left out of its UAR and macro-F1. The
    variance between training runs is not in it, and with fewer than `MIN_SUBJECTS` subjects it is
    too narrow.

    Args:
        rows: At least one clip that is not excluded; their order does not matter.
        classes: The class names.
        resamples: At least 1.
        seed: Of the resampling.

    Returns:
        For each of `MEASURES` the 2.5th and the 97.5th percentile, 0…1.
    """
    resampled = _resampled(rows, classes, resamples, seed)
    return {name: _interval(getattr(resampled, name)()) for name in MEASURES}


def _same_clips(models: Sequence[Sequence[ClipResult]]) -> None:
    """See that several models were scored on the same clips, subjects and labels."""
    ours, *others = (
        {row.clip: (row.subject, row.label) for row in counted(rows)} for rows in models
    )
    for theirs in others:
        names = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(
                "models that were not scored on the same clips, subjects and labels cannot be "
                f"compared; they differ in {', '.join(names[:3])}{more}"
            )


def compare(
    first: Sequence[Sequence[ClipResult]],
    second: Sequence[Sequence[ClipResult]],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Paired bootstrap over subjects: is the second model better than the first?

    Both are scored on the same resampled people, so that what makes a person hard for both cancels.
    The variance between training runs is not in it; of several runs the measures are averaged.

    Args:
        first: The clips of each run (each seed) of one model, at least one.
        second: Those of the other, of the same clips in any order.
        classes: The class names.
        resamples: At least 1.
        seed: Of the resampling.

    Returns:
        For each of `MEASURES` the ``difference`` of the pooled values, second − first; its 95 %
        percentile interval ``ci95``; and ``p``, two-sided: twice the share of resamples on that
        side of 0 where fewer are (those at 0 are on both; one is added to both counts), at most 1.

    Raises:
        ValueError: The two were not scored on the same clips, subjects and labels.
    """
    _same_clips([*first, *second])
    models = (first, second)
    pooled = [[tally(rows, classes) for rows in runs] for runs in models]
    resampled = [[_resampled(rows, classes, resamples, seed) for rows in runs] for runs in models]
    found = {}
    for name in MEASURES:
        before, after = (_mean(name, tallies) for tallies in pooled)
        draws = _mean(name, resampled[1]) - _mean(name, resampled[0])
        side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        found[name] = {
            "difference": float(after - before),
            "ci95": list(_interval(draws)),
            "p": min(1.0, 2 * (side + 1) / (resamples + 1)),
        }
    return found


def _mean(name: str, runs: Sequence[Tally]) -> npt.NDArray[np.float64]:
    """A measure, averaged over runs."""
    mean: npt.NDArray[np.float64] = np.mean([getattr(one, name)() for one in runs], axis=0)
    return mean


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
    ``pooled``, ``ci95``, ``segment_accuracy``, ``streams``, ``recall``, ``precision`` and
    ``majority`` over all.

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
    rows_of = {fold: [row for row in clips if row.fold == fold] for fold in sorted(folds)}
    empty = [str(fold) for fold, rows in rows_of.items() if not rows]
    if empty:
        raise ValueError(f"fold {', '.join(empty)} has no clips")
    of_fold = {fold: tally(rows, classes) for fold, rows in rows_of.items()}
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

    def by_class(values: npt.NDArray[np.float64]) -> dict[str, float | None]:
        return {
            name: None if math.isnan(value) else value
            for name, value in zip(classes, values.tolist(), strict=True)
        }

    hits = [first_largest(row.probabilities, classes) == row.label for row in tables.segments]
    by_stream = {
        stream: tally(stream_rows(tables, stream), classes)
        for stream in STREAMS
        if any(row.stream == stream for row in tables.streams)
    }
    return {
        "schema": SCHEMA,
        "corpus": corpus,
        "classes": list(classes),
        "protocol": {"name": protocol, "groups": len(folds)},
        "selection": selection,
        "seeds": list(seeds),
        **{name: summary(name) for name in MEASURES},
        "recall": by_class(pooled.recall()),
        "precision": by_class(pooled.precision()),
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
                **{name: float(getattr(one, name)()) for name in MEASURES},
                "oracle_accuracy": oracle_accuracy(tables.curves, fold),
                "recall": by_class(one.recall()),
                "precision": by_class(one.precision()),
                "confusion_matrix": confusion_matrix(rows_of[fold], classes).tolist(),
            }
            for fold, one in of_fold.items()
        ],
        "confusion_matrix": confusion_matrix(clips, classes).tolist(),
        "coverage": coverage(clips),
    }


def across_seeds(
    bundles: Mapping[str, Mapping[str, Any]], clips: Sequence[Sequence[ClipResult]]
) -> dict[str, Any]:
    """What ``results.json`` says above the bundles of several seeds; fractions in 0…1, unrounded.

    For each of `MEASURES`: ``values`` the mean over folds of each seed, ``mean`` and ``std`` (ddof
    1; 0.0 for one seed) over these, ``pooled`` the mean over seeds of what all clips give, and
    ``ci95`` a 95 % percentile bootstrap of that over subjects, all runs being scored on the same
    resampled people. ``std`` is between seeds, ``ci95`` between people: neither holds the other.

    Args:
        bundles: Folder name → its `results`, of runs that differ in their seed alone.
        clips: The clips of each, in the same order.

    Raises:
        ValueError: They are not of the same corpus, classes and clips.
    """
    all_results = list(bundles.values())
    found: dict[str, Any] = {"schema": SCHEMA}
    for name in ("corpus", "classes", "protocol", "selection"):
        values = [one[name] for one in all_results]
        if any(value != values[0] for value in values):
            raise ValueError(f"the bundles {', '.join(bundles)} differ in {name}: {values}")
        found[name] = values[0]
    _same_clips(clips)
    resampled = [_resampled(rows, found["classes"], RESAMPLES, 0) for rows in clips]
    found["seeds"] = [seed for one in all_results for seed in one["seeds"]]
    found["bundles"] = list(bundles)
    for name in MEASURES:
        means = [one[name]["mean"] for one in all_results]
        found[name] = {
            "mean": float(np.mean(means)),
            "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
            "values": means,
            "pooled": float(np.mean([one[name]["pooled"] for one in all_results])),
            "ci95": list(_interval(_mean(name, resampled))),
        }
    return found | {name: all_results[0][name] for name in ("chance", "majority")}
