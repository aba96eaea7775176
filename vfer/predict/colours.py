"""Which colour and line each class has, in figures, overlays and the page."""

from typing import NamedTuple

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by the colour-blind too: Okabe and Ito 2008, without yellow, which white swallows."""
DASHES = ((), (5, 2), (1, 2))
"""Of lines, in widths of the line: solid; of the seventh class on dashed; then dotted."""


class Look(NamedTuple):
    """How a class is drawn: its colour ``#rrggbb``, its dashes (on, off) or none."""

    colour: str
    dashes: tuple[int, ...]


def looks(classes: tuple[str, ...]) -> dict[str, Look]:
    """Return how each class is drawn, by its place; after eighteen they begin anew."""
    count = len(COLOURS)
    return {
        name: Look(COLOURS[k % count], DASHES[k // count % len(DASHES)])
        for k, name in enumerate(classes)
    }


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0…255, of a colour ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
