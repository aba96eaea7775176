"""Records of all faces of an endless video: pieces of tracks, as they become final."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vfer.faces.settings import Eyes, FaceConfig

Ending = Literal["gone", "cut", "end"]
"""Why a track has no more frames: no face for longer than ``max_gap``, a cut, the input's end."""

Timed = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""Consecutive frames ``(t, H, W, 3)`` uint8 RGB, t ≥ 1, and their times ``(t,)`` in seconds."""


@dataclass(frozen=True)
class Piece:
    """Consecutive frames of one track, n ≥ 1; a track is its pieces one after another.

    Attributes:
        track: The track's number: 0, 1 … in the order in which tracks begin; never used again.
        start: Index of the first frame among those given, from 0; the others follow without a hole.
        times: ``(n,)`` float64, seconds, as given.
        boxes: ``(n, 4)`` float64 px: left, top, right, bottom edge.
        eyes: Stabilised eye centres ``(n, 2, 2)`` px, by which the crops were cut.
        crops: ``(n, 150, 110, 3)`` uint8 RGB.
        bridged: ``(n,)`` bool: in a gap, where detection ran and did not find this face.
        confidence: ``(n,)`` float64, 0…1: detection probability, interpolated between detections.
        eye_distance: ``(n,)`` float64, px in the frame: how large the face is.
        turn: ``(n,)`` float64: how far the nose is from the middle of the eyes along their line, in
            eye distances; 0 is frontal, ±0.5 about a profile, above 0 to the image's right. NaN
            where the detector gives no nose.
        sharpness: ``(n,)`` float64: see ``vfer.faces.quality.sharpness``.
        brightness: ``(n,)`` float64, 0…255: see ``vfer.faces.quality.brightness``.
    """

    track: int
    start: int
    times: NDArray[np.float64]
    boxes: NDArray[np.float64]
    eyes: Eyes
    crops: NDArray[np.uint8]
    bridged: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    eye_distance: NDArray[np.float64]
    turn: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    brightness: NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """What became final since the step before.

    Attributes:
        pieces: At most one a track, by its number.
        ended: Tracks that have no more frames, each with the reason.
        done: Every frame before this index is final: where it is in no piece, nobody was followed.
        cuts: First frames of new shots that were found; they may lie after ``done``.
    """

    pieces: tuple[Piece, ...]
    ended: tuple[tuple[int, Ending], ...]
    done: int
    cuts: tuple[int, ...]


class TrackFaces(Protocol):
    """What follows all faces of a video: a generator, with bounded memory and delay."""

    def __call__(
        self, chunks: Iterable[Timed], config: FaceConfig, *, batch: int = 16
    ) -> Iterator[Step]:
        """Yield a step after every run of frames, and one more: ``vfer.faces.stream``."""
