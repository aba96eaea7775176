"""Local phase quantisation of single frames and of three orthogonal planes, as descriptors."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from vfer.flow.pairs import gray

Floats = NDArray[np.float64]

CODES = 256
_CHUNK = 32  # planes that are filtered at a time: some 30 MB of a clip's responses


def filters(window: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return the two one-dimensional filters: of frequency 0, and of frequency 1/window.

    Args:
        window: Odd, at least 3; pixels.

    Returns:
        ``(window,)`` each, as they are correlated with an image.

    Raises:
        ValueError: If the window is even or too small.
    """
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window is {window}; it must be odd and at least 3")
    at = np.arange(window) - window // 2
    return np.ones(window, np.complex128), np.exp(2j * np.pi * at / window)


def _correlate(planes: NDArray[np.complex128] | Floats, kernel: NDArray[np.complex128], axis: int) \
        -> NDArray[np.complex128]:  # fmt: skip
    """Correlate along an axis, where the kernel lies inside the plane."""
    planes = np.moveaxis(planes, axis, -1)
    length = planes.shape[-1] - len(kernel) + 1
    found = sum(factor * planes[..., i : i + length] for i, factor in enumerate(kernel))
    return np.moveaxis(np.asarray(found), -1, axis)


def responses(planes: Floats, window: int) -> Floats:
    """Return the real and imaginary parts of four frequencies around each pixel.

    Ojansivu and Heikkilä, "Blur insensitive texture classification using local phase
    quantization" (ICISP 2008), section 3, with a uniform window.

    Args:
        planes: ``(N, H, W)``, any scale.
        window: Odd side of the window, pixels, at most H and W.

    Returns:
        ``(N, H − window + 1, W − window + 1, 8)``: Re and Im in turn of the frequencies
        (row, column) (0, a), (a, 0), (a, a), (a, −a), a = 1/window.

    Raises:
        ValueError: If the window does not fit.
    """
    flat, wave = filters(window)
    if window > min(planes.shape[1:]):
        raise ValueError(f"window is {window}; planes are only {planes.shape[1]}×{planes.shape[2]}")
    mean, waved = _correlate(planes, flat, 1), _correlate(planes, wave, 1)
    found = [
        _correlate(mean, wave, 2), _correlate(waved, flat, 2),
        _correlate(waved, wave, 2), _correlate(waved, wave.conj(), 2),
    ]  # fmt: skip
    return np.stack(found, axis=-1).view(np.float64)


def whitening(window: int, rho: float, rho_time: float | None = None) -> Floats:
    """Return the matrix that makes the responses independent (section 3.2), as Oulu's code does.

    Args:
        window: Odd side of the window.
        rho: Correlation of neighbouring pixels, 0 < ρ < 1.
        rho_time: That of neighbouring frames, where the plane's second axis is time; two pixels
            then correlate by the product of both. None: both axes are of space, and they
            correlate by ρ^(Euclidean distance).

    Returns:
        ``(8, 8)``, to be multiplied from the right. A singular vector's sign is free and inverts a
        bit of all codes: here its largest element is positive.
    """
    for name, value in (("rho", rho), ("rho_time", rho_time)):
        if value is not None and not 0 < value < 1:
            raise ValueError(f"{name} is {value}; it must be in 0 < ρ < 1")
    at = np.indices((window, window)).reshape(2, -1).T  # (window², 2)
    if rho_time is None:
        pixels = rho ** cdist(at, at)
    else:
        apart = np.abs(at[:, None] - at)
        pixels = rho ** apart[..., 0] * rho_time ** apart[..., 1]
    impulses = np.eye(window**2).reshape(-1, window, window)
    filter_matrix = responses(impulses, window)[:, 0, 0].T  # (8, window²)
    covariance = filter_matrix @ pixels @ filter_matrix.T
    apart_a_little = np.diag(1 + 1e-6 * np.arange(7, -1, -1))  # equal singular values have no order
    _, _, vectors = np.linalg.svd(apart_a_little @ covariance @ apart_a_little)
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(8), largest])
    return np.asarray((vectors * signs[:, None]).T)


def lpq(planes: Floats, window: int, matrix: Floats | None = None) -> NDArray[np.uint8]:
    """Return the code of each pixel around which the window fits.

    Args:
        planes: ``(N, H, W)``, any scale.
        window: Odd side of the window, pixels, at most H and W.
        matrix: As ``whitening`` gives it; None leaves the responses as they are.

    Returns:
        ``(N, H − window + 1, W − window + 1)`` uint8: bit i says that response i is positive
        (without a matrix: not negative).
    """

    def parts() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(planes), _CHUNK):
            found = responses(planes[start : start + _CHUNK], window)
            bits = found >= 0 if matrix is None else found @ matrix > 0
            yield np.packbits(bits, axis=-1, bitorder="little")[..., 0]

    return np.concatenate(list(parts()))


def grid_histogram(codes: NDArray[np.uint8], grid: int) -> Floats:
    """Return the codes' histograms on a grid of cells, each over all frames.

    Args:
        codes: ``(T, H, W)``.
        grid: Cells a side, which differ by at most a pixel in size.

    Returns:
        ``(grid² · 256,)``; each cell's sums to 1, an empty one's is 0.
    """
    rows, columns = (np.arange(n) * grid // n for n in codes.shape[1:])
    cells = rows[:, None] * grid + columns
    found = np.bincount((cells * CODES + codes).ravel(), minlength=grid**2 * CODES)
    counts = found.reshape(-1, CODES).astype(np.float64)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).ravel()


def peak_frames(described: Floats, count: int) -> NDArray[np.int64]:
    """Choose the frames that are least like the others of their clip: MAXDIST.

    Args:
        described: ``(T, D)``, one row a frame.
        count: How many are wanted, at least 1.

    Returns:
        At most ``count`` indices in the order of time: of the frames with the largest mean
        Euclidean distance to all others; of equals the earlier ones.
    """
    away = cdist(described, described).mean(axis=1)
    return np.sort(np.argsort(-away, kind="stable")[:count])


def _gray(crops: NDArray[np.uint8]) -> Floats:
    return gray(torch.from_numpy(crops)).double().numpy()


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1")


class PeakFrameLPQ:
    """LPQ of a clip's peak frames, after the visual part of Zhalehpour et al. 2017 (BAUM-1).

    Their crop, window, grid, number of peak frames and C are not known to us and are ours here, the
    distance that MAXDIST takes the mean of is the Euclidean one of LPQ histograms, and the SVM is
    fitted to the mean of a clip's peak frames instead of to frames.

    Args:
        window: Odd side of LPQ's window, pixels.
        grid: Cells a side, of which each gets a histogram.
        frames: Peak frames a clip; a shorter one gives all it has.
        rho: Correlation of neighbouring pixels that the responses are freed of.
    """

    deterministic = True

    def __init__(self, window: int = 7, grid: int = 4, frames: int = 6, rho: float = 0.9) -> None:
        _check_counts(grid=grid, frames=frames)
        self.window, self.grid, self.frames = window, grid, frames
        self.matrix = whitening(window, rho)

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return ``(grid² · 256,)`` of crops ``(T, 150, 110, 3)`` uint8."""
        codes = lpq(_gray(crops), self.window, self.matrix)
        described = np.stack([grid_histogram(frame[None], self.grid) for frame in codes])
        peak = described[peak_frames(described, self.frames)]
        return np.asarray(peak.mean(axis=0), np.float32)


class LPQTOP:
    """LPQ on three orthogonal planes, XY, YT and XT, by Oulu's algorithm.

    Args:
        window: Odd side of the window, pixels and frames. Of a shorter clip the last frame is
            repeated.
        grid: Cells a side, of which each gets a histogram of each plane; 1 is the algorithm's.
        rho: Correlation of neighbouring pixels.
        rho_time: That of neighbouring frames.
    """

    deterministic = True

    def __init__(
        self, window: int = 5, grid: int = 4, rho: float = 0.1, rho_time: float = 0.1
    ) -> None:
        _check_counts(grid=grid)
        self.window, self.grid = window, grid
        self.still, self.moving = whitening(window, rho), whitening(window, rho, rho_time)

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return ``(3 · grid² · 256,)`` of crops ``(T, 150, 110, 3)`` uint8."""
        return self.planes(_gray(crops)).ravel().astype(np.float32)

    def planes(self, video: Floats) -> Floats:
        """Return the histograms of each plane.

        Args:
            video: ``(T, H, W)`` grey values of any scale.

        Returns:
            ``(3, grid² · 256)``: XY, YT and XT.
        """
        short = max(self.window - len(video), 0)
        video = np.concatenate([video, np.repeat(video[-1:], short, axis=0)])
        codes = (
            lpq(video, self.window, self.still),
            # Time is the second axis of the other planes; the codes' axes are put back.
            lpq(video.transpose(2, 1, 0), self.window, self.moving).transpose(2, 1, 0),
            lpq(video.transpose(1, 2, 0), self.window, self.moving).transpose(2, 0, 1),
        )
        return np.stack([grid_histogram(one, self.grid) for one in codes])
