"""Numbers as text."""

from typing import Any


def percent(value: float | None) -> str:
    """Format a share as %, one decimal; None as a dash."""
    return "–" if value is None else f"{100 * value:.1f}"


def pooled(measure: dict[str, Any]) -> str:
    """Format a measure over all clips with its interval, %."""
    low, high = measure["ci95"]
    return f"{percent(measure['pooled'])} ({percent(low)}–{percent(high)})"


def spread(measure: dict[str, Any]) -> str:
    """Format a measure's mean ± standard deviation, %."""
    return f"{percent(measure['mean'])} ± {percent(measure['std'])}"


def difference(paired: dict[str, Any]) -> str:
    """Format a measure of `paired_differences` in points, with its 95 % interval and p."""
    interval = "no interval"
    if paired["ci95"] is not None:
        interval = " to ".join(f"{100 * value:+.1f}" for value in paired["ci95"])
    p = "p < 0.001" if paired["p"] < 0.001 else f"p = {paired['p']:.3f}"
    return f"{100 * paired['difference']:+.1f} ({interval}), {p}"
