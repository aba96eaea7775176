"""Intervals and paired differences: a bootstrap over subjects, NumPy only, pure functions.

Clips of one person are alike, therefore people are drawn (with replacement, as many as there are)
and not clips. A class that a resample lacks is left out of its UAR and macro-F1. The variance
between training runs is in none of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from vfer.results.tables import ClipResult
from vfer.results.tally import MEASURES, Tally, counted, tally

RESAMPLES = 2000
"""Bootstrap resamples; at the seed 0 of every bundle, so that an interval can be computed again."""
MIN_SUBJECTS = 12
"""With fewer subjects than these a bootstrap over them gives intervals that are too narrow."""


def _resampled(
    rows: Sequence[ClipResult], classes: Sequence[str], resamples: int, seed: int
) -> Tally:
    """Return ``(resamples, classes)`` counts with subjects drawn again, as many as there are."""
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
    _check_same_clips(runs)
    resampled = [_resampled(rows, classes, resamples, seed) for rows in runs]
    return {name: _interval(_mean(name, resampled)) for name in MEASURES}


def _check_same_clips(runs: Sequence[Sequence[ClipResult]]) -> None:
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


def paired_differences(
    first: Sequence[Sequence[ClipResult]],
    second: Sequence[Sequence[ClipResult]],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Test by a paired bootstrap over subjects whether the second model is better than the first.

    Both are scored on the same resampled people, so that what makes a person hard for both cancels.
    Of several runs the measures are averaged.

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
    _check_same_clips([*first, *second])
    models = (first, second)
    pooled = [[tally(rows, classes) for rows in runs] for runs in models]
    resampled = [[_resampled(rows, classes, resamples, seed) for rows in runs] for runs in models]
    differences = {}
    for name in MEASURES:
        before, after = (_mean(name, tallies) for tallies in pooled)
        draws = _mean(name, resampled[1]) - _mean(name, resampled[0])
        side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
        differences[name] = {
            "difference": float(after - before),
            "ci95": list(_interval(draws)),
            "p": min(1.0, 2 * (side + 1) / (resamples + 1)),
        }
    return differences


def _mean(name: str, runs: Sequence[Tally]) -> npt.NDArray[np.float64]:
    """Return a measure averaged over runs."""
    mean: npt.NDArray[np.float64] = np.mean([getattr(one, name)() for one in runs], axis=0)
    return mean
