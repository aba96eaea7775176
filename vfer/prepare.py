"""``python -m vfer.prepare``: render what is built in, and fill the crop store.

Interrupted and run again, it goes on with the clips that are missing.
"""

import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from vfer.catalogue import open_corpus
from vfer.check import check
from vfer.cli import bar, cores, parse, run_command
from vfer.config import DataConfig
from vfer.corpora import Clip, Corpus
from vfer.faces import FaceConfig, NoFaceError, align, track
from vfer.files import atomic_write, key_of, sha256
from vfer.store import CropStore, Entry, array_bytes, store_key
from vfer.transforms import FlowConfig, flow_key, pair_flow
from vfer.video import VideoError, read_video


@contextmanager
def lock(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process alone.

    Raises:
        RuntimeError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise RuntimeError(
            f"another process is using {what} {folder}; wait for it, or choose another folder"
        ) from error


def prepare_clip(clip: Clip, config: FaceConfig) -> tuple[Entry, NDArray[np.uint8] | None]:
    """Decode a clip, find its face, and cut the crops; a pure function of the video's bytes.

    Returns:
        The record, and the crops ``(T, 150, 110, 3)`` uint8 of a usable clip.
    """
    source = sha256(clip.path)
    try:
        video = read_video(clip.path)
    except VideoError as error:
        return Entry(clip.name, "unreadable", str(error), source), None
    entry = Entry(
        clip.name,
        "ok",
        source=source,
        decoder=video.decoder,
        frames=len(video.frames),
        promised=video.promised,
        fps=video.fps,
    )
    try:
        face = track(video.frames, config)
    except NoFaceError as error:
        return replace(entry, status="no_face", reason=str(error)), None
    apart = np.linalg.norm(face.eyes[:, 1] - face.eyes[:, 0], axis=1)
    entry = replace(
        entry,
        sampled=face.sampled,
        detected=face.detected,
        confidence=face.confidence,
        eye_distance=float(np.median(apart)),
    )
    return entry, align(video.frames, face.eyes, config)


def _one_thread() -> None:
    torch.set_num_threads(1)  # so that a clip's bytes do not depend on the machine's cores


def _prepare_into(directory: Path, config: FaceConfig, clip: Clip) -> str:
    entry, crops = prepare_clip(clip, config)
    CropStore(directory).add(entry, crops)
    return entry.status


def _results(work: "partial[str]", clips: Sequence[Clip], workers: int) -> Iterator[str]:
    if workers == 1:
        threads = torch.get_num_threads()
        _one_thread()
        try:
            yield from map(work, clips)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        try:
            for done in as_completed([pool.submit(work, clip) for clip in clips]):
                yield done.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a preparing process died (out of memory?); run again to go on with the clips "
                "that are missing, with fewer --data.workers if memory is short"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def fill(corpus: Corpus, config: DataConfig, console: Console) -> CropStore:
    """Prepare every clip that has no entry in the corpus's crop store yet.

    Raises:
        RuntimeError: If another process writes the store, or a preparing process dies.
    """
    root = str(config.root.resolve()) if config.root else asdict(config.facs)
    name = f"{corpus.name}-{key_of([root, store_key(config.faces)])}"
    store = CropStore(config.cache / "crops" / name)
    with lock(store.directory, "the crop store"), bar(console) as progress:
        missing = store.missing(corpus.clips)
        if missing:
            workers = min(config.workers or cores(), len(missing))
            work = partial(_prepare_into, store.directory, config.faces)
            task = progress.add_task("preparing clips", total=len(missing))
            for _ in _results(work, missing, workers):
                progress.advance(task)
        if config.flow.cache:
            _fill_flow(corpus, store, config.flow, progress)
    return store


def _fill_flow(corpus: Corpus, store: CropStore, config: FlowConfig, progress: Progress) -> None:
    key = flow_key(config)
    missing = [c for c in store.usable(corpus) if not store.flow_path(c.name, key).is_file()]
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
        path = store.flow_path(clip.name, key)
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, array_bytes(torch.cat([empty, *parts]).numpy()))
        progress.advance(task)


def report(corpus: Corpus, store: CropStore, console: Console) -> None:
    """Say how many clips are usable, and of every other one why not."""
    reasons = [(c.name, "excluded", c.excluded) for c in corpus.clips if c.excluded is not None]
    entries = [store.entry(c.name) for c in corpus.clips if c.excluded is None]
    reasons += [(e.clip, e.status, e.reason) for e in entries if e.status != "ok"]
    count = Counter(status for _, status, _ in reasons)
    summary = "".join(f", {n} {status}" for status, n in sorted(count.items()))
    console.print(
        f"{corpus.name}: {len(corpus.clips)} clips, {len(corpus.clips) - len(reasons)} usable"
        f"{summary}; crops in {store.directory}"
    )
    for name, status, reason in reasons:
        console.print(f"  {status}: {name}: {reason}", markup=False, highlight=False)
    for entry in entries:
        if entry.frames < entry.promised:
            said = f"{entry.frames} frames, the file's header promises {entry.promised}"
            console.print(f"  doubtful: {entry.clip}: {said}", markup=False, highlight=False)
    for path, reason in corpus.unexpected:
        console.print(f"  not read: {path}: {reason}", markup=False, highlight=False)


def main(argv: Iterable[str] | None = None) -> int:
    """The command; returns its exit status."""
    fits = True

    def command() -> None:
        nonlocal fits
        config = parse("vfer.prepare", argv)
        console = Console(highlight=False)
        if config.options:
            fits = check(config.data, config.options, console)
            return
        corpus = open_corpus(config.data, console)
        report(corpus, fill(corpus, config.data, console), console)

    return run_command(command, argv) or int(not fits)


if __name__ == "__main__":
    sys.exit(main())
