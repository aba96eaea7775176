"""How good the probabilities are, not only the answers: macro AUC, Brier score, calibration.

Of scored clips: a clip without a face and an unreadable one have no probabilities. NumPy only.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vfer.results.bootstrap import RESAMPLES, times_drawn
from vfer.results.tables import ClipResult

BINS = 15
"""Equal parts of 0…1 into which confidence is sorted for the calibration error."""

Numbers = npt.NDArray[np.float64]
Truth = npt.NDArray[np.int64]


def macro_auc(scores: Numbers, truth: Truth, weight: Numbers) -> Numbers:
    """Return the area under the ROC curve, each class against the rest, mean over classes; 0…1.

    It is the share of pairs in which the clip of the class has the larger probability, of equals
    one half. A class that no clip shows, or all do, is left out; NaN where none remains.

    Args:
        scores: ``(clips, classes)``, 0…1.
        truth: ``(clips,)`` class indices.
        weight: ``(…, clips)``, how often each clip counts.

    Returns:
        ``(…)``.
    """
    areas, counts = np.zeros((2, *weight.shape[:-1]))
    for number, column in enumerate(scores.T):
        order = np.argsort(column, kind="stable")
        starts = np.flatnonzero(np.diff(column[order], prepend=-1))  # of equal probabilities
        mine = truth[order] == number
        sums = (weight[..., order] * own for own in (mine, ~mine))
        own, rest = (np.add.reduceat(one, starts, axis=-1) for one in sums)
        below = np.cumsum(rest, axis=-1) - rest / 2
        pairs = own.sum(-1) * rest.sum(-1)
        areas += (own * below).sum(-1) / np.maximum(pairs, 1)
        counts += pairs > 0
    with np.errstate(invalid="ignore"):
        return np.asarray(areas / counts)


def brier_score(scores: Numbers, truth: Truth, weight: Numbers) -> Numbers:
    """Return the mean squared distance from the truth, summed over classes; 0…2, 0 the best.

    Arguments and shape as of `macro_auc`.
    """
    distance = ((scores - np.eye(scores.shape[1])[truth]) ** 2).sum(1)
    return np.asarray(weight @ distance / weight.sum(-1))


def calibration_error(scores: Numbers, truth: Truth, weight: Numbers) -> Numbers:
    """Return the expected calibration error of the answer, 0…1 (Guo et al. 2017, Eq. 3).

    The mean distance between the confidence and the accuracy of `BINS` bins of confidence, each
    with its upper end. Arguments and shape as of `macro_auc`.
    """
    confidence, right = scores.max(1), scores.argmax(1) == truth
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.eye(BINS)[place] * (right - confidence)[:, None]  # (clips, bins)
    return np.asarray(np.abs(weight @ gaps).sum(-1) / weight.sum(-1))


KINDS = {
    "macro AUC": macro_auc,
    "Brier score": brier_score,
    "expected calibration error": calibration_error,
}


def score_probabilities(
    rows: Sequence[ClipResult], classes: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return each of `KINDS` with the ends of its 95 % percentile bootstrap over subjects.

    Args:
        rows: Of which those that are scored count.
        classes: The class names.
        resamples: At least 1.
        seed: Of the resampling.

    Returns:
        Value, low and high; empty without a scored clip. NaN where a measure is of no class.
    """
    scored = [(row, row.probabilities) for row in rows if row.probabilities is not None]
    if not scored:
        return {}
    scores = np.array([probabilities for _, probabilities in scored])
    truth = np.array([classes.index(row.label) for row, _ in scored])
    names, who = np.unique([row.subject for row, _ in scored], return_inverse=True)
    draws = times_drawn(len(names), resamples, seed).astype(np.float64)
    parts = np.array_split(draws, max(1, resamples * len(who) // 10**6))  # as memory allows
    found = {}
    for name, measure in KINDS.items():
        value = float(measure(scores, truth, np.ones(len(who))))
        drawn = np.concatenate([measure(scores, truth, times[:, who]) for times in parts])
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (math.nan, math.nan)
        found[name] = (value, float(low), float(high))
    return found
