"""Text cells of CSV files, which a spreadsheet must not take for formulas.

A name that begins with =, +, - or @ would be computed by whoever opens the table. An apostrophe
before it makes it text again; ``restored`` takes that away.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(
    r"[+-]?\d*\.?\d+(e[+-]?\d+)?( \([-+.\d to]+\))?(, p [=<] [\d.]+)?", re.IGNORECASE
)
"""Also with its interval and its p, as in a comparison."""


def inert(cell: object) -> object:
    """Return a cell as it is written: text that would be a formula with an apostrophe before it.

    Numbers, also as text, are left as they are.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def restored(cell: str) -> str:
    """Return the text that ``inert`` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
