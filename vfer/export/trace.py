"""From the module to an ONNX model, by torch's exporter."""

import json
import re
from importlib.metadata import version
from typing import Any

import onnx
import torch
from onnxscript import opset18 as op

from vfer.config.recorded import recorded_plugs
from vfer.export.graph import WindowGraph
from vfer.predict.load import NetworkModel
from vfer.runtime.console import UsageError

OPSET = 20
"""The oldest whose GridSample knows the bicubic kernel."""
INPUT, OUTPUTS = "crops", ("probabilities", "by_fold")
LARGEST = 2**31 - 2**24
"""Bytes of weights that a file may hold: protobuf ends at 2 GB."""


def check_size(graph: WindowGraph, folds: int) -> None:
    """Refuse weights that do not fit into one file, before any work.

    Raises:
        UsageError: If they do not.
    """
    tensors = [*graph.parameters(), *graph.buffers()]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > LARGEST:
        raise UsageError(
            f"the {folds} models have {size / 1e9:.1f} GB of weights, an ONNX file holds at most "
            "2 GB: export one with --fold K"
        )


def trace(graph: WindowGraph, loaded: NetworkModel) -> onnx.ModelProto:
    """Make the ONNX model of a graph.

    Args:
        graph: Of the loaded models.
        loaded: Whose classes of somebody's own an error names.

    Returns:
        With the input ``crops`` and the outputs ``probabilities`` and ``by_fold``; the number of
        windows is free, and that of frames where the graph allows it.

    Raises:
        RuntimeError: If torch's exporter cannot do it; the message says what it could not do.
    """
    length = max(3, loaded.length) if graph.any_length else loaded.length  # 1 pair would be fixed
    example = torch.zeros(2, length, 150, 110, 3, dtype=torch.uint8)
    free = {0: "windows", 1: "frames"} if graph.any_length else {0: "windows"}
    try:
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={INPUT: free},
            custom_translation_table={torch.ops.aten.hypot.default: _hypot},
        )
    except Exception as error:  # of torch, onnxscript, or a class of somebody's own
        raise RuntimeError(f"{_whose(loaded)}: {_reason(error)}") from error
    assert program is not None
    proto = program.model_proto
    _strip(proto.graph)
    for axis, name in free.items():
        found = proto.graph.input[0].type.tensor_type.shape.dim[axis]
        if not found.dim_param:
            raise RuntimeError(f"{_whose(loaded)}: {_fixed(name)}")
    return proto


def _hypot(x: Any, y: Any) -> Any:  # noqa: ANN401 - onnxscript's values
    return op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y)))


def _whose(loaded: NetworkModel) -> str:
    """Say what cannot be exported."""
    own = ", ".join(map(str, recorded_plugs(loaded.bundle.model)))
    return f"{own or loaded.bundle.run} cannot be exported to ONNX"


def _reason(error: BaseException) -> str:
    """Return what torch's exporter could not do, out of the chain of its errors."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    text = "\n".join(str(one) for one in chain)
    lacks = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", text)
    if lacks:
        return f"ONNX has no counterpart of torch's {lacks[1].replace('.', '::')}"
    static = re.search(r"inferred a static shape of \d+ for dimension .*shape\[([01])\]", text)
    if static:
        return _fixed(("windows", "frames")[int(static[1])])
    first = next((line for line in str(chain[-1]).splitlines() if line.strip()), "")
    return f"{type(chain[-1]).__name__}: {first.strip()[:300]}"


def _fixed(what: str) -> str:
    return (
        f"its code fixes the number of {what}; it must take sizes from x.shape, not from len(x), "
        "int() or constants"
    )


def _strip(graph: onnx.GraphProto) -> None:
    """Remove what says where on this machine a node's code is."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _strip(attribute.g)
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    del graph.metadata_props[:]
    graph.doc_string = ""


def describe(proto: onnx.ModelProto, loaded: NetworkModel, any_length: bool, int8: bool) -> None:
    """Write into an ONNX model what it is: strings and JSON, see docs/export.md."""
    info = loaded.info()
    facts = {
        "vfer_version": version("vfer"),
        "torch_version": torch.__version__,
        "run": loaded.bundle.run.resolve().name,
        "key": info.key,
        "corpus": info.corpus,
        "classes": list(info.classes),
        "folds": list(info.folds),
        "length": info.length,
        "any_length": any_length,
        "frame_rate": info.frame_rate,
        "temperature": info.temperature,
        "calibrated": info.calibrated,
        "streams": list(loaded.bundle.model.stream_names),
        "precision": "int8" if int8 else "float32",
    }
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, texts)
    proto.producer_name, proto.producer_version = "vfer", version("vfer")
