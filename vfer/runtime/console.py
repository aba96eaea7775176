"""What every command says and returns: exit statuses, errors in one line, progress."""

import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from vfer.runtime.children import end_with_parent

ENDING = tuple(getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n))
"""Signals that do what Ctrl-C does."""


class UsageError(ValueError):
    """The command line, the config or the data root is wrong: exit status 2."""


def check_folders(folders: Mapping[str, Path | None]) -> None:
    """Refuse a folder in whose place, or above it, is something else, such as a file.

    Raises:
        UsageError: Naming the option and what is there.
    """
    for name, folder in folders.items():
        for path in () if folder is None else (folder, *folder.parents):
            if os.path.lexists(path) and not path.is_dir():
                raise UsageError(
                    f"{name} is {folder}, and {path} is no folder; name one, which is made where "
                    "it is not there"
                )


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


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Take SIGTERM, and a terminal that is closed, for Ctrl-C; what is ignored stays so (nohup).

    A process that is forked meanwhile ends by them, as it would without.
    """
    mine = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() == mine:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def ignored(what: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs
        # Python has dropped it, as it came while an object was taken down: once more, soon.
        if issubclass(what.exc_type, KeyboardInterrupt) and os.getpid() == mine:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
        else:
            told(what)

    before: dict[signal.Signals, Any] = {}
    told = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        for name in ENDING:
            if signal.getsignal(name) is not signal.SIG_IGN:
                before[name] = signal.signal(name, stop)
        if hasattr(signal, "SIGALRM"):
            before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop)
            sys.unraisablehook = ignored
    try:
        yield
    finally:
        sys.unraisablehook = told
        for name, handler in before.items():
            signal.signal(name, handler)


def run_command(command: Callable[[], None], argv: Iterable[str] | None = None) -> int:
    """Run a command's body and turn what it raises into one line and an exit status.

    Returns:
        0 done; 1 the work failed; 2 the command line, config or data root is wrong; 130
        interrupted.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    # Batches come and go by the megabyte: on Linux torch then asks for large pages, and a step's
    # images are made in half the time. It reads this when it is first used.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        with _ended_like_ctrl_c():
            end_with_parent()
            command()
    except KeyboardInterrupt:
        print("interrupted; the same command resumes here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read the output, such as ``head``, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        wrong = isinstance(error, (UsageError, ValueError, FileNotFoundError))
        name = "" if wrong or isinstance(error, RuntimeError) else f"{type(error).__name__}: "
        print(printable(f"error: {name}{error}"), file=sys.stderr)
        return 2 if wrong else 1
    return 0


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Write what a terminal would obey (escape sequences, reversed writing) as it is in Python."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Console(Console):
    """A console that shows control characters of names instead of obeying them."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield the segments of what is printed."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(printable(one.text), one.style)


def make_console(*, stderr: bool = False) -> Console:
    """Return a command's console; where output is no terminal, no line is wrapped.

    Brackets and colons in names are left as they are.
    """
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000
    return console


def heading(text: str, console: Console) -> None:
    """Print a heading: across a terminal, else a plain line."""
    if console.is_terminal:
        console.rule(text)
    else:
        console.print(text)


class _Lines(Progress):
    """Progress in plain lines: the first within a second, then one every so many seconds."""

    def __init__(self, console: Console, every: float) -> None:
        super().__init__(console=console, disable=True, speed_estimate_period=10 * every)
        self.every = every
        self._said: dict[TaskID, tuple[float, float]] = {}  # when, and how far it was then
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to print."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Print how far it has come, and end."""
        if self._thread is None:
            return
        self._stopped.set()
        self._thread.join()
        self._thread = None
        for task in self.tasks:
            if task.total is not None and not self._has_said(task):
                self._say(task, ended=True)

    def _run(self) -> None:
        while not self._stopped.wait(min(1.0, self.every)):
            for task in self.tasks:
                when = self._said.get(task.id, (float("-inf"), 0))[0]
                if task.total is None or (task.finished and self._has_said(task)):
                    continue
                if task.finished or time.monotonic() - when >= self.every:
                    self._say(task, ended=task.finished)

    def _has_said(self, task: Task) -> bool:
        """Return whether the last line on a task is how far it is now."""
        return task.id in self._said and self._said[task.id][1] == task.completed

    def _say(self, task: Task, ended: bool) -> None:
        self._said[task.id] = (time.monotonic(), task.completed)
        seconds = task.elapsed if ended else task.time_remaining
        span = "" if seconds is None else str(timedelta(seconds=round(seconds)))
        suffix = span and (f", in {span}" if ended else f", {span} left")
        self.console.print(f"{task.description}: {task.completed:.0f} of {task.total:.0f}{suffix}")


def bar(console: Console, every: float = 30.0) -> Progress:
    """Return a progress bar with counts, time spent and time left; without a terminal, lines.

    Args:
        console: Where it is shown.
        every: Without a terminal: seconds between lines.
    """
    if not (console.is_interactive or console.is_jupyter):
        return _Lines(console, every)
    return Progress(
        TextColumn("{task.description:>18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
