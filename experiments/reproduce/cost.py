"""What models cost: parameters, operations and time, measured once and kept beside the runs."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from experiments.reproduce.plan import Planned, Request, whole_of
from vfer.predict.load import NetworkModel, load_model
from vfer.prepare.store import store_at
from vfer.results.tables import read_tables
from vfer.runtime.files import read_json, sha256, write_json

FILE = "measured.json"
PART = "future"
INT8 = "int8"
"""What is measured of the whole model with weights of 8 bits; it is no run of its own."""
CLIPS = 5
Crops = NDArray[np.uint8]


def kept(request: Request) -> dict[str, Any]:
    """Return what was measured before, by run."""
    path = request.output / FILE
    return dict(read_json(path)) if path.is_file() else {}


def measure_all(request: Request, planned: Sequence[Planned], console: Console) -> None:
    """Measure what the finished runs of the part `PART` cost; those that were are left as they are.

    What cannot be measured is kept with the reason.
    """
    works: list[tuple[str, Path, Callable[[Path], dict[str, Any]]]] = [
        (one.row.name, one.done[0].config.output, cost)
        for one in planned
        if one.done and PART in one.row.parts
    ]
    if whole_of(planned).done:
        works.append((INT8, whole_of(planned).done[0].config.output, in_8_bits))
    for name, run, work in works:
        found, bundle = kept(request), sha256(run / "files.json")
        before = found.get(name, {})
        if before.get("bundle") == bundle and "why" not in before:
            continue
        console.print(f"measuring {name}")
        try:
            told = work(run)
        except Exception as error:  # a figure of the page fails, and says so there; not the page
            told = {"why": f"{type(error).__name__}: {error}"}
        write_json(request.output / FILE, {**found, name: {"bundle": bundle, **told}})


def cost(run: Path) -> dict[str, Any]:
    """Return what the model of a run's first fold costs, on the CPU.

    Returns:
        ``parameters``; ``flops`` of a segment, forward (two a multiply-add, flow not counted);
        ``seconds`` of processor time a clip, the median of `CLIPS` test clips, flow and networks.
    """
    loaded = _load(run, 0)
    (network,) = loaded.networks.values()
    model = loaded.bundle.model
    shape = (1, loaded.length - 1, 3, model.input_size, model.input_size)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network({name: torch.rand(shape) for name in model.stream_names})
    return {
        "parameters": sum(one.numel() for one in network.parameters()),
        "flops": counter.get_total_flops(),
        **_timed(loaded.score_clip, list(_crops(run, loaded))),
    }


def _load(run: Path, fold: int) -> NetworkModel:
    loaded = load_model(run, fold=fold, device="cpu", trust_code=True)  # made by our own run
    assert isinstance(loaded, NetworkModel)
    return loaded


def _crops(run: Path, loaded: NetworkModel) -> Iterator[Crops]:
    """Yield the crops of some test clips of the first fold."""
    store = store_at(loaded.bundle.data.cache, read_json(run / "environment.json")["store"])
    rows = [row for row in read_tables(run, loaded.classes).clips if row.fold == 0]
    scored = [row.clip for row in rows if row.status == "scored"]
    yield from (np.array(store.crops(clip)) for clip in scored[:CLIPS])


def _timed(work: Callable[[Crops], object], clips: Sequence[Crops]) -> dict[str, Any]:
    """Measure processor time on one thread, which others on the machine change little."""
    threads, spent = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        work(clips[0])  # the first call takes longer
        for one in clips:
            begun = time.process_time()
            work(one)
            spent.append(time.process_time() - begun)
    finally:
        torch.set_num_threads(threads)
    return {"seconds": median(spent)}


def in_8_bits(run: Path) -> dict[str, Any]:
    """Return what a model costs whose fully connected layers have weights of 8 bits, and its loss.

    Returns:
        ``seconds`` of a clip, its windows one by one, and ``seconds_float32`` of the same graph
        before, ``bytes`` of a fold's file, and ``accuracy`` of ``clips`` test clips out of fold.
    """
    if find_spec("onnxruntime") is None:
        raise RuntimeError("it needs pip install 'vfer[export]'")
    from vfer.export.check import OnnxModel
    from vfer.export.graph import WindowGraph
    from vfer.export.int8 import measure, quantise
    from vfer.export.trace import trace

    right, clips, told = 0.0, 0, dict[str, Any]()
    for fold in range(len(read_json(run / "folds.json"))):
        loaded = _load(run, fold)
        graph = trace(WindowGraph.of(loaded), loaded)
        plain, data = graph.SerializeToString(), quantise(graph).SerializeToString()
        said = OnnxModel(data, threads=1)
        found = measure(said, loaded, 1_000_000, Console(quiet=True))
        if isinstance(found, str):
            raise RuntimeError(found)
        right += found.quantised[0] * found.clips
        clips += found.clips
        if not told:
            mine = list(_crops(run, loaded))
            whole = OnnxModel(plain, threads=1)
            told = {"bytes": len(data), **_timed(partial(_windows, said, loaded), mine)}
            told["seconds_float32"] = _timed(partial(_windows, whole, loaded), mine)["seconds"]
    return {"accuracy": right / clips, "clips": clips, **told}


def _windows(said: Callable[[Crops], object], of: NetworkModel, crops: Crops) -> None:
    """Ask for a clip's windows one after the other, as the exported graph takes them."""
    for frames in of.clip_windows(len(crops)):
        said(crops[frames][None])
