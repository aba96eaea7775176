"""``python -m vfer.report DIR…``: show bundles as one page that needs no network, and as tables.

Reads JSON, CSV and YAML only; nothing from a bundle is executed or unpickled. Exit status: 0 done,
1 the work failed, 2 a folder is no bundle.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vfer.runtime.console import check_folders, make_console, program, run_command
from vfer.runtime.files import remove_leftovers


def report(paths: Sequence[Path], output: Path, console: Console) -> None:
    """Write ``report.html`` and ``report/`` of bundles, and print the result.

    Args:
        paths: Folders of bundles, or of the bundles of several seeds.
        output: Where to; made where missing.
        console: Where the result is printed.

    Raises:
        FileNotFoundError: If a folder is no bundle.
        ValueError: If a bundle cannot be read.
    """
    from vfer.report.bundles import by_corpus, expand, read_bundle

    check_folders({"--output": output})
    groups = by_corpus([read_bundle(path) for path in expand(paths)])
    # Matplotlib and torch take seconds: not before it is known that there is work for them.
    import matplotlib as mpl

    from vfer.report.page import write_page
    from vfer.report.result import report_sections
    from vfer.report.terminal import print_tables

    output.mkdir(parents=True, exist_ok=True)
    for pattern in (".*.tmp", "report/.*.tmp"):
        remove_leftovers(output, pattern)
    names = [path.resolve().name for path in paths]
    title = "vfer: " + (", ".join(names) if len(names) < 4 else f"{len(names)} bundles")
    with mpl.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
        sections = report_sections(groups)
        write_page(output / "report.html", output / "report", title, sections)
    print_tables(sections, console)
    where = f"{output / 'report.html'}, and tables and figures in {output / 'report'}"
    console.print(Text(where), soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog=program("vfer.report"),
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
    paths: list[Path] = given.bundles
    output: Path = given.output or (paths[0] if len(paths) == 1 else Path("runs", "report"))
    return run_command(lambda: report(paths, output, make_console()), argv)
