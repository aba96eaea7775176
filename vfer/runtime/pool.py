"""Work spread over processes: on this machine's cores, and over the ranks of a launcher.

A process that dies costs the item it was at and nothing else.
"""

import faulthandler
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

Way = TypeVar("Way")
Item = TypeVar("Item")
Result = TypeVar("Result")

_TIMED_OUT = 1  # the exit status of ``faulthandler``; a crash has a signal's, below 0


@dataclass(frozen=True)
class Died:
    """What became of the process that worked at an item."""

    reason: str


def cores() -> int:
    """Count the CPU cores that this process may use."""
    return os.cpu_count() or 1 if sys.platform == "darwin" else len(os.sched_getaffinity(0))


def launched(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return this process's number among those of its launcher, from 0, and how many they are.

    torchrun and ``srun`` are known; without a launcher it is 0 of 1.
    """
    for mine, all_of_them in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        if mine in environment and all_of_them in environment:
            return int(environment[mine]), int(environment[all_of_them])
    return 0, 1


def impatient(items: Iterator[Item], seconds: float) -> Iterator[Item]:
    """Yield items as they come; where the next is not there in time, the process ends.

    Only for worker processes: nothing gentler stops a native decoder that hangs.
    """
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                faulthandler.cancel_dump_traceback_later()
            yield item


def _start() -> None:
    import torch

    torch.set_num_threads(1)  # so that no byte depends on the machine's cores


def outcomes(
    work: Callable[[Way, Item], Result],
    items: Sequence[Item],
    ways: Sequence[Way],
    processes: int,
    preload: Sequence[str] = (),
) -> Iterator[tuple[Item, Result | Died]]:
    """Do something to each item, in processes with one torch thread each.

    Args:
        work: What to do, in which way and to what; an exception that it raises is raised here.
        items: To what; all arguments are sent to other processes.
        ways: An item over which the process dies is tried again in the next of these.
        processes: How many, at least 1.
        preload: Modules that take long to import, which all processes need.

    Yields:
        Each item with its result, or with why its processes died; in the order in which they end.
    """
    # A server that has imported what takes long forks workers in no time; a process with threads,
    # as this one may be, must not be forked itself.
    forks = sys.platform == "linux"
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(list(preload))
    reasons: dict[int, list[str]] = {k: [] for k in range(len(items))}
    for way in ways:
        if not reasons:
            return
        pool = ProcessPool(min(processes, len(reasons)), context=context, initializer=_start)
        try:
            pending: dict[Future[Result], int] = {
                pool.schedule(work, (way, items[k])): k for k in reasons
            }
            for done in as_completed(pending):
                k = pending[done]
                try:
                    result = done.result()
                except ProcessExpired as error:
                    hung = error.exitcode == _TIMED_OUT
                    said = "hung" if hung else f"died (exit status {error.exitcode})"
                    reasons[k].append(f"{said} with {way}")
                else:
                    del reasons[k]
                    yield items[k], result
            pool.close()  # type: ignore[no-untyped-call]
        finally:
            pool.stop()  # type: ignore[no-untyped-call] # not waiting for what is under way
            pool.join()
    for k, why in reasons.items():
        yield items[k], Died(", ".join(why))
