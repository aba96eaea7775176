"""From eye positions to face crops, one warp a frame.

Section 3.2 of the paper: the crop is normalised by the eye distance d, about 2d wide and 3d high,
150×110 pixels. Here d = 55 px, so the crop is 2d wide; the eye row is at a third of its height.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vfer.faces.settings import HEIGHT, WIDTH, Eyes, FaceConfig


@lru_cache(maxsize=16)
def _places(size: int, fine: int, origin: float) -> NDArray[np.float64]:
    """Return sample places along an axis of a crop, ``(fine, size)`` px from the origin."""
    places = (np.arange(size * fine) + 0.5) / fine - origin
    return np.ascontiguousarray(places.reshape(size, fine).T)


def align(frames: NDArray[np.uint8], eyes: Eyes, config: FaceConfig) -> NDArray[np.uint8]:
    """Cut the face of each frame, its eyes at fixed places, by one warp from the full frame.

    The similarity that takes the eyes to their places is sampled bilinearly on a grid finer than
    the frame and averaged to the crop's, so that shrinking does not alias. Outside the frame the
    border repeats. Each crop is a function of its own frame and eyes.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        eyes: Eye centres, ``(T, 2, 2)`` px.
        config: See ``FaceConfig``.

    Returns:
        ``(T, 150, 110, 3)`` uint8 RGB.
    """
    limits = np.array(frames.shape[2:0:-1])  # width, height
    corners = np.array([[x, y] for x in (-0.5, 0.5) for y in (-config.eye_row, 1 - config.eye_row)])
    corners *= (WIDTH, HEIGHT)
    crops = np.empty((len(frames), HEIGHT, WIDTH, 3), np.uint8)
    for frame, (left, right), crop in zip(frames, eyes, crops, strict=True):
        cos, sin = (right - left) / config.eye_distance  # rotation and scale, frame px a crop px
        turn = np.array([[cos, sin], [-sin, cos]])
        middle = (left + right) / 2
        reach = corners @ turn + middle
        start = np.clip(np.floor(reach.min(0)).astype(int) - 1, 0, limits - 1)
        stop = np.clip(np.ceil(reach.max(0)).astype(int) + 2, start + 1, limits)
        part = frame[start[1] : stop[1], start[0] : stop[0]]
        size = stop - start
        fine = max(1, int(np.ceil(np.hypot(cos, sin))))  # samples a crop pixel and axis
        # grid_sample's coordinates: −1 and 1 are the edges of the part
        along, down = turn * 2 / size
        rows = _places(HEIGHT, fine, config.eye_row * HEIGHT)[:, None, :, None, None] * down
        rows += ((middle - start) * 2 + 1) / size - 1
        columns = _places(WIDTH, fine, WIDTH / 2)[None, :, None, :, None] * along
        # samples of one crop pixel lie in planes of their own: cheaper to average than squares
        places = torch.from_numpy(rows).float() + torch.from_numpy(columns).float()
        sampled = F.grid_sample(
            torch.from_numpy(part).permute(2, 0, 1)[None].float(),
            places.view(1, -1, WIDTH, 2),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        averaged = sampled.view(3, -1, HEIGHT, WIDTH).mean(1)
        crop[:] = averaged.round_().clamp_(0, 255).byte().permute(1, 2, 0).numpy()
    return crops
