"""``vfer.fit --plan``: what a run will take, before any of its work."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vfer.config.tree import Config
from vfer.fit.budget import Line, lines
from vfer.fit.extent import extent_of
from vfer.fit.timing import costs_of


def print_plan(config: Config, console: Console) -> None:
    """Print the planning table of a config: a few steps on random crops are timed, nothing else.

    Args:
        config: The parsed command line; with ``json`` among its options the table is JSON.
        console: Where to print.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If nothing is known of a corpus, and no copy is given.
    """
    extent, corpus = extent_of(config)
    if "json" not in config.options:
        console.print("timing a few steps of each stage on random crops")
    found = [*lines(config, extent, costs_of(config, extent, corpus))]
    found += _free({"data.cache": config.data.cache, "--output": config.output})
    if "json" in config.options:
        told = json.dumps([asdict(line) for line in found], indent=1, ensure_ascii=False)
        console.file.write(told + "\n")
    else:
        console.print(table_of(found, config.data.corpus_name))
        if config.model.descriptor is not None:
            console.print("a descriptor has no stages: its own time is not in the table")


def _free(folders: dict[str, Path]) -> list[Line]:
    """Return the free bytes where the folders are, or will be."""
    found = []
    for name, folder in folders.items():
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        free = shutil.disk_usage(there).free
        found.append(Line("disk", f"free at {name}", free, "B", "measured"))
    return found


def table_of(found: Sequence[Line], title: str) -> Table:
    """Return the table, its parts one below the other."""
    table = Table(title=title)
    for column in ("", "of", "how much", "how", "from"):
        table.add_column(column, justify="right" if column == "how much" else "left")
    parts = list(dict.fromkeys(line.part for line in found))
    last = ""
    for line in sorted(found, key=lambda line: parts.index(line.part)):
        if last not in ("", line.part):
            table.add_section()
        shown = line.part if line.part != last else ""
        table.add_row(shown, line.what, amount(line), line.how, line.note)
        last = line.part
    return table


def amount(line: Line) -> str:
    """Write a figure with three digits: bytes in MB or GB, times in ms, s, min or hours."""
    if line.unit == "B":
        over = line.value >= 1e9
        return f"{_digits(line.value / (1e9 if over else 1e6))} {'GB' if over else 'MB'}"
    if line.unit == "s":
        return duration(line.value)
    return f"{line.value:,.0f}".replace(",", " ")


def duration(seconds: float) -> str:
    """Write a time with three digits."""
    if seconds < 1:
        return f"{_digits(1000 * seconds)} ms"
    if seconds < 100:
        return f"{_digits(seconds)} s"
    if seconds < 6000:
        return f"{_digits(seconds / 60)} min"
    return f"{_digits(seconds / 3600)} h"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
