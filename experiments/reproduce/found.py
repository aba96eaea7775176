"""What is there of the planned runs, read for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.reproduce.plan import Planned
from experiments.reproduce.rows import WHOLE, Row
from vfer.report.bundles import Model, read_bundle


@dataclass(frozen=True)
class Found:
    """A row and what is there of it.

    Attributes:
        row: The row.
        model: Its finished runs; None where there is none.
        state: What is not there, in words; empty where nothing is missing.
    """

    row: Row
    model: Model | None
    state: str


Rows = Mapping[str, Found]
"""By the names of their rows."""


def find(planned: Sequence[Planned], failed: Mapping[str, str]) -> Rows:
    """Read the bundles that are whole.

    Args:
        planned: As `plan` gives them.
        failed: Of each run that failed why.

    Raises:
        ValueError: If a bundle cannot be read.
    """
    return {one.row.name: _found(one, failed) for one in planned}


def _found(one: Planned, failed: Mapping[str, str]) -> Found:
    runs = tuple(read_bundle(point.config.output) for point in one.done)
    why = [failed[point.name] for point in one.points if point.name in failed]
    state = f"failed: {why[0]}" if why else "" if len(runs) == len(one.points) else "not run"
    if runs and state:
        state = f"{len(runs)} of {len(one.points)} seeds; the others {state}"
    return Found(one.row, Model(one.row.title, runs) if runs else None, state)


def whole(rows: Rows) -> Model | None:
    """Return the model of the paper's own method, if it is there."""
    return rows[WHOLE].model
