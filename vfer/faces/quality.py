"""What a crop looks like: how sharp and how bright."""

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = np.array([0.299, 0.587, 0.114])  # of red, green and blue in grey: ITU-R BT.601


def sharpness(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the variance of each crop's Laplacian: small where it is blurred.

    The second difference of grey values 0…255 to the four neighbours, without the crop's border.
    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.

    Args:
        crops: ``(n, H, W, 3)`` uint8 RGB, H and W ≥ 3.

    Returns:
        ``(n,)`` float64.
    """
    values = np.empty(len(crops))
    for i, crop in enumerate(crops):  # one at a time: a clip's in float64 are large
        grey = crop @ _WEIGHTS
        sides = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
        values[i] = (sides - 4 * grey[1:-1, 1:-1]).var()
    return values


def brightness(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean grey value of each crop, 0…255.

    Args:
        crops: ``(n, H, W, 3)`` uint8 RGB.

    Returns:
        ``(n,)`` float64.
    """
    return np.array([crop.mean((0, 1)) @ _WEIGHTS for crop in crops], dtype=np.float64)
