"""What the command lines of all commands on a trained bundle share."""

import argparse
from pathlib import Path

from vfer.results.bundle import FINAL
from vfer.runtime.console import UsageError, program

Group = argparse.ArgumentParser | argparse._ArgumentGroup
"""What options are added to."""


def command_parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return the parser of a command with ``--debug``; its epilog is shown as it is written.

    Args:
        module: Of the command, such as ``vfer.predict``.
        description: What it does.
        epilog: Examples, and what its exit status means.
    """
    parser = argparse.ArgumentParser(
        prog=program(module),
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def add_model(group: Group, fold: str) -> None:
    """Add ``--run`` and ``--fold``.

    Args:
        group: To which.
        fold: What ``--fold`` means here.
    """
    group.add_argument(
        "--run", type=Path, metavar="DIR", required=True, help="the bundle that vfer fit has left"
    )
    group.add_argument("--fold", type=fold_of, metavar="K", help=fold)


def add_trust_code(group: Group) -> None:
    """Add ``--trust-code``."""
    group.add_argument(
        "--trust-code", action="store_true",
        help="import the classes that the bundle names (a backbone of somebody's own, say): this "
        "runs their code",
    )  # fmt: skip


def fold_of(text: str) -> int | str:
    """Read ``--fold``: a number from 0, or ``final``."""
    if text == FINAL:
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}; give a fold's number from 0, or {FINAL}")
    return int(text)


def check_run(run: Path) -> None:
    """Refuse what is no folder.

    Raises:
        UsageError: Naming it.
    """
    if not run.is_dir():
        raise UsageError(f"--run is {run}, which is no folder; vfer fit leaves one")
