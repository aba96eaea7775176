"""Commands of vfer in forked processes, which have imported everything already.

A trial is a fork of this process, which never computes: a command then begins in no time. The
server that prepares clips, a Python of its own otherwise, is forked, too, so that faults of files
reach the processes that write the crops.
"""

import atexit
import fcntl
import multiprocessing.util
import os
import resource
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.faults.shim import Fault, install

IMPORTS = (
    "vfer.prepare.fill", "vfer.prepare.clip", "vfer.prepare.check", "vfer.fit.command",
    "vfer.report.page", "vfer.report.result", "vfer.predict.command", "vfer.sweep.main",
    "pytorch_lightning", "matplotlib.pyplot", "multiprocessing.forkserver",
)  # fmt: skip
"""What the commands would import, which takes seconds."""


TEMPORARY = "temporary"
"""The folder, beside what processes say, of their temporary files."""
_PIPE = 2**20
"""Bytes that a process may say into a pipe before anybody reads it."""


def warm() -> None:
    """Import what the commands need, before any fork."""
    for name in IMPORTS:
        __import__(name)


@dataclass
class Child:
    """A command under way.

    Attributes:
        pid: Of its process, which leads a session of its own.
        said: Where its output and error stream go.
        began: When, in seconds of ``time.monotonic``.
        status: Its exit status, below 0 of a signal; None while it runs.
        pipes: From which its output and errors are read when it has ended, if any.
    """

    pid: int
    said: Path
    began: float
    status: int | None = None
    pipes: tuple[int, ...] = ()

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                for pipe, suffix in zip(self.pipes, (".out", ".err"), strict=False):
                    os.set_blocking(pipe, False)
                    self.said.with_suffix(suffix).write_bytes(os.read(pipe, _PIPE) or b"")
                    os.close(pipe)
        return self.status

    def wait(self, seconds: float = 300.0, until: Callable[[], bool] = lambda: False) -> int | None:
        """Wait for its end, or for something else; kill it after so many seconds.

        Raises:
            TimeoutError: If it took longer.
        """
        end = time.monotonic() + seconds
        while self.poll() is None and not until():
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f"not done after {seconds:g} s")
            time.sleep(0.002)
        return self.status

    def kill(self, alone: bool = False) -> None:
        """Kill it, and what it has started in its session unless it is killed alone."""
        if self.poll() is None:
            (os.kill if alone else os.killpg)(self.pid, signal.SIGKILL)
            while self.poll() is None:
                time.sleep(0.001)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def gone(self, seconds: float = 10.0) -> bool:
        """Tell whether nothing of its session is left within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.01)
        os.killpg(self.pid, signal.SIGKILL)
        return False

    def errors(self) -> list[str]:
        """Return the lines of its error stream."""
        path = self.said.with_suffix(".err")
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return [line for line in text.splitlines() if line.strip()]


def command(words: Sequence[str]) -> int:
    """Run a command of vfer by its words; return its exit status."""
    from vfer.__main__ import main

    sys.argv = ["vfer", *words]
    return main(list(words))


def start(
    work: Callable[[], int], world: Path, said: Path, *, fault: Fault | None = None,
    watched: Sequence[Path] = (), file_size: int | None = None,
) -> Child:  # fmt: skip
    """Do some work in a process of its own.

    Args:
        work: A command, as a rule; returns the exit status.
        world: The folder in which it runs.
        said: Its output goes to this file with ``.out``, its errors with ``.err``, its operations
            with ``.log``.
        fault: What goes wrong, or is counted.
        watched: Folders in which operations count, beside the world.
        file_size: Bytes beyond which no file grows; None: as large as can be.
    """
    for suffix in (".out", ".err", ".log"):
        said.with_suffix(suffix).unlink(missing_ok=True)
    # What it says must not fail where its files do.
    pipes = () if file_size is None else (os.pipe(), os.pipe())
    began = time.monotonic()
    pid = os.fork()
    if pid:
        for _, write in pipes:
            os.close(write)
        return Child(pid, said, began, pipes=tuple(read for read, _ in pipes))
    status = 1
    try:
        os.setsid()
        os.chdir(world)
        _own_temporary_folder(said.parent)
        _redirect(said)
        for number, (_, write) in enumerate(pipes, 1):
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)
            os.dup2(write, number)
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY))
        if fault is not None:
            install([world, *watched], said.with_suffix(".log"), fault)
        multiprocessing.util.spawnv_passfds = _forked_server  # type: ignore[assignment]
        status = work()
        atexit._run_exitfuncs()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _own_temporary_folder(beside: Path) -> None:
    """Let temporary files of this process and its helpers be made in a folder of theirs."""
    folder = beside / TEMPORARY
    folder.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None


def _redirect(said: Path) -> None:
    for number, path in ((0, Path(os.devnull)), (1, said.with_suffix(".out")),
                         (2, said.with_suffix(".err"))):  # fmt: skip
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)


_SPAWN = multiprocessing.util.spawnv_passfds


def _forked_server(path: bytes, words: Sequence[str], keep: Sequence[int]) -> int:
    """Start a Python for multiprocessing; the server of worker processes as a fork of this one."""
    if "multiprocessing.forkserver" not in words[-1]:
        return _SPAWN(path, words, keep)
    # A signal within a fork would be raised where Python ignores it; a real start is no fork.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = os.fork()
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if pid:
        return pid
    status = 1
    try:
        for one in list(Path("/proc/self/fd").iterdir()):  # among them the pipe of our own life
            number = int(one.name)
            if number > 2 and number not in keep and one.exists():
                kind = os.fstat(number).st_mode
                if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                    os.close(number)
        exec(words[-1], {})
        status = 0
    finally:
        os._exit(status)
