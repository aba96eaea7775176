"""From frames to aligned face crops: MTCNN, one eye track a clip, one warp a frame.

Section 3.2 of the paper: the crop is normalised by the eye distance d, about 2d wide and 3d high,
150×110 pixels. Here d = 55 px, so the crop is 2d wide; the eye row is at a third of its height.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Literal, get_args

import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch.nn import functional as F

HEIGHT, WIDTH = 150, 110
"""The crop, in pixels."""

Eyes = NDArray[np.float64]
"""Eye centres in frame pixels, ``(T, 2, 2)``: frame, (left, right in the image), (x, y)."""


class NoFaceError(ValueError):
    """A clip in which no face can be followed; the message says what was found."""


Stabilise = Literal["clip", "smooth", "frame"]


@dataclass(frozen=True)
class FaceConfig:
    """How faces are found and aligned. Every value changes pixels of the crops.

    Attributes:
        detect_every: Detection runs on every so many frames and on the last, eyes are
            interpolated between; at least 1.
        min_face: Smallest face looked for, as a fraction of the frame's shorter side, in 0…1.
        min_detected: A clip with a face in a smaller fraction of its sampled frames is marked
            ``no_face``, 0…1.
        stabilise: ``smooth`` the eye track over time, one place a ``clip``, or each ``frame`` as
            detected. Eyes jitter between frames, and a crop that jitters is false optical flow.
        smooth_sigma: Standard deviation of the smoothing, in frames.
        eye_distance: Distance of the eyes in the crop, pixels.
        eye_row: Height of the eyes in the crop, as a fraction from the top.
    """

    detect_every: int = 4
    min_face: float = 0.15
    min_detected: float = 0.5
    stabilise: Stabilise = "smooth"
    smooth_sigma: float = 2.0
    eye_distance: float = 55.0
    eye_row: float = 1 / 3

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if self.stabilise not in get_args(Stabilise):
            legal = ", ".join(get_args(Stabilise))
            raise ValueError(f"faces.stabilise is {self.stabilise}; it must be one of {legal}")
        for name, low, high in (
            ("detect_every", 1, 1000),
            ("min_face", 0.01, 1),
            ("min_detected", 0, 1),
            ("smooth_sigma", 0.01, 100),
            ("eye_distance", 1, WIDTH),
            ("eye_row", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"faces.{name} is {value}; it must be between {low} and {high}")


@dataclass(frozen=True)
class Track:
    """One face followed through a clip.

    Attributes:
        eyes: Stabilised eye centres of every frame.
        sampled: Frames on which detection ran.
        detected: Those on which this face was found.
        confidence: Mean detection probability of these, 0…1.
    """

    eyes: Eyes
    sampled: int
    detected: int
    confidence: float


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box ``(x0, y0, x1, y1)`` px, eyes ``(2, 2)`` px, probability."""

    frame: int
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]
    probability: float


@lru_cache(maxsize=4)
def _detector(min_face_size: int) -> MTCNN:
    return MTCNN(min_face_size=min_face_size, keep_all=True, device="cpu")


def detect(frames: NDArray[np.uint8], config: FaceConfig, chunk: int = 16) -> list[Detection]:
    """All faces in the sampled frames of one clip, by facenet-pytorch's MTCNN.

    Batches hold frames of this clip only, so that its result does not depend on other clips.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        config: See ``FaceConfig``.
        chunk: Frames a batch.

    Returns:
        Detections in the order of frames.
    """
    if min(frames.shape[1:3]) < 20:  # less than the smallest face MTCNN knows
        return []
    last = len(frames) - 1
    sampled = sorted({*range(0, len(frames), config.detect_every), last})
    mtcnn = _detector(max(20, round(config.min_face * min(frames.shape[1:3]))))
    found = []
    for start in range(0, len(sampled), chunk):
        indices = sampled[start : start + chunk]
        boxes, probabilities, points = mtcnn.detect(frames[indices], landmarks=True)
        for frame, *faces in zip(indices, boxes, probabilities, points, strict=True):
            if faces[0] is None:
                continue
            for box, probability, landmarks in zip(*faces, strict=True):
                eyes = np.asarray(landmarks[:2], dtype=np.float64)
                found.append(Detection(frame, np.asarray(box, float), eyes, float(probability)))
    return found


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0.0) * max(height, 0.0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def follow(detections: list[Detection]) -> list[Detection]:
    """The face that is largest and lasts longest: greatest sum of box areas over its frames.

    The detections of a frame continue the runs whose last boxes they overlap most, each run at
    most one and by more than 0.3; so a run does not jump between people.
    """
    runs: list[list[Detection]] = []
    for _, group in groupby(detections, key=lambda d: d.frame):
        found = list(group)
        pairs = [(_overlap(run[-1].box, d.box), i, j)
                 for i, run in enumerate(runs) for j, d in enumerate(found)]  # fmt: skip
        taken_runs: set[int] = set()
        taken: set[int] = set()
        for overlap, i, j in sorted(pairs, reverse=True):
            if overlap > 0.3 and i not in taken_runs and j not in taken:
                runs[i].append(found[j])
                taken_runs.add(i)
                taken.add(j)
        runs += [[d] for j, d in enumerate(found) if j not in taken]
    return max(runs, key=lambda run: sum(float(np.prod(d.box[2:] - d.box[:2])) for d in run))


def track(chunks: Iterable[NDArray[np.uint8]], config: FaceConfig) -> Track:
    """Find, follow and stabilise one face.

    Eyes of frames between two detections are interpolated, those before the first and after the
    last repeated.

    Args:
        chunks: Runs of frames ``(t, H, W, 3)`` uint8 RGB, in order; at least one frame.
        config: See ``FaceConfig``.

    Raises:
        NoFaceError: If the face is in too few of the sampled frames.
    """
    frames = np.concatenate(list(chunks))
    detections = detect(frames, config)
    sampled = len({*range(0, len(frames), config.detect_every), len(frames) - 1})
    face = follow(detections) if detections else []
    if len(face) < max(1.0, config.min_detected * sampled):
        raise NoFaceError(
            f"a face in {len(face)} of {sampled} sampled frames, fewer than "
            f"{config.min_detected:.0%} (faces.min_detected)"
        )
    at = [d.frame for d in face]
    found = np.stack([d.eyes for d in face]).reshape(len(face), 4)
    every = np.arange(len(frames))
    eyes = np.stack([np.interp(every, at, found[:, i]) for i in range(4)], axis=1)
    if config.stabilise == "smooth":
        eyes = gaussian_filter1d(eyes, config.smooth_sigma, axis=0, mode="nearest")
    elif config.stabilise == "clip":
        eyes = np.broadcast_to(np.median(found, axis=0), eyes.shape)
    confidence = float(np.mean([d.probability for d in face]))
    return Track(eyes.reshape(-1, 2, 2), sampled, len(face), confidence)


def align(
    frames: NDArray[np.uint8], eyes: Eyes, config: FaceConfig, chunk: int = 16
) -> NDArray[np.uint8]:
    """Cut the face of each frame, its eyes at fixed places, by one warp from the full frame.

    The similarity that takes the eyes to their places is sampled bilinearly on a grid finer than
    the frame and averaged to the crop's, so that shrinking does not alias. Outside the frame the
    border repeats.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        eyes: Eye centres, ``(T, 2, 2)`` px.
        config: See ``FaceConfig``.
        chunk: Frames warped at a time.

    Returns:
        ``(T, 150, 110, 3)`` uint8 RGB.
    """
    height, width = frames.shape[1:3]
    left, right = eyes[:, 0] @ (1, 1j), eyes[:, 1] @ (1, 1j)  # (T,) complex: x + iy
    turn = (right - left) / config.eye_distance  # rotation and scale, frame px a crop px
    middle = (left + right) / 2
    centre = complex((WIDTH - 1) / 2, config.eye_row * HEIGHT - 0.5)
    fine = max(1, int(np.ceil(np.abs(turn).max())))  # samples a crop pixel and axis
    x = (np.arange(WIDTH * fine) + 0.5) / fine - 0.5
    y = (np.arange(HEIGHT * fine) + 0.5) / fine - 0.5
    offsets = (x[None, :] + 1j * y[:, None]) - centre
    crops = np.empty((len(frames), HEIGHT, WIDTH, 3), np.uint8)
    for start in range(0, len(frames), chunk):
        part = slice(start, start + chunk)
        places = middle[part, None, None] + turn[part, None, None] * offsets  # (t, h, w) complex
        grid = np.stack(
            [(2 * places.real + 1) / width - 1, (2 * places.imag + 1) / height - 1], axis=-1
        )
        images = torch.from_numpy(frames[part]).permute(0, 3, 1, 2).float()
        sampled = F.grid_sample(
            images,
            torch.from_numpy(grid.astype(np.float32)),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        averaged = F.avg_pool2d(sampled, fine)
        crops[part] = averaged.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return crops
