"""Which frames of a clip form a segment (section 3.2 of the paper)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_LENGTH, MAX_LENGTH = 2, 20
"""Legal segment lengths L; two frames are the least that have motion between them."""


def check_length(length: int) -> None:
    """Refuse a segment length outside the paper's range.

    Raises:
        ValueError: Naming the value and the legal range.
    """
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise ValueError(
            f"`segment_length` is {length}; it must be between {MIN_LENGTH} and {MAX_LENGTH} frames"
        )


def fit_length(n: int, length: int) -> NDArray[np.int64]:
    """Fit a run of ``n`` frames to ``length`` by the paper's drop/repeat rule.

    A longer run loses (n − L)/2 frames at each end; a shorter one has its first and its last frame
    repeated (L − n)/2 times. An odd remainder goes to the end. (The paper prints (L − 16)/2 and
    uses L for both lengths.)

    Args:
        n: Frames there are, at least 1.
        length: Frames wanted, L, at least 1.

    Returns:
        ``length`` frame indices in 0…n−1, int64, never decreasing.

    Raises:
        ValueError: If there is no frame, or none is wanted.
    """
    if n < 1 or length < 1:
        raise ValueError(f"cannot fit {n} frames to {length}: both must be at least 1")
    start = (n - length) // 2 if n >= length else -((length - n) // 2)
    return np.clip(np.arange(start, start + length, dtype=np.int64), 0, n - 1)


def pairs_of(segments: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs of neighbouring frames of segments, each once: what overlaps is shared.

    Args:
        segments: ``(S, L)`` int64 frame indices.

    Returns:
        The pairs ``(P, 2)``, and ``(S, L−1)`` int64, the pairs that make up each segment.
    """
    runs = np.stack([segments[:, :-1], segments[:, 1:]], axis=-1)  # (S, L−1, 2)
    pairs, at = np.unique(runs.reshape(-1, 2), axis=0, return_inverse=True)
    return pairs, at.reshape(runs.shape[:2])


def windows(
    n: int, length: int, per_clip: int | None = None, stride: int | None = None
) -> NDArray[np.int64]:
    """Return start frames of a clip's segments.

    Args:
        n: Frames of the clip, at least 1.
        length: Frames of a segment, L.
        per_clip: So many evenly spaced starts, ``round(linspace(0, max(n − L, 0), per_clip))``,
            repeated where the clip is short, so that the count is the same for every clip. The
            paper's 19 350 segments of 1290 clips are exactly 15 a clip, the default.
        stride: Instead: 0, s, 2s … while a whole window fits, at least one.

    Returns:
        Start frames, int64. A clip shorter than L has starts 0; ``segment_frames`` fits it.

    Raises:
        ValueError: If both rules are given, or a number is not positive.
    """
    if per_clip is not None and stride is not None:
        raise ValueError(
            f"give per_clip or stride, not both (per_clip={per_clip}, stride={stride})"
        )
    for name, value in (("n", n), ("length", length), ("per_clip", per_clip), ("stride", stride)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    last = np.int64(max(n - length, 0))
    if stride is not None:
        return np.arange(0, last + 1, stride, dtype=np.int64)
    per_clip = per_clip or 15
    return _evenly(last, np.arange(per_clip), per_clip)


def _evenly(
    last: NDArray[np.int64] | np.int64, number: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return ``round(linspace(0, last, count))[number]``, of each ``last`` and its number."""
    step = last / max(count - 1, 1)
    return np.where(number == count - 1, last if count > 1 else 0, np.round(number * step)).astype(
        np.int64
    )


def nearest_stride(frames: Sequence[int], length: int, total: int) -> int:
    """Return the stride that gives a number of segments nearest to a published one.

    Args:
        frames: Of each clip, at least one.
        length: Frames of a segment, L.
        total: The number wanted.

    Returns:
        The stride; of equally near ones the smallest.
    """

    def away(stride: int) -> int:
        return abs(sum(len(windows(n, length, stride=stride)) for n in frames) - total)

    return min(range(1, max(frames) + 1), key=away)


def segment_frames(n: int, length: int, start: int) -> NDArray[np.int64]:
    """Return frame indices of the segment that begins at ``start`` in a clip of ``n`` frames.

    A clip shorter than the segment is fitted by ``fit_length``.

    Raises:
        ValueError: If the window does not lie in the clip.
    """
    if n < length and start == 0:
        return fit_length(n, length)
    if not 0 <= start <= n - length:
        raise ValueError(f"a segment of {length} frames cannot start at {start} in a clip of {n}")
    return np.arange(start, start + length, dtype=np.int64)


@dataclass(frozen=True)
class WindowConfig:
    """Which segments a clip gives.

    Attributes:
        per_clip: So many evenly spaced windows a clip (null if stride is given).
        stride: Instead, a window every so many frames.
    """

    per_clip: int | None = 15
    stride: int | None = None

    def __post_init__(self) -> None:
        """Refuse two rules, none, or numbers below 1."""
        if (self.per_clip is None) == (self.stride is None):
            raise ValueError(
                f"`per_clip` is {self.per_clip} and `stride` {self.stride}; give one "
                "of the two and set the other to null"
            )
        if min(self.per_clip or 1, self.stride or 1) < 1:
            raise ValueError("`per_clip` and `stride` must be at least 1")


@dataclass(frozen=True, eq=False)
class Starts:
    """The start frames of the segments of many clips, computed when they are asked for.

    Attributes:
        frames: ``(N,)`` int64, of each clip, at least 1.
        length: Frames of a segment, L.
        rule: Which segments a clip gives.
    """

    frames: NDArray[np.int64]
    length: int
    rule: WindowConfig

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, clip: int) -> NDArray[np.int64]:
        """Return ``windows`` of a clip."""
        rule = self.rule
        return windows(int(self.frames[clip]), self.length, rule.per_clip, rule.stride)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self[clip] for clip in range(len(self)))

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many segments each clip gives, ``(N,)`` int64."""
        if self.rule.stride is None:
            return np.full(len(self), self.rule.per_clip, np.int64)
        return np.maximum(self.frames - self.length, 0) // self.rule.stride + 1

    def at(self, clips: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the start of one segment of each of some clips.

        Args:
            clips: ``(B,)`` int64, which.
            numbers: ``(B,)`` int64, which of the clip's segments, from 0.
        """
        if self.rule.stride is not None:
            return numbers * self.rule.stride
        last = np.maximum(self.frames[clips] - self.length, 0)
        return _evenly(last, numbers, self.rule.per_clip or 1)
