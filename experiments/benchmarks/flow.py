"""Optical flow: time and error beside SciPy, OpenCV and scikit-image, in one run.

Errors are mean end-point errors in pixels: on faces warped by a known smooth motion of 0.5, 2 and 5
pixels in the mean, with noise of one grey level, 8 border pixels left out; and on the built-in
corpus, whose true motion is known on the skin: on crops and on whole frames of six clips, each of
another subject and emotion, of all skin and of what moves by more than half a pixel.

    pip install vfer[benchmark]
    python -m experiments.benchmarks.flow [--video CLIP.mp4] [--threads 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import optical_flow_tvl1

from experiments.true_motion import BORDER, drawn_clips, errors, skin_motion
from vfer.corpora.facs.clip import Truth
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import Eyes, FaceConfig
from vfer.faces.tracking import track
from vfer.flow.pairs import gray
from vfer.flow.solver import horn_schunck
from vfer.video import read_frames

MOTIONS = (0.5, 2.0, 5.0)  # px, mean length
AVERAGE = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12

Images = NDArray[np.float32]  # (B, H, W) grey values 0…255
Method = Callable[[Images, Images], Images]  # two frames of each pair → flow (B, 2, H, W)


def grey(frames: NDArray[np.uint8]) -> Images:
    """Grey values as the pipeline makes them."""
    return gray(torch.from_numpy(frames)).numpy()


@dataclass(frozen=True)
class Drawn:
    """A drawn clip: its crops, the pair of whole frames with the most motion, and what is true."""

    crops: Images
    eyes: Eyes
    whole: Images
    first: int
    truth: Truth


def drawn(config: FacsConfig) -> list[Drawn]:
    """A clip of each emotion."""
    clips = []
    for pictures, truth in drawn_clips(config):
        eyes = truth.eyes.astype(np.float64)
        moved = np.hypot(*truth.motion.astype(np.float64).transpose(3, 0, 1, 2)).sum((1, 2))
        first = int(moved.argmax())
        crops = grey(align(pictures, eyes, FaceConfig()))
        clips.append(Drawn(crops, eyes, grey(pictures[first : first + 2]), first, truth))
    return clips


def filmed(video: Path, size: tuple[int, int]) -> tuple[Images, Images]:
    """Crops ``(T, 150, 110)`` and whole frames of a size (width, height) of a video."""
    frames = read_frames(video)[0][:32]
    crops = align(frames, track([frames], FaceConfig()).eyes, FaceConfig())
    whole = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
    return grey(crops), grey(whole.astype(np.uint8))


def warped(images: Images, motion: float) -> tuple[Images, Images, Images]:
    """Pairs that differ by a known smooth motion and by noise, and that motion."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: images.shape[1], : images.shape[2]].astype(np.float64)
    firsts, truths = [], []
    for image in images:
        a, b = rng.uniform(0, 2 * np.pi, 2)
        truth = np.stack([np.cos(x / 40 + y / 60 + a), np.sin(y / 50 - x / 70 + b)])
        truth *= motion / np.hypot(*truth).mean()
        at = [y + truth[1], x + truth[0]]
        firsts.append(ndimage.map_coordinates(image, at, order=3, mode="nearest"))
        truths.append(truth)
    first, second = (
        (z + rng.standard_normal(images.shape)).clip(0, 255).astype(np.float32)
        for z in (np.stack(firsts), images)
    )
    return first, second, np.stack(truths).astype(np.float32)


def vfer_flow(first: Images, second: Images, levels: int | None, device: str) -> Images:
    """`vfer.flow.solver.horn_schunck`."""
    pairs = (torch.from_numpy(x)[:, None].to(device) for x in (first, second))
    return horn_schunck(*pairs, levels=levels, check=False).cpu().numpy()


def scipy_flow(first: Images, second: Images) -> Images:
    """Horn and Schunck by 100 Jacobi iterations of ``scipy.ndimage.convolve``, α = 15."""
    kernel = np.ones((2, 2), np.float32) / 4
    across = np.array([[1, -1], [1, -1]], np.float32) / 4
    flows = []
    for a, b in zip(first, second, strict=True):
        x, y, t = (
            ndimage.convolve(z, k, mode="nearest", origin=-1)
            for z, k in ((a + b, across), (a + b, across.T), (b - a, kernel))
        )
        u, v = np.zeros_like(a), np.zeros_like(a)
        for _ in range(100):
            u, v = (ndimage.convolve(z, AVERAGE, mode="nearest") for z in (u, v))
            rest = (x * u + y * v + t) / (15**2 + x * x + y * y)
            u, v = u - x * rest, v - y * rest
        flows.append(np.stack([u, v]))
    return np.stack(flows)


def each(method: Callable[..., Any], first: Images, second: Images) -> Images:
    """One of OpenCV's on 8-bit images, pair by pair."""
    bytes_ = zip(*(np.round(x).astype(np.uint8) for x in (first, second)), strict=True)
    return np.stack([method(a, b, None).transpose(2, 0, 1) for a, b in bytes_])


def tvl1(first: Images, second: Images) -> Images:
    """scikit-image's TV-L1, which wants images in 0…1 and gives rows first."""
    pairs = zip(first / 255, second / 255, strict=True)
    return np.stack([optical_flow_tvl1(a, b)[::-1] for a, b in pairs])


def methods() -> dict[str, Method]:
    """What is compared, SciPy first."""
    farneback = partial(
        cv2.calcOpticalFlowFarneback,
        pyr_scale=0.5,
        levels=4,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.1,
        flags=0,
    )
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found: dict[str, Method] = {
        "scipy.ndimage, Jacobi 100": scipy_flow,
        "vfer, default": partial(vfer_flow, levels=None, device="cpu"),
        "vfer, levels=1": partial(vfer_flow, levels=1, device="cpu"),
        "OpenCV DIS medium": partial(each, dis.calc),
        "OpenCV Farneback": partial(each, farneback),
        "scikit-image TV-L1": tvl1,
        "no flow": no_flow,
    }
    if hasattr(cv2, "optflow"):
        found["OpenCV TV-L1"] = partial(each, cv2.optflow.createOptFlow_DualTVL1().calc)
    else:
        print("OpenCV TV-L1 is left out: it is in opencv-contrib only")
    if torch.cuda.is_available():
        found["vfer, default, GPU"] = partial(vfer_flow, levels=None, device="cuda")
    return found


def seconds(method: Method, first: Images, second: Images, repeats: int) -> float:
    """Median time of a call, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        method(first, second)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def warp_error(method: Method, images: Images, motion: float) -> float:
    """Mean end-point error on pairs of known motion, px."""
    first, second, truth = warped(images, motion)
    error = np.hypot(*(method(first, second) - truth).swapaxes(0, 1))
    return float(error[:, BORDER:-BORDER, BORDER:-BORDER].mean())


def true_errors(method: Method, clips: Sequence[Drawn], crops: bool) -> tuple[float, float]:
    """Mean end-point errors on drawn skin, px, in crops or whole frames: of all, and where fast."""
    pairs = []
    for clip in clips:
        if crops:
            flow = method(clip.crops[:-1], clip.crops[1:])
            pairs.append(skin_motion(flow, clip.truth, clip.eyes))
        else:
            flow = method(clip.whole[:1], clip.whole[1:])
            pairs.append(skin_motion(flow, clip.truth, first=clip.first))
    return errors(pairs)


def no_flow(first: Images, second: Images) -> Images:
    """Nothing moves."""
    return np.zeros((len(first), 2, *first.shape[1:]), np.float32)


def bandwidth_floor() -> None:
    """What reading and writing the planes of an iteration costs on the GPU for 600 pairs."""
    planes = torch.empty(9, 600, 150, 110, device="cuda")
    copies = []
    for _ in range(6):
        torch.cuda.synchronize()
        start = time.perf_counter()
        planes.clone()
        torch.cuda.synchronize()
        copies.append(time.perf_counter() - start)
    # The default's 12 iterations at the finest level and 24 at levels of 1/4, 1/16 and 1/64.
    work = 12 + 24 * (1 / 4 + 1 / 16 + 1 / 64)
    print(
        f"bandwidth floor, 600 pairs, a kernel an iteration: {min(copies) / 2 * work * 1e3:.1f} ms"
    )


def main(argv: list[str] | None = None) -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="a clip with a face; default: a drawn one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=16, help="of each drawn clip, at least 8")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 576), metavar=("W", "H"), help="of frames, px"
    )
    parser.add_argument("--without", nargs="*", default=[], metavar="WORD", help="leave out rivals")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    width, height = args.size
    clips = drawn(FacsConfig(width=width, height=height, frames=args.frames))
    if args.video is None:
        crops, frames = clips[0].crops, clips[0].whole
    else:
        crops, frames = filmed(args.video, (width, height))
    compared = {k: v for k, v in methods().items() if not any(word in k for word in args.without)}
    for whole, images in ((False, crops[:15]), (True, frames[:1])):
        height, width = images.shape[1:]
        first, second, _ = warped(images, 1.0)
        print(f"\n{len(images)} pairs of {height}×{width}, {args.threads} threads\n")
        print("| | ms a pair | × SciPy | EPE 0.5 px | 2 px | 5 px | true motion | fast |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        base = 0.0
        for name, method in compared.items():
            ms = seconds(method, first, second, args.repeats) / len(images) * 1e3
            base = base or ms
            found = [warp_error(method, images, motion) for motion in MOTIONS]
            found += true_errors(method, clips, crops=not whole)
            cells = " | ".join(f"{error:.3f}" for error in found)
            print(f"| {name} | {ms:.2f} | {base / ms:.1f} | {cells} |", flush=True)
    if torch.cuda.is_available():
        bandwidth_floor()


if __name__ == "__main__":
    main()
