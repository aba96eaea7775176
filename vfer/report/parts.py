"""What a page is made of: text, tables and figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Grid:
    """A table of text cells.

    Attributes:
        name: Of its files, without the ending; unique on a page.
        title: Above it.
        header: The columns' names.
        rows: As many cells as the header has.
        note: A line below it.
        shown: Whether it stands on the page; else it is its CSV file only.
        terminal: How many of its columns, from the first, stand on the terminal too.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    shown: bool = True
    terminal: int = 0

    def numeric(self) -> list[bool]:
        """Tell of each column whether it holds numbers, which stand to the right."""
        # A number, a dash or nothing; a list of numbers is text.
        number = re.compile(r"[-−+]?\d(?!.*\d, \d)|–?$")
        columns = ([row[k] for row in self.rows] for k in range(len(self.header)))
        return [all(map(number.match, column)) for column in columns]


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its files, unique on a page, and a caption."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        text: Paragraphs before everything else.
        warnings: Paragraphs that must not be overlooked.
        parts: Tables and figures; neighbouring figures stand side by side where there is room.
        listing: Text that is shown as it is, folded away.
        said: Whether its text stands on the terminal too.
        folded: Whether its tables and figures are folded away.
    """

    title: str
    text: Sequence[str] = ()
    warnings: Sequence[str] = ()
    parts: Sequence[Grid | Picture] = ()
    listing: str = ""
    said: bool = False
    folded: bool = False


def file_name(text: str) -> str:
    """Make a text the name of a page's file: what is no letter, digit, - or _ becomes a -."""
    return re.sub(r"[^\w-]", "-", text)
