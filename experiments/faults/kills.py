"""Rows of ``kill -9`` at random moments, and of every file operation that fails or is the last."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments.faults.bench import Bench, Row, spread
from experiments.faults.child import Child
from experiments.faults.shim import Fault

FOLDS = 2
PHASES = {
    "spatial": (".spatial.partial/key", "spatial/stage.json"),
    "temporal": (".temporal.partial/key", "temporal/stage.json"),
    "vlan": (".vlan.partial/key", "vlan/stage.json"),
    "scoring": ("vlan/stage.json", "fold.json"),
}
"""Of each part of a fold's work the file with which it begins, and that with which it ends."""


def descendants(pid: int) -> list[int]:
    """Return the processes below one, also those in sessions of their own."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, parent = stat.parent.name, stat.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        below.setdefault(int(parent), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        todo += (new := below.get(todo.pop(), []))
        found += new
    return found


def _killed(child: Child, alone: bool) -> None:
    others = [] if alone else descendants(child.pid)
    child.kill(alone=alone)
    for pid in others:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _begun(world: Path, place: str) -> Callable[[], bool]:
    return lambda: (world / place).exists()


def random_kills(bench: Bench, most: int | None) -> Iterator[Row]:
    """Kill each command at random moments; every second time its helpers live on."""
    most = most or 12
    for command in bench.some("prepare", "draw", "report", "predict", "sweep"):
        row = Row(f"kill -9 in {'drawing and preparing' if command == 'draw' else command}")
        rng = bench.rng("kill", command)
        for number in range(max(1, most // 4) if command == "sweep" else most):
            after = rng.uniform(0, bench.left(command).seconds)
            _kill(bench, row, command, lambda: True, after, alone=bool(number % 2))
        yield row
    for phase in bench.some("vlan", "spatial", "temporal", "scoring"):
        begin, end = PHASES[phase]
        row = Row(f"kill -9 in fit, {phase}")
        rng = bench.rng("kill", phase)
        seconds = _phase_seconds(bench, begin, end)
        for _ in range(most):
            fold = rng.integers(FOLDS)
            _kill(bench, row, "fit", f"run/fold-{fold}/{begin}", rng.uniform(0, seconds))
        yield row
    if bench.quick:
        return
    row = Row("kill -9 in fit, bundle")
    rng = bench.rng("kill", "bundle")
    seconds = _phase_seconds(bench, f"../fold-{FOLDS - 1}/fold.json", "../files.json")
    for _ in range(most):
        _kill(bench, row, "fit", f"run/fold-{FOLDS - 1}/fold.json", rng.uniform(0, seconds))
    yield row


def _phase_seconds(bench: Bench, begin: str, end: str) -> float:
    """Return how long a part of a fold's work takes undisturbed."""
    world = bench.world("fit")
    child = bench.start("fit", world)
    child.wait(until=_begun(world, f"run/fold-0/{begin}"))
    began = time.monotonic()
    child.wait(until=_begun(world, f"run/fold-0/{end}"))
    took = time.monotonic() - began
    child.kill()
    return took


def _kill(
    bench: Bench, row: Row, command: str, begun: str | Callable[[], bool], after: float,
    alone: bool = False,
) -> None:  # fmt: skip
    """Kill a command some seconds after something has begun, and run it again."""
    world = bench.world(command)
    child = bench.start(command, world)
    child.wait(until=_begun(world, begun) if isinstance(begun, str) else begun)
    end = time.monotonic() + after
    child.wait(until=lambda: time.monotonic() >= end)
    _killed(child, alone)
    lost = bench.again(command, world)
    if not child.gone():
        lost = lost or "a process of it lives on"
    row.add(f"after {after:.3f} s{' of its parent alone' * alone}", lost)


def operation_faults(bench: Bench, most: int | None) -> Iterator[Row]:
    """Let the N-th file operation fail, and be the last, for every N until a run needs fewer."""
    for command in bench.some("fit", "prepare", "report", "predict"):
        done = bench.left(command).operations
        writes = [n for n, line in enumerate(done, 1) if not line.startswith("read ")]
        failing = Row(f"N-th of {len(done)} file operations fails in {command}")
        for number in spread(len(done), most):
            code = errno.EIO if number % 2 else errno.ENOSPC
            failing.add(
                f"{number}, {_short(done[number - 1])}", _fail(bench, command, number, code)
            )
        yield failing
        dying = Row(f"killed at the N-th of {len(writes)} changing operations in {command}")
        for index in spread(len(writes), most):
            number = writes[index - 1]
            dying.add(f"{number}, {_short(done[number - 1])}", _fail(bench, command, number, None))
        yield dying


def _short(operation: str) -> str:
    kind, _, path = operation.partition(" ")
    return f"{kind} {'/'.join(Path(path).parts[-2:])}"


def _fail(bench: Bench, command: str, number: int, error: int | None) -> str:
    """Run a command whose N-th file operation fails, then undisturbed; return what is lost."""
    world = bench.world(command)
    child = bench.start(command, world, fault=Fault(number, error))
    try:
        status = child.wait()
    except TimeoutError as hang:
        return f"hangs: {hang}"
    if not child.gone():
        return "a process of it lives on"
    said = child.errors()
    if status == 0:  # it could do without: then no result may be missing
        lost = bench.difference(command, world, results=True)
        if lost:
            return f"status 0, but {lost}"
    elif error is not None and (status != 1 or any("Traceback" in line for line in said)):
        return f"status {status}: {' / '.join(said[-1:])}"
    elif error is not None and not said:
        return f"status {status} without a word"
    return bench.again(command, world)
