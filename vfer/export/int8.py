"""Weights in 8 bits, and what they cost in accuracy for people whom the models had not seen."""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich.console import Console

from vfer.export.check import OnnxModel
from vfer.predict.calibration import segments_out_of_fold, temper
from vfer.predict.load import NetworkModel
from vfer.prepare.store import CropStore, store_at
from vfer.results.bundle import FINAL
from vfer.results.tables import SegmentResult
from vfer.runtime.console import bar
from vfer.runtime.files import read_json
from vfer.segments.indices import segment_frames

Clip = list[SegmentResult]
"""What was recorded of the windows of one clip."""


def quantise(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose fully connected layers have weights of 8 bits; the rest is as it was.

    They hold nearly all weights of an AlexNet. Activations are quantised as they come, so that no
    crops are needed to calibrate it. Weights take 7 of the 8 bits: with all 8, processors without
    VNNI saturate sums. The last layer, fc9, is small and stays.
    """
    last = [n.name for n in proto.graph.node if any(".fc9." in name for name in n.input)]
    onnx.helper.set_model_props(proto, {"onnx.quant.pre_process": "onnxruntime.quant"})  # by torch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        quantize_dynamic(
            proto,
            path,
            op_types_to_quantize=["MatMul"],  # Gemm is made one
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=last,
        )
        return onnx.load(path)


@dataclass(frozen=True)
class Accuracies:
    """Accuracy out of fold, 0…1, of the same clips and their windows.

    Attributes:
        clips: How many.
        windows: How many.
        recorded: Of clips, and of windows, as the bundle has them from torch in float32.
        quantised: The same of the ONNX model, each by the model of the clip's fold.
        widest: Largest difference of a window's calibrated probability.
    """

    clips: int
    windows: int
    recorded: tuple[float, float]
    quantised: tuple[float, float]
    widest: float


def measure(said: OnnxModel, loaded: NetworkModel, most: int, console: Console) -> Accuracies | str:
    """Measure what 8 bits cost by clips whose people the fold's model had not seen.

    Args:
        said: The quantised model.
        loaded: The same models.
        most: Clips of each fold, evenly spaced among its test clips.
        console: For the progress.

    Returns:
        Or why it could not be measured.

    Raises:
        ValueError: If a file of the bundle or a store is not as it should be.
    """
    found = _clips(loaded, most)
    if isinstance(found, str):
        return found
    folds, classes = list(loaded.networks), loaded.classes
    store = _store(loaded)
    before, after, truth = [], [], []
    with bar(console) as progress:
        task = progress.add_task("accuracy", total=len(found))
        for clip in found:
            try:
                crops = store.crops(clip[0].clip)
            except (KeyError, OSError) as error:
                return f"the crops are not at hand: {error}"
            frames = [segment_frames(len(crops), loaded.length, row.start) for row in clip]
            windows = np.concatenate([said(crops[one][None])[1] for one in frames])
            after.append(windows[:, folds.index(clip[0].fold)].astype(np.float64))
            recorded = np.array([row.probabilities for row in clip])
            before.append(temper(recorded, loaded.temperature))
            truth.append(classes.index(clip[0].label))
            progress.advance(task)
    differ = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))
    windows_of_all = sum(map(len, found))
    return Accuracies(
        len(found), windows_of_all, _accuracy(before, truth), _accuracy(after, truth), differ
    )


def _clips(loaded: NetworkModel, most: int) -> list[Clip] | str:
    """Choose clips of each fold; or say why there are none."""
    bundle = loaded.bundle
    by_clip: dict[tuple[int, str], Clip] = defaultdict(list)
    folds = [fold for fold in bundle.stages if fold != FINAL]
    for row in segments_out_of_fold(bundle.run, bundle.classes, folds):
        if row.fold in loaded.networks:
            by_clip[row.fold, row.clip].append(row)
    chosen: list[Clip] = []
    for fold in loaded.networks:
        mine = [by_clip[key] for key in sorted(by_clip) if key[0] == fold]
        places = np.unique(np.linspace(0, len(mine) - 1, min(most, len(mine))).round().astype(int))
        chosen += [mine[place] for place in places]
    return chosen or "the bundle has no out-of-fold predictions by these models"


def _store(loaded: NetworkModel) -> CropStore:
    """Return the crop store that the bundle was trained from, wherever it says that it is."""
    run, environment = loaded.bundle.run, {}
    if (run / "environment.json").is_file():
        environment = read_json(run / "environment.json")
    return store_at(loaded.bundle.data.cache, environment.get("store"))


def _accuracy(
    probabilities: Sequence[NDArray[np.float64]], truth: Sequence[int]
) -> tuple[float, float]:
    """Return the accuracy of clips, by the mean of their windows, and that of windows."""
    clips = [
        one.mean(axis=0).argmax() == true for one, true in zip(probabilities, truth, strict=True)
    ]
    windows = [one.argmax(axis=1) == true for one, true in zip(probabilities, truth, strict=True)]
    return float(np.mean(clips)), float(np.concatenate(windows).mean())
