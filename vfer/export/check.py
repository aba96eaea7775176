"""What onnxruntime makes of an ONNX model, beside what torch says."""

from collections.abc import Iterator

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vfer.export.graph import WindowGraph
from vfer.export.trace import INPUT, OUTPUTS
from vfer.predict.load import NetworkModel

TOLERANCE = 1e-3
"""Between the probabilities of onnxruntime and torch, of float32."""


class OnnxModel:
    """An ONNX model as onnxruntime runs it on the CPU.

    Args:
        data: The file's bytes.
        threads: How many; 0 leaves it to onnxruntime.
    """

    def __init__(self, data: bytes, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # it warns of what it optimises away
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Return ``probabilities`` and ``by_fold`` of windows; as `WindowGraph`."""
        found: list[NDArray[np.float32]] = self._session.run(list(OUTPUTS), {INPUT: crops})
        return tuple(found)


def moving_crops(windows: int, length: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return windows of a smooth random pattern that moves, ``(N, L, 150, 110, 3)`` uint8."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(windows, 3, 24, 18, generator=draw)
    speed = torch.randint(0, 3, (windows, 2), generator=draw).tolist()  # px a frame
    image = F.interpolate(coarse, (150 + 2 * length, 110 + 2 * length), mode="bicubic")
    image = (255 * image).clamp(0, 255).byte().movedim(1, -1)
    moved = [
        torch.stack([one[k * y : k * y + 150, k * x : k * x + 110] for k in range(length)])
        for one, (x, y) in zip(image, speed, strict=True)
    ]
    return torch.stack(moved).numpy()


def differences(
    said: OnnxModel, graph: WindowGraph, loaded: NetworkModel
) -> Iterator[tuple[int, int, float]]:
    """Compare with what prediction says, and, of other lengths, with the graph in torch.

    Yields:
        How many windows, of how many frames, and the largest difference of a probability.
    """
    for windows, length in ((1, loaded.length), (3, loaded.length), (2, loaded.length + 1)):
        crops = moving_crops(windows, length, seed=length)
        if length == loaded.length:
            expected = np.stack([loaded.score_clip(one, [0]).windows[0] for one in crops])
        elif graph.any_length:
            with torch.inference_mode():
                expected = graph(torch.from_numpy(crops))[0].double().numpy()
        else:
            continue
        yield windows, length, float(np.abs(said(crops)[0] - expected).max())
