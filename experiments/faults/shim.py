"""Counts a process's file operations in some folders, and lets one of them fail.

What Python does is seen: opening, writing, renaming, removing, making folders, fsync. What native
code does (safetensors, FFmpeg, decord) is not; kills at random moments and a limit on the size of
files meet that, too.
"""

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = 200
"""Bytes of a line of the log; the file's size tells how many operations there were."""
_EVENTS = {
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.rmdir": "remove",
    "os.link": "link",
    "os.truncate": "write",
}
_BY_FOLDER = {"os.rename": 2, "os.remove": 1, "os.mkdir": 2, "os.rmdir": 1}
"""Of each event where the folder is to which a path is relative, −1 without."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        number: At which operation, from 1; 0: at none, they are only counted.
        error: An ``errno``; None: the process and its helpers are killed.
        lasting: Whether all later operations but reading fail as well.
    """

    number: int = 0
    error: int | None = None
    lasting: bool = False


class _Shim:
    def __init__(self, folders: Sequence[Path], log: Path, fault: Fault) -> None:
        self.folders = [os.fspath(folder) + os.sep for folder in folders]
        self.fault = fault
        # Processes that are forked from this one append to the same file.
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def inside(self, path: object) -> str | None:
        """Return the full path of a file in one of the folders; None of any other."""
        if isinstance(path, int) or not isinstance(path, str | bytes | os.PathLike):
            return None
        full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a hot path
        return full if any(full.startswith(folder) for folder in self.folders) else None

    def count(self, kind: str, path: str, begun: Callable[[], object] = lambda: None) -> None:
        """Count an operation, and let it fail if it is its turn.

        Args:
            kind: Of it.
            path: Of what.
            begun: What is done of it before it fails.

        Raises:
            OSError: As the fault says.
        """
        line = f"{kind} {path}".encode()[: RECORD - 1].ljust(RECORD - 1) + b"\n"
        os.write(self.log, line)
        now, fault = os.fstat(self.log).st_size // RECORD, self.fault
        lasts = fault.lasting and 0 < fault.number <= now and kind != "read"
        if not lasts and (fault.lasting or now != fault.number):
            return
        begun()
        if fault.error is None:
            os.killpg(0, signal.SIGKILL)
        else:
            code = errno.EIO if kind == "read" else fault.error
            raise OSError(code, os.strerror(code), path)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what Python is about to do; an exception stops it."""
        if event == "open":
            path = self.inside(arguments[0])
            if path is not None:
                self.count("open" if arguments[2] & _WRITES else "read", path)
        elif event in _EVENTS:
            path = self.inside(arguments[0])
            if event in _BY_FOLDER and arguments[_BY_FOLDER[event]] != -1:
                path = None  # relative to an open folder, as rmtree does: only temporary ones here
            if path is not None:
                self.count(_EVENTS[event], path)

    def open(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,  # noqa: ANN401
        errors: str | None = None, newline: str | None = None, closefd: bool = True,
        opener: Any = None,  # noqa: ANN401
    ) -> Any:  # fmt: skip # noqa: ANN401
        """Open as ``io.open`` does, so that each write is counted."""
        path = self.inside(file)
        if path is None or not set(mode) & set("wax+"):
            return _OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _Counted(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.shim, raw.path = self, path
        if buffering == 0:
            return raw
        both = "+" in mode
        buffered = io.BufferedRandom(raw) if both else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline, buffering == 1)


class _Counted(io.FileIO):
    """A file of which each write is counted; one that fails writes half before, and is the last."""

    shim: _Shim
    path: str
    broken: OSError | None = None

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes of any kind
        """Write, unless it is this write's turn to fail."""
        view = memoryview(data).cast("B")
        half = super().write
        if self.broken is not None:
            raise self.broken
        try:
            self.shim.count("write", self.path, lambda: half(view[: len(view) // 2]))
        except OSError as error:
            self.broken = error
            raise
        return super().write(view)


_OPEN = io.open
_FSYNC = os.fsync


def install(folders: Sequence[Path], log: Path, fault: Fault) -> None:
    """Count the operations of this process, and of all that it forks, from now on.

    Args:
        folders: Only what lies in these.
        log: Gets a line of `RECORD` bytes an operation.
        fault: What goes wrong.
    """
    shim = _Shim(folders, log, fault)

    def fsync(file: Any) -> None:  # noqa: ANN401 - a number, or an object that has one
        number = file if isinstance(file, int) else file.fileno()
        path = shim.inside(Path(f"/proc/self/fd/{number}").readlink())
        if path is not None:
            shim.count("fsync", path)
        _FSYNC(file)

    io.open = builtins.open = shim.open
    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(shim.hook)


def operations(log: Path) -> list[str]:
    """Read a log: of each operation what it was, and of which file."""
    return [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
