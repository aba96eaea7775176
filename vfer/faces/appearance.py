"""What a detected face looks like, in few numbers: whether a face that leapt is the same one."""

import numpy as np
from numpy.typing import NDArray

_ROWS, _COLUMNS, _FINE = 11, 8, 4  # cells, and samples a cell and axis
# Of a face, in eye distances from the eyes' middle: from the brows to the chin, without hair.
_DOWN = (np.arange(_ROWS * _FINE) + 0.5) / (_ROWS * _FINE) * 2.0 - 0.35
_ALONG = (np.arange(_COLUMNS * _FINE) + 0.5) / (_COLUMNS * _FINE) * 1.6 - 0.8

ALIKE = 3.6
"""Greatest difference of one person's faces, grey values.

Measured on 24 drawn people: one 4 frames apart differs by up to 3.6, two by 4.2 and more in all 276
pairs, in whichever frames; two filmed people by 20. In quick motion, or with a hand before the
face, one filmed person differs by more in four of ten samples: such a face is a new one.
"""


def appearance(frame: NDArray[np.uint8], eyes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean colours of a face's cells, ``(11, 8, 3)`` float64, 0…255.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB; outside the border repeats.
        eyes: ``(2, 2)`` px, (left, right in the image), (x, y).
    """
    along = eyes[1] - eyes[0]
    down = np.array([-along[1], along[0]])
    places = eyes.mean(0) + _ALONG[None, :, None] * along + _DOWN[:, None, None] * down
    x, y = (places.round().astype(int)[..., i].clip(0, frame.shape[1 - i] - 1) for i in (0, 1))
    cells = frame[y, x].reshape(_ROWS, _FINE, _COLUMNS, _FINE, 3)
    return np.asarray(cells.mean((1, 3)))


def difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return how different two faces look, the median over cells, in grey values 0…255.

    The mouth moves, and one person's mean difference can be greater than that of two people.
    """
    return float(np.median(np.abs(a - b)))
