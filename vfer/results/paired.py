"""Paired differences of two models: a sign-flip test over subjects, NumPy only, pure functions.

Were two models equal, either might have given any person's answers. So the answers of people are
swapped between the two, of each person all or none, and the difference that was seen is held
against those after every such swap. This is true for few people too, where a bootstrap is much too
sure. The variance between training runs is in none of it.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from vfer.results.bootstrap import check_same_clips
from vfer.results.tables import ClipResult
from vfer.results.tally import MEASURES, Tally, by_subject

EXACT_SUBJECTS = 12
"""With up to these subjects each of the 2ⁿ swaps is tried."""
SWAPS = 10_000
"""With more, so many are drawn, the first of which swaps nobody."""
ONE_IN = 20
"""An interval holds what a test at 1/20 does not reject."""
MIN_FOR_INTERVAL = 6
"""With fewer subjects no test at 1/20 can reject anything: two of 2⁵ swaps are 1/16."""
_TIE = 1e-12
"""Differences no further apart are equal: the order of additions, nothing else."""

Numbers = npt.NDArray[np.float64]


def paired_differences(
    first: Sequence[Sequence[ClipResult]],
    second: Sequence[Sequence[ClipResult]],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Test by sign flips over subjects whether two models differ.

    Of several runs the measures are averaged, and a person's answers of all runs are swapped
    together.

    Args:
        first: The clips of each run (each seed) of one model, at least one.
        second: Those of the other, of the same clips in any order.
        classes: The class names.
        seed: Of the swaps, where they are drawn.

    Returns:
        For each of `MEASURES` the ``difference`` of the pooled values, second − first; ``p``,
        two-sided: the share of swaps after which it is at least as large; and ``ci95``, the
        differences that the same test does not reject at 0.05 when the second model is taken to be
        better by as much for everybody. It is None with fewer than `MIN_FOR_INTERVAL` subjects,
        and for macro-F1, to which people do not contribute one by one.

    Raises:
        ValueError: The two were not scored on the same clips, subjects and labels.
    """
    check_same_clips([*first, *second])
    before, after = ([by_subject(rows, classes) for rows in runs] for runs in (first, second))
    swaps = _swaps(len(before[0].clips), seed)
    differences = {}
    for name in MEASURES:
        seen, *_ = drawn = _differences(name, before, after, swaps)
        differences[name] = {
            "difference": float(seen),
            "ci95": None if name == "macro_f1" else _interval(name, before, after, swaps),
            "p": float(np.mean(np.abs(drawn) >= abs(seen) - _TIE)),
        }
    return differences


def _swaps(subjects: int, seed: int) -> Numbers:
    """Return ``(swaps, subjects)``, 1 where a subject's answers change sides; nobody's first."""
    if subjects <= EXACT_SUBJECTS:
        numbers = np.arange(2**subjects)[:, None]
        return (numbers >> np.arange(subjects) & 1).astype(np.float64)
    # Not by integers(): NumPy may change how it draws.
    generator, drawn = np.random.default_rng(seed), np.empty((SWAPS, subjects))
    for row in drawn:  # one by one: where clips are swapped there are ten thousand
        row[:] = generator.random(subjects) < 0.5
    drawn[0] = False
    return drawn


def _differences(name: str, before: list[Tally], after: list[Tally], swaps: Numbers) -> Numbers:
    """Return the difference of a pooled measure after each swap, ``(swaps,)``.

    Of unequal numbers of runs each is taken several times, so that there are pairs to swap.
    """
    runs = math.lcm(len(before), len(after))
    pairs = zip(before * (runs // len(before)), after * (runs // len(after)), strict=True)
    each = [_measure(name, b, a, swaps) - _measure(name, a, b, swaps) for a, b in pairs]
    mean: Numbers = np.mean(each, axis=0)
    return mean


def _measure(name: str, mine: Tally, other: Tally, swaps: Numbers) -> Numbers:
    """Return a pooled measure of a run after each swap, the answers of some being another's."""
    counts = ((getattr(one, field.name) for one in (mine, other)) for field in fields(Tally))
    after: Numbers = getattr(Tally(*(m.sum(0) + swaps @ (o - m) for m, o in counts)), name)()
    return after


def _interval(
    name: str, before: list[Tally], after: list[Tally], swaps: Numbers
) -> list[float] | None:
    """Return the differences δ that the test does not reject, if people contribute one by one.

    A person adds dₛ to the difference, and wₛ is their share of what is averaged. With δ·wₛ taken
    from each dₛ, a swap of the people F leaves |Σ| at least as large where δ lies between the
    means Σd/Σw of F and of the others. So the ends are order statistics of these means.
    """
    clips = before[0].clips
    of_class = clips.sum(0)
    weight = 1 / of_class.sum() * np.ones(len(of_class))
    if name == "uar":
        weight = np.where(of_class > 0, 1 / np.maximum(of_class, 1), 0) / (of_class > 0).sum()
    correct = [np.mean([run.correct for run in runs], axis=0) for runs in (before, after)]
    d, w = (correct[1] - correct[0]) @ weight, clips @ weight
    inside, share = swaps @ d, swaps @ w
    some = swaps.min(1) < swaps.max(1)  # of nobody or everybody there are no two means
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([inside / share, (d.sum() - inside) / (w.sum() - share)])
    low = np.sort(np.where(some, means.min(0), -np.inf))[len(swaps) // ONE_IN]
    high = np.sort(np.where(some, means.max(0), np.inf))[-1 - len(swaps) // ONE_IN]
    return [float(low), float(high)] if np.isfinite([low, high]).all() else None
