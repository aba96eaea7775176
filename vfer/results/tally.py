"""Counts of right and wrong clips, and the measures that follow from them.

A clip without a usable face (``no_face``) or that cannot be decoded (``unreadable``) counts as
wrong in every accuracy and UAR; an ``excluded`` clip (a class or subject that the config leaves
out) counts nowhere.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from vfer.results.tables import STATUSES, ClipResult

MEASURES = ("accuracy", "uar", "macro_f1")
"""What is summarised with an interval; each is a method of `Tally`."""


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
        """Return ``(…, classes)``, 0…1; NaN for a class that no clip was taken for."""
        return np.where(self.predicted > 0, self.correct / np.maximum(self.predicted, 1), np.nan)

    def recall(self) -> npt.NDArray[np.float64]:
        """Return ``(…, classes)``, 0…1; NaN for a class that no clip shows."""
        return np.where(self.clips > 0, self.correct / np.maximum(self.clips, 1), np.nan)

    def accuracy(self) -> npt.NDArray[np.float64]:
        """Return ``(…)``, 0…1: the share of clips that were recognised."""
        share: npt.NDArray[np.float64] = self.correct.sum(-1) / self.clips.sum(-1)
        return share

    def uar(self) -> npt.NDArray[np.float64]:
        """Return ``(…)``, 0…1: unweighted average recall, over the classes that any clip shows."""
        mean: npt.NDArray[np.float64] = np.nanmean(self.recall(), axis=-1)
        return mean

    def macro_f1(self) -> npt.NDArray[np.float64]:
        """Return ``(…)``, 0…1: F1 = 2·correct/(shown + predicted), mean over the classes shown.

        A miss lowers recall and so F1; it is no prediction of any class.
        """
        f1 = 2 * self.correct / np.maximum(self.clips + self.predicted, 1)
        mean: npt.NDArray[np.float64] = np.nanmean(np.where(self.clips > 0, f1, np.nan), axis=-1)
        return mean


def counted(rows: Sequence[ClipResult]) -> list[ClipResult]:
    """Return the rows that enter accuracies: all but the excluded ones."""
    return [row for row in rows if row.status != "excluded"]


def tally(rows: Sequence[ClipResult], classes: Sequence[str]) -> Tally:
    """Count per class, misses being wrong and excluded clips absent.

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


def by_subject(rows: Sequence[ClipResult], classes: Sequence[str]) -> Tally:
    """Return the `tally` of each subject, ``(subjects, classes)``, in the order of their names.

    Raises:
        ValueError: As `tally`.
    """
    of_subject: dict[str, list[ClipResult]] = defaultdict(list)
    for row in counted(rows):
        of_subject[row.subject].append(row)
    each = [tally(of_subject[name], classes) for name in sorted(of_subject)] or [tally([], classes)]
    return Tally(*(np.stack([getattr(one, field.name) for one in each]) for field in fields(Tally)))


def confusion_matrix(rows: Sequence[ClipResult], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Count scored clips, ``(classes, classes)``: rows the truth, columns the prediction."""
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for row in rows:
        prediction = row.prediction(classes)
        if prediction is not None:
            matrix[classes.index(row.label), classes.index(prediction)] += 1
    return matrix


def coverage(rows: Sequence[ClipResult]) -> dict[str, int]:
    """Count all clips (``clips``), and those of each status; these sum to it."""
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    return {"clips": len(rows), **counts}
