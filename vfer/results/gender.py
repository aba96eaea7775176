"""How well women and men are recognised, where the corpus tells who is which."""

from collections.abc import Sequence
from typing import Any

from vfer.results.bootstrap import bootstrap_interval
from vfer.results.clips import ClipFacts
from vfer.results.paired import MIN_FOR_INTERVAL
from vfer.results.tables import ClipResult
from vfer.results.tally import counted, tally

UNKNOWN = "unknown"
"""Of whom the corpus does not say it, where it does of others."""


def by_gender(
    clips: Sequence[ClipResult], facts: Sequence[ClipFacts], classes: Sequence[str]
) -> dict[str, Any] | None:
    """Return accuracy and UAR of each gender's clips, misses counted as wrong.

    Args:
        clips: Of the bundle.
        facts: Of the same clips.
        classes: The class names.

    Returns:
        Gender → ``subjects`` and ``clips``, their numbers, and of ``accuracy`` and ``uar`` the
        ``pooled`` value, 0…1, and ``ci95``, its bootstrap over these subjects; that is None with
        fewer than `MIN_FOR_INTERVAL`. None where no gender is known.
    """
    told = {one.clip: one.gender for one in facts}
    rows: dict[str, list[ClipResult]] = {}
    for row in counted(clips):
        rows.setdefault(told.get(row.clip) or UNKNOWN, []).append(row)
    if set(rows) <= {UNKNOWN}:
        return None
    return {gender: _measured(rows[gender], classes) for gender in sorted(rows)}


def _measured(rows: Sequence[ClipResult], classes: Sequence[str]) -> dict[str, Any]:
    subjects = len({row.subject for row in rows})
    counts, enough = tally(rows, classes), subjects >= MIN_FOR_INTERVAL
    interval = bootstrap_interval(rows, classes) if enough else {}
    return {
        "subjects": subjects,
        "clips": len(rows),
        **{
            name: {
                "pooled": float(getattr(counts, name)()),
                "ci95": list(interval[name]) if enough else None,
            }
            for name in ("accuracy", "uar")
        },
    }
