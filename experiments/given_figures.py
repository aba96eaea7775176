"""Hold LPQ and HOG 3D against figures that Oulu's algorithm and Kläser's program gave.

    python -m experiments.given_figures FOLDER [--rows]

FOLDER has ``lpq7_plain.csv``, ``lpqtop_plain.csv`` and ``lpqtop_whitened.csv``: code histograms of
the video that ``volume`` makes; and ``hog3d-walk-simple.avi`` with ``hog3d-kth.features.gz``: rows
of x, y, t, three shares of the video, σ, τ and a descriptor.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vfer.baselines.hog3d import Layout, cell_histograms
from vfer.baselines.lpq import LPQTOP, lpq, responses
from vfer.flow.pairs import gray
from vfer.video import read_frames

Floats = NDArray[np.float64]
PLANES = {"XY": (0, 1, 2), "YT": (2, 1, 0), "XT": (1, 2, 0)}
"""How the axes (t, y, x) of a video are turned so that its slices come first."""
TIE = 1e-9
"""A response of whole numbers that is smaller is 0, and its sign is the rounding's."""

LAYOUT = Layout(5, 4, 4, opposite=True, rescale="l1")
SIZES = (16, 4)
"""Width and length of a point's surroundings where σ = τ = 1."""
BINS = (0, 1, 3, 2, 4, 5, 6, 7, 8, 9)
"""Which of our ten directions stands at each place of the program's."""
FLOOR = 0.02 * 4**3
"""What the program adds to the norm by which it divides a cell."""


def volume() -> Floats:
    """Return the video ``(12, 24, 20)`` that the figures are of, whole numbers 0…255."""
    t, i, j = np.meshgrid(*(np.arange(1, n + 1) for n in (12, 24, 20)), indexing="ij")
    found = 7 * i**2 + 13 * j + 11 * t**2 + 5 * i * j + 3 * i * t + 17 * (i * j * t % 29)
    return np.asarray(found % 256, np.float64)


def left_open(planes: Floats, window: int) -> tuple[Floats, Floats]:
    """Return the least and the most that each code can count, as ties are resolved: ``(256,)``."""
    found = responses(planes, window).reshape(-1, 8)
    codes = np.arange(256)[:, None] >> np.arange(8) & 1  # (256, 8)
    tied = np.abs(found) < TIE
    sure = np.bincount(((found > 0) @ (1 << np.arange(8)))[~tied.any(axis=1)], minlength=256)
    open_ = [
        ((codes == (row > 0)) | ties).all(axis=1) for row, ties in zip(found, tied, strict=True)
        if ties.any()
    ]  # fmt: skip
    return sure.astype(np.float64), sure + np.sum([np.zeros(256), *open_], axis=0)


def plain(name: str, given: Floats, planes: Floats, window: int) -> str:
    """Say how near codes without whitening come to a given histogram."""
    counts = np.bincount(lpq(planes, window).ravel(), minlength=256)
    theirs = given * counts.sum() / given.sum()
    least, most = left_open(planes, window)
    inside = (least - TIE <= theirs) & (theirs <= most + TIE)
    return (
        f"{name}: {np.abs(counts - theirs).sum() / 2:.0f} of {counts.sum()} codes differ; "
        f"at {counts.sum() - least.sum():.0f} a response is 0, its sign the rounding's; "
        f"{inside.sum()} of 256 counts lie within what these leave open"
    )


def whitened(name: str, given: Floats, ours: Floats) -> str:
    """Say how near a whitened histogram comes to a given one, bits inverted alike in all codes."""
    codes = np.arange(256)
    apart = [np.abs(ours[codes ^ mask] - given).sum() / 2 for mask in codes]
    best = int(np.argmin(apart))
    return f"{name}: {100 * apart[best]:.4f} % of the codes differ, bits {best:08b} inverted"


def lpq_lines(folder: Path) -> list[str]:
    """Compare with the three files of LPQ and LPQ-TOP; a line each histogram."""
    video = volume()
    read = [
        np.loadtxt(folder / name, delimiter=",", ndmin=2).T
        for name in ("lpq7_plain.csv", "lpqtop_plain.csv", "lpqtop_whitened.csv")
    ]
    top = LPQTOP(window=5, grid=1).planes(video)
    return [
        plain("LPQ of a frame, window 7", read[0][0], video[:1], 7),
        *(
            plain(f"LPQ-TOP, {plane}", given, video.transpose(axes), 5)
            for (plane, axes), given in zip(PLANES.items(), read[1], strict=True)
        ),
        *(
            whitened(f"LPQ-TOP whitened, {plane}", given, ours)
            for plane, given, ours in zip(PLANES, read[2], top, strict=True)
        ),
    ]


def read_rows(path: Path) -> tuple[Floats, Floats]:
    """Read the program's rows.

    Returns:
        Points ``(P, 5)`` as ``cell_histograms`` takes them, and cells
        ``(P, time_cells, cells, cells, bins)``.
    """
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, ndmin=2)
    x, y, t, sigma, tau = rows[:, [0, 1, 2, 6, 7]].T
    points = np.stack([t, y, x, SIZES[0] * sigma, SIZES[1] * tau], axis=1)
    cells = rows[:, 8:].reshape(-1, LAYOUT.cells, LAYOUT.cells, LAYOUT.time_cells, len(BINS))
    return points, cells.transpose(0, 3, 2, 1, 4)


def as_the_program(video: Floats, points: Floats) -> Floats:
    """Return our cells ``(P, time_cells, cells, cells, bins)``, normalised as the program does.

    Args:
        video: ``(T, H, W)`` grey, 0…1.
        points: As ``read_rows`` gives them.
    """
    cells = cell_histograms(video, points, LAYOUT)[..., BINS]
    return np.asarray(cells / (np.linalg.norm(cells, axis=-1, keepdims=True) + FLOOR))


def grey(path: Path) -> Floats:
    """Read a video as grey values, 0…1 in steps of 1/255: ``(T, H, W)``."""
    frames, _ = read_frames(path)
    return np.asarray(gray(torch.from_numpy(frames)).round().double().numpy() / 255)


def hog3d_lines(folder: Path, rows: bool) -> list[str]:
    """Compare with the program's rows; one line, or one each row before it."""
    points, theirs = read_rows(folder / "hog3d-kth.features.gz")
    ours = as_the_program(grey(folder / "hog3d-walk-simple.avi"), points)
    pairs = list(zip(ours.reshape(len(ours), -1), theirs.reshape(len(ours), -1), strict=True))
    found = np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    apart = np.array([np.abs(a - b).max() for a, b in pairs])
    lines = [
        f"{x:4.0f} {y:4.0f} {t:4.0f}  {width:5.1f} px  {length:4.1f} frames  {r:.6f}"
        for (t, y, x, width, length), r in zip(points, found, strict=True)
    ]
    said = (
        f"HOG 3D: correlation of {len(found)} rows: median {np.median(found):.6f}, smallest "
        f"{found.min():.4f}; {(found > 0.9999).sum()} above 0.9999; "
        f"{(apart < 1e-5).sum()} nowhere differ by 0.00001"
    )
    return [*(lines if rows else ()), said]


def main(argv: list[str] | None = None) -> None:
    """Print how near ours come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the given files")
    parser.add_argument("--rows", action="store_true", help="print each row of HOG 3D")
    args = parser.parse_args(argv)
    print("\n".join(lpq_lines(args.folder) + hog3d_lines(args.folder, args.rows)))


if __name__ == "__main__":
    main()
