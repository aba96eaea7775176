"""Draw flow over α, coarse to fine and at one level, for docs/flow.md.

    python -m experiments.flow_alpha --output docs/flow-alpha.jpg [--video CLIP.mp4 --pair 10]
    python -m experiments.flow_alpha --table

Without a video it is a smile of the built-in corpus, its crops beside the flow; of a video only the
flow is shown. The table is of the error on crops of six drawn clips, against their true motion.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.true_motion import drawn_clips, errors, skin_motion
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import FaceConfig
from vfer.faces.tracking import track
from vfer.flow.images import flow_to_rgb
from vfer.flow.pairs import gray, pair_flow
from vfer.flow.settings import FlowConfig
from vfer.flow.solver import horn_schunck
from vfer.video import read_frames

ALPHAS = (1.0, 5.0, 15.0, 50.0, 255.0)
LIMIT = 3.0  # px a frame of full colour
TABLE = (5.0, 8.0, 11.0, 15.0, 20.0, 30.0, 50.0)


def smile() -> NDArray[np.uint8]:
    """Crops ``(T, 150, 110, 3)`` of a drawn smile."""
    frames, truth = draw_clip(FacsConfig(frames=32, width=360, height=288), 1, "happiness", 1)
    return align(frames, truth.eyes.astype(np.float64), FaceConfig())


def table(config: FacsConfig, alphas: Sequence[float]) -> None:
    """Print the errors over α on drawn skin, of all of it and of what moves fast."""
    clips = []
    for pictures, truth in drawn_clips(config):
        eyes = truth.eyes.astype(np.float64)
        crops = gray(torch.from_numpy(align(pictures, eyes, FaceConfig())))[:, None]
        clips.append((crops, truth, eyes))
    print("| α | all skin | fast | one level, all | fast |\n|---|---|---|---|---|")
    for alpha in alphas:
        cells = []
        for levels in (None, 1):
            pairs = [
                skin_motion(
                    horn_schunck(crops[:-1], crops[1:], alpha=alpha, levels=levels).numpy(),
                    truth,
                    eyes,
                )
                for crops, truth, eyes in clips
            ]
            cells += [f"{error:.3f}" for error in errors(pairs)]
        print(f"| {alpha:g} | {' | '.join(cells)} |", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Draw the picture, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=Path, help="the picture")
    what.add_argument("--table", action="store_true", help="print the errors over α")
    parser.add_argument("--frames", type=int, default=16, help="of a clip of the table")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 576), metavar=("W", "H"), help="of these, px"
    )
    parser.add_argument("--alphas", type=float, nargs="+", default=TABLE, help="of the table")
    parser.add_argument("--video", type=Path, help="a clip with a face; default: a drawn smile")
    parser.add_argument("--pair", type=int, help="its first frame; default: where most changes")
    args = parser.parse_args(argv)
    if args.table:
        width, height = args.size
        table(FacsConfig(frames=args.frames, width=width, height=height), args.alphas)
        return
    if args.video is None:
        crops = smile()
    else:
        frames = read_frames(args.video)[0][:64]
        crops = align(frames, track([frames], FaceConfig()).eyes, FaceConfig())
    change = np.abs(np.diff(crops.astype(np.float32), axis=0)).mean((1, 2, 3))
    pair = int(change.argmax()) if args.pair is None else args.pair
    images = [(f"frame {pair}", crops[pair]), (f"frame {pair + 1}", crops[pair + 1])]
    columns = len(ALPHAS) + (args.video is None)
    figure = Figure(figsize=(1.3 * columns, 3.9), layout="constrained")
    grid = figure.subplots(2, columns)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    if args.video is None:
        for axes, (title, image) in zip(grid[:, 0], images, strict=True):
            axes.imshow(image)
            axes.set_title(title, fontsize=8)
    for row, levels in zip(grid[:, -len(ALPHAS) :], (None, 1), strict=True):
        for axes, alpha in zip(row, ALPHAS, strict=True):
            config = FlowConfig(alpha=alpha, levels=levels)
            flow = pair_flow(torch.from_numpy(crops[None, pair : pair + 2]), config)[0]
            axes.imshow(flow_to_rgb(flow, LIMIT)[0].permute(1, 2, 0).numpy())
            axes.set_title(f"α = {alpha:g}" + ("" if levels is None else ", 1 level"), fontsize=8)
    figure.savefig(args.output, dpi=100)


if __name__ == "__main__":
    main()
