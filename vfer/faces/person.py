"""One person among the faces of a clip, without jumping to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vfer.faces.settings import Follow

Face = tuple[NDArray[np.float64], NDArray[np.float64], float, NDArray[np.float64] | None]
"""Box ``(x0, y0, x1, y1)`` px; eyes ``(2, 2)`` px, (left, right in the image); probability; nose
``(2,)`` px or None."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box ``(x0, y0, x1, y1)`` px, eyes ``(2, 2)`` px, probability.

    The nose ``(2,)`` px is None where the detector gives none.
    """

    frame: int
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]
    probability: float
    nose: NDArray[np.float64] | None = None


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0.0) * max(height, 0.0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def weigh(rule: Follow, box: NDArray[np.float64], width: int, height: int) -> float:
    """Return how much one frame counts for a face; whose sum is greatest is followed.

    Args:
        rule: ``largest``: the box's area; ``longest``: 1; ``central``: nearness to the frame's
            middle, which is 1 there and 0 in the corners.
        box: Left, top, right, bottom edge, px.
        width: Of the frame, px; only ``central`` asks.
        height: Of the frame, px.
    """
    if rule == "longest":
        return 1.0
    if rule == "largest":
        return float(np.prod(box[2:] - box[:2]))
    corner = np.array([width, height]) / 2
    away = np.linalg.norm((box[:2] + box[2:]) / 2 - corner)
    return max(0.0, 1 - float(away / np.linalg.norm(corner)))


def match(known: Sequence[Detection], found: Sequence[Detection]) -> dict[int, int]:
    """Return which of the faces known before each face of a frame is, by their places.

    Pairs are taken by the overlap of their boxes, the greatest first, each face once and by more
    than 0.3: whoever leaps is a new face, and a track does not jump between people.

    Args:
        known: The last detection of each face known.
        found: Those of one frame.

    Returns:
        Places in ``known`` by places in ``found``; new faces are left out.
    """
    pairs = [
        (_overlap(a.box, b.box), i, j) for i, a in enumerate(known) for j, b in enumerate(found)
    ]
    same: dict[int, int] = {}
    for overlap, i, j in sorted(pairs, reverse=True):
        if overlap > 0.3 and i not in same.values() and j not in same:
            same[j] = i
    return same


def follow(
    detections: list[Detection], rule: Follow = "largest", width: int = 0, height: int = 0
) -> list[Detection]:
    """Detections of one face: of all that ``match`` tells apart, the weightiest by the rule.

    Args:
        detections: In the order of frames, at least one.
        rule: See ``weigh``, which is summed over the detections of a face.
        width: Of the frames, px.
        height: Of the frames, px.
    """
    runs: list[list[Detection]] = []
    for _, group in groupby(detections, key=lambda d: d.frame):
        found = list(group)
        same = match([run[-1] for run in runs], found)
        for j, detection in enumerate(found):
            if j in same:
                runs[same[j]].append(detection)
            else:
                runs.append([detection])
    return max(runs, key=lambda run: sum(weigh(rule, d.box, width, height) for d in run))
