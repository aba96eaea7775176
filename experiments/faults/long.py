"""Rows of long runs: memory, open files and temporary files must not grow."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.faults.bench import Bench, Row
from experiments.faults.child import TEMPORARY, command, start

STEPS, VIDEOS = 2000, 500
MEMORY = 16 * 2**20
"""Bytes by which memory may grow from the second fifth of a run to its last, noise included."""


class Sample(NamedTuple):
    """What a process holds at a moment."""

    done: float
    memory: int
    files: int
    temporary: int


def long_runs(bench: Bench, most: int | None) -> Iterator[Row]:
    """Train for many steps, and predict many videos, and see whether anything grows."""
    steps, videos = most or STEPS, most or VIDEOS
    row = Row(f"fit over {steps} steps")
    world = bench.world("fit")
    more = {f"stages.{name}.iterations": 0 for name in ("temporal", "vlan")}
    more |= {"stages.spatial.iterations": steps, "stages.checkpoint_every": 50, "fold": 0,
             "stages.spatial.measure_every": 100}  # fmt: skip
    log = world / "run" / "fold-0" / ".spatial.partial" / "metrics.csv"
    words = [*bench.words("fit", **more)]
    _follow(bench, row, words, world, partial(_last_step, log), steps)
    yield row
    row = Row(f"predict of {videos} videos")
    world = bench.world("predict")
    (world / "videos").mkdir()
    source = sorted(bench.corpus.glob("*.avi"))[0].read_bytes()
    for number in range(videos):  # each of another content, so that none is done before
        (world / "videos" / f"{number}.avi").write_bytes(source + f"JUNK{number:08d}".encode())
    words = ["predict", "--run=run", "--cache=predicted", "--device=cpu", "--fold=0", "videos"]
    predicted = world / "predicted"
    _follow(bench, row, words, world, lambda: len(list(predicted.glob("*.json"))), videos)
    yield row


def _last_step(log: Path) -> int:
    try:
        last = log.read_text().rpartition("\n")[0].rpartition("\n")[2]
        return max((int(one) for one in last.split(",") if one.isdecimal()), default=0)
    except OSError:
        return 0


def _follow(
    bench: Bench, row: Row, words: Sequence[str], world: Path, done: Callable[[], int], count: int
) -> None:  # fmt: skip
    """Run a command, see what it holds meanwhile, and count it as a trial."""
    child = start(partial(command, words), world, bench.said / "long")
    samples: list[Sample] = []
    pause = 0.0

    def sampled() -> bool:
        nonlocal pause
        if time.monotonic() > pause:
            pause = time.monotonic() + 0.5
            samples.append(_sample(child.pid, world, bench.said, done()))
        return False

    status = child.wait(3600, until=sampled)
    if status != 0:
        row.add("run", f"status {status}: {' / '.join(child.errors()[-1:])}")
        return
    within = [one for one in samples if one.done >= count / 5]
    if len(within) < 5:
        row.add("run", f"over too soon: {len(within)} samples")
        return
    at = np.array(within, float)
    slopes = [float(np.polyfit(at[:, 0], at[:, k], 1)[0]) for k in (1, 2, 3)]
    over = count * 0.8
    row.notes.append(
        f"{slopes[0] * 1000 / 2**20:+.2f} MiB, {slopes[1] * 1000:+.2f} open files, "
        f"{slopes[2] * 1000:+.2f} temporary files per 1000; {at[-1, 1] / 2**20:.0f} MiB, "
        f"{at[-1, 2]:.0f} open files at the end, {len(within)} samples"
    )
    grown = slopes[0] * over > MEMORY or slopes[1] * over > 2 or slopes[2] * over > 2
    row.add("run", "grows" if grown else "")


def _sample(pid: int, world: Path, said: Path, done: int) -> Sample:
    try:
        memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except (OSError, IndexError):
        return Sample(-1, 0, 0, 0)
    temporary = len(list((said / TEMPORARY).iterdir()))
    return Sample(done, memory, files, temporary + len(list(world.rglob(".*.tmp"))))
