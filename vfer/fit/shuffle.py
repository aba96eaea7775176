"""A random order of any number of things, place by place, without ever holding it."""

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 8


def shuffled(places: NDArray[np.int64], count: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return what stands at some places of a random order of 0 … count − 1.

    A Feistel network permutes the numbers of an even number of bits, of which there are fewer than
    four times as many; one that it sends beyond the last is sent on until it is not (Black and
    Rogaway, "Ciphers with arbitrary finite domains", 2002). Its rounds are keyed by what is drawn,
    so that a place needs neither the others nor memory.

    Args:
        places: Any shape, each in 0 … count − 1.
        count: Of the things, at least 1.
        draw: Of the order: the same state gives the same one.

    Returns:
        Of the places' shape; each number is at exactly one place.
    """
    half = np.uint64(max(((count - 1).bit_length() + 1) // 2, 1))
    keys = draw.integers(0, 2**64, _ROUNDS, np.uint64)
    found = _permute(places.astype(np.uint64), half, keys)
    while (beyond := found >= count).any():
        found[beyond] = _permute(found[beyond], half, keys)
    return found.astype(np.int64)


def _permute(
    values: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Permute the numbers of ``2 · half`` bits."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) & mask)
    return (left << half) | right


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Let every bit depend on every other (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
