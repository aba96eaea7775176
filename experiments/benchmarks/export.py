"""How fast, large and exact an exported model is, beside torch.

A full-size model of one fold with random weights; windows of moving patterns go through torch,
through onnxruntime, and through onnxruntime with weights of 8 bits, in turn, several rounds. A row
is the median time a window, and torch's over it: above 1 onnxruntime is the faster.

    python -m experiments.benchmarks.export
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.predict import make_bundle
from vfer.export.check import OnnxModel, moving_crops
from vfer.export.graph import WindowGraph
from vfer.export.int8 import quantise
from vfer.export.trace import trace
from vfer.predict.load import NetworkModel, load_model, stream_images

Ask = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def tempered(loaded: NetworkModel) -> WindowGraph:
    """Return the graph at a temperature at which random weights do not give 0 and 1 alone."""
    data, model = loaded.bundle.data, loaded.bundle.model
    (network,) = loaded.networks.values()
    crops = torch.from_numpy(moving_crops(1, loaded.length))
    with torch.inference_mode():
        spread = float(network(stream_images(crops, data, model)).std())
    return WindowGraph([network], data, model, spread).eval()


def by_torch(graph: WindowGraph, threads: int) -> Ask:
    """Return what asks torch for probabilities."""

    def ask(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            found: NDArray[np.float32] = graph(torch.from_numpy(crops))[0].numpy()
        return found

    return ask


def by_onnxruntime(data: bytes, threads: int) -> Ask:
    """Return what asks onnxruntime for probabilities."""
    model = OnnxModel(data, threads)
    return lambda crops: model(crops)[0]


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="after one that is not counted")
    parser.add_argument("--windows", type=int, default=2, help="that are asked for at once")
    parser.add_argument("--width", type=float, default=1.0, help="model.width")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(make_bundle(Path(folder), args.width, 1), device="cpu")
    assert isinstance(loaded, NetworkModel)
    graph = tempered(loaded)
    begun = time.perf_counter()
    proto = trace(graph, loaded)
    took = time.perf_counter() - begun
    files = {"onnxruntime": proto.SerializeToString()}
    files["onnxruntime, int8"] = quantise(proto).SerializeToString()
    del proto
    crops = moving_crops(args.windows, loaded.length)
    console = Console(highlight=False)
    console.print(f"traced in {took:.0f} s")
    sizes = (f"{name} {len(data) / 1e6:.0f} MB" for name, data in files.items())
    console.print(f"{args.windows} windows of {loaded.length} frames; {', '.join(sizes)}")
    table = Table()
    for column in ("threads", "", "s a window", "torch's over it", "largest difference"):
        table.add_column(column, justify="left" if not column else "right")
    for threads in args.threads:
        asked = {"torch": by_torch(graph, threads)}
        asked |= {name: by_onnxruntime(data, threads) for name, data in files.items()}
        times: dict[str, list[float]] = {name: [] for name in asked}
        said = {}
        for number in range(args.rounds + 1):
            for name, ask in asked.items():
                begun = time.perf_counter()
                said[name] = ask(crops)
                if number:
                    times[name].append((time.perf_counter() - begun) / args.windows)
        base = median(times["torch"])
        for name, each in times.items():
            differ = np.abs(said[name] - said["torch"]).max()
            cells = (f"{median(each):.3f}", f"{base / median(each):.2f}", f"{differ:.1e}")
            table.add_row(str(threads), name, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
