"""How near optical flow comes to the true motion of the built-in corpus's skin."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import Truth, draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.settings import HEIGHT, WIDTH, Eyes, FaceConfig

Floats = NDArray[np.float64]
BORDER = 8  # px of an image that are left out
FAST = 0.5  # px a frame: skin that moves further is judged by itself as well


def drawn_clips(config: FacsConfig) -> list[tuple[NDArray[np.uint8], Truth]]:
    """A clip of each emotion, each of another subject: frames ``(T, H, W, 3)`` and what is true."""
    return [draw_clip(config, k + 1, emotion, 1) for k, emotion in enumerate(EMOTIONS)]


def errors(clips: Iterable[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Mean end-point errors, px: of all skin, and of what moves further than `FAST`.

    Args:
        clips: What `skin_motion` gives of each.
    """
    found, true = (np.concatenate(parts) for parts in zip(*clips, strict=True))
    error, fast = np.hypot(*(found - true).T), np.hypot(*true.T) > FAST
    return float(error.mean()), float(error[fast].mean())


def in_crop(points: Floats, eyes: NDArray[np.floating], config: FaceConfig) -> Floats:
    """Where points ``(N, 2)`` of a frame lie in its crop, as `vfer.faces.alignment.align` cuts it.

    Args:
        points: x and y, px, pixel centres whole.
        eyes: ``(2, 2)`` px, of this frame.
        config: Of the crop.
    """
    left, right = eyes.astype(np.float64)
    cos, sin = (right - left) / config.eye_distance
    turn = np.array([[cos, sin], [-sin, cos]])
    origin = np.array([WIDTH / 2, config.eye_row * HEIGHT])
    places: Floats = (points - (left + right) / 2) @ np.linalg.inv(turn) + origin - 0.5
    return places


def skin_motion(
    flow: NDArray[np.float32], truth: Truth, eyes: Eyes | None = None, first: int = 0
) -> tuple[Floats, Floats]:
    """The motion that a flow finds and the true one, where skin is seen.

    Args:
        flow: ``(T − 1, 2, H, W)`` px a frame, between frames of a drawn clip or their crops.
        truth: What is true of the clip.
        eyes: Of crops, the eyes ``(T, 2, 2)`` by which they were cut; None for whole frames.
        first: The frame of the clip that is the flow's first.

    Returns:
        Found and true motion ``(N, 2)`` of all pairs, x and y, px of the flow's images.
    """
    rows, columns = (truth.step * np.arange(n, dtype=np.float64) for n in truth.valid.shape[1:])
    raster = np.stack(np.meshgrid(columns + truth.offset[0], rows + truth.offset[1]), axis=-1)
    found, true = [], []
    for pair, number in zip(flow, range(first, first + len(flow)), strict=True):
        valid = truth.valid[number]
        before = raster[valid]
        after = before + truth.motion[number][valid].astype(np.float64)
        if eyes is not None:
            before = in_crop(before, eyes[number], FaceConfig())
            after = in_crop(after, eyes[number + 1], FaceConfig())
        limits = np.array(pair.shape[:0:-1]) - 1 - BORDER
        inside = ((before >= BORDER) & (before <= limits)).all(1)
        at = before[inside, ::-1].T
        found.append(np.stack([ndimage.map_coordinates(x, at, order=1) for x in pair], axis=-1))
        true.append((after - before)[inside])
    return np.concatenate(found), np.concatenate(true)
