"""What a classifier was fitted to, as arrays that can be saved without a pickle."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
"""A description of a clip: ``(D,)``, or ``(N, D)`` local ones."""


def packed(described: Sequence[Values], labels: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return what a classifier is fitted to as arrays that can be saved: ``unpacked`` reads them.

    Args:
        described: Of each clip ``(D,)`` or ``(N, D)``.
        labels: Of each clip its class index.
    """
    local = described[0].ndim == 2
    lengths = [len(one) if local else 0 for one in described]  # 0: one row, and no list
    rows = np.concatenate(described) if local else np.stack(described)
    return {"rows": rows, "lengths": np.array(lengths), "labels": np.array(labels)}


def unpacked(table: dict[str, NDArray[Any]]) -> tuple[list[Values], list[int]]:
    """Return what ``packed`` took.

    Raises:
        KeyError: If an array is missing.
        ValueError: If their lengths do not fit.
    """
    rows, lengths, labels = table["rows"], table["lengths"], table["labels"].tolist()
    local = bool(lengths.any())
    if len(lengths) != len(labels) or len(rows) != (lengths.sum() if local else len(labels)):
        raise ValueError(f"{len(rows)} rows and {len(lengths)} lengths of {len(labels)} clips")
    if not local:
        return list(rows), labels
    return np.split(rows, np.cumsum(lengths)[:-1]), labels
