"""How many samples go through a stage's network at a time, so that the memory does."""

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

FACTOR = 1.5
"""What a step takes, for one byte that the way forward keeps for the way back."""
USABLE = 0.8
"""How much of what is free a step may take."""


def kept_of_a_sample(run: Run, fold: Fold, stage: Stage, network: StageNetwork) -> int:
    """Return the bytes that a sample leaves for the backward pass; one is tried.

    The network is moved to its device, and left in training.
    """
    where = device(run.config.trainer)
    steps = steps_of(run, fold, stage, Randomness(0, 0, stage.name))
    one = move_data_to_device(steps[0].part(slice(0, 1)), where)
    network.to(where).train()
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        place = value.untyped_storage()
        if place.data_ptr() not in own:
            kept[place.data_ptr()] = place.nbytes()
        return value

    images = transform_of(run, stage)(one).images
    half = "bf16" in precision_of(run.config)
    with (
        torch.random.fork_rng(),
        torch.autocast(where.type, torch.bfloat16, enabled=half),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
    ):
        logits = network.logits(images)
    del logits
    for name, value in network.named_buffers():  # such as the means of a batch norm
        value.copy_(buffers[name])
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
    each = FACTOR * kept_of_a_sample(run, fold, stage, network)
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    left = USABLE * free - 3 * trained  # gradients, and what an optimiser keeps
    parts = -(-settings.batch_size * each // max(left, 1))
    if parts <= 1:
        return None
    return max(1, int(settings.batch_size // parts))
