"""Feeding from disk beside feeding from memory, as of a store that is larger than the memory.

Batches of the third stage (40 segments of 16 frames) of a made-up store of real arrays: when all
its pages are in memory, when the system has been told to forget the batch's files before each batch
(as of a store far larger than the memory, in which no page is met again before it is gone), and
when a file is read for the first time, with the check of its hash. What share of a step it is says
what a run loses: with `data.loaders` the reading goes on beside the steps.

    python -m experiments.benchmarks.disk --folder DIR --step 37
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from vfer.config.tree import DataConfig, StageConfig
from vfer.corpora import Clip, Corpus
from vfer.faces.settings import HEIGHT, WIDTH
from vfer.fit.datasets import StepDataset, part
from vfer.fit.frames import Frames
from vfer.fit.plan import Randomness
from vfer.flow.settings import FlowConfig
from vfer.prepare.store import CropStore, Entry, entry_id

BATCHES = 8


def make(folder: Path, clips: int, frames: int) -> tuple[Corpus, CropStore]:
    """Return a corpus and its store; the store is written where it is missing."""
    store, draw = CropStore(folder), np.random.default_rng(0)
    names = [f"clip {i}" for i in range(clips)]
    for name in names:
        if not (folder / "clips" / f"{entry_id(name)}.json").is_file():
            crops = draw.integers(0, 256, (frames, HEIGHT, WIDTH, 3), np.uint8)
            store.add(Entry(name, "ok", frames=frames), crops)
    made = tuple(Clip(name, folder / f"{name}.avi", "1", "fear") for name in sorted(names))
    return Corpus("made", ("fear",), made), store


def forget(paths: Sequence[Path]) -> None:
    """Let the system drop what it keeps of some files in memory."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def seconds(steps: StepDataset, store: CropStore, cold: bool) -> float:
    """Return the median seconds of reading a batch, its files forgotten before or not."""
    times = []
    for n in range(BATCHES):
        clips, *_ = steps.places(steps.samples(n))
        names = [steps.part.clips[i].name for i in clips.tolist()]
        if cold:
            store._map.cache_clear()  # an open map holds its pages
            forget([store.directory / "crops" / f"{entry_id(name)}.npy" for name in names])
        begun = time.perf_counter()
        steps[n]
        times.append(time.perf_counter() - begun)
    return median(times)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--frames", type=int, default=80)
    parser.add_argument("--folder", type=Path, default=Path("cache", "disk"), help="kept")
    parser.add_argument("--step", type=float, default=37.0, help="seconds of a training step")
    given = parser.parse_args(argv)
    corpus, store = make(given.folder, given.clips, given.frames)
    data = DataConfig("facs", flow=FlowConfig(cache=False))
    chosen = part(corpus, store, lambda _: True, data)
    frames = Frames(store, data)
    draw = Randomness(0, 0, "vlan")
    steps = StepDataset(chosen, frames, corpus.classes, StageConfig(), False, draw)
    first = seconds(steps, store, cold=True)  # and checks each file
    found = {
        "all pages in memory": seconds(steps, store, cold=False),
        "no page in memory": seconds(steps, store, cold=True),
        "no page in memory, and each file's hash": first,
    }
    size = 40 * data.segment_length * HEIGHT * WIDTH * 3 / 1e6
    table = Table(title=f"a batch of {size:.0f} MB; a step of {given.step:g} s")
    for column in ("", "ms", "MB/s", "speed without loaders", "with one loader"):
        table.add_column(column, justify="right" if column else "left")
    ram = found["all pages in memory"]
    for name, took in found.items():
        alone = (given.step + ram) / (given.step + took)
        beside = given.step / max(given.step, took)
        cells = (f"{1000 * took:.0f}", f"{size / took:.0f}", f"{alone:.2f}", f"{beside:.2f}")
        table.add_row(name, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
