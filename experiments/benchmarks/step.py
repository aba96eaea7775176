"""One training step of the third stage at full size: ``python -m experiments.benchmarks.step``.

Batch 40, L = 16, 227 px, two AlexNets of width 1, SGD with momentum; synthetic crops, their flow
from the store (`--flow-on-the-fly`: computed on the way). Beside it, in the same run, a bare step:
the same networks, channels last, forward and backward in bfloat16 on images that are there, without
optimiser, crops, flow or Lightning. Prints the time of a step, of a bare one, their ratio, and the
most memory that the process held, which counts weights, gradients and momentum. The two take turns,
and medians are compared; a first step of each is not counted.
"""

import argparse
import copy
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from vfer.config.tree import DataConfig, OptimizerConfig
from vfer.fit.datamodule import Transform
from vfer.fit.frames import Memory
from vfer.fit.module import StageModule
from vfer.fit.plan import Randomness
from vfer.networks import SegmentNetwork
from vfer.networks.build import build_frame_network, build_segment_network
from vfer.networks.settings import ModelConfig
from vfer.results.tables import STREAMS
from vfer.runtime.ranks import precision
from vfer.segments.batch import SegmentBatch, StreamInputs
from vfer.segments.images import stream_inputs


class Segments(Dataset[SegmentBatch]):
    """Micro-batches of random crops out of memory, as ``data.residency: ram`` gives them."""

    def __init__(self, count: int, size: int, length: int, flow: bool, turned: bool) -> None:
        self.count, self.size, self.length, self.flow = count, size, length, flow
        self.warp = torch.tensor([[7.0, 1.05, 0.9]]).expand(size, 3) if turned else None
        self.memory = Memory({"a clip": 128}, flow, torch.device("cpu"))
        draw = np.random.default_rng(0)
        crops = draw.integers(256, size=(128, 150, 110, 3), dtype=np.uint8)
        moved = draw.normal(size=(127, 2, 150, 110)).astype(np.float16)
        self.memory.put("a clip", crops, moved if flow else None)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, item: int) -> SegmentBatch:
        starts = np.random.default_rng(item).integers(128 - self.length, size=self.size)
        runs = starts[:, None] + np.arange(self.length)
        crops, flow = self.memory.take(["a clip"] * self.size, runs, self.flow)
        zeros = torch.zeros(self.size, dtype=torch.int64)
        augment = torch.stack([zeros + item % 2, zeros + 3, zeros - 2], dim=1)
        return SegmentBatch(crops, flow, zeros + item % 6, zeros, zeros, augment, self.warp)


class Module(StageModule):
    """Makes the images of a batch on the device, as the data module of a stage does."""

    def __init__(self, transform: Transform, *arguments: Any) -> None:  # noqa: ANN401 - as there
        super().__init__(*arguments)
        self.transform = transform

    def on_after_batch_transfer(self, batch: SegmentBatch, dataloader_idx: int) -> StreamInputs:
        """Flow and images."""
        return self.transform(batch)


class Clock(pl.Callback):
    """The seconds of each step, and of a bare one after each."""

    def __init__(self, bare: Callable[[], None]) -> None:
        self.bare, self.seconds, self.bares = bare, list[float](), list[float]()
        self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Take the time when a step has ended, then that of a bare one."""
        if trainer.global_step > len(self.seconds):
            self.seconds.append(self._lap())
            self.bare()
            self.bares.append(self._lap())

    def _lap(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        before, self.since = self.since, time.perf_counter()
        return self.since - before


def bare_step(network: SegmentNetwork, shape: tuple[int, ...], parts: int) -> Callable[[], None]:
    """Return a step without anything around the networks; images ``(B, n, 3, S, S)`` a stream."""
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    alone = copy.deepcopy(network).to(where)
    images = {name: torch.rand(shape, device=where) for name in STREAMS}
    labels = torch.zeros(shape[0], dtype=torch.int64, device=where)

    def step() -> None:
        alone.zero_grad()
        for _ in range(parts):
            with torch.autocast(where.type, torch.bfloat16):
                loss = F.cross_entropy(alone(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]

    return step


@dataclass(frozen=True)
class Size:
    """What a step is of.

    Attributes:
        batch: Segments.
        micro_batch: Segments that go through the networks together.
        length: Frames of a segment, L.
        width: ``model.width``.
        pixels: Side of the networks' input.
    """

    batch: int = 40
    micro_batch: int = 2
    length: int = 16
    width: float = 1.0
    pixels: int = 227


def measure(
    size: Size, steps: int, wanted: str, flow_on_the_fly: bool, turned: bool = False
) -> tuple[float, float]:
    """Return the median seconds of a step and of a bare one, which take turns.

    Args:
        size: Of the step.
        steps: That are counted, after one that is not.
        wanted: ``trainer.precision`` of the whole step.
        flow_on_the_fly: Whether flow is computed in the step.
        turned: Whether crops are rotated, scaled and lit.
    """
    data = DataConfig("facs", segment_length=size.length)
    model = ModelConfig(width=size.width, input_size=size.pixels, weights=None)
    streams = {name: build_frame_network(model, 6) for name in STREAMS}
    network = build_segment_network(model, 6, size.length - 1, streams)
    parts = size.batch // size.micro_batch
    transform = partial(stream_inputs, streams=STREAMS, size=size.pixels, config=data.flow)
    optimizer = OptimizerConfig(lr=1e-6)
    module = Module(transform, network, optimizer, steps + 1, Randomness(0, 0, "vlan"))
    shape = (size.micro_batch, size.length - 1, 3, size.pixels, size.pixels)
    clock = Clock(bare_step(network, shape, parts))
    trainer = pl.Trainer(
        devices=1, max_steps=steps + 1, accumulate_grad_batches=parts,
        precision=precision_of(wanted),  # type: ignore[arg-type]
        logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, callbacks=[clock],
    )  # fmt: skip
    count = (steps + 1) * parts
    segments = Segments(count, size.micro_batch, size.length, not flow_on_the_fly, turned)
    trainer.fit(module, DataLoader(segments, batch_size=None))
    whole, bare = (float(np.median(seen[1:])) for seen in (clock.seconds, clock.bares))
    return whole, bare


def precision_of(wanted: str) -> str:
    """Return what ``trainer.precision`` is here."""
    where = {"accelerator": "auto", "devices": 1, "num_nodes": 1}
    return precision(where | {"precision": wanted})


def main(argv: list[str] | None = None) -> None:
    """Run steps of both kinds and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.step")
    default = Size()
    parser.add_argument("--batch-size", type=int, default=default.batch)
    parser.add_argument("--micro-batch", type=int, default=default.micro_batch)
    parser.add_argument("--length", type=int, default=default.length, help="frames of a segment, L")
    parser.add_argument("--width", type=float, default=default.width)
    parser.add_argument("--input-size", type=int, default=default.pixels, help="px")
    parser.add_argument("--steps", type=int, default=2, help="that are counted")
    parser.add_argument("--flow-on-the-fly", action="store_true")
    parser.add_argument("--turned", action="store_true", help="rotate, scale and light crops")
    parser.add_argument(
        "--precision", default="auto", choices=["auto", "32-true", "bf16-mixed"],
        help="of the whole step; the bare one is in bfloat16",
    )  # fmt: skip
    given = parser.parse_args(argv)
    if given.batch_size % given.micro_batch:
        parser.error("--batch-size must be a multiple of --micro-batch")
    warnings.filterwarnings("ignore", ".*does not have many workers|.isinstance.treespec")
    size = Size(given.batch_size, given.micro_batch, given.length, given.width, given.input_size)
    whole, bare = measure(size, given.steps, given.precision, given.flow_on_the_fly, given.turned)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    table = Table(
        "device", "threads", "batch", "micro-batch", "L", "width", "px", "precision", "s a step",
        "s bare", "ratio", "memory of the process, GiB", "of the GPU, GiB",
    )  # fmt: skip
    on_gpu = torch.cuda.is_available()
    table.add_row(
        torch.cuda.get_device_name() if on_gpu else "cpu",
        str(torch.get_num_threads()),
        *(str(v) for v in astuple(size)),
        precision_of(given.precision),
        *(f"{v:.2f}" for v in (whole, bare, whole / bare, held)),
        f"{torch.cuda.max_memory_allocated() / 2**30:.2f}" if on_gpu else "–",
    )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
