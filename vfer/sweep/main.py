"""``python -m vfer.sweep``: run the points of a W&B sweep file, each by itself, without W&B.

The file is one that ``wandb sweep`` takes.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from vfer.runtime.console import UsageError, make_console, program, run_command
from vfer.sweep.points import config_parser
from vfer.sweep.run import sweep


def _arguments(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = config_parser(
        prog=program("vfer.sweep"),
        usage="%(prog)s SWEEP.yaml [--config FILE] [--output DIR] [--points N] [--seed N] "
        "[--nested] "
        "[options of vfer.fit for every point]",
        description="Run the points of a W&B sweep file here, without W&B.",
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP.yaml")
    parser.add_argument(
        "--output",
        type=Path,
        help="default runs/<sweep file's name>, with --nested runs/<sweep file's name>-nested",
    )
    parser.add_argument("--points", type=int, help="the most points; default run_cap of the file")
    parser.add_argument("--seed", type=int, default=0, help="of method random; default 0")
    parser.add_argument(
        "--nested",
        action="store_true",
        help="hold a training group out in each fold, and take the point that is best on it: a "
        "bundle DIR/nested that nothing was chosen for on a test group",
    )
    try:
        found, more = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error
    if found.points is not None and found.points < 1:
        raise UsageError(f"--points is {found.points}; it must be at least 1")
    return found, more


def main(argv: Iterable[str] | None = None) -> int:
    """Run the command; return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)

    def command() -> None:
        found, more = _arguments(words)
        name = found.sweep.stem + "-nested" * found.nested
        sweep(
            found.sweep,
            found.output or Path("runs", name),
            make_console(),
            configs=found.config,
            points=found.points,
            seed=found.seed,
            more=more,
            nested=found.nested,
        )

    return run_command(command, words)
