"""Numbers as text."""

from typing import Any


def percent(value: float | None) -> str:
    """A share as %, one decimal; of None a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


def pooled(measure: dict[str, Any]) -> str:
    """A measure over all clips with its interval, %."""
    low, high = measure["ci95"]
    return f"{percent(measure['pooled'])} ({percent(low)}–{percent(high)})"


def spread(measure: dict[str, Any]) -> str:
    """A measure's mean ± standard deviation, %."""
    return f"{percent(measure['mean'])} ± {percent(measure['std'])}"


def difference(found: dict[str, Any]) -> str:
    """A paired difference in points with its 95 % interval and p, of `paired_differences`."""
    low, high = (f"{100 * value:+.1f}" for value in found["ci95"])
    return f"{100 * found['difference']:+.1f} ({low} to {high}), p = {found['p']:.3f}"
