"""Fills the crop store in worker processes, and says what became of every clip."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from vfer.config.tree import DataConfig
from vfer.corpora import Clip, Corpus, Facts
from vfer.faces.settings import FaceConfig
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.prepare.clip import PRELOAD, prepare_clip, unprepared
from vfer.prepare.corpus import hints
from vfer.prepare.doubts import MOST, doubts
from vfer.prepare.sources import outside
from vfer.prepare.store import CropStore, Entry, flow_key, store_at, store_key
from vfer.runtime.console import bar
from vfer.runtime.files import atomic_write, key_of, lock, remove_leftovers
from vfer.runtime.pool import Died, cores, impatient, outcomes
from vfer.segments.indices import Starts, nearest_stride
from vfer.video import ATTEMPTS, Chunk, Decode, VideoError, decode

Prepare = Callable[[Clip, FaceConfig, Sequence[str], Decode], tuple[Entry, Any]]


def _prepare_into(
    directory: Path, config: DataConfig, prepare: Prepare, decoders: Sequence[str], clip: Clip
) -> str:
    """Prepare a clip in a worker process; one that gives no frame in time ends it."""

    def decode_in_time(path: Path, decoder: str) -> Iterator[Chunk]:
        return impatient(decode(path, decoder), config.decode_timeout)

    entry, crops = prepare(clip, config.faces, decoders, decode_in_time)
    CropStore(directory).add(entry, crops)
    return entry.status


def _fill_crops(
    store: CropStore,
    clips: Sequence[Clip],
    config: DataConfig,
    prepare: Prepare,
    progress: Progress,
) -> None:
    """Prepare clips; one whose process dies is tried once more, by the last decoder alone."""
    task = progress.add_task("preparing clips", total=len(clips))
    dead: list[tuple[Clip, str]] = []
    work = partial(_prepare_into, store.directory, config, prepare)
    for clip, outcome in outcomes(work, clips, ATTEMPTS, config.workers or cores(), PRELOAD):
        if isinstance(outcome, Died):
            dead.append((clip, outcome.reason))
        else:
            progress.advance(task)
    if len(dead) == len(clips) > 1:
        raise RuntimeError(
            f"every preparing process died, first over {dead[0][0].path}: {dead[0][1]}; "
            "with too little memory, fewer --data.workers help"
        )
    for clip, said in dead:
        error = VideoError(clip.path, f"the process that read it {said}")
        store.add(replace(unprepared(clip), reason=str(error)), None)
        progress.advance(task)


def open_store(corpus: Corpus, config: DataConfig) -> CropStore:
    """The crop store of a corpus under a config's settings, filled or not."""
    root = str(config.root.resolve()) if config.root else asdict(config.facs)
    of = corpus.name if corpus.facts is None else corpus.facts.name  # whatever data.name calls it
    name = f"{of}-{key_of([root, store_key(config.faces)])}"
    return store_at(config.cache, name)


def fill(
    corpus: Corpus,
    config: DataConfig,
    console: Console,
    share: tuple[int, int] = (0, 1),
    prepare: Prepare = prepare_clip,
) -> CropStore:
    """Prepare every clip that has no entry in the corpus's crop store yet.

    Another process that writes the same store, as one of a sweep's points may, is waited for.

    Args:
        corpus: The corpus.
        config: How.
        console: For the progress bar.
        share: (k, n): of n processes that fill one store this is k, from 0; it prepares its share
            of the clips and returns when all are there.
        prepare: What is done to a clip.

    Raises:
        RuntimeError: If no preparing process lives, or a video changes while it is prepared.
    """
    store = open_store(corpus, config)
    store.read_records()
    number, ranks = share
    key = flow_key(config.flow) if config.flow.cache else None
    mine = replace(corpus, clips=corpus.clips[number::ranks])
    if not _is_full(store, mine, key):
        held = lock(store.directory, "the crop store", number, console)
        with held, bar(console) as progress:
            if ranks == 1:
                for left in store.directory.rglob(".*.tmp"):  # of a process that was killed
                    left.unlink(missing_ok=True)
            clips = store.missing(mine.clips)
            if clips:
                _fill_crops(store, clips, config, prepare, progress)
            if key is not None:
                _fill_flow(mine, store, config.flow, progress)
        changed = store.missing(mine.clips)
        if changed:
            raise RuntimeError(
                f"{changed[0].path} has changed while it was prepared, and {len(changed) - 1} "
                "more: wait until the copy is complete, then the same command resumes"
            )
    if ranks > 1 and not _is_full(store, corpus, key):
        console.print(f"process {number} of {ranks}: waiting for the clips of the others")
        while not _is_full(store, corpus, key):
            time.sleep(1)
    if number == 0:
        remove_leftovers(store.directory, ".*.tmp")  # of what is written without the lock
        store.write_manifest(corpus)
        store.write_records(corpus)
    return store


def _is_full(store: CropStore, corpus: Corpus, key: str | None) -> bool:
    return not store.missing(corpus.clips) and (
        key is None or all(store.has_flow(c.name, key) for c in store.usable(corpus))
    )


def _fill_flow(corpus: Corpus, store: CropStore, config: FlowConfig, progress: Progress) -> None:
    key = flow_key(config)
    missing = [c for c in store.usable(corpus) if not store.has_flow(c.name, key)]
    if not missing:
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = progress.add_task("computing flow", total=len(missing))
    for clip in missing:
        crops = store.crops(clip.name)
        parts = [
            pair_flow(torch.tensor(crops[None, i : i + 33]).to(device), config)[0].half().cpu()
            for i in range(0, len(crops) - 1, 32)
        ]
        empty = torch.empty(0, 2, *crops.shape[1:3], dtype=torch.float16)
        store.add_flow(clip.name, key, torch.cat([empty, *parts]).numpy())
        progress.advance(task)


def print_usable(
    corpus: Corpus,
    store: CropStore,
    config: DataConfig,
    console: Console,
    notes: Path | None = None,
) -> None:
    """Say how many clips are usable, of every other one why not, and the number of segments.

    Args:
        corpus: The corpus.
        store: Its crops.
        config: How segments are taken.
        console: Where to print.
        notes: A file of lines on single clips that were printed before, such as by a sweep's
            earlier points: they are counted, not repeated, and new ones are added to it.
    """
    reasons = [(c.name, "excluded", c.excluded) for c in corpus.clips if c.excluded is not None]
    entries = [store.entry(c.name) for c in corpus.clips if c.excluded is None]
    reasons += [(e.clip, e.status, e.reason) for e in entries if e.status != "ok"]
    frames = [e.frames for e in entries if e.status == "ok"]
    reasons += [(name, "missing", reason) for name, reason in corpus.missing]
    count = Counter(status for _, status, _ in reasons)
    summary = "".join(f", {n} {status}" for status, n in sorted(count.items()))
    summary += f", {len(corpus.unexpected)} files not read" if corpus.unexpected else ""
    console.print(
        f"{corpus.name}: {len(corpus.clips)} clips, {len(frames)} usable"
        f"{summary}; crops in {store.directory}"
    )
    lines = [f"{status}: {name!r}: {reason}" for name, status, reason in reasons]
    lines += [f"doubtful: {name!r}: {why}" for name, why in doubts(corpus, store)]
    if len(frames) > MOST:
        lines.append(f"not compared: more than {MOST} clips are not compared by their looks")
    lines += [f"not read: {path}: {reason}" for path, reason in corpus.unexpected]
    lines += [f"passed over: {what}: {files}" for what, files in corpus.aside]
    linked = outside(corpus.clips, config.root)
    lines += [f"linked: {linked} clips lie outside {config.root}"] if linked else []
    lines += [
        f"hint: the label {label} stays as it is; elsewhere the word is {word}"
        for label, word in hints(corpus)
    ]
    _print_new(lines, notes, console)
    _print_segments(frames, config, corpus.facts, console)


def _print_new(lines: Sequence[str], notes: Path | None, console: Console) -> None:
    """Print the lines that are not in a file yet, add them to it, and count the others."""
    known: list[str] = []
    if notes is not None and notes.is_file():
        known = notes.read_text(encoding="utf-8").splitlines()
    new = [line for line in lines if line not in set(known)]
    for line in new:
        console.print(f"  {line}", markup=False, highlight=False)
    if len(new) < len(lines):
        console.print(f"  {len(lines) - len(new)} more as in {notes}")
    if notes is not None and new:
        notes.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(notes, "\n".join([*known, *new]) + "\n")


def _print_segments(
    frames: Sequence[int], config: DataConfig, facts: Facts | None, console: Console
) -> None:
    """Say how many segments clips give and, by a stride, which comes nearest the paper's number."""
    length, rule = config.segment_length, config.windows
    total = Starts(np.array(frames, np.int64), length, rule).counts.sum()
    console.print(f"{total} segments of {length} frames")
    if frames and rule.stride is not None and facts is not None and facts.paper_segments:
        nearest = nearest_stride(frames, length, facts.paper_segments)
        console.print(
            f"nearest the paper's {facts.paper_segments}: --data.windows.stride {nearest}"
        )
