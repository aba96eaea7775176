"""What a stage's network says of whole clips, without augmentation or dropout."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from lightning_fabric.utilities import move_data_to_device
from numpy.typing import NDArray
from torch import Tensor

from vfer.fit.datamodule import Transform
from vfer.fit.datasets import EvaluatedClips
from vfer.networks.stage import StageNetwork
from vfer.runtime.ranks import gather, rank, world
from vfer.segments.batch import SegmentBatch

Probabilities = list[NDArray[np.float64]]
"""Of each clip of a part ``(S, classes)``: of its segments, or of its images."""


CHUNK = 64
"""Pairs of frames evaluated at a time on a CPU, so that a long clip takes no more memory."""
CHUNK_ON_GPU = 512


def describe(
    network: StageNetwork, data: EvaluatedClips, transform: Transform, clips: Iterable[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Describe all images of some clips, without augmentation or dropout, short clips together.

    Yields:
        Of each clip ``StageNetwork.describe`` of all its pairs, and its segments.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    chunk = CHUNK if device.type == "cpu" else CHUNK_ON_GPU
    for group in data.groups(clips, chunk):
        batch, segments = move_data_to_device((group.pairs, group.segments), device)
        parts = torch.arange(len(batch.frames)).chunk(-(-len(batch.frames) // chunk))
        found = torch.cat([_described(network, batch, transform, part) for part in parts])
        yield from zip(torch.split(found, [*group.counts]), segments, strict=True)
    network.train(was_training)


def _described(
    network: StageNetwork, batch: SegmentBatch, transform: Transform, part: Tensor
) -> Tensor:
    """Describe some neighbouring pairs of a batch."""
    mine = batch.part(slice(int(part[0]), int(part[-1]) + 1))
    return network.describe(transform(mine).images)


def evaluate(network: StageNetwork, data: EvaluatedClips, transform: Transform) -> Probabilities:
    """Return the softmax of every segment (image) of every clip, without augmentation or dropout.

    Where there are several processes, they share the clips, and each gets what all have found.
    """
    clips = range(rank(), len(data), world())
    described = describe(network, data, transform, clips)
    mine = [network.clip_probabilities(*clip).numpy() for clip in described]
    found: dict[int, NDArray[np.float64]] = {}
    for number, part in enumerate(gather(mine)):
        found |= dict(zip(range(number, len(data), world()), part, strict=True))
    return [found[i] for i in range(len(data))]


def measure(
    probabilities: Probabilities, labels: Sequence[int], misses: int
) -> tuple[float, float]:
    """Return clip accuracy, misses counted as wrong, and mean cross-entropy of the scored clips."""
    means = [p.mean(axis=0) for p in probabilities]
    hits = sum(int(np.argmax(p)) == label for p, label in zip(means, labels, strict=True))
    likelihood = [max(p[label], 1e-300) for p, label in zip(means, labels, strict=True)]
    return hits / (len(labels) + misses), float(-np.mean(np.log(likelihood)))
