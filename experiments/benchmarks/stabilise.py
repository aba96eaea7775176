"""How much false flow each way of stabilising the eye track leaves.

A crop that jitters is motion that nobody made. Two cases:

- a still face, one frame repeated, whose true eyes are given noise as a detector has it: all flow
  is false;
- clips of the built-in corpus: flow between crops of the detected track, less the flow between
  crops of the true eyes, which moves as the head does not.

    python -m experiments.benchmarks.stabilise
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import Eyes, FaceConfig
from vfer.faces.tracking import stabilised, track
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig


@dataclass(frozen=True)
class Way:
    """A way to stabilise."""

    name: str
    config: FaceConfig


def ways() -> list[Way]:
    """Those compared."""
    base = FaceConfig()
    found = [Way("frame", replace(base, stabilise="frame"))]
    for sigma in (1.0, 2.0, 4.0):
        config = replace(base, stabilise="smooth", smooth_sigma=sigma)
        found.append(Way(f"smooth, σ = {sigma:g} frames", config))
    return [*found, Way("clip", replace(base, stabilise="clip"))]


def flow_of(frames: NDArray[np.uint8], eyes: Eyes, config: FaceConfig) -> torch.Tensor:
    """Flow between neighbouring crops, ``(T−1, 2, 150, 110)`` px a frame."""
    crops = torch.from_numpy(align(frames, eyes, config))
    return pair_flow(crops[None], FlowConfig())[0]


def _every(eyes: Eyes, config: FaceConfig) -> Eyes:
    """Eyes known in every frame, stabilised."""
    return stabilised(range(len(eyes)), eyes, len(eyes), config)


def length(flow: torch.Tensor) -> float:
    """Mean length, px a frame."""
    return float(flow.norm(dim=1).mean())


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--noise", type=float, default=1.0, help="of the still face's eyes, px")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 576), metavar=("W", "H"), help="of frames, px"
    )
    args = parser.parse_args(argv)
    width, height = args.size
    config = FacsConfig(frames=args.frames, width=width, height=height)
    rng = np.random.default_rng(0)
    sums = {way.name: np.zeros(4) for way in ways()}
    for subject in range(1, args.subjects + 1):
        emotion = EMOTIONS[subject % len(EMOTIONS)]
        frames, truth = draw_clip(config, subject, emotion, 1)
        true = truth.eyes.astype(np.float64)
        still = np.repeat(frames[:1], args.frames, axis=0)
        noisy = true[:1] + rng.normal(0, args.noise, true.shape)
        real = flow_of(frames, true, FaceConfig())
        for way in ways():
            of_still = length(flow_of(still, _every(noisy, way.config), way.config))
            eyes = track([frames], replace(way.config, detect_every=1)).eyes
            sparse = track([frames], way.config).eyes
            sums[way.name] += (
                of_still,
                length(flow_of(frames, eyes, way.config) - real),
                length(flow_of(frames, sparse, way.config) - real),
                float(np.linalg.norm(sparse - true, axis=2).mean()),
            )
    console = Console(highlight=False)
    table = Table(title=f"false flow, px a frame, {args.subjects} clips of {args.frames} frames")
    every = FaceConfig().detect_every
    columns = ("stabilise", f"still face, noise of {args.noise:g} px", "drawn clips, every frame")
    for column in (*columns, f"every {every} frames", "eyes off the truth, px"):
        table.add_column(column)
    for name, values in sums.items():
        table.add_row(name, *(f"{value:.2f}" for value in values / args.subjects))
    console.print(table)


if __name__ == "__main__":
    main()
