"""Several processes that train one network: who they are, and what only the first of them does."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

T = TypeVar("T")

_A_CORE = 4  # processes; to try them they may be more than cores, each holds the networks
_PATIENCE = timedelta(days=2)
"""How long processes wait for the first one: preparing a corpus may take hours."""


def rank() -> int:
    """Return this process's number among all, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def here() -> int:
    """Return how many of the processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world() > 1 else 1


def _fabric(trainer: Mapping[str, Any], **more: Any) -> Fabric:  # noqa: ANN401 - Fabric's options
    where = {name: trainer[name] for name in ("accelerator", "devices", "num_nodes")}
    try:
        return Fabric(**where, **more)
    except (MisconfigurationException, RuntimeError) as error:
        raise ValueError(f"trainer: {where} do not fit this machine: {error}") from error


def device(trainer: Mapping[str, Any]) -> torch.device:
    """Return where this process trains, and measures.

    Args:
        trainer: Lightning's ``accelerator``, ``devices`` and ``num_nodes``.

    Raises:
        ValueError: If there are not so many devices, or other processes were started.
    """
    return _fabric(trainer).device


def precision(trainer: Mapping[str, Any]) -> str:
    """Return how this process computes: ``32-true`` or ``bf16-mixed``.

    Args:
        trainer: Lightning's ``accelerator``, ``devices`` and ``num_nodes``, and ``precision``:
            either of these, 32 or None, or ``auto``, which takes ``bf16-mixed`` where the device
            multiplies bfloat16 in hardware.
    """
    asked = trainer["precision"]
    if asked != "auto":
        return "32-true" if asked in (None, 32, "32") else str(asked)
    kind = device(trainer).type
    if kind == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # older torch does not tell
        tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
        able = tell() if kind == "cpu" else {}
        has = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16"))
    return "bf16-mixed" if has else "32-true"


def launch(trainer: Mapping[str, Any]) -> None:
    """Start the processes that the trainer's options ask for, or join those that were started.

    Under torchrun or SLURM they are there already; else the first process starts the others of
    its machine, which run the same command. With one device nothing happens.

    Args:
        trainer: Lightning's ``accelerator``, ``devices`` and ``num_nodes``.

    Raises:
        ValueError: If there are not so many devices, or other processes were started.
    """
    most, devices = _A_CORE * (os.cpu_count() or 1), trainer["devices"]
    if device(trainer).type == "cpu" and isinstance(devices, int) and devices > most:
        raise ValueError(
            f"trainer.devices is {devices}, which on a CPU are processes; on this machine give at "
            f"most {most}, and best one"
        )
    wanted = _fabric(trainer).world_size
    started = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else wanted
    if started != wanted:
        raise ValueError(
            f"torchrun has started {started} processes; trainer.devices × trainer.num_nodes is "
            f"{wanted}: set --trainer.devices to the processes of a machine"
        )
    if wanted > 1:
        _fabric(trainer, strategy=DDPStrategy(timeout=_PATIENCE)).launch()


def first(work: Callable[[], T]) -> T:
    """Let the first process do some work while the others wait, and give all of them its result.

    Raises:
        RuntimeError: In the others, if it failed in the first.
    """
    if world() == 1:
        return work()
    box: list[Any] = [None, None]
    if rank() == 0:
        try:
            box[0] = work()
        except Exception as error:
            box[1] = str(error)
            dist.broadcast_object_list(box)
            raise
    dist.broadcast_object_list(box)
    if box[1] is not None:
        raise RuntimeError(f"the first process failed: {box[1]}")
    result: T = box[0]
    return result


def gather(mine: T) -> list[T]:
    """Return what each process has, by rank, in every one of them."""
    if world() == 1:
        return [mine]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, mine)
    return found
