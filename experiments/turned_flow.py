"""How near flow that is turned with its crops comes to flow computed of the turned crops.

    python -m experiments.turned_flow

On crops of six drawn clips, a person and an emotion each; beside it the flow of the crops as they
are, which is what doing nothing would give. Pixels near a border, where the turned picture repeats
itself, are left out.
"""

import argparse

import numpy as np
import torch
from torch import Tensor

from experiments.true_motion import drawn_clips
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import FaceConfig
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.segments.images import turn, turn_flow

CHANGES = {
    "rotated by 10°": (10.0, 1.0, 1.0),
    "larger by 10 %": (0.0, 1.1, 1.0),
    "smaller by 10 %": (0.0, 0.9, 1.0),
    "lighter by 20 %": (0.0, 1.0, 1.2),
    "darker by 20 %": (0.0, 1.0, 0.8),
    "all: 10°, 1.1, 1.2": (10.0, 1.1, 1.2),
}
BORDER = 25  # px that are left out on each side


def errors(crops: Tensor, change: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the mean motion of turned crops, and how far turned and unturned flow are from it.

    Args:
        crops: ``(n, T, 150, 110, 3)`` uint8.
        change: Rotation, °, enlargement and brightening.

    Returns:
        Mean length of the computed flow, mean distance of the turned and of the unturned, px.
    """
    how = torch.tensor([change]).expand(len(crops), 3)
    plain = pair_flow(crops, FlowConfig())
    computed = pair_flow(turn(crops, how), FlowConfig())
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    wanted, turned, left = computed[inner], turn_flow(plain, how)[inner], plain[inner]
    lengths = [x.norm(dim=2).mean() for x in (wanted, turned - wanted, left - wanted)]
    return float(lengths[0]), float(lengths[1]), float(lengths[2])


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=24, help="of a clip")
    frames = parser.parse_args(argv).frames
    config = FacsConfig(frames=frames, width=360, height=288)
    cut = [
        align(pictures, truth.eyes.astype(np.float64), FaceConfig())
        for pictures, truth in drawn_clips(config)
    ]
    crops = torch.stack([torch.from_numpy(one) for one in cut])
    print("| crops | motion, px a frame | turned flow is off by | flow as it was |")
    print("|---|---|---|---|")
    for name, change in CHANGES.items():
        motion, turned, left = errors(crops, change)
        print(f"| {name} | {motion:.3f} | {turned:.3f} | {left:.3f} |")


if __name__ == "__main__":
    main()
