"""The command's work: load, trace, quantise, compare, and only then write."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vfer.export.check import TOLERANCE, OnnxModel, differences
from vfer.export.graph import WindowGraph
from vfer.export.int8 import measure, quantise
from vfer.export.trace import check_size, describe, trace
from vfer.predict.bundle import Fold
from vfer.predict.load import NetworkModel, load_model
from vfer.runtime.console import UsageError, make_console
from vfer.runtime.files import atomic_write


@dataclass(frozen=True)
class Request:
    """What a command line asks for; see its help."""

    file: Path
    run: Path
    fold: Fold | None
    int8: bool
    clips: int
    trust_code: bool


def export_model(request: Request) -> None:
    """Write the ONNX file of a bundle's models.

    Raises:
        UsageError: If the bundle has no such model, or it cannot be one ONNX file.
        RuntimeError: If torch's exporter cannot do it, or onnxruntime says something else.
    """
    console = make_console()
    loaded = load_model(request.run, fold=request.fold, device="cpu", trust_code=request.trust_code)
    if not isinstance(loaded, NetworkModel):
        raise UsageError(
            f"{request.run} is a bundle by a descriptor, whose code and scikit-learn classifier no "
            "ONNX graph holds; vfer predict runs it"
        )
    graph = WindowGraph.of(loaded)
    folds = ", ".join(map(str, loaded.networks))
    check_size(graph, len(loaded.networks))
    console.print(f"{request.run}: tracing the models of the folds {folds}; it takes a minute")
    proto = trace(graph, loaded)
    if request.int8:
        proto = quantise(proto)
    describe(proto, loaded, graph.any_length, request.int8)
    data = proto.SerializeToString()
    said = OnnxModel(data)
    _compare(said, graph, loaded, request.int8, console)
    if request.int8 and request.clips:
        _print_accuracy(said, loaded, request.clips, console)
    request.file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(request.file, data)
    frames = "any number of" if graph.any_length else str(loaded.length)
    console.print(
        f"{request.file}: {len(data) / 1e6:.1f} MB; crops (N, {frames} frames, 150, 110, 3) uint8 "
        f"to probabilities of {', '.join(loaded.classes)}"
    )


def _compare(
    said: OnnxModel, graph: WindowGraph, loaded: NetworkModel, int8: bool, console: Console
) -> None:
    """Print how far onnxruntime is from torch.

    Raises:
        RuntimeError: If that is too far for float32.
    """
    widest = 0.0
    for windows, length, differ in differences(said, graph, loaded):
        console.print(
            f"{windows} windows of {length} frames: largest difference from torch {differ:.1e}"
        )
        widest = max(widest, differ)
    if not int8 and not widest <= TOLERANCE:
        raise RuntimeError(
            f"nothing is written: onnxruntime differs from torch by {widest:.1e}, more than "
            f"{TOLERANCE:g}"
        )


def _print_accuracy(said: OnnxModel, loaded: NetworkModel, most: int, console: Console) -> None:
    """Print what 8 bits cost out of fold."""
    found = measure(said, loaded, most, console)
    if isinstance(found, str):
        console.print(f"accuracy out of fold not measured: {found}")
        return
    for name, (clips, windows) in (("float32", found.recorded), ("int8", found.quantised)):
        console.print(
            f"{name}: out of fold {clips:.1%} of {found.clips} clips right, {windows:.1%} of "
            f"{found.windows} windows"
        )
    console.print(f"largest difference of a window's probability there: {found.widest:.3f}")
