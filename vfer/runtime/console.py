"""What every command says and returns: exit statuses, errors in one line, progress."""

import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class UsageError(ValueError):
    """The command line, the config or the data root is wrong: exit status 2."""


def program(module: str) -> str:
    """Say how a command was called, for its usage.

    Args:
        module: Its module, such as ``vfer.fit``.

    Returns:
        ``vfer fit``, ``python -m vfer fit`` or ``python -m vfer.fit``.
    """
    called, command = Path(sys.argv[0]), module.removeprefix("vfer.")
    if called.stem == "vfer":
        return f"vfer {command}"
    if called.parts[-2:] == ("vfer", "__main__.py"):
        return f"python -m vfer {command}"
    return f"python -m {module}"


def run_command(command: Callable[[], None], argv: Iterable[str] | None = None) -> int:
    """Run a command's body and turn what it raises into one line and an exit status.

    Returns:
        0 done; 1 the work failed; 2 the command line, config or data root is wrong; 130
        interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        command()
    except KeyboardInterrupt:
        print("interrupted; the same command resumes here", file=sys.stderr)
        return 130
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        wrong = isinstance(error, (UsageError, ValueError, FileNotFoundError))
        name = "" if wrong or isinstance(error, RuntimeError) else f"{type(error).__name__}: "
        print(f"error: {name}{error}", file=sys.stderr)
        return 2 if wrong else 1
    return 0


def bar(console: Console) -> Progress:
    """A progress bar with counts, time spent and time left."""
    return Progress(
        TextColumn("{task.description:>18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
