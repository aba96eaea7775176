"""Draw the rooms of the package: what each is for, and which others it imports.

Everything is read from the code: a room's line is the first of its docstring, what it uses its
imports. A room stands above or before those that it uses.

    python -m experiments.rooms --output docs/rooms.svg
"""

import argparse
import ast
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "vfer"
SHELVES = {
    "run": ("commands: vfer NAME, or python -m vfer.NAME", "#fdf1e3", "#d9822b"),
    "import": ("the paper's things: each can be used by itself", "#e9f3fb", "#2f7ebc"),
    "carry": ("what the commands stand on", "#edf5ea", "#5b9a4a"),
}
"""Each shelf's caption, its colour and that of its boxes' edges."""
CARRY = {"config", "results", "runtime"}
COLUMNS, WIDTH, GAP, PAD, LINE, LETTERS = 3, 900, 10, 12, 16, 40  # px; letters of a line of text


class Room(NamedTuple):
    """A folder or file of the package: what it is for, its shelf, and which rooms it imports."""

    purpose: str
    shelf: str
    uses: frozenset[str]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the rooms that a file imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("vfer."))


def rooms(package: Path = PACKAGE) -> dict[str, Room]:
    """Read the rooms of the package by their names."""
    found = {}
    for path in sorted(package.iterdir()):
        if path.name.startswith(("_", ".")) or not (path.suffix == ".py" or path.is_dir()):
            continue
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
        first = trees.get(path if path.is_file() else path / "__init__.py")
        if first is None:  # a folder that is no package
            continue
        said = (ast.get_docstring(first) or "").partition("\n")[0].replace("``", "")
        said = said.removeprefix(f"vfer.{path.stem}: ").partition(": python -m")[0]
        main = path / "__main__.py" in trees or "Constant(value='__main__')" in ast.dump(first)
        shelf = "carry" if path.stem in CARRY else "run" if main else "import"
        uses = {name for tree in trees.values() for name in imported(tree)}
        purpose = said[:1].upper() + said[1:].rstrip(".")
        found[path.stem] = Room(purpose, shelf, frozenset(uses - {path.stem}))
    return {k: r._replace(uses=r.uses & found.keys()) for k, r in found.items()}


def ordered(house: Mapping[str, Room]) -> list[str]:
    """Return the rooms, each before those that it uses; of equals by name."""

    @cache
    def height(name: str) -> int:
        return 1 + max((height(other) for other in house[name].uses), default=0)

    return sorted(house, key=lambda name: (-height(name), name))


def draw(house: Mapping[str, Room]) -> str:
    """Return the picture as SVG, the same for the same code."""
    order = ordered(house)
    width = (WIDTH - 2 * PAD - (COLUMNS + 1) * GAP) // COLUMNS
    parts: list[str] = []

    def text(x: float, y: float, words: str, style: str) -> None:
        parts.append(f'<text x="{x:g}" y="{y:g}" {style}>{escape(words, quote=False)}</text>')

    def box(x: float, y: float, w: float, h: float, fill: str, edge: str) -> None:
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6" fill="{fill}" '
            f'stroke="{edge}"/>'
        )

    top = PAD
    for shelf, (caption, fill, edge) in SHELVES.items():
        here = [name for name in order if house[name].shelf == shelf]
        lines = {}
        for name in here:
            uses = ", ".join(sorted(house[name].uses)) or "no other room"
            wrapped = textwrap.wrap(house[name].purpose, LETTERS)
            lines[name] = [(line, 'fill="#222"') for line in wrapped] + [
                (line, 'fill="#666" font-size="11"')
                for line in textwrap.wrap(f"uses {uses}", LETTERS + 4)
            ]
        rows = [here[i : i + COLUMNS] for i in range(0, len(here), COLUMNS)]
        heights = [LINE * max(len(lines[name]) for name in row) + 2 * LINE + 2 for row in rows]
        tall = 2 * LINE + sum(heights) + GAP * len(rows)
        box(PAD, top, WIDTH - 2 * PAD, tall, fill, "none")
        text(PAD + GAP, top + 1.4 * LINE, shelf, 'font-size="16" font-weight="bold" fill="#222"')
        text(PAD + GAP + 70, top + 1.4 * LINE, caption, 'fill="#555"')
        y: float = top + 2 * LINE
        for row, height in zip(rows, heights, strict=True):
            for column, name in enumerate(row):
                x = PAD + GAP + column * (width + GAP)
                box(x, y, width, height, "#fff", edge)
                text(x + GAP, y + 1.3 * LINE, name, 'font-size="14" font-weight="bold"')
                for number, (line, style) in enumerate(lines[name]):
                    text(x + GAP, y + (2.5 + number) * LINE, line, style)
            y += height + GAP
        top += tall + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + PAD - GAP:g}" '
        f'viewBox="0 0 {WIDTH} {top + PAD - GAP:g}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="12">'
    )
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=PACKAGE.parent / "docs" / "rooms.svg")
    args = parser.parse_args(argv)
    args.output.write_text(draw(rooms()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
