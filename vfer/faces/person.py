"""One person among the faces of a clip, without jumping to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
from numpy.typing import NDArray

from vfer.faces.appearance import ALIKE, difference
from vfer.faces.settings import Follow

SAME_PLACE = 0.3
"""Boxes that overlap by more are of one face."""
RECENT = 3
"""Last detections of a face that say what it looks like: the eyes of one may be off."""

Face = tuple[NDArray[np.float64], NDArray[np.float64], float, NDArray[np.float64] | None]
"""Box ``(x0, y0, x1, y1)`` px; eyes ``(2, 2)`` px, (left, right in the image); probability; nose
``(2,)`` px or None."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box ``(x0, y0, x1, y1)`` px, eyes ``(2, 2)`` px, probability.

    The nose ``(2,)`` px is None where the detector gives none, and what the face looks like, see
    ``vfer.faces.appearance``, where that is not known.
    """

    frame: int
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]
    probability: float
    nose: NDArray[np.float64] | None = None
    appearance: NDArray[np.float64] | None = None


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


def _differ(known: Sequence[Detection], found: Detection) -> float:
    """Return how different a face looks from one known; infinity where that is not known."""
    looks = [d.appearance for d in known[-RECENT:] if d.appearance is not None]
    if found.appearance is None:
        return float("inf")
    return min((difference(look, found.appearance) for look in looks), default=float("inf"))


def match(known: Sequence[Sequence[Detection]], found: Sequence[Detection]) -> dict[int, int]:
    """Return which of the faces known before each face of a frame is: by place, else by looks.

    First pairs are taken by the overlap of their boxes, the greatest first, each face once and by
    more than 0.3. Of the faces that are left those most alike are the same person, who moved fast,
    where they differ by no more than ``ALIKE``. A track does not jump between people.

    Args:
        known: The detections of each face known: the last has its place, the last ``RECENT`` its
            looks.
        found: Those of one frame.

    Returns:
        Places in ``known`` by places in ``found``; new faces are left out.
    """
    same: dict[int, int] = {}
    pairs = list(product(range(len(known)), range(len(found))))
    near = [(_overlap(known[i][-1].box, found[j].box), i, j) for i, j in pairs]
    for overlap, i, j in sorted(near, reverse=True):
        if overlap > SAME_PLACE and i not in same.values() and j not in same:
            same[j] = i
    left = [(i, j) for i, j in pairs if i not in same.values() and j not in same]
    for differ, i, j in sorted((_differ(known[i], found[j]), i, j) for i, j in left):
        if differ <= ALIKE and i not in same.values() and j not in same:
            same[j] = i
    return same


def leapt(a: Detection, b: Detection) -> bool:
    """Return whether two detections of one face are too far apart to be told by their places."""
    return _overlap(a.box, b.box) <= SAME_PLACE


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
        same = match(runs, found)
        for j, detection in enumerate(found):
            if j in same:
                runs[same[j]].append(detection)
            else:
                runs.append([detection])
    return max(runs, key=lambda run: sum(weigh(rule, d.box, width, height) for d in run))
