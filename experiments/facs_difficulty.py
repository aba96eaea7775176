"""How hard is the built-in corpus, and does the order of its frames matter?

Trains a quarter-width AlexNet on single apex frames, and another on the optical flow of consecutive
frames, and tests both on subjects that were not seen; the second also with the frames of each
16-frame segment shuffled. Crops are aligned by the true eyes, so that only the corpus is measured.

    python -m experiments.facs_difficulty --subjects 12 --root DIR
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vfer.corpora import EMOTIONS
from vfer.corpora.facs import read
from vfer.corpora.facs.clip import apex_frame
from vfer.corpora.facs.files import load_truth, render
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import FaceConfig
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.networks import AlexNetStream, FrameNetwork
from vfer.video import read_frames

INPUT = 112  # px, side of the networks' input
SEGMENT = 16  # frames among which the order is shuffled


class Sample(NamedTuple):
    """One clip's crops ``(T, 150, 110, 3)`` uint8, its subject, class and apex frame."""

    crops: NDArray[np.uint8]
    subject: str
    label: int
    apex: int


def load(root: Path, config: FacsConfig) -> list[Sample]:
    """Render what is missing and cut the crops of every clip."""
    render(root, config)
    samples = []
    for clip in read(root, config).clips:
        truth = load_truth(clip.path)
        crops = align(read_frames(clip.path)[0], truth.eyes.astype(np.float64), FaceConfig())
        apex = apex_frame(truth, clip.emotion)
        samples.append(Sample(crops, clip.subject, EMOTIONS.index(clip.emotion), apex))
    return samples


def stills(sample: Sample, around: int = 0) -> Tensor:
    """Return the apex frame, and those up to ``around`` frames off, as images in −0.5…0.5."""
    crops = sample.crops[max(0, sample.apex - around) : sample.apex + around + 1]
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    images = F.interpolate(images, (INPUT, INPUT), mode="bilinear", antialias=True)
    return (images / 255 - 0.5).half()  # half the memory of a corpus


def flows(sample: Sample, order: np.random.Generator | None = None) -> Tensor:
    """Return flow images (dx, dy, length) in −0.5…0.5: 0.3 is a pixel a frame.

    Args:
        sample: The clip.
        order: Draws the order of the frames within each segment; None leaves it.
    """
    crops = sample.crops
    if order is not None:
        parts = np.split(np.arange(len(crops)), range(SEGMENT, len(crops), SEGMENT))
        crops = crops[np.concatenate([order.permutation(part) for part in parts])]
    flow = pair_flow(torch.from_numpy(crops)[None], FlowConfig())[0]
    flow = torch.cat([flow, flow.norm(dim=1, keepdim=True)], 1)
    flow = F.interpolate(flow, (INPUT, INPUT), mode="bilinear", antialias=True)
    return (0.3 * flow).clamp(-0.5, 0.5).half()


def train(images: list[Tensor], labels: list[int], steps: int, draw: torch.Generator) -> nn.Module:
    """Train on the images of clips by SGD with momentum, shifted a little.

    Args:
        images: ``(n, 3, 112, 112)`` of each clip, about zero.
        labels: Each clip's class.
        steps: Number of batches, of 64.
        draw: Draws the batches.
    """
    every = torch.cat(images)
    classes = torch.tensor(labels).repeat_interleave(torch.tensor([len(part) for part in images]))
    model = FrameNetwork(AlexNetStream(width=0.25), len(EMOTIONS)).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.02, total_steps=steps)
    for _ in range(steps):
        index = torch.randint(len(every), (64,), generator=draw)
        dx, dy = torch.randint(-4, 5, (2,), generator=draw).tolist()
        batch = torch.roll(every[index].float() + 0.5, (dy, dx), (2, 3))
        optimiser.zero_grad()
        F.cross_entropy(model(batch), classes[index]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: list[Tensor], labels: list[int]) -> float:
    """Return the share of clips whose mean softmax over their images has the right class, %."""
    found = [int(model(part.float() + 0.5).softmax(1).mean(0).argmax()) for part in images]
    return 100 * float(np.mean(np.equal(found, labels)))


def fold(samples: list[Sample], held: set[str], steps: int, seed: int) -> list[float]:
    """Return accuracies, %: still, still of subjects seen in training, flow, flow shuffled."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    known = [one for one in samples if one.subject not in held]
    new = [one for one in samples if one.subject in held]
    theirs, ours = ([one.label for one in part] for part in (known, new))
    model = train([stills(one, 2) for one in known], theirs, steps, draw)
    found = [accuracy(model, [stills(one) for one in new], ours)]
    found.append(accuracy(model, [stills(one) for one in known], theirs))
    model = train([flows(one) for one in known], theirs, steps, draw)
    order = np.random.default_rng(seed)
    found.append(accuracy(model, [flows(one) for one in new], ours))
    found.append(accuracy(model, [flows(one, order) for one in new], ours))
    return found


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder for the rendered corpus")
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--clips", type=int, default=5, help="clips of an emotion")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(360, 288), metavar=("W", "H"), help="of frames, px"
    )
    parser.add_argument("--difficulty", type=float, default=FacsConfig.difficulty)
    parser.add_argument("--folds", type=int, default=3, help="groups of held-out subjects")
    parser.add_argument("--run", type=int, help="how many of these groups are tested; default: all")
    parser.add_argument("--steps", type=int, default=400, help="batches of 64 in training")
    args = parser.parse_args(argv)
    width, height = args.size
    samples = load(
        args.root,
        FacsConfig(
            args.subjects, args.clips, args.frames, width, height, difficulty=args.difficulty
        ),
    )
    print(f"{len(samples)} clips; chance is 16.7 %")
    print("fold  still  (still, seen subjects)  flow  flow shuffled", flush=True)
    table = []
    for k in range(args.folds if args.run is None else args.run):
        held = {str(subject) for subject in range(1 + k, args.subjects + 1, args.folds)}
        table.append(fold(samples, held, args.steps, k))
        print(f"{k:4d}" + "".join(f"{value:8.1f}" for value in table[-1]), flush=True)
    print("mean" + "".join(f"{value:8.1f}" for value in np.mean(table, 0)))


if __name__ == "__main__":
    main()
