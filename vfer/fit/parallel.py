"""``--folds-in-parallel``: the folds of a run at the same time, each by a command of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

from vfer.config.tree import Config
from vfer.fit.command import fit
from vfer.fit.opening import open_run
from vfer.runtime.children import child_environment


def fit_in_parallel(
    config: Config, runs: Sequence[Config], words: Sequence[str], console: Console
) -> None:
    """Prepare, train the folds in processes of their own, and assemble what they have left.

    Each process runs the same command with ``--fold``. It has one of the GPUs that are visible, if
    there are any, and its share of the threads. Its lines are printed with its fold before them.
    Where one fails the others go on.

    Args:
        config: The parsed command line.
        runs: Of each seed or group assignment.
        words: The command line itself.
        console: Where to print.

    Raises:
        RuntimeError: If folds have failed; the message says which, and their last words.
        KeyboardInterrupt: If it was interrupted, when all processes have saved and ended.
    """
    with TemporaryDirectory() as folder:
        notes = config.notes or Path(folder, "notes")  # what is said of clips is said once
        first = open_run(replace(runs[0], notes=notes), console)
        count = min(config.folds_in_parallel, len(first.groups))
        # The last folds' processes leave the final model to this one.
        plain = [word for word in words if word != "--final"]
        command = [sys.executable, "-m", "vfer.fit", *plain, "--notes", str(notes)]
        command += ["--folds-in-parallel", "1", "--fold"]
        children = _Children(command, _shares(config, count), console)
        children.run(range(len(first.groups)))
    if children.failed:
        said = "; ".join(f"fold {k}: {children.failed[k]}" for k in sorted(children.failed))
        raise RuntimeError(f"{said}. The same command trains again what is not there")
    fit(config, runs, console)


def _shares(config: Config, count: int) -> list[dict[str, str]]:
    """Return of so many processes what each has of the machine, as environment variables."""
    threads = str(max(torch.get_num_threads() // count, 1))
    shares = [{"OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"} for _ in range(count)]
    gpus = torch.cuda.device_count()
    if gpus and config.trainer["accelerator"] in ("auto", "gpu", "cuda"):
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = given.split(",")[:gpus] if given else [str(k) for k in range(gpus)]
        for k, share in enumerate(shares):
            share["CUDA_VISIBLE_DEVICES"] = names[k % len(names)]
    return shares


@dataclass
class _Children:
    """Commands that run at the same time, one for each share of the machine.

    Attributes:
        command: Each is this, with a fold's number behind it.
        shares: Environment variables; as many commands run as there are.
        console: Where their lines are printed.
        failed: Of each fold that failed its exit status and its last line.
    """

    command: Sequence[str]
    shares: Sequence[dict[str, str]]
    console: Console
    failed: dict[int, str] = field(default_factory=dict)

    def run(self, folds: Sequence[int]) -> None:
        """Run the commands of all folds.

        Raises:
            KeyboardInterrupt: When all have ended; a second one kills them.
        """
        self._free: SimpleQueue[dict[str, str]] = SimpleQueue()
        for share in self.shares:
            self._free.put(share)
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        with ThreadPoolExecutor(len(self.shares)) as threads, ExitStack() as stack:
            stack.callback(self._end, "kill")  # whatever happens, none is left
            futures = [threads.submit(self._one, number) for number in folds]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                self._end("terminate")
                for future in futures:
                    future.result()
                raise

    def _end(self, how: str) -> None:
        self._stopped = True
        for process in list(self._running):
            getattr(process, how)()

    def _one(self, number: int) -> None:
        """Run the command of one fold, and print what it says."""
        if self._stopped:
            return
        share, last = self._free.get(), ""
        # In a session of its own a terminal's Ctrl-C does not reach it, only what is sent here.
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(
            [*self.command, str(number)], text=True, encoding="utf-8", errors="replace",
            env=child_environment() | share, start_new_session=True, **options,
        ) as process:  # fmt: skip
            self._running.add(process)
            if self._stopped:  # meanwhile
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                last = line.rstrip() or last
                self.console.print(f"fold {number} | {line.rstrip()}", markup=False)
        status = process.returncode
        self._running.discard(process)
        self._free.put(share)
        if status and not self._stopped:
            self.failed[number] = f"exit status {status} ({last.removeprefix('error: ')})"
