"""Heat over a face: an explanation as a picture that lies over the video."""

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfer.faces.settings import HEIGHT, WIDTH
from vfer.predict.explanation import Explanation

OPACITY = 0.7
"""Of the hottest place, 0…1."""


def heat(explanation: Explanation, time: float | None = None) -> NDArray[np.uint8]:
    """Draw where the explained class was found: the streams' maps, weighted by what they add.

    A stream that speaks against the class is left out: its map shows what speaks for it.

    Args:
        explanation: Of one window.
        time: s; the less the frame at this time adds to the logit, the more transparent is the
            picture. None: as at the frame that adds most.

    Returns:
        ``(150, 110, 4)`` uint8 RGBA, not premultiplied: the paper's crop, two eye distances wide.
    """
    cells = np.zeros(next(iter(explanation.streams.values())).cells.shape)
    for one in explanation.streams.values():
        if one.share > 0 and one.regions:
            cells += one.share * one.cells / one.cells.sum()
    if cells.max() > 0:
        cells /= cells.max()
    if time is not None:
        frames = explanation.frames
        now = frames[np.abs(np.array(explanation.times) - time).argmin()]
        cells *= np.clip(now / frames.max(), 0, 1) if frames.max() > 0 else 0
    small = Image.fromarray(cells.astype(np.float32))
    large = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).clip(0, 1)
    picture = mpl.colormaps["inferno"](0.3 + 0.7 * large)  # its beginning is black
    picture[..., 3] = OPACITY * large
    return np.asarray(np.rint(255 * picture), np.uint8)


def reasons(explanation: Explanation | None) -> list[str]:
    """Return what each stream adds to the logit and where it looks, a line each."""
    streams = {} if explanation is None else explanation.streams
    return [
        f"{name} {one.share:+.1f}" + (f": {one.strongest}" if one.strongest is not None else "")
        for name, one in streams.items()
    ]


def lay_over(
    frame: NDArray[np.uint8], picture: NDArray[np.uint8], eyes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Lay a picture of a face over the face in a frame: the way back of ``faces.alignment``.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB.
        picture: ``(150, 110, 4)`` uint8 RGBA, as `heat` draws it.
        eyes: Where they are in the frame, px, ``(2, 2)``: left and right in the image, x and y.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    left, right = eyes
    cos, sin = (right - left) / (WIDTH / 2)  # rotation and scale, frame px a crop px
    size = cos**2 + sin**2
    if size == 0:
        return frame
    edge = np.array([[x, y] for x in (-0.5, 0.5) for y in (-1 / 3, 2 / 3)]) * (WIDTH, HEIGHT)
    middle = (left + right) / 2 + 0.5  # edges of pixels count here, not their centres
    reach = edge @ [[cos, sin], [-sin, cos]] + middle
    limits = np.array(frame.shape[1::-1])  # width, height
    start = np.clip(np.floor(reach.min(0)).astype(int), 0, limits)
    stop = np.clip(np.ceil(reach.max(0)).astype(int), start, limits)
    if (start == stop).any():
        return frame
    x, y = start - middle
    way = (  # from the part's pixels to the picture's
        *(cos / size, sin / size, (cos * x + sin * y) / size + WIDTH / 2),
        *(-sin / size, cos / size, (cos * y - sin * x) / size + HEIGHT / 3),
    )
    laid = Image.fromarray(picture).transform(
        tuple((stop - start).tolist()), Image.Transform.AFFINE, way, Image.Resampling.BILINEAR
    )
    where = (slice(start[1], stop[1]), slice(start[0], stop[0]))
    part = Image.fromarray(np.ascontiguousarray(frame[where])).convert("RGBA")
    drawn = frame.copy()
    drawn[where] = np.asarray(Image.alpha_composite(part, laid).convert("RGB"))
    return drawn
