"""Rows of several processes on one folder, and of signals that ask a run to end."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from experiments.faults.bench import Bench, Row
from experiments.faults.child import Child, command, start

PATIENCE = 10.0
"""Seconds within which a run ends that was asked to."""
WORKERS = 8


def several(bench: Bench, most: int | None) -> Iterator[Row]:
    """Let several processes work in one folder."""
    trials = most or 10
    for name in bench.some("fit", "prepare"):
        row = Row(f"two {name} in one folder at once")
        for number in range(trials):
            row.add(str(number), _two(bench, name, number))
        yield row
    if bench.quick:
        return
    row = Row("two fit of different configs with one output")
    for number in range(trials):
        row.add(str(number), _different(bench, number))
    yield row
    for name in ("report", "predict"):
        row = Row(f"{name} beside a running fit")
        for number in range(trials):
            row.add(str(number), _beside(bench, name, number))
        yield row


def sweepers(bench: Bench, most: int | None) -> Iterator[Row]:
    """Let eight processes run one sweep."""
    row = Row(f"{WORKERS} workers of one sweep")
    for number in range(most or 3):
        world = bench.world("sweep")
        words = [sys.executable, "-m", "vfer", *bench.words("sweep")]
        logs = [(bench.folder / f"worker-{k}").open("w") for k in range(WORKERS)]
        all_of_them = [subprocess.Popen(words, cwd=world, stdout=log, stderr=log) for log in logs]
        wrong = [one.wait(900) for one in all_of_them]
        lost = f"statuses {wrong}" if set(wrong) != {0} else ""
        row.add(str(number), lost or bench.again("sweep", world))
    yield row


def _two(bench: Bench, name: str, number: int) -> str:
    world = bench.world(name)
    later = bench.rng("two", name, number).uniform(0, bench.left(name).seconds)
    first = bench.start(name, world, "first")
    time.sleep(later if number else 0)
    second = bench.start(name, world, "second")
    for child in (first, second):
        if child.wait() != 0:
            return f"status {child.status}: {' / '.join(child.errors()[-1:])}"
    return bench.again(name, world)


def _different(bench: Bench, number: int) -> str:
    """Start another seed's run on the same output; it must be refused by name."""
    world = bench.world("fit")
    later = bench.rng("different", number).uniform(0, bench.left("fit").seconds)
    first = bench.start("fit", world, "first")
    first.wait(until=(world / "run" / "config.yaml").exists)
    first.wait(until=partial(_past, time.monotonic() + later))
    words = bench.words("fit", **{"protocol.seed": 1})
    second = start(partial(command, words), world, bench.said / "second")
    if second.wait() != 2 or "protocol.seed" not in " ".join(second.errors()):
        return f"the second ends with {second.status}: {' / '.join(second.errors()[-1:])}"
    if first.wait() != 0:
        return f"the first ends with {first.status}: {' / '.join(first.errors()[-1:])}"
    return bench.difference("fit", world)


def _past(when: float) -> bool:
    return time.monotonic() >= when


def _beside(bench: Bench, name: str, number: int) -> str:
    """Run a command on a bundle that is being made: it must do its work, or say that it cannot."""
    world = bench.world("fit")
    later = bench.rng("beside", name, number).uniform(0, 1.2 * bench.left("fit").seconds)
    fit = bench.start("fit", world, "first")
    fit.wait(until=partial(_past, time.monotonic() + later))
    other = bench.start(name, world, "second")
    status, said = other.wait(), other.errors()
    if status not in (0, 1, 2) or (status and (len(said) != 1 or "Error" in said[0])):
        return f"{name} ends with {status}: {' / '.join(said[-2:])}"
    if fit.wait() != 0:
        return f"fit ends with {fit.status}: {' / '.join(fit.errors()[-1:])}"
    for path in ("page", "predicted", "said.json", "said.csv", "run/report.html", "run/report"):
        _remove(world / path)
    return bench.again("fit", world)


def _remove(path: Path) -> None:
    if path.is_dir():
        for one in path.iterdir():
            _remove(one)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def signals(bench: Bench, most: int | None) -> Iterator[Row]:
    """Ask commands to end at random moments."""
    for name in bench.some("fit", "prepare"):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[: 1 if bench.quick else 3]:
            row = Row(f"{number.name} to {name}")
            for trial in range(most or 12):
                world = bench.world(name)
                after = bench.rng(number.name, name, trial).uniform(0, bench.left(name).seconds)
                child = bench.start(name, world)
                lost = _ended(child, number, after)
                row.add(f"after {after:.3f} s", lost or bench.again(name, world))
            yield row


def _ended(child: Child, number: int, after: float) -> str:
    """Send a signal after some seconds; return what is wrong about how the process ends."""
    child.wait(until=partial(_past, time.monotonic() + after))
    if child.poll() is not None:
        return "" if child.status == 0 else f"status {child.status} before the signal"
    child.signal(number)
    try:
        child.wait(PATIENCE)
    except TimeoutError:
        return f"goes on for {PATIENCE:g} s"
    said = " / ".join(child.errors())
    if child.status in (0, -number) and not said:
        return ""  # it was done, or had not begun
    if child.status != 130 or "interrupted; the same command resumes here" not in said:
        return f"status {child.status}: {said[-300:]}"
    return "" if child.gone() else "a process of it lives on"
