"""A rehearsal at the real size: what eNTERFACE'05 will take of this machine, on a drawn copy.

    python -m experiments.rehearsal --work DIR

Draws 1290 clips of 43 people, 80 frames of 720×576 each, in eNTERFACE'05's folders (half an hour
on two cores; --root takes a corpus that is there). Then the commands that a user runs, each in a
process of its own: `prepare`; one fold of configs/enterface.yaml, unchanged but for random weights
and few iterations (--iterations); and both once more with everything there. Prints of each how
long it took and the most memory that all its processes held together, when it came to which line,
and what lies on the disk afterwards. Further options are those of `vfer.fit`. Linux, as it reads
/proc.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vfer.corpora.facs.files import render
from vfer.corpora.facs.settings import FacsConfig
from vfer.runtime.pool import cores

CONFIG = Path(__file__).parents[1] / "configs" / "enterface.yaml"
STAGES = ("spatial", "temporal", "vlan")
INTERVAL = 0.5  # s between looks at the memory


@dataclass(frozen=True)
class Took:
    """What a command took.

    Attributes:
        name: Of it.
        seconds: From start to end.
        memory: The most that all its processes held together, bytes; pages that several share
            are counted in parts, so that they add up.
        lines: What it printed, with the seconds since its start.
    """

    name: str
    seconds: float
    memory: int
    lines: tuple[tuple[float, str], ...]


def _held(session: int) -> int:
    """Return the bytes that all processes of a session hold (PSS)."""
    held = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                rollup = (stat.parent / "smaps_rollup").read_text()
                held += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
        except (OSError, ValueError, IndexError):  # has ended meanwhile
            continue
    return held


def run(name: str, words: Sequence[str], console: Console) -> Took:
    """Run a command of vfer to its end.

    Raises:
        RuntimeError: If it fails.
    """
    console.print(f"{name}: vfer {' '.join(words)}", soft_wrap=True)
    begun, most, lines = time.monotonic(), 0, []
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "vfer", *words], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None

        def watch() -> None:
            nonlocal most
            while process.poll() is None:
                most = max(most, _held(process.pid))
                time.sleep(INTERVAL)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for line in process.stdout:
            lines.append((time.monotonic() - begun, line.rstrip()))
            console.print(f"{lines[-1][0]:8.1f} s  {lines[-1][1]}", markup=False, soft_wrap=True)
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{name} ended with status {process.returncode}")
    return Took(name, time.monotonic() - begun, most, tuple(lines))


def commands(
    work: Path, root: Path, iterations: Sequence[int], more: Sequence[str]
) -> dict[str, list[str]]:
    """Return the commands by name, in their order."""
    data = [f"--data.root={root}", f"--data.cache={work / 'cache'}"]
    data += ["--model.weights=null", *more]
    fit = [f"--output={work / 'run'}", "--fold=0", "--trainer.profile=true"]
    fit += ["--logger.wandb=disabled"]
    for stage, count in zip(STAGES, iterations, strict=True):
        fit.append(f"--stages.{stage}.iterations={count}")
    prepare = ["prepare", f"--config={CONFIG}", *data]
    train = ["fit", f"--config={CONFIG}", *data, *fit]
    return {
        "prepare": prepare, "prepare, all there": prepare,
        "plan": [*train, "--plan"], "a fold": train, "a fold, all there": train,
    }  # fmt: skip


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(argv: list[str] | None = None) -> None:
    """Draw the corpus if need be, run the commands, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="for all that is made")
    parser.add_argument("--root", type=Path, help="a corpus in eNTERFACE'05's folders")
    parser.add_argument("--subjects", type=int, default=43)
    parser.add_argument("--takes", type=int, default=5, help="clips a person and emotion")
    parser.add_argument("--frames", type=int, default=80, help="of a clip")
    parser.add_argument("--size", type=int, nargs=2, default=(720, 576), help="of frames, px")
    parser.add_argument(
        "--iterations", type=int, nargs=3, default=(10, 10, 2), help="of the three stages"
    )
    given, more = parser.parse_known_args(argv)
    console = Console(highlight=False)
    root = given.root or given.work / "corpus"
    if given.root is None:
        width, height = given.size
        config = FacsConfig(
            subjects=given.subjects, clips_per_emotion=given.takes, frames=given.frames,
            width=width, height=height,
        )  # fmt: skip
        begun = time.monotonic()
        with ProcessPoolExecutor(cores()) as pool:
            render(root, config, pool.map)
        console.print(f"drawn in {time.monotonic() - begun:.0f} s")
    table = Table("", "s", "memory, GB")
    for name, words in commands(given.work, root, given.iterations, more).items():
        took = run(name, words, console)
        table.add_row(name, f"{took.seconds:.0f}", f"{took.memory / 1e9:.2f}")
    console.print(table)
    for folder in (root, given.work / "cache", given.work / "run"):
        console.print(f"{folder.name}: {size(folder) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
