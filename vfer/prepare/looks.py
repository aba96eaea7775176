"""Whether clips look alike though their bytes differ: encoded again, scaled, a few frames cut off.

A copy is told from a clip of another person by how the face looks, and from another take of the
same person by how it moves. ``docs/preparing.md`` has what was measured.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TIMES, _ROWS, _COLUMNS = 8, 16, 12
_BITS = _TIMES * _ROWS * _COLUMNS
_FACE = 0.12
"""Copies differ in at most this share of the bits of the face."""
_MOVEMENT, _MOVEMENT_OF_OTHERS = 0.22, 0.4
"""And of the movement, where the clips are said to be of one person, and of two."""


def look(crops: NDArray[np.uint8]) -> str:
    """Return a perceptual hash of a clip's crops: one half of the face, the other of its movement.

    Eight frames, from the first to the last, are made 16 × 13 grey cells. A bit of the first half
    says whether a cell is brighter than the one to its right (a difference hash), one of the second
    whether it is brighter than its median over the eight.

    Args:
        crops: ``(T, 150, 110, 3)`` uint8, T ≥ 1.

    Returns:
        3072 bits in hexadecimal digits.
    """
    picks = np.linspace(0, len(crops) - 1, _TIMES).round().astype(int)
    size = (_COLUMNS + 1, _ROWS)
    grey = [Image.fromarray(np.array(crops[t])).convert("L") for t in picks.tolist()]
    cells = np.stack([np.asarray(one.resize(size, Image.Resampling.BOX)) for one in grey])
    face = cells[..., :-1] > cells[..., 1:]
    movement = (cells > np.median(cells, axis=0))[..., :-1]
    return np.packbits(np.stack([face, movement])).tobytes().hex()


def look_alikes(
    looks: Sequence[str], subjects: Sequence[str], labels: Sequence[str], rows: int = 512
) -> Iterator[tuple[int, int]]:
    """Find pairs of hashes that are those of one video, by all appearances.

    Args:
        looks: The hashes, as ``look`` returns them.
        subjects: Whose each is.
        labels: Its label; pairs of one subject and one label do not count.
        rows: Hashes that are compared with all others at a time.

    Yields:
        Numbers (i, j) of each pair, i < j, in order.
    """
    if len(looks) < 2:
        return
    packed = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8).reshape(len(looks), 2, -1)
    # As ±1, a product counts equal bits less different ones.
    face, movement = (2 * np.unpackbits(packed, axis=2).astype(np.float32) - 1).transpose(1, 0, 2)
    who, what = (np.unique(names, return_inverse=True)[1] for names in (subjects, labels))
    for start in range(0, len(looks), rows):
        part = slice(start, start + rows)
        near = face[part] @ face[start:].T >= _BITS * (1 - 2 * _FACE)
        other = who[part, None] != who[start:]
        near &= np.triu(other | (what[part, None] != what[start:]), 1)
        some = np.flatnonzero(near.any(axis=1))
        limit = np.where(other[some], _MOVEMENT_OF_OTHERS, _MOVEMENT)
        moving = movement[part][some] @ movement[start:].T >= _BITS * (1 - 2 * limit)
        for i, j in np.argwhere(near[some] & moving).tolist():
            yield start + int(some[i]), start + j
