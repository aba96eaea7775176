"""One person among the faces of a clip, without jumping to another."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vfer.faces.settings import Follow

Face = tuple[NDArray[np.float64], NDArray[np.float64], float]
"""Box ``(x0, y0, x1, y1)`` px; eyes ``(2, 2)`` px, (left, right in the image); probability."""


@dataclass(frozen=True)
class Detection:
    """One face in one frame: box ``(x0, y0, x1, y1)`` px, eyes ``(2, 2)`` px, probability."""

    frame: int
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]
    probability: float


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0.0) * max(height, 0.0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def follow(
    detections: list[Detection], rule: Follow = "largest", width: int = 0, height: int = 0
) -> list[Detection]:
    """Detections of one face, which the rule chooses among the people seen.

    The detections of a frame continue the runs whose last boxes they overlap most, each run at
    most one and by more than 0.3; so a run does not jump between people.

    Args:
        detections: In the order of frames, at least one.
        rule: ``largest``: the greatest sum of box areas over its frames; ``longest``: in most
            frames; ``central``: the greatest sum of nearness to the frame's middle, which is 1
            there and 0 in the corners.
        width: Of the frames, px; only ``central`` asks.
        height: Of the frames, px.
    """
    corner = np.array([width, height]) / 2

    def near(d: Detection) -> float:
        away = np.linalg.norm((d.box[:2] + d.box[2:]) / 2 - corner)
        return max(0.0, 1 - float(away / np.linalg.norm(corner)))

    weights: dict[Follow, Callable[[Detection], float]] = {
        "largest": lambda d: float(np.prod(d.box[2:] - d.box[:2])),
        "longest": lambda d: 1.0,
        "central": near,
    }
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
    return max(runs, key=lambda run: sum(weights[rule](d) for d in run))
