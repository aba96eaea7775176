"""What the paper prints and what our own runs are pinned to, from ``expected.yaml``."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PAPERS = {"baum1s": "BAUM-1s", "enterface05": "eNTERFACE'05"}
"""The paper's corpora by their names here."""


@cache
def _read() -> dict[str, Any]:
    text = Path(__file__).with_name("expected.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def paper(row: str, corpus: str) -> float | None:
    """Return the paper's accuracy of a row, %; None where it prints none."""
    value = _read()["paper"].get(row, {}).get(corpus)
    return None if value is None else float(value)


def beside_paper(accuracy: float, row: str, corpus: str) -> str:
    """Say how far an accuracy, 0…1, lies from the paper's; nothing where the paper has none."""
    theirs = paper(row, corpus)
    if theirs is None:
        return ""
    tolerance = float(_read()["tolerance"])
    apart = 100 * accuracy - theirs
    return f"{apart:+.1f}, {'within' if abs(apart) <= tolerance else 'not within'} {tolerance:g}"


@dataclass(frozen=True)
class Pin:
    """A figure that our own run must meet: pooled accuracy with seed 0, % and points."""

    corpus: str
    size: str
    row: str
    accuracy: float
    tolerance: float

    def met(self, accuracy: float) -> bool:
        """Return whether an accuracy, 0…1, meets it."""
        return abs(100 * accuracy - self.accuracy) <= self.tolerance


def pins(corpus: str, size: str) -> list[Pin]:
    """List what is pinned of a corpus's runs."""
    found = [Pin(**one) for one in _read()["pinned"]]
    return [one for one in found if (one.corpus, one.size) == (corpus, size)]
