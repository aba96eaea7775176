"""From a video file to a clip's record and crops."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfer.corpora import Clip, not_a_file
from vfer.faces.alignment import align
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.faces.tracking import NoFaceError, track
from vfer.prepare.damage import Damage, watch
from vfer.prepare.looks import look
from vfer.prepare.sources import hash_video
from vfer.prepare.store import Entry
from vfer.video import DECODERS, MIN_PROMISED, Chunk, Decode, VideoError, decode, probe

KEPT = 2**30
"""A clip's frames are kept in memory up to so many bytes; a longer one is decoded twice."""

PRELOAD = ("vfer.prepare.clip", "vfer.prepare.check")
"""What every worker process needs and takes long to import."""


def unprepared(clip: Clip) -> Entry:
    """Return a clip's record before anything is decoded; with a reason if it cannot be opened."""
    entry = Entry(clip.name, "unreadable")
    try:
        about = clip.path.stat()
        entry = replace(entry, size=about.st_size, modified=about.st_mtime_ns)
        return replace(entry, source=hash_video(clip.path))
    except OSError as error:
        why = not_a_file(clip.path) if not clip.path.exists() else error.strerror
        return replace(entry, reason=str(VideoError(clip.path, str(why))))


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
    entry = unprepared(clip)
    if entry.reason:
        return entry, None
    fps, promised = probe(clip.path)
    entry = replace(entry, fps=fps, promised=promised)
    reasons: list[str] = []
    for k, decoder in enumerate(decoders):
        try:
            entry = replace(entry, decoder=decoder)
            return _prepare(clip.path, entry, config, decode, decoders[k:])
        except VideoError as error:
            reasons += error.reasons
        except MemoryError:
            reasons.append(f"{decoder}: does not fit into memory")
    return replace(entry, decoder="", reason=str(VideoError(clip.path, *reasons))), None


def _prepare(
    path: Path, entry: Entry, config: FaceConfig, decode: Decode, decoders: Sequence[str]
) -> tuple[Entry, NDArray[np.uint8] | None]:
    """Return ``prepare_clip`` by the first of the decoders, which the entry names."""
    kept: list[Chunk] | None = []
    frames = size = 0
    damage = Damage()

    def first_pass() -> Iterator[Chunk]:
        nonlocal kept, frames, size
        for run in watch(path, decoders, decode, damage):
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
        joined=face.joined,
        eye_distance=float(np.median(apart)),
        look=look(crops),
        damaged=str(damage),
    )
    return entry, crops
