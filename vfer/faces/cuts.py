"""Hard cuts in a video that comes frame by frame.

A frame begins a new shot if it differs much from the one before, by far more than neighbours
before and after it differ, and if the picture does not come back: motion, noise and fades change
many frames alike, and a flash passes.
"""

from collections import deque
from collections.abc import Collection
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

_SIZE = (24, 32)  # px, rows and columns of the small picture that stands for a frame
# Measured as mean difference of small pictures, grey values: drawn faces 0.5, in noise of σ = 40 4,
# filmed faces 0.8, at most 6; between shots, also of two people in one place before one wall, 22
# and more.
_LEAST = 10.0
_TIMES = 2.0
NEAR = 8
"""Frames before what may be a cut, and after it, whose changes it is compared with."""
FLASH = 4
"""A picture that is back after so many frames was no cut."""

_Picture = NDArray[np.float32]


def _small(frame: NDArray[np.uint8]) -> _Picture:
    """Return the frame in few pixels, antialiased, without its mean colour."""
    image = torch.from_numpy(frame).permute(2, 0, 1)[None]
    small = F.interpolate(image, _SIZE, mode="bilinear", antialias=True)[0].float()
    return np.asarray((small - small.mean((1, 2), keepdim=True)).numpy())


def _change(a: _Picture, b: _Picture) -> float:
    return float(np.abs(a - b).mean())


def _usual(changes: Collection[float]) -> float:
    """Return the second greatest change, 0 of less than two.

    The greatest may be another cut, as beside a black frame between two shots. A median would be 0
    in motion of which frames are repeated, as by a change of the frame rate.
    """
    return sorted(changes)[-2] if len(changes) > 1 else 0.0


class Cuts:
    """A decision on every frame of a video, in order: whether a new shot begins with it.

    It comes with the frame itself or, at what may be a cut, ``NEAR`` frames later.
    """

    def __init__(self) -> None:
        self._last: _Picture | None = None
        self._waiting: list[_Picture] = []  # undecided
        self._changes: deque[float] = deque(maxlen=NEAR)  # of this shot

    def add(self, frame: NDArray[np.uint8]) -> list[bool]:
        """Return the decisions that are possible with one more frame ``(H, W, 3)`` uint8 RGB."""
        self._waiting.append(_small(frame))
        return self._decide(NEAR)

    def flush(self) -> list[bool]:
        """Return the decisions on the frames that wait at the video's end."""
        return self._decide(0)

    def _decide(self, after: int) -> list[bool]:
        decided: list[bool] = []
        while self._waiting:
            last = self._waiting[0] if self._last is None else self._last
            change = _change(last, self._waiting[0])
            count, cut = 1, False
            if change >= max(_LEAST, _TIMES * _usual(self._changes)):
                if len(self._waiting) <= after:
                    break
                away = [_change(last, picture) for picture in self._waiting[: FLASH + 1]]
                back = [i for i, x in enumerate(away) if x < change / 2]
                if back:  # a flash: up to where the picture is back
                    count, change = back[0] + 1, away[back[0]]
                else:
                    later = [_change(a, b) for a, b in pairwise(self._waiting[: NEAR + 1])]
                    cut = change >= _TIMES * _usual(later)
            if cut:
                self._changes.clear()
            else:
                self._changes.append(change)
            self._last = self._waiting[count - 1]
            del self._waiting[:count]
            decided += [cut] + [False] * (count - 1)
        return decided
