"""HOG 3D: histograms of oriented spatio-temporal gradients around many points of a clip."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vfer.flow.pairs import gray

Floats = NDArray[np.floating[Any]]
Polyhedron = Literal["icosahedron", "dodecahedron"]

_CHUNK = 16  # points whose sub-blocks are computed at a time
_PHI = (1 + 5**0.5) / 2


def axes_of(polyhedron: Polyhedron, opposite: bool = False) -> NDArray[np.float64]:
    """Return the axes through the centres of a polyhedron's faces.

    Args:
        polyhedron: ``icosahedron`` has 20 faces, ``dodecahedron`` 12.
        opposite: Whether opposite directions are one: of each pair then one is returned.

    Returns:
        ``(axes, 3)`` of equal length, in the order (x, y, t).

    Raises:
        ValueError: If the polyhedron is unknown.
    """
    signs = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    if polyhedron == "icosahedron":
        small = 1 / _PHI
        found = [(a, b, c) for a in (-1.0, 1.0) for b, c in signs]
        found += [(0.0, a * small, b * _PHI) for a, b in signs]
        found += [(a * small, b * _PHI, 0.0) for a, b in signs]
        found += [(a * _PHI, 0.0, b * small) for a, b in signs]
    elif polyhedron == "dodecahedron":
        found = [(0.0, a, b * _PHI) for a, b in signs]
        found += [(a, b * _PHI, 0.0) for a, b in signs]
        found += [(a * _PHI, 0.0, b) for a, b in signs]
    else:
        raise ValueError(f"polyhedron is {polyhedron!r}; it must be icosahedron or dodecahedron")
    axes = np.array(found, np.float64)
    if not opposite:
        return axes
    repeated = [np.isclose(axes[:i] @ axis, -axis @ axis).any() for i, axis in enumerate(axes)]
    return np.asarray(axes[~np.array(repeated)])


@dataclass(frozen=True)
class Layout:
    """How the surroundings of a point are cut into pieces, and orientations into bins.

    Attributes:
        cells: Cells a side, M.
        time_cells: Cells along time, N.
        blocks: Sub-blocks a side of a cell, S, also along time.
        polyhedron: Whose faces the orientation bins are.
        opposite: Whether opposite directions share a bin.
        rescale: Whether the bins of one gradient have its length as their ``l2`` norm, as in the
            paper, or as their sum, ``l1``, as in its author's program.
    """

    cells: int = 4
    time_cells: int = 3
    blocks: int = 3
    polyhedron: Polyhedron = "icosahedron"
    opposite: bool = False
    rescale: Literal["l1", "l2"] = "l2"


def integral_gradients(video: Floats) -> NDArray[np.float64]:
    """Return the integral videos of the three partial derivatives.

    Derivatives are differences to the next pixel or frame, and 0 at the last.

    Args:
        video: ``(T, H, W)``.

    Returns:
        ``(T + 1, H + 1, W + 1, 3)``: sums of (∂x, ∂y, ∂t) over all before.
    """
    found = np.zeros((*(n + 1 for n in video.shape), 3))
    for channel, axis in enumerate((2, 1, 0)):
        last = np.take(video, [-1], axis=axis)
        found[1:, 1:, 1:, channel] = np.diff(video, axis=axis, append=last)
    for axis in range(3):
        np.cumsum(found, axis=axis, out=found)
    return found


def corners(centres: Floats, sizes: Floats, blocks: int, limit: int) -> NDArray[np.int64]:
    """Return where the sub-blocks along an axis begin and end, in whole pixels.

    A sub-block is at least a pixel wide, and what juts out of the video is cut off.

    Args:
        centres: ``(P,)`` pixels.
        sizes: ``(P,)`` sizes of the whole, pixels.
        blocks: Sub-blocks along the axis.
        limit: Size of the video.

    Returns:
        ``(P, blocks + 1)`` in 0…limit.
    """
    sizes = np.maximum(sizes, blocks)[:, None]
    exact = centres[:, None] - sizes / 2 + sizes * np.arange(blocks + 1) / blocks
    return np.clip(np.floor(exact + 0.5), 0, limit).astype(np.int64)


def quantise(gradients: Floats, layout: Layout) -> Floats:
    """Distribute gradients over orientation bins (Kläser et al. 2008, section 2.2).

    Args:
        gradients: ``(…, 3)``: (∂x, ∂y, ∂t).
        layout: Names the polyhedron.

    Returns:
        ``(…, bins)``, not negative. A gradient along one axis is in that axis's bin alone: what
        neighbouring axes share of each other is subtracted. No gradient gives zeros.
    """
    axes = axes_of(layout.polyhedron, layout.opposite)
    whole = axes_of(layout.polyhedron)
    length = np.sqrt((whole[0] ** 2).sum())
    shared = np.sort(whole @ whole[0])[-2] / length  # of two neighbours
    size = np.sqrt((gradients**2).sum(axis=-1, keepdims=True))
    tiny = np.finfo(gradients.dtype).tiny
    along = (gradients / np.maximum(size, tiny)) @ axes.T.astype(gradients.dtype)
    if layout.opposite:
        along = np.abs(along)
    above = np.maximum(along - shared, 0)
    if layout.rescale == "l1":
        total = above.sum(axis=-1, keepdims=True)
    else:
        total = np.sqrt((above**2).sum(axis=-1, keepdims=True))
    return np.asarray(above * (size / np.maximum(total, tiny)))


def cell_histograms(video: Floats, points: Floats, layout: Layout) -> NDArray[np.float32]:
    """Return the orientation histograms of the cells around points.

    Args:
        video: ``(T, H, W)`` grey values.
        points: ``(P, 5)``: centre t, y, x, then the width (and height) and the length in time of
            the surroundings, pixels and frames; in the order of time, so that a long clip's
            integral video need not be in memory as a whole.
        layout: Into what pieces.

    Returns:
        ``(P, time_cells, cells, cells, bins)`` float32, the axes t, y, x: of each cell the sum over
        its sub-blocks, of which each counts the sum of its gradients as one.
    """
    side, time = layout.cells * layout.blocks, layout.time_cells * layout.blocks
    frames, height, width = video.shape
    found = []
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        t = corners(part[:, 0], part[:, 4], time, frames)
        y = corners(part[:, 1], part[:, 3], side, height)
        x = corners(part[:, 2], part[:, 3], side, width)
        first = t.min()
        sums = integral_gradients(video[first : t.max() + 1])
        at = (t - first)[:, :, None, None], y[:, None, :, None], x[:, None, None, :]
        gradients = sums[at]  # (P, time + 1, side + 1, side + 1, 3)
        for axis in (1, 2, 3):
            gradients = np.diff(gradients, axis=axis)
        bins = quantise(gradients.astype(np.float32), layout)
        shape = (layout.time_cells, layout.cells, layout.cells)
        pieces = [n for cells in shape for n in (cells, layout.blocks)]
        found.append(bins.reshape(len(part), *pieces, -1).sum(axis=(2, 4, 6)))
    return np.concatenate(found)


def normalise(cells: Floats, cut: float) -> Floats:
    """Return unit rows whose values were cut before the last normalisation (section 2.3).

    Args:
        cells: ``(P, …)``.
        cut: The largest value that a unit row keeps, above 0; 1 cuts nothing.

    Returns:
        ``(P, D)``; a row of zeros stays one.
    """
    rows = np.minimum(_unit(cells.reshape(len(cells), -1)), cut)
    return _unit(rows)


def _unit(rows: Floats) -> Floats:
    size = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.maximum(size, np.finfo(rows.dtype).tiny))


def _scales(smallest: float, largest: float, count: int) -> list[float]:
    """Return sizes that grow by √2; the smallest one always."""
    found = [smallest * 2 ** (k / 2) for k in range(count)]
    return found[:1] + [size for size in found[1:] if size <= largest]


def _middles(size: float, whole: int) -> Floats:
    """Return the centres of intervals that overlap by half; of one that does not fit, one."""
    starts = np.arange(0, max(whole - size, 0) + 1e-9, size / 2)
    return starts + min(size, whole) / 2


def dense_points(
    shape: tuple[int, int, int], width: float, length: float, scales: tuple[int, int]
) -> NDArray[np.float64]:
    """Lay points over a whole clip, at several scales, each overlapping the next by half.

    Args:
        shape: Frames, height and width of the clip.
        width: Smallest width of the surroundings, pixels.
        length: Smallest length in time, frames.
        scales: At most how many sizes in space and in time, in steps of √2, while they fit.

    Returns:
        ``(P, 5)`` as ``cell_histograms`` takes them.
    """
    frames, high, wide = shape
    grids = [
        np.stack(np.broadcast_arrays(*np.meshgrid(
            _middles(long, frames), _middles(size, high), _middles(size, wide), size, long,
            indexing="ij",
        )), axis=-1).reshape(-1, 5)
        for size in _scales(width, min(high, wide), scales[0])
        for long in _scales(length, frames, scales[1])
    ]  # fmt: skip
    points = np.concatenate(grids)
    return points[np.argsort(points[:, 0], kind="stable")]


class HOG3D:
    """HOG 3D around points that lie densely over a clip (Kläser et al., BMVC 2008).

    The descriptor is the one of the paper's best setting on KTH: 4×4×3 cells, 20 orientations, cut
    at 0.25, of 960 values. The paper describes interest points; here points lie on a grid.

    Args:
        width: Smallest width of a point's surroundings, pixels.
        length: Smallest length in time, frames.
        scales: Sizes in space, in steps of √2.
        time_scales: Sizes in time, in steps of √2.
        points: At most how many a clip are kept, drawn evenly from all by a fixed permutation.
        polyhedron: Whose faces are the orientation bins.
        cut: The largest value that a descriptor of length 1 keeps, 0 < cut ≤ 1.
    """

    deterministic = True

    def __init__(
        self, width: float = 18.0, length: float = 10.0, scales: int = 6, time_scales: int = 2,
        points: int = 300, polyhedron: Polyhedron = "icosahedron", cut: float = 0.25,
    ) -> None:  # fmt: skip
        ranges = {"width": width, "length": length, "scales": scales, "time_scales": time_scales,
                  "points": points}  # fmt: skip
        for name, value in ranges.items():
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if not 0 < cut <= 1:
            raise ValueError(f"cut is {cut}; it must be in 0 < cut ≤ 1")
        axes_of(polyhedron)  # refuses an unknown one
        self.width, self.length, self.scales = width, length, (scales, time_scales)
        self.points, self.cut = points, cut
        self.layout = Layout(polyhedron=polyhedron)

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return ``(N, 960)`` of crops ``(T, 150, 110, 3)`` uint8, N ≤ points.

        float16, as three decimals are enough for a bag of words, and a corpus's descriptors are in
        memory at once.
        """
        video = gray(torch.from_numpy(crops)).numpy()  # (T, 150, 110) float32
        frames, height, width = video.shape
        points = dense_points((frames, height, width), self.width, self.length, self.scales)
        chosen = np.random.default_rng(0).permutation(len(points))[: self.points]
        cells = cell_histograms(video, points[np.sort(chosen)], self.layout)
        return normalise(cells, self.cut).astype(np.float16)
