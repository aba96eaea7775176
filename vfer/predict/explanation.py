"""What carried the decision about a window: records and regions of the face, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig

ROWS, COLUMNS = 15, 11
"""Cells of a `StreamShare.map`: two eye distances wide, the row of the eyes at a third."""
REGIONS = ("forehead", "brows", "eyes", "nose", "cheeks", "mouth", "chin", "around")
"""Parts of a face; ``around`` is hair, ears and background beside it."""

_BROWS, _EYES, _NOSE, _MOUTH, _CHIN = -0.6, -0.2, 0.25, 0.8, 1.35
"""Where they begin, downwards from the row of the eyes, in eye distances."""
_FACE, _LIPS, _BRIDGE = 0.85, 0.55, 0.35
"""Half widths of the face, the mouth and chin, and the nose, in eye distances."""


@dataclass(frozen=True)
class StreamShare:
    """What one stream adds to the explained logit, and where it looks.

    Attributes:
        share: The sum of ``frames``.
        frames: What each image adds to the logit, L−1 of them; exact.
        regions: Of each of `REGIONS` its share of the map, 0…1, sum 1; empty where the map is
            nowhere above 0.
        map: What raises the logit, at the last convolution, summed over the images
            (``vfer.predict.gradcam``): `ROWS` rows from the forehead down, of `COLUMNS` cells from
            the left of the image, two hexadecimal digits each; ff is the strongest cell.
    """

    share: float
    frames: tuple[float, ...]
    regions: Mapping[str, float]
    map: tuple[str, ...]

    @property
    def strongest(self) -> str | None:
        """The region with the largest share of the map; None where the map is empty."""
        return max(self.regions, key=self.regions.__getitem__, default=None)

    @property
    def cells(self) -> NDArray[np.float64]:
        """The map, ``(ROWS, COLUMNS)``, 0…1."""
        rows = [list(bytes.fromhex(row)) for row in self.map]
        return np.array(rows, np.float64) / 255


@dataclass(frozen=True)
class Explanation:
    """What carried the decision about a window: its most probable class's logit, taken apart.

    The logits of all classes are shifted to a sum of 0, which changes no probability: what raises
    all classes alike explains none. ``logit = bias + Σ share`` over the streams. Of several folds'
    models each number is the mean.

    Attributes:
        explains: The class, the most probable one.
        logit: Of it, before the temperature.
        bias: What is there without any image.
        times: Of each image's frame, s; a motion is that from this frame to the next.
        streams: Stream → its share.
    """

    explains: str
    logit: float
    bias: float
    times: tuple[float, ...]
    streams: Mapping[str, StreamShare]

    @property
    def frames(self) -> NDArray[np.float64]:
        """What each frame adds to the logit by all streams, ``(L−1,)``."""
        each = np.array([one.frames for one in self.streams.values()], np.float64)
        return np.asarray(each.sum(axis=0))

    @property
    def strongest_time(self) -> float:
        """The time of the frame that adds most, s."""
        return self.times[int(self.frames.argmax())]


@lru_cache(maxsize=4)
def crop_regions(config: FaceConfig) -> NDArray[np.int64]:
    """Return the region of each pixel of a crop: eyes are at fixed places, the rest by proportion.

    Proportions are those of grown-up faces seen from the front; there is no landmark but the eyes.

    Returns:
        ``(150, 110)`` int64, places in `REGIONS`.
    """
    along = np.abs(np.arange(WIDTH) + 0.5 - WIDTH / 2)[None] / config.eye_distance
    down = (np.arange(HEIGHT) + 0.5 - config.eye_row * HEIGHT)[:, None] / config.eye_distance
    face, lips, bridge = along < _FACE, along < _LIPS, along < _BRIDGE
    where = {
        "forehead": face & (down < _BROWS),
        "brows": face & (down < _EYES),
        "eyes": face & (down < _NOSE),
        "nose": bridge & (down < _MOUTH),
        "mouth": lips & (down >= _MOUTH) & (down < _CHIN),
        "chin": lips & (down >= _CHIN),
        "cheeks": face & (down < _CHIN),
    }  # the first that holds
    places = [REGIONS.index(name) for name in where]
    found = np.select(list(where.values()), places, REGIONS.index("around"))
    return found.astype(np.int64)
