"""How sure the model may be: one temperature, and what abstaining does, both out of fold.

Guo et al. 2017, "On calibration of modern neural networks": logits are divided by one number, so
that no answer changes and its probability says how often such answers are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from vfer.predict.timeline import Abstention
from vfer.results.bundle import fold_directory, is_complete
from vfer.results.tables import SEGMENTS, SegmentResult

RANGE = (0.05, 20.0)
"""Where the temperature is looked for."""


@dataclass(frozen=True)
class OutOfFold:
    """What models said of windows of people whom they had not seen.

    Attributes:
        scores: ``(N, classes)``, 0…1.
        truth: ``(N,)`` class indices.
    """

    scores: NDArray[np.float64]
    truth: NDArray[np.int64]


def segments_out_of_fold(
    run: Path, classes: Sequence[str], folds: Sequence[int]
) -> list[SegmentResult]:
    """Read a bundle's ``segments.csv``, or those of its finished folds.

    Raises:
        ValueError: If a table is not as it should be; the message names it.
    """
    where = [run]
    if not (run / SEGMENTS.name).is_file():
        where = [fold_directory(run, fold) for fold in folds if is_complete(run, fold)]
    rows = [row for folder in where for row in SEGMENTS.read(folder, classes)]
    for row in rows:
        if row.label not in classes:
            raise ValueError(f"{run}: segments.csv has the label {row.label!r}, which is no class")
    return rows


def out_of_fold(run: Path, classes: Sequence[str], folds: Sequence[int]) -> OutOfFold | None:
    """Return what ``segments.csv`` says of windows; None where there is none.

    Raises:
        ValueError: If a table is not as it should be; the message names it.
    """
    rows = segments_out_of_fold(run, classes, folds)
    if not rows:
        return None
    truth = np.array([classes.index(row.label) for row in rows])
    return OutOfFold(np.array([row.probabilities for row in rows]), truth)


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logits of probabilities, up to a number added to all of them."""
    return np.log(np.maximum(probabilities, 1e-300))


def temper(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Divide the logits of probabilities ``(…, classes)`` by a temperature."""
    if temperature == 1:
        return probabilities
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=-1))


def fit_temperature(found: OutOfFold) -> float:
    """Return the temperature in `RANGE` of the smallest mean log-loss of the true classes."""
    logits, rows = _logits(found.scores), np.arange(len(found.truth))

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scores[rows, found.truth].mean())

    best = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))


def abstain(found: OutOfFold, temperature: float, below: float) -> Abstention:
    """Return what leaving windows below a confidence undecided does out of fold."""
    scores = temper(found.scores, temperature)
    decided = scores.max(axis=1) >= below
    right = scores.argmax(axis=1) == found.truth
    accuracy = float(right[decided].mean()) if decided.any() else None
    return Abstention(below, accuracy, float(decided.mean()))
