"""What the exchange of gradients adds to a step: the model of docs/scaling.md beside two processes.

Each process has one thread and its share of a batch. The model: an exchange takes as long as an
all-reduce of the gradients' bytes alone, and a step at most its own time and the exchange's, at
least the longer of the two.

    torchrun --nproc-per-node 2 -m experiments.benchmarks.exchange
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from vfer.networks import AlexNetStream, SegmentNetwork
from vfer.results.tables import STREAMS

FRAMES = 15


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of some work that all processes begin together, after a first one."""
    times = []
    for _ in range(rounds + 1):
        dist.barrier()
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return median(times[1:])


def step(model: nn.Module, optimizer: torch.optim.Optimizer, size: int, segments: int) -> None:
    """Make one training step on random images."""
    images = {name: torch.rand(segments, FRAMES, 3, size, size) for name in STREAMS}
    optimizer.zero_grad(set_to_none=False)
    labels = torch.zeros(segments, dtype=torch.int64)
    loss: Tensor = F.cross_entropy(model(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--size", type=int, default=227, help="px")
    parser.add_argument("--segments", type=int, default=1, help="of each process")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    table = Table(title=f"{dist.get_world_size()} processes, {given.segments} segments each; s")
    for column in ("width", "MB of gradients", "exchange alone", "step alone", "both: measured",
                   "at least", "at most"):  # fmt: skip
        table.add_column(column, justify="right")
    for width in given.widths:
        streams = {name: AlexNetStream(width=width) for name in STREAMS}
        network = SegmentNetwork(streams, FRAMES, 6)
        optimizer = torch.optim.SGD(network.parameters(), 1e-6, momentum=0.9, fused=True)
        gradients = torch.ones(sum(one.numel() for one in network.parameters()))
        exchange = seconds(partial(dist.all_reduce, gradients), given.rounds)
        work = (optimizer, given.size, given.segments)
        alone = seconds(partial(step, network, *work), given.rounds)
        together = DistributedDataParallel(network)
        both = seconds(partial(step, together, *work), given.rounds)
        figures = (exchange, alone, both, max(alone, exchange), alone + exchange)
        cells = (f"{width:g}", f"{4 * gradients.numel() / 1e6:.0f}")
        table.add_row(*cells, *(f"{one:.3f}" for one in figures))
    if dist.get_rank() == 0:
        Console(width=120).print(table)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
