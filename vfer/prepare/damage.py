"""Damaged pictures of a video that has all its frames: decoders conceal what they cannot read.

Three things give them away: libav marks frames (of H.264, MPEG-4 and their kin), the two decoders
conceal differently (HEVC, Motion JPEG and others), or a picture stands still.
``docs/preparing.md`` has what was measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfer.video import MARKS, Chunk, Decode, VideoError, codec_of

_APART = 12
"""Grey levels in any pixel; of whole videos the decoders differ by 6 at most, of 10 bits."""
_MARKED = {"flv", "h264", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "msmpeg4v2", "wmv2"}
"""Of these the marks tell all that a comparison would, which costs as much as decoding."""
_STILL = 4
"""So many equal frames in a row are no chance; more frames a second are made by 2 or 3."""


@dataclass
class Damage:
    """What is found in a clip's frames, by their numbers from 0.

    Attributes:
        marked: Frames that libav marks as corrupt.
        apart: Frames in which the two decoders differ.
        still: Frames in runs of equal ones, of a video that moves.
        unread: Why the second decoder cannot read on, or empty.
    """

    marked: list[int] = field(default_factory=list)
    apart: list[int] = field(default_factory=list)
    still: list[int] = field(default_factory=list)
    unread: str = ""

    def __str__(self) -> str:
        said = (
            ("marked as corrupt by libav", self.marked),
            ("decoders differ", self.apart),
            ("the picture stands still", self.still),
        )
        parts = [f"frames {_ranges(frames)} ({why})" for why, frames in said if frames]
        return "; ".join([*parts, *([self.unread] if self.unread else [])])


def _ranges(frames: Sequence[int]) -> str:
    """Write numbers as 3, 7–9, …; at most ten ranges."""
    ends: list[list[int]] = []
    for t in frames:
        if ends and t == ends[-1][1] + 1:
            ends[-1][1] = t
        else:
            ends.append([t, t])
    told = [str(a) if a == b else f"{a}–{b}" for a, b in ends]
    return ", ".join(told if len(told) <= 10 else [*told[:10], "…"])


def _differ(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    if a.shape != b.shape:
        return True
    return not np.array_equal(a, b) and bool((np.maximum(a, b) - np.minimum(a, b)).max() > _APART)


def watch(path: Path, decoders: Sequence[str], decode: Decode, found: Damage) -> Iterator[Chunk]:
    """Yield a video's frames by the first decoder, and note which of them are damaged.

    Args:
        path: The video.
        decoders: The first gives the frames; the next, if there is one, is compared with it where
            libav does not mark frames.
        decode: A path's frames by a decoder, or libav's marks.
        found: Where to; complete when the last frame has been taken.

    Yields:
        As ``decode`` does by the first decoder.

    Raises:
        VideoError: If the first decoder cannot read the video.
    """
    compared = bool(decoders[1:]) and codec_of(path) not in _MARKED
    twins = (frame for run in decode(path, decoders[1]) for frame in run) if compared else None
    equal: list[int] = []  # frames that are the one before them
    before: NDArray[np.uint8] | None = None
    count = 0
    for run in decode(path, decoders[0]):
        for t, frame in enumerate(run, count):
            if before is not None and np.array_equal(before, frame):
                equal.append(t)
            before = frame
            try:
                twin = None if twins is None else next(twins)
            except (StopIteration, VideoError) as error:
                why = "; ".join(error.reasons) if isinstance(error, VideoError) else "no more"
                found.unread = f"from frame {t} on {decoders[1]} reads nothing ({why})"
                twins = None
                continue
            if twin is not None and _differ(frame, twin):
                found.apart.append(t)
        count += len(run)
        yield run
    if 2 * len(equal) < count:  # else it is hardly a video that moves
        found.still += _runs(equal)
    try:
        marks = np.concatenate(list(decode(path, MARKS)))
    except VideoError:  # which is said by the frames
        return
    found.marked += np.flatnonzero(marks).tolist()


def _runs(equal: Sequence[int]) -> list[int]:
    """Return the frames of runs of at least ``_STILL`` equal ones, the first of each among them."""
    runs: list[list[int]] = []
    for t in equal:
        if runs and runs[-1][-1] == t - 1:
            runs[-1].append(t)
        else:
            runs.append([t - 1, t])
    return [t for run in runs if len(run) >= _STILL for t in run]
