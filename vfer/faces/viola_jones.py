"""Faces and eyes by OpenCV's Haar cascades, as the paper's detector works.

Viola and Jones, "Robust real-time face detection", IJCV 57 (2004). Needs the extra ``opencv``.
"""

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfer.faces.person import Face

cv2: Any = import_module("cv2") if find_spec("cv2") else None  # an optional extra

_NEIGHBOURS = 4  # detections that must agree
_STEP = 1.1  # from one size to the next


@lru_cache(maxsize=2)
def _classifier(name: str) -> Any:  # noqa: ANN401 - OpenCV's
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))


def find_faces(image: NDArray[np.uint8], smallest: int) -> list[Face]:
    """Return faces in whose upper half two eyes of about one height and size are found.

    OpenCV gives no probability, which counts as 1, and no nose.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        smallest: Side of the smallest face looked for, px.
    """
    grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    finder = _classifier("haarcascade_frontalface_default.xml")
    found: list[Face] = []
    for x, y, side, _ in finder.detectMultiScale(
        grey, _STEP, _NEIGHBOURS, minSize=(smallest, smallest)
    ):
        eyes = _eyes(grey[y : y + side * 3 // 5, x : x + side], side)
        if eyes is not None:
            box = np.array([x, y, x + side, y + side], dtype=np.float64)
            found.append((box, eyes + np.array([x, y]), 1.0, None))
    return found


def _eyes(upper: NDArray[np.uint8], side: int) -> NDArray[np.float64] | None:
    """Both eyes in the upper part of a face of a side's width, in its px; None without a pair."""
    # each half by itself: the cascade often sees one eye only, or a brow
    middle, pair = side // 2, []
    finder = _classifier("haarcascade_eye.xml")
    for start, stop in ((0, middle), (middle, side)):
        seen = finder.detectMultiScale(
            upper[:, start:stop], _STEP, _NEIGHBOURS - 1, minSize=(side // 8, side // 8)
        )
        if not len(seen):
            return None
        x, y, width, height = max(seen, key=lambda eye: int(eye[2]))
        pair.append([start + x + (width - 1) / 2, y + (height - 1) / 2])
    eyes = np.array(pair)
    apart = eyes[1] - eyes[0]
    likely = 0.25 * side < apart[0] < 0.65 * side and abs(apart[1]) < 0.35 * apart[0]
    return eyes if likely else None
