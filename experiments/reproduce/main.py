"""``python -m experiments.reproduce``: the paper's tables and figures on a corpus, as one page.

Runs what is missing, takes what is there, and goes on after an interruption. Exit status: 0 done,
1 a run failed or a pinned figure is not met (the page is written all the same), 2 the command line,
config or data root is wrong, 130 interrupted.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.reproduce.plan import Planned, Request, chosen, corpora, plan, whole_of
from experiments.reproduce.rows import ALIASES, PARTS, YARDSTICKS
from vfer.prepare.corpus import check_root
from vfer.runtime.console import UsageError, make_console, run_command
from vfer.sweep.plan import is_done
from vfer.sweep.run import run_points

_EXAMPLES = f"""\
examples:
  python -m experiments.reproduce --corpus facs
  python -m experiments.reproduce --corpus enterface05 --data.root PATH --seeds 3
  python -m experiments.reproduce --corpus facs --only table2 --only fig9
  python -m experiments.reproduce --corpus facs --plan

parts: {", ".join(PARTS)}
(fig3 to fig7 are fig2; fig11 is fig10, fig13 fig12)

Further options, such as --data.cache DIR, are those of vfer.fit, for every run. What a row of a
table is about wins over them. experiments/README.md says how long each part takes.

exit status: 0 done, 1 a run failed or a pinned figure is not met, 2 the command line, config or
data root is wrong, 130 interrupted"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.reproduce",
        usage="%(prog)s --corpus NAME [--data.root PATH] [--only PART] [--seeds N] [--plan] "
        "[options of vfer.fit for every run]",
        description="Make every table and figure of Pan et al. 2019 on a corpus, beside the "
        "paper's values: run what is missing, reuse what is there, write one page.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--corpus", required=True, choices=corpora(), help=", ".join(corpora()),
                        metavar="NAME")  # fmt: skip
    parser.add_argument(
        "--only", action="append", default=[], choices=[*PARTS, *ALIASES], metavar="PART",
        help="run only what this part of the page needs; may be repeated. Everything that is there "
        "is shown",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each row")
    parser.add_argument(
        "--size", choices=("corpus", "tiny"), default="corpus",
        help="corpus: the corpus's config (facs: configs/demo.yaml); tiny: configs/tiny.yaml, for "
        "trials of the command, its figures mean nothing",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="default runs/reproduce-NAME, with -tiny"
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="YARDSTICK=FILE",
        help="torchvision's weights of a yardstick (" + ", ".join(r.name for r in YARDSTICKS)
        + "), if you have them; by default they start at random",
    )  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="list the runs and end")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page and end")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _arguments(words: Sequence[str]) -> tuple[argparse.Namespace, Request]:
    try:
        given, more = _parser().parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error
    if given.seeds < 1:
        raise UsageError(f"--seeds is {given.seeds}; it must be at least 1")
    for word in more:
        if re.match(r"--(protocol\.seed|data\.corpus)\b", word):
            other = "--seeds N" if "seed" in word else "--corpus NAME"
            raise UsageError(f"{word} is not for a reproduction: give {other}")
    tiny = given.size == "tiny"
    output = given.output or Path("runs", f"reproduce-{given.corpus}{'-tiny' * tiny}")
    only = frozenset(ALIASES.get(part, part) for part in given.only)
    weights = tuple(map(_weights, given.weights))
    return given, Request(given.corpus, tiny, output, given.seeds, only, tuple(more), weights)


def _weights(word: str) -> tuple[str, Path]:
    """Read ``YARDSTICK=FILE``."""
    name, _, path = word.partition("=")
    known = [row.name for row in YARDSTICKS]
    if name not in known or not Path(path).is_file():
        raise UsageError(
            f"--weights is {word}; give YARDSTICK=FILE, a file that is there and one of "
            f"{', '.join(known)}"
        )
    return name, Path(path).resolve()


def _show(planned: Sequence[Planned], console: Console) -> None:
    """List the runs with what is done."""
    table = Table("run", "what", "for", "state", title="runs")
    for one in planned:
        for point in one.points:
            state = "done" if is_done(point) else "missing" if one.wanted else "not asked for"
            table.add_row(point.name, one.row.title, ", ".join(one.row.parts), state)
    console.print(table)
    left = sum(not is_done(point) for point in chosen(planned))
    console.print(f"{left} of {len(chosen(planned))} runs are to be done")


def reproduce(request: Request, console: Console, *, run: bool = True) -> None:
    """Run what is missing and write the page.

    Args:
        request: What is asked for.
        console: Where progress is told.
        run: Whether anything is run; else the page shows what is there.

    Raises:
        UsageError: Before any work: an option, or a folder that holds something else.
        FileNotFoundError: Before any work: the corpus is not there.
        RuntimeError: After everything else: runs have failed, or a pinned figure is not met.
    """
    planned = plan(request)
    failed: dict[str, str] = {}
    if run:
        check_root(whole_of(planned).points[0].config.data)
        from experiments.reproduce import cost  # torch takes seconds

        request.output.mkdir(parents=True, exist_ok=True)
        points = chosen(planned)
        console.print(f"{len(points)} runs, each a bundle in {request.output}")
        failed = run_points(points, request.output, console)
        left = [p.name for p in points if not is_done(p) and p.name not in failed]
        if left:
            console.print(f"another process is at {', '.join(left)}: run this again after it")
        if not request.only or cost.PART in request.only:
            cost.measure_all(request, planned, console)
    elif not request.output.is_dir():
        raise UsageError(f"{request.output}: nothing was run there; leave --page out")
    from experiments.reproduce.page import write  # Matplotlib and torch take seconds

    page, missed = write(request, planned, failed)
    console.print(f"page: {page}")
    if failed:
        listed = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise RuntimeError(
            f"{len(failed)} runs failed, the same command tries them again: {listed}"
        )
    if missed:
        raise RuntimeError(f"pinned figures (expected.yaml) are not met: {'; '.join(missed)}")


def main(argv: Iterable[str] | None = None) -> int:
    """Run the command; return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)

    def command() -> None:
        given, request = _arguments(words)
        if given.plan:
            _show(plan(request), make_console())
            return
        reproduce(request, make_console(), run=not given.page)

    return run_command(command, words)
