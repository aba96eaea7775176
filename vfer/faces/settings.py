"""How faces are found and aligned, and the size of a crop."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 150, 110
"""The crop, in pixels."""

Eyes = NDArray[np.float64]
"""Eye centres in frame pixels, ``(T, 2, 2)``: frame, (left, right in the image), (x, y).

The centre of a frame's first pixel is 0, as everywhere but in boxes, which are edges.
"""

LIMITS = {
    "detect_every": (1, 1000),
    "min_face": (0.01, 1),
    "min_detected": (0, 1),
    "max_gap": (0, 100_000),
    "smooth_sigma": (0.01, 100),
    "eye_distance": (1, WIDTH),
    "eye_row": (0, 1),
}
"""Of every number the lowest and the highest; ``max_gap`` is at least ``detect_every`` − 1."""

Detector = Literal["mtcnn", "viola_jones"]
Device = Literal["cpu", "cuda"]
Follow = Literal["largest", "longest", "central"]
Stabilise = Literal["clip", "smooth", "frame"]


def _has_cuda() -> bool:
    import torch  # takes seconds, and is rarely asked

    return torch.cuda.is_available()


@dataclass(frozen=True)
class FaceConfig:
    """How faces are found and aligned. Every value changes pixels of the crops.

    Attributes:
        detector: ``mtcnn``, or ``viola_jones`` as in the paper, which needs the extra ``opencv``.
        device: Where MTCNN runs, ``cpu`` or ``cuda``; the two differ in the last bits.
        follow: Which of several people: the ``largest`` and most lasting, the one seen ``longest``,
            or the most ``central``; see ``vfer.faces.person.follow``.
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
                raise ValueError(f"`{name}` is {value}; it must be one of {', '.join(legal)}")
        if self.detector == "viola_jones" and find_spec("cv2") is None:
            raise ValueError(
                "`detector` is viola_jones, which needs OpenCV: pip install 'vfer[opencv]', or "
                "choose mtcnn"
            )
        if self.device == "cuda" and not _has_cuda():
            raise ValueError("`device` is cuda and there is none here; set it to cpu")
        gaps = {"max_gap": (self.detect_every - 1, LIMITS["max_gap"][1])}
        for name, (low, high) in (LIMITS | gaps).items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"`{name}` is {value}; it must be between {low} and {high}")
