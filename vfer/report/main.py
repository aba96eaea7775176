"""``python -m vfer.report DIR…``: result bundles as one page that needs no network, and as tables.

Reads JSON, CSV and YAML only; nothing from a bundle is executed or unpickled. Exit status: 0 done,
1 the work failed, 2 a folder is no bundle.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vfer.report.bundles import Model, by_corpus, expand, read_bundle
from vfer.report.page import write_page
from vfer.report.result import measures, sections_of, warnings_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m vfer.report",
        description="Write result bundles as one HTML page, and its tables and figures as files. "
        "Several bundles are compared.",
        epilog="exit status: 0 done, 1 the work failed, 2 a folder is no bundle",
    )
    parser.add_argument("bundles", metavar="DIR", type=Path, nargs="+", help="a bundle's folder")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where report.html and report/ go; default: the one bundle's folder, of several "
        "runs/report",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(argv)
    output: Path = given.output or (
        given.bundles[0] if len(given.bundles) == 1 else Path("runs", "report")
    )
    try:
        groups = by_corpus([read_bundle(path) for path in expand(given.bundles)])
        output.mkdir(parents=True, exist_ok=True)
        names = [path.resolve().name for path in given.bundles]
        title = "vfer: " + (", ".join(names) if len(names) < 4 else f"{len(names)} bundles")
        with mpl.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
            write_page(output / "report.html", output / "report", title, sections_of(groups))
    except (OSError, ValueError) as error:
        if given.debug:
            raise
        print(f"vfer.report: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else 2
    except KeyboardInterrupt:
        return 130
    console = Console(highlight=False)
    for found in groups:
        _show(found, console)
    console.print(
        Text(f"{output / 'report.html'}, and tables and figures in {output / 'report'}"),
        soft_wrap=True,
    )
    return 0


def _show(found: Sequence[Model], console: Console) -> None:
    """The result and what is published, on the terminal."""
    grid = measures(found)
    corpus = found[0].results["corpus"]
    table = Table(title=Text(f"{corpus}, % (pooled: 95 % interval over subjects)"))
    for name in grid.header[:4]:
        table.add_column(name.removesuffix(", %"), justify="right" if name else "left")
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row[:4]))
    console.print(table)
    for warning in warnings_of([run for model in found for run in model.runs]):
        console.print(Text(warning), soft_wrap=True)
