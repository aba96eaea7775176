"""How many samples go through a stage's network at a time, so that the memory does."""

from typing import NamedTuple

import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor

from vfer.config.tree import StageConfig
from vfer.fit.plan import Randomness, Stage
from vfer.fit.precision import precision_of
from vfer.fit.run import Fold, Run
from vfer.fit.training import steps_of, transform_of
from vfer.networks.stage import StageNetwork
from vfer.runtime.memory import free_memory
from vfer.runtime.ranks import device, world
from vfer.segments.batch import SegmentBatch

FACTOR = 1.5
"""What a step takes, for one byte that the way forward keeps for the way back."""
USABLE = 0.8
"""How much of what is free a step may take."""


class Kept(NamedTuple):
    """The bytes that the way forward leaves for the way back.

    Attributes:
        fixed: Whatever the samples are, such as weights in bfloat16.
        each: Of each sample.
    """

    fixed: int
    each: int

    def of(self, samples: int) -> int:
        """Return the bytes of so many samples that go through the network together."""
        return self.fixed + samples * self.each


def kept_bytes(run: Run, fold: Fold, stage: Stage, network: StageNetwork) -> Kept:
    """Return what is left for the backward pass; one sample is tried, and two.

    The network is moved to its device, and left in training.
    """
    network.to(device(run.config.trainer)).train()
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    batch = steps_of(run, fold, stage, Randomness(0, 0, stage.name), micro_batch=2)[0]
    one, *more = [
        _kept(run, stage, network, batch.part(slice(0, count)))
        for count in range(1, min(len(batch.label), 2) + 1)
    ]
    for name, value in network.named_buffers():  # such as the means of a batch norm
        value.copy_(buffers[name])
    each = more[0] - one if more else one
    return Kept(max(one - each, 0), each)


def _kept(run: Run, stage: Stage, network: StageNetwork, batch: SegmentBatch) -> int:
    """Return the bytes that a batch leaves for the backward pass, tensor by tensor."""
    where = device(run.config.trainer)
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        place = value.untyped_storage()
        if place.data_ptr() not in own:
            kept[place.data_ptr()] = place.nbytes()
        return value

    images = transform_of(run, stage)(move_data_to_device(batch, where)).images
    half = "bf16" in precision_of(run.config)
    with (
        torch.random.fork_rng(),
        torch.autocast(where.type, torch.bfloat16, enabled=half),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
    ):
        logits = network.logits(images)
    del logits
    return sum(kept.values())


def fitting(run: Run, fold: Fold, stage: Stage, network: StageNetwork) -> int | None:
    """Return the largest part of a batch that the free memory does for; None if all of it does.

    Parts are of one size, or differ by one sample. Nothing is said where several processes train
    together, which must agree.
    """
    settings: StageConfig = getattr(run.config.stages, stage.name)
    if world() > 1:
        return None
    where = device(run.config.trainer)
    free = torch.cuda.mem_get_info(where)[0] if where.type == "cuda" else free_memory()
    kept = kept_bytes(run, fold, stage, network)
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    # What is trained has gradients, and the optimiser keeps as much again, or twice.
    left = USABLE * free - 3 * trained - FACTOR * kept.fixed
    parts = -(-settings.batch_size * FACTOR * kept.each // max(left, 1))
    if parts <= 1:
        return None
    return max(1, int(settings.batch_size // parts))
