"""``python -m vfer.prepare``: render what is built in, and fill the crop store.

Interrupted and run again, it goes on with the clips that are missing.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from vfer.catalogue import facts_of, open_corpus
from vfer.check import check, content_duplicates
from vfer.cli import bar, parse, run_command
from vfer.config import DataConfig
from vfer.corpora import Clip, Corpus
from vfer.faces import HEIGHT, WIDTH, FaceConfig, NoFaceError, align, track
from vfer.files import atomic_write, key_of, sha256
from vfer.segments import nearest_stride, windows
from vfer.sheets import write_sheets
from vfer.store import CropStore, Entry, array_bytes, store_key
from vfer.transforms import FlowConfig, flow_key, pair_flow
from vfer.video import ATTEMPTS, DECODERS, MIN_PROMISED, Run, VideoError, decode, probe
from vfer.workers import Died, cores, impatient, launched, outcomes


@contextmanager
def lock(folder: Path, what: str, part: int = 0, console: Console | None = None) -> Iterator[None]:
    """Hold a folder, or one of the parts into which several writers divide it, for this process.

    Args:
        folder: Made where it is missing.
        what: It is, for messages.
        part: From 0.
        console: Wait for a process that holds it, and say so here; None: do not wait.

    Raises:
        RuntimeError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / f".lock{part or ''}", timeout=0)
    said = f"another process is using {what} {folder}"
    try:
        held.acquire()
    except Timeout as error:
        if console is None:
            raise RuntimeError(f"{said}; wait for it, or choose another folder") from error
        console.print(f"{said}; waiting for it")
        held.acquire(timeout=-1)
    try:
        yield
    finally:
        held.release()


KEPT = 2**30
"""A clip's frames are kept in memory up to so many bytes; a longer one is decoded twice."""

Decode = Callable[[Path, str], Iterator[Run]]


def _unprepared(clip: Clip) -> Entry:
    """A clip's record before anything is decoded; with a reason if the file cannot be opened."""
    entry = Entry(clip.name, "unreadable")
    try:
        about = clip.path.stat()
        entry = replace(entry, size=about.st_size, modified=about.st_mtime_ns)
        return replace(entry, source=sha256(clip.path))
    except OSError as error:
        return replace(entry, reason=str(VideoError(clip.path, str(error.strerror))))


def prepare_clip(
    clip: Clip,
    config: FaceConfig,
    decoders: Sequence[str] = DECODERS,
    decode: Decode = decode,
) -> tuple[Entry, NDArray[np.uint8] | None]:
    """Decode a clip, find its face, and cut the crops; a pure function of the video's bytes.

    Args:
        clip: The clip.
        config: How faces are found and aligned.
        decoders: Which to try, in this order.
        decode: A path's frames by one of them.

    Returns:
        The record, and the crops ``(T, 150, 110, 3)`` uint8 of a usable clip.
    """
    entry = _unprepared(clip)
    if entry.reason:
        return entry, None
    fps, promised = probe(clip.path)
    entry = replace(entry, fps=fps, promised=promised)
    reasons: list[str] = []
    for decoder in decoders:
        try:
            return _prepare(clip.path, replace(entry, decoder=decoder), config, decode)
        except VideoError as error:
            reasons += error.reasons
        except MemoryError:
            reasons.append(f"{decoder}: does not fit into memory")
    return replace(entry, reason=str(VideoError(clip.path, *reasons))), None


def _prepare(
    path: Path, entry: Entry, config: FaceConfig, decode: Decode
) -> tuple[Entry, NDArray[np.uint8] | None]:
    """``prepare_clip`` by the decoder that the entry names."""
    kept: list[Run] | None = []
    frames = size = 0

    def first_pass() -> Iterator[Run]:
        nonlocal kept, frames, size
        for run in decode(path, entry.decoder):
            frames += len(run)
            size += run.nbytes
            if size > KEPT:
                kept = None
            if kept is not None:
                kept.append(run)
            yield run

    face, reason = None, ""
    try:
        face = track(first_pass(), config)
    except NoFaceError as error:
        reason = str(error)
    if frames < MIN_PROMISED * entry.promised:
        raise VideoError(
            path, f"{entry.decoder}: {frames} frames, the header promises {entry.promised}"
        )
    entry = replace(entry, frames=frames)
    if face is None:
        return replace(entry, status="no_face", reason=reason), None
    crops = np.empty((frames, HEIGHT, WIDTH, 3), np.uint8)
    done = 0
    for run in decode(path, entry.decoder) if kept is None else kept:
        part = slice(done, done + len(run))
        crops[part] = align(run, face.eyes[part], config)
        done += len(run)
    apart = np.linalg.norm(face.eyes[:, 1] - face.eyes[:, 0], axis=1)
    entry = replace(
        entry,
        status="ok",
        sampled=face.sampled,
        detected=face.detected,
        confidence=face.confidence,
        eye_distance=float(np.median(apart)),
    )
    return entry, crops


Prepare = Callable[[Clip, FaceConfig, Sequence[str], Decode], tuple[Entry, Any]]


def _prepare_into(
    directory: Path, config: DataConfig, prepare: Prepare, decoders: Sequence[str], clip: Clip
) -> str:
    """Prepare a clip in a worker process; one that gives no frame in time ends it."""

    def decode_in_time(path: Path, decoder: str) -> Iterator[Run]:
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
    for clip, outcome in outcomes(work, clips, ATTEMPTS, config.workers or cores()):
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
        store.add(replace(_unprepared(clip), reason=str(error)), None)
        progress.advance(task)


def open_store(corpus: Corpus, config: DataConfig) -> CropStore:
    """The crop store of a corpus under a config's settings, filled or not."""
    root = str(config.root.resolve()) if config.root else asdict(config.facs)
    name = f"{corpus.name}-{key_of([root, store_key(config.faces)])}"
    return CropStore(config.cache / "crops" / name)


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
        RuntimeError: If no preparing process lives.
    """
    store = open_store(corpus, config)
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
    if not _is_full(store, corpus, key):
        console.print(f"process {number} of {ranks}: waiting for the clips of the others")
        while not _is_full(store, corpus, key):
            time.sleep(1)
    if number == 0:
        store.write_manifest(corpus)
    return store


def _is_full(store: CropStore, corpus: Corpus, key: str | None) -> bool:
    return not store.missing(corpus.clips) and (
        key is None or all(store.flow_path(c.name, key).is_file() for c in store.usable(corpus))
    )


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


def report(corpus: Corpus, store: CropStore, config: DataConfig, console: Console) -> None:
    """Say how many clips are usable, of every other one why not, and the number of segments."""
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
    for names in content_duplicates({e.clip: e.source for e in entries if e.source}):
        said = f"the same content as {', '.join(names[1:])}"
        console.print(f"  doubtful: {names[0]}: {said}", markup=False, highlight=False)
    for path, reason in corpus.unexpected:
        console.print(f"  not read: {path}: {reason}", markup=False, highlight=False)
    for what, files in corpus.aside:
        console.print(f"  passed over: {what}: {files}")
    _report_segments([e.frames for e in entries if e.status == "ok"], config, console)


def _report_segments(frames: Sequence[int], config: DataConfig, console: Console) -> None:
    """Say how many segments clips give and, by a stride, which comes nearest the paper's number."""
    length, rule, facts = config.segment_length, config.windows, facts_of(config)
    total = sum(len(windows(n, length, rule.per_clip, rule.stride)) for n in frames)
    console.print(f"{total} segments of {length} frames")
    if frames and rule.stride is not None and facts is not None and facts.paper_segments:
        nearest = nearest_stride(frames, length, facts.paper_segments)
        console.print(
            f"nearest the paper's {facts.paper_segments}: --data.windows.stride {nearest}"
        )


def main(argv: Iterable[str] | None = None) -> int:
    """The command; returns its exit status."""
    fits = True

    def command() -> None:
        nonlocal fits
        config = parse("vfer.prepare", argv)
        console = Console(highlight=False)
        if "check" in config.options:
            fits = check(config.data, config.options, console)
            return
        corpus = open_corpus(config.data, console)
        share = launched()
        store = fill(corpus, config.data, console, share)
        if share[0] == 0:
            report(corpus, store, config.data, console)
            if config.sheets is not None:
                files = write_sheets(config.sheets, corpus, store, config.data.faces)
                console.print(f"{len(files)} contact sheets in {config.sheets}")

    return run_command(command, argv) or int(not fits)


if __name__ == "__main__":
    sys.exit(main())
