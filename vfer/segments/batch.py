"""What a batch of segments is, as it comes from the crop store and as the networks take it."""

from typing import NamedTuple

from torch import Tensor


class SegmentBatch(NamedTuple):
    """Segments as they come from the crop store.

    Attributes:
        frames: ``(B, L, 150, 110, 3)`` uint8 RGB.
        flow: ``(B, L−1, 2, 150, 110)`` float16, crop pixels a frame, or None: compute it.
        label: ``(B,)`` int64, class indices.
        clip: ``(B,)`` int64, indices of the corpus's clips.
        start: ``(B,)`` int64, first frame of the segment in its clip.
        augment: ``(B, 3)`` int64: mirror (0 or 1), shift to the right and down in whole pixels;
            or None. One draw a segment, the same for all its frames.
        warp: ``(B, 3)`` float32: rotation in degrees, enlargement and brightening (both 1 for
            none); or None. Applied after ``augment``; ``flow``, if given, is turned along.
        weight: What the batch's mean loss is multiplied by: 1, but where it is an uneven part of
            a step.
    """

    frames: Tensor
    flow: Tensor | None
    label: Tensor
    clip: Tensor
    start: Tensor
    augment: Tensor | None = None
    warp: Tensor | None = None
    weight: float = 1.0

    def part(self, which: slice) -> "SegmentBatch":
        """Some of the segments."""
        picked = [v[which] if isinstance(v, Tensor) else v for v in self]
        return SegmentBatch(*picked)  # type: ignore[arg-type]


class StreamInputs(NamedTuple):
    """What the networks take.

    Attributes:
        images: Of each stream ``(B, L−1, 3, S, S)`` float32, 0…1; the networks normalise them.
        label: ``(B,)`` int64.
        weight: As in ``SegmentBatch``.
    """

    images: dict[str, Tensor]
    label: Tensor
    weight: float = 1.0
