"""How hard is the built-in corpus, and does the order of its frames matter?

Trains a quarter-width AlexNet on single apex frames, and another on the optical flow of consecutive
frames, and tests both on subjects that were not seen; the second also with the frames of each
16-frame segment shuffled. Crops are aligned by the true eyes, so that only the corpus is measured.

    python -m experiments.facs_difficulty --subjects 12 --root DIR
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import apex_frame
from vfer.corpora.facs.files import load_truth, render, video_path
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import FaceConfig
from vfer.flow.solver import horn_schunck
from vfer.networks import AlexNetStream, FrameNetwork
from vfer.video import read_frames

INPUT = 112  # px, side of the networks' input
LIMIT = 5.0  # px a frame at which flow is clipped
SEGMENT = 16  # frames among which the order is shuffled


@dataclass(frozen=True)
class Sample:
    """One clip's crops ``(T, 150, 110, 3)`` uint8, its subject, class and apex frame."""

    crops: NDArray[np.uint8]
    subject: int
    label: int
    apex: int


def load(root: Path, config: FacsConfig) -> list[Sample]:
    """Render what is missing and cut the crops of every clip."""
    render(root, config)
    samples = []
    for subject in range(1, config.subjects + 1):
        for label, emotion in enumerate(EMOTIONS):
            for take in range(1, config.clips_per_emotion + 1):
                path = video_path(root, subject, emotion, take)
                truth = load_truth(path)
                crops = align(read_frames(path)[0], truth.eyes.astype(np.float64), FaceConfig())
                samples.append(Sample(crops, subject, label, apex_frame(truth, emotion)))
    return samples


def train(images: Tensor, labels: Tensor, steps: int, generator: torch.Generator) -> nn.Module:
    """SGD with momentum on ``(N, 3, 112, 112)`` int8 images, shifted a little.

    Args:
        images: Zero-centred images.
        labels: Classes ``(N,)``.
        steps: Number of batches, of 64.
        generator: Source of the batches.
    """
    model = FrameNetwork(AlexNetStream(width=0.25), len(EMOTIONS)).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.02, total_steps=steps)
    for _ in range(steps):
        index = torch.randint(len(images), (64,), generator=generator)
        dx, dy = torch.randint(-4, 5, (2,), generator=generator).tolist()
        batch = torch.roll(images[index].float() / 255 + 0.5, (dy, dx), (2, 3))
        loss = F.cross_entropy(model(batch), labels[index])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def scores(model: nn.Module, images: Tensor) -> Tensor:
    """Softmax ``(N, 6)``."""
    return torch.cat(
        [model(part.float() / 255 + 0.5).softmax(1) for part in torch.split(images, 128)]
    )


def stills(samples: list[Sample], around: int = 0) -> tuple[Tensor, Tensor]:
    """Apex frames, and those up to ``around`` frames off, as zero-centred int8 images."""
    crops, labels = [], []
    for one in samples:
        for t in range(max(0, one.apex - around), min(len(one.crops), one.apex + around + 1)):
            crops.append(one.crops[t])
            labels.append(one.label)
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    images = F.interpolate(images, (INPUT, INPUT), mode="bilinear", antialias=True)
    return (images - 128).clamp(-127, 127).to(torch.int8), torch.tensor(labels)


def flows(crops: NDArray[np.uint8]) -> Tensor:
    """Flow images (dx, dy, magnitude) between consecutive crops, int8: 127 is ``LIMIT`` px."""
    grey = torch.from_numpy(crops).float() @ torch.tensor([0.299, 0.587, 0.114])
    flow = horn_schunck(grey[:-1, None], grey[1:, None])
    flow = torch.cat([flow, flow.norm(dim=1, keepdim=True)], 1)
    flow = F.interpolate(flow, (INPUT, INPUT), mode="bilinear", antialias=True)
    return (flow.clamp(-LIMIT, LIMIT) * (127 / LIMIT)).round().to(torch.int8)


def shuffled(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The crops with the frames of each segment in random order."""
    order = [rng.permutation(part) for part in _segments(len(crops))]
    mixed: NDArray[np.uint8] = crops[np.concatenate(order)]
    return mixed


def _segments(n: int) -> list[NDArray[np.int64]]:
    return [np.arange(a, min(a + SEGMENT, n)) for a in range(0, n, SEGMENT)]


def spread(flow: Tensor) -> Tensor:
    """Int8 flow images three times as strong, so that they span about the range of the stills."""
    return (flow.float() * 3).clamp(-127, 127).to(torch.int8)


def fold(
    samples: list[Sample], held: set[int], steps: int, seed: int
) -> tuple[float, float, float, float]:
    """Accuracies on the held-out subjects: still, still on training subjects, flow, shuffled."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    known = [one for one in samples if one.subject not in held]
    new = [one for one in samples if one.subject in held]
    model = train(*stills(known, around=2), steps, generator)
    right = []
    for part in (new, known):
        images, labels = stills(part)
        right.append((scores(model, images).argmax(1) == labels).float().mean().item())
    parts = [spread(flows(one.crops)) for one in known]
    labels = torch.cat(
        [torch.full((len(f),), one.label) for f, one in zip(parts, known, strict=True)]
    )
    model = train(torch.cat(parts), labels, steps, generator)
    for order in (False, True):
        hits = []
        for one in new:
            crops = shuffled(one.crops, rng) if order else one.crops
            hits.append(int(scores(model, spread(flows(crops))).mean(0).argmax()) == one.label)
        right.append(float(np.mean(hits)))
    return right[0], right[1], right[2], right[3]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder for the rendered corpus")
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--clips", type=int, default=5, help="clips of an emotion")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--difficulty", type=float, default=FacsConfig.difficulty)
    parser.add_argument("--folds", type=int, default=3, help="groups of held-out subjects")
    parser.add_argument("--run", type=int, help="number of these groups that are held out")
    parser.add_argument("--steps", type=int, default=400, help="batches of 64 in training")
    args = parser.parse_args()
    config = FacsConfig(
        subjects=args.subjects,
        clips_per_emotion=args.clips,
        frames=args.frames,
        width=360,
        height=288,
        difficulty=args.difficulty,
    )
    start = time.perf_counter()
    samples = load(args.root, config)
    print(f"{len(samples)} clips in {time.perf_counter() - start:.0f} s; chance is 16.7 %")
    print("fold  still  (still, seen subjects)  flow  flow shuffled", flush=True)
    table = []
    for k in range(args.folds if args.run is None else args.run):
        held = set(range(1 + k, args.subjects + 1, args.folds))
        table.append(fold(samples, held, args.steps, k))
        print(f"{k:4d}" + "".join(f"{100 * value:8.1f}" for value in table[-1]), flush=True)
    print("mean" + "".join(f"{100 * value:8.1f}" for value in np.mean(table, 0)))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
