"""Hold LPQ against figures that Oulu's algorithm gave.

    python -m experiments.given_figures FOLDER

FOLDER has ``lpq7_plain.csv``, ``lpqtop_plain.csv`` and ``lpqtop_whitened.csv``: code histograms of
the video that ``volume`` makes.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vfer.baselines.lpq import LPQTOP, lpq, responses

Floats = NDArray[np.float64]
PLANES = {"XY": (0, 1, 2), "YT": (2, 1, 0), "XT": (1, 2, 0)}
"""How the axes (t, y, x) of a video are turned so that its slices come first."""
TIE = 1e-9
"""A response of whole numbers that is smaller is 0, and its sign is the rounding's."""


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
        f"{most.sum() - least.sum():.0f} places are left open by responses of 0; "
        f"{inside.sum()} of 256 counts lie within that"
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


def main(argv: list[str] | None = None) -> None:
    """Print how near ours come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the given files")
    print("\n".join(lpq_lines(parser.parse_args(argv).folder)))


if __name__ == "__main__":
    main()
