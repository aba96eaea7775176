"""Intervals: a bootstrap over subjects, NumPy only, pure functions.

Clips of one person are alike, therefore people are drawn (with replacement, as many as there are)
and not clips. A class that a resample lacks is left out of its UAR and macro-F1. The variance
between training runs is in none of it.
"""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from vfer.results.tables import ClipResult
from vfer.results.tally import MEASURES, Tally, by_subject, counted

RESAMPLES = 2000
"""Bootstrap resamples; at the seed 0 of every bundle, so that an interval can be computed again."""
MIN_SUBJECTS = 12
"""With fewer subjects than these a bootstrap over them gives intervals that are too narrow."""


def times_drawn(subjects: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """Return how often each subject is drawn in each resample, ``(resamples, subjects)``."""
    # Multinomial counts by way of uniform numbers: NumPy may change how multinomial() draws.
    generator, times = np.random.default_rng(seed), np.empty((resamples, subjects), np.int64)
    for row in times:  # one by one: where clips are resampled there are ten thousand
        drawn = np.floor(generator.random(subjects) * subjects).astype(np.int64)
        row[:] = np.bincount(drawn, minlength=subjects)
    return times


def _resampled(
    rows: Sequence[ClipResult], classes: Sequence[str], resamples: int, seed: int
) -> Tally:
    """Return ``(resamples, classes)`` counts with subjects drawn again, as many as there are."""
    counts = by_subject(rows, classes)
    times = times_drawn(len(counts.clips), resamples, seed)
    return Tally(*(times @ getattr(counts, f.name) for f in fields(Tally)))


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
    """Return the 95 % percentile bootstrap over subjects of each pooled measure.

    With fewer than `MIN_SUBJECTS` subjects it is too narrow.

    Args:
        rows: At least one clip that is not excluded; their order does not matter.
        classes: The class names.
        resamples: At least 1.
        seed: Of the resampling.

    Returns:
        For each of `MEASURES` the 2.5th and the 97.5th percentile, 0…1.
    """
    return interval_over_runs([rows], classes, resamples=resamples, seed=seed)


def interval_over_runs(
    runs: Sequence[Sequence[ClipResult]],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return `bootstrap_interval` of the mean over several runs, all on the same resampled people.

    Raises:
        ValueError: The runs were not scored on the same clips, subjects and labels.
    """
    check_same_clips(runs)
    resampled = [_resampled(rows, classes, resamples, seed) for rows in runs]
    return {name: _interval(_mean(name, resampled)) for name in MEASURES}


def check_same_clips(runs: Sequence[Sequence[ClipResult]]) -> None:
    """Refuse runs that were not scored on the same clips, subjects and labels."""
    ours, *others = ({row.clip: (row.subject, row.label) for row in counted(rows)} for rows in runs)
    for theirs in others:
        names = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ValueError(
                "models that were not scored on the same clips, subjects and labels cannot be "
                f"compared; they differ in {', '.join(names[:3])}{more}"
            )


def _mean(name: str, runs: Sequence[Tally]) -> npt.NDArray[np.float64]:
    """Return a measure averaged over runs."""
    mean: npt.NDArray[np.float64] = np.mean([getattr(one, name)() for one in runs], axis=0)
    return mean
