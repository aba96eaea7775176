"""One training step of the third stage at full size: ``python -m experiments.benchmarks.step``.

Batch 40, L = 16, 227 px, two AlexNets of width 1, SGD with momentum; synthetic crops, their flow
computed on the way. Prints the time of a step and the most memory that the process held, which
counts weights, gradients and momentum; a step before the measured one makes the latter.
"""

import argparse
import resource
import sys
import time
import warnings
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from vfer.config.tree import DataConfig, OptimizerConfig
from vfer.fit.datamodule import Transform
from vfer.fit.module import StageModule
from vfer.fit.plan import Randomness
from vfer.flow.settings import FlowConfig
from vfer.networks import AlexNetStream, SegmentNetwork
from vfer.results.tables import STREAMS
from vfer.segments.batch import SegmentBatch, StreamInputs
from vfer.segments.images import stream_inputs


class Segments(Dataset[SegmentBatch]):
    """Random crops, a micro-batch an item."""

    def __init__(self, count: int, size: int, length: int) -> None:
        self.count, self.size, self.length = count, size, length

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, item: int) -> SegmentBatch:
        draw = torch.Generator().manual_seed(item)
        shape = (self.size, self.length, 150, 110, 3)
        frames = torch.randint(256, shape, generator=draw, dtype=torch.uint8)
        zeros = torch.zeros(self.size, dtype=torch.int64)
        return SegmentBatch(frames, None, zeros + item % 6, zeros, zeros)


class Module(StageModule):
    """Makes the images of a batch on the device, as the data module of a stage does."""

    def __init__(self, transform: Transform, *arguments: Any) -> None:  # noqa: ANN401 - as there
        super().__init__(*arguments)
        self.transform = transform

    def on_after_batch_transfer(self, batch: SegmentBatch, dataloader_idx: int) -> StreamInputs:
        """Flow and images."""
        return self.transform(batch)


class Clock(pl.Callback):
    """The seconds of each step."""

    def __init__(self) -> None:
        self.ends = [time.perf_counter()]

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Take the time when a step has ended."""
        if trainer.global_step == len(self.ends):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())


def main(argv: list[str] | None = None) -> None:
    """Run two steps and print the second's figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.step")
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--micro-batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=16, help="frames of a segment, L")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--input-size", type=int, default=227, help="px")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    given = parser.parse_args(argv)
    if given.batch_size % given.micro_batch:
        parser.error("--batch-size must be a multiple of --micro-batch")
    warnings.filterwarnings("ignore", ".*does not have many workers|.isinstance.treespec")
    data = DataConfig("facs", segment_length=given.length, flow=FlowConfig(cache=False))
    streams = {name: AlexNetStream(width=given.width) for name in STREAMS}
    network = SegmentNetwork(streams, given.length - 1, 6)
    size = given.input_size
    transform = partial(stream_inputs, streams=STREAMS, size=size, config=data.flow)
    module = Module(transform, network, OptimizerConfig(lr=1e-6), 2, Randomness(0, 0, "vlan"))
    parts = given.batch_size // given.micro_batch
    clock = Clock()
    trainer = pl.Trainer(
        devices=1, max_steps=2, accumulate_grad_batches=parts, precision=given.precision,
        logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, callbacks=[clock],
    )  # fmt: skip
    segments = Segments(2 * parts, given.micro_batch, given.length)
    trainer.fit(module, DataLoader(segments, batch_size=None))
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    table = Table(
        "device", "threads", "batch", "micro-batch", "L", "px", "width", "precision", "s a step",
        "memory of the process, GiB", "of the GPU, GiB",
    )  # fmt: skip
    on_gpu = torch.cuda.is_available()
    table.add_row(
        torch.cuda.get_device_name() if on_gpu else "cpu",
        str(torch.get_num_threads()),
        *(str(v) for v in (given.batch_size, given.micro_batch, given.length, given.input_size)),
        *(str(v) for v in (given.width, given.precision)),
        f"{clock.ends[-1] - clock.ends[-2]:.1f}",
        f"{held:.2f}",
        f"{torch.cuda.max_memory_allocated() / 2**30:.2f}" if on_gpu else "–",
    )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
