"""The eye track of one person through a clip: found, interpolated, stabilised."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from vfer.faces.detection import BATCH, detect
from vfer.faces.person import Detection, follow, leapt
from vfer.faces.settings import Eyes, FaceConfig


class NoFaceError(ValueError):
    """A clip in which no face can be followed; the message says what was found."""


@dataclass(frozen=True)
class Track:
    """One face followed through a clip.

    Attributes:
        eyes: Stabilised eye centres of every frame.
        sampled: Frames on which detection ran.
        detected: Those on which this face was found.
        confidence: Mean detection probability of these, 0…1.
        joined: How often it leapt, across a cut perhaps, and was taken for the same by its looks.
    """

    eyes: Eyes
    sampled: int
    detected: int
    confidence: float
    joined: int


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
            f"{config.min_detected:.0%} (data.faces.min_detected)"
        )
    at = [d.frame for d in face]
    ends = np.diff([-1, *at, frames]) - 1
    if ends.max() > config.max_gap:
        first = [-1, *at][int(ends.argmax())] + 1
        raise NoFaceError(
            f"no face in frames {first} to {first + ends.max() - 1} of {frames}, "
            f"{ends.max()} together and more than {config.max_gap} (data.faces.max_gap); "
            f"a face in {len(face)} of {sampled} sampled frames"
        )
    eyes = stabilised(at, np.stack([d.eyes for d in face]), frames, config)
    confidence = float(np.mean([d.probability for d in face]))
    joined = sum(leapt(a, b) for a, b in pairwise(face))
    return Track(eyes, sampled, len(face), confidence, joined)


def stabilised(at: Sequence[int], eyes: Eyes, frames: int, config: FaceConfig) -> Eyes:
    """Return the eyes of every frame, as ``config.stabilise`` says, from those of some frames.

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
        track = gaussian_filter1d(
            track, config.smooth_sigma, axis=0, mode="nearest", radius=reach(config)
        )
    return track.reshape(-1, 2, 2)


def reach(config: FaceConfig) -> int:
    """Return how many frames before and after a frame have a say in its smoothed eyes."""
    return int(4 * config.smooth_sigma + 0.5) if config.stabilise == "smooth" else 0
