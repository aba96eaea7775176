"""From frames to aligned face crops: one eye track a clip, one warp a frame.

Section 3.2 of the paper: the crop is normalised by the eye distance d, about 2d wide and 3d high,
150×110 pixels. Here d = 55 px, so the crop is 2d wide; the eye row is at a third of its height.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch.nn import functional as F

from vfer import cascade, viola_jones
from vfer.follow import Detection, Face, Follow, follow

HEIGHT, WIDTH = 150, 110
"""The crop, in pixels."""

BATCH = 16
"""Sampled frames that the detector sees at a time, counted from the clip's start: convolutions are
not batch independent to the bit."""

Eyes = NDArray[np.float64]
"""Eye centres in frame pixels, ``(T, 2, 2)``: frame, (left, right in the image), (x, y)."""


class NoFaceError(ValueError):
    """A clip in which no face can be followed; the message says what was found."""


Detector = Literal["mtcnn", "viola_jones"]
Device = Literal["cpu", "cuda"]
Stabilise = Literal["clip", "smooth", "frame"]


@dataclass(frozen=True)
class FaceConfig:
    """How faces are found and aligned. Every value changes pixels of the crops.

    Attributes:
        detector: ``mtcnn``, or ``viola_jones`` as in the paper, which needs the extra ``opencv``.
        device: Where MTCNN runs, ``cpu`` or ``cuda``; the two differ in the last bits.
        follow: Which of several people: the ``largest`` and most lasting, the one seen ``longest``,
            or the most ``central``; see ``vfer.follow.follow``.
        detect_every: Detection runs on every so many frames and on the last, eyes are
            interpolated between; at least 1.
        min_face: Smallest face looked for at first, as a fraction of the frame's shorter side, in
            0…1. MTCNN looks again, down to 20 px, where it finds none at all.
        min_detected: A clip with a face in a smaller fraction of its sampled frames is marked
            ``no_face``, 0…1.
        max_gap: Longest run of frames without a detection whose eyes are interpolated, or at the
            ends repeated; a clip with a longer one is marked ``no_face``. At least
            ``detect_every`` − 1.
        stabilise: ``smooth`` the eye track over time, one place a ``clip``, or each ``frame`` as
            detected. Eyes jitter between frames, and a crop that jitters is false optical flow.
        smooth_sigma: Standard deviation of the smoothing, in frames.
        eye_distance: Distance of the eyes in the crop, pixels.
        eye_row: Height of the eyes in the crop, as a fraction from the top.
    """

    detector: Detector = "mtcnn"
    device: Device = "cpu"
    follow: Follow = "largest"
    detect_every: int = 4
    min_face: float = 0.2
    min_detected: float = 0.5
    max_gap: int = 25
    stabilise: Stabilise = "smooth"
    smooth_sigma: float = 2.0
    eye_distance: float = 55.0
    eye_row: float = 1 / 3

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name, choice in (
            ("detector", Detector),
            ("device", Device),
            ("follow", Follow),
            ("stabilise", Stabilise),
        ):
            value, legal = getattr(self, name), get_args(choice)
            if value not in legal:
                raise ValueError(f"faces.{name} is {value}; it must be one of {', '.join(legal)}")
        if self.detector == "viola_jones":
            viola_jones.check()
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("faces.device is cuda and there is none here; set it to cpu")
        for name, low, high in (
            ("detect_every", 1, 1000),
            ("min_face", 0.01, 1),
            ("min_detected", 0, 1),
            ("max_gap", self.detect_every - 1, 100_000),
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


def detect(
    indices: Sequence[int], frames: NDArray[np.uint8], config: FaceConfig
) -> list[Detection]:
    """All faces in some frames of one clip.

    Where MTCNN finds no face of ``config.min_face`` or more, it looks again: down to the smallest
    in two frames of the batch if none holds a face, and for ones of half the size of those found in
    the others.

    Args:
        indices: The frames' places in the clip.
        frames: ``(T, H, W, 3)`` uint8 RGB.
        config: See ``FaceConfig``.

    Returns:
        Detections in the order of frames.
    """
    smallest = max(cascade.SMALLEST, config.min_face * min(frames.shape[1:3]))
    if config.detector == "viola_jones":
        found = [viola_jones.find(frame, round(smallest)) for frame in frames]
    else:
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).to(config.device)
        found = _cascade(images, smallest)
        if not any(found):
            for i in {len(found) // 4, 3 * len(found) // 4}:  # one at a fade or a blink is not all
                found[i] = found[i] or _cascade(images[i : i + 1], cascade.SMALLEST)[0]
        empty = [i for i, faces in enumerate(found) if not faces]
        sides = [box[2] - box[0] for faces in found for box, *_ in faces]
        half = max(cascade.SMALLEST, min(sides, default=np.inf) / 2)
        if empty and half < smallest:
            for i, faces in zip(empty, _cascade(images[empty], half), strict=True):
                found[i] = faces
    return [
        Detection(index, *face)
        for index, faces in zip(indices, found, strict=True)
        for face in faces
    ]


def _cascade(images: torch.Tensor, smallest: float) -> list[list[Face]]:
    """Box, eyes and probability of every face in every frame."""
    faces = cascade.find(images, smallest)
    _, *columns = (x.cpu().numpy().astype(np.float64) for x in faces)
    found: list[list[Face]] = [[] for _ in images]
    for i, box, eyes, probability in zip(faces.frame.tolist(), *columns, strict=True):
        found[i].append((box, eyes, float(probability)))
    return found


def _sampled(
    chunks: Iterable[NDArray[np.uint8]], every: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Every so many frames of a clip and the last, each with its index; at the end its length."""
    count, last = 0, None
    for chunk in chunks:
        for i in range(-count % every, len(chunk), every):
            yield count + i, chunk[i].copy()  # so that the run can go
        count, last = count + len(chunk), chunk[-1]
    if last is None:
        raise ValueError("a clip without frames has no face to follow")
    if (count - 1) % every:
        yield count - 1, last


def track(chunks: Iterable[NDArray[np.uint8]], config: FaceConfig) -> Track:
    """Find, follow and stabilise one face.

    Eyes of frames between two detections are interpolated, those before the first and after the
    last repeated. Nothing depends on how the clip is cut into runs, nor on other clips.

    Args:
        chunks: The clip's frames in order, in runs ``(t, H, W, 3)`` uint8 RGB, t ≥ 1.
        config: See ``FaceConfig``.

    Raises:
        NoFaceError: If the face is in too few of the sampled frames, or away for too long.
    """
    samples = _sampled(chunks, config.detect_every)
    indices: list[int] = []
    detections: list[Detection] = []
    height = width = 0
    while batch := list(islice(samples, BATCH)):
        places, images = zip(*batch, strict=True)
        indices += places
        detections += detect(places, np.stack(images), config)
        height, width = images[0].shape[:2]
    sampled, frames = len(indices), indices[-1] + 1
    face = follow(detections, config.follow, width, height) if detections else []
    if len(face) < max(1.0, config.min_detected * sampled):
        raise NoFaceError(
            f"a face in {len(face)} of {sampled} sampled frames, fewer than "
            f"{config.min_detected:.0%} (faces.min_detected)"
        )
    at = [d.frame for d in face]
    ends = np.diff([-1, *at, frames]) - 1
    if ends.max() > config.max_gap:
        first = [-1, *at][int(ends.argmax())] + 1
        raise NoFaceError(
            f"no face in frames {first} to {first + ends.max() - 1} of {frames}, "
            f"{ends.max()} together and more than {config.max_gap} (faces.max_gap); "
            f"a face in {len(face)} of {sampled} sampled frames"
        )
    eyes = stabilised(at, np.stack([d.eyes for d in face]), frames, config)
    confidence = float(np.mean([d.probability for d in face]))
    return Track(eyes, sampled, len(face), confidence)


def stabilised(at: Sequence[int], eyes: Eyes, frames: int, config: FaceConfig) -> Eyes:
    """The eyes of every frame, as ``config.stabilise`` says, from those of some frames.

    Args:
        at: The frames in which the eyes are known, ascending, N ≥ 1.
        eyes: These eyes, ``(N, 2, 2)`` px.
        frames: How many frames there are, T.
        config: See ``FaceConfig``.

    Returns:
        ``(T, 2, 2)`` px: interpolated between, at the ends repeated, and stabilised.
    """
    if config.stabilise == "clip":
        return np.broadcast_to(np.median(eyes, axis=0), (frames, 2, 2))
    known = eyes.reshape(-1, 4)
    track = np.stack([np.interp(np.arange(frames), at, known[:, i]) for i in range(4)], axis=1)
    if config.stabilise == "smooth":
        track = gaussian_filter1d(track, config.smooth_sigma, axis=0, mode="nearest")
    return track.reshape(-1, 2, 2)


@lru_cache(maxsize=16)
def _places(size: int, fine: int, origin: float) -> NDArray[np.float64]:
    """Sample places along an axis of a crop, ``(fine, size)`` px from the origin."""
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
