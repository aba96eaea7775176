"""How start-up, memory and a batch grow with the corpus: a manifest and store of made-up clips.

A clip's crops are one of a few arrays, hard-linked, so that a store of a million clips needs the
disk of its records alone; the videos are not there, as where only a store was kept. Each size is
measured in a fresh process: seconds of each part of the way from the manifest to the first batch of
the third stage, the memory that the process then holds, and the batches after it.

    python -m experiments.benchmarks.scale --clips 1000 10000 100000 --folder DIR
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from vfer.config.parser import parse
from vfer.config.tree import Config
from vfer.corpora import EMOTIONS, Clip, Corpus
from vfer.corpora.manifest import FACTS
from vfer.faces.settings import HEIGHT, WIDTH
from vfer.fit.opening import groups_of
from vfer.fit.plan import Randomness, stages_of
from vfer.fit.run import Run, split
from vfer.fit.stages import stage_key
from vfer.fit.training import steps_of
from vfer.prepare.corpus import open_corpus
from vfer.prepare.fill import fill, open_store, print_usable
from vfer.prepare.looks import look
from vfer.prepare.store import Entry, entry_id

T = TypeVar("T")
FRAMES, SUBJECTS, ARRAYS = 20, 100, 64
CONFIG = Path(__file__).parents[2] / "configs" / "manifest.yaml"


def config_of(folder: Path) -> Config:
    """Return the paper's settings on the made-up corpus of a folder."""
    words = ["--config", CONFIG, "--data.root", folder / "clips.csv", "--data.cache", folder]
    words += ["--data.flow.cache", "false", "--model.weights", "null", "--output", folder / "run"]
    return parse("vfer.fit", map(str, words))


def make(folder: Path, clips: int) -> None:
    """Write the manifest and the store, unless they are there."""
    if (folder / "clips.csv").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    video = folder / "clip 0.avi"  # one at least must be there
    video.write_bytes(b"")
    config = config_of(folder)
    store = open_store(Corpus("clips", EMOTIONS, (), facts=FACTS), config.data)
    for name in ("crops", "clips"):
        (store.directory / name).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for k in range(min(clips, ARRAYS)):
        crops = draw.integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        store.add(Entry(f"array {k}", "ok", frames=FRAMES, look=look(crops)), crops)
    arrays = [store.entry(f"array {k}") for k in range(min(clips, ARRAYS))]
    modified = video.stat().st_mtime_ns
    made: list[Clip] = []
    rows = ["path,subject,emotion"]
    for i in range(clips):
        name, k = f"clip {i}", i % len(arrays)
        rows.append(f"{name}.avi,{i % SUBJECTS},{EMOTIONS[i // SUBJECTS % len(EMOTIONS)]}")
        place = store.directory / "crops"
        os.link(place / f"{entry_id(f'array {k}')}.npy", place / f"{entry_id(name)}.npy")
        entry = replace(arrays[k], clip=name, source=f"{i:064}", modified=modified, fps=25.0)
        record = store.directory / "clips" / f"{entry_id(name)}.json"
        record.write_text(json.dumps(asdict(entry)))
        store._entries[name] = entry  # as of those who prepared them
        made.append(Clip(name, folder / f"{name}.avi", "1", "fear"))
    store.write_records(Corpus("clips", EMOTIONS, tuple(made)))
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")


def measure(folder: Path) -> dict[str, float]:
    """Go from the manifest to batches of the third stage; return seconds, MiB and ms."""
    found: dict[str, float] = {}
    config, quiet = config_of(folder), Console(quiet=True)
    base = _held()

    def timed(what: str, work: Callable[[], T]) -> T:
        begun = time.perf_counter()
        done = work()
        found[what] = time.perf_counter() - begun
        return done

    corpus = timed("manifest, s", lambda: open_corpus(config.data, quiet))
    found["manifest, MiB"] = _held() - base
    store = timed("store, s", lambda: fill(corpus, config.data, quiet))
    timed("report, s", lambda: print_usable(corpus, store, config.data, quiet))
    groups = timed("groups, s", lambda: groups_of(corpus, config))
    run = Run(config, corpus, store, groups, None, "")
    fold = timed("fold, s", lambda: split(run, 0))
    *_, stage = stages_of(config)
    timed("stage key, s", lambda: stage_key(run, fold, replace(stage, after=()), {}, None, 1))
    for name, one in (("images", stages_of(config)[0]), ("segments", stage)):
        draw = Randomness(0, 0, one.name)
        steps = timed(f"{name}: data set, s", partial(steps_of, run, fold, one, draw))
        timed(f"{name}: first batch, s", partial(steps.__getitem__, 0))
        times = []
        for n in range(1, 21):
            begun = time.perf_counter()
            steps.samples(n)
            times.append(time.perf_counter() - begun)
        found[f"{name}: samples of a batch, ms"] = 1000 * median(times)
    begun = time.perf_counter()
    for n in range(1, 6):
        steps[n]
    found["segments: a batch, ms"] = (time.perf_counter() - begun) / 5 * 1000
    found["all, MiB"] = _held() - base
    return found


def _held() -> float:
    """Return the most memory that this process has held, MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--folder", type=Path, default=Path("cache", "scale"), help="kept")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return
    columns = []
    for clips in given.clips:
        folder = given.folder / str(clips)
        make(folder, clips)
        command = [sys.executable, "-m", __spec__.name, "--measure", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        columns.append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(title="a corpus of so many clips, 15 segments each")
    table.add_column("clips")
    for clips in given.clips:
        table.add_column(f"{clips:,}".replace(",", " "), justify="right")
    for what in columns[0]:
        table.add_row(what, *(f"{column[what]:.3g}" for column in columns))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
