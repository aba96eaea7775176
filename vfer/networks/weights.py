"""Pretrained AlexNet weights, from the hub or a file, as a state dict of ``AlexNetStream``."""

import zlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor
from torchvision.models import AlexNet_Weights

from vfer.networks.alexnet import MEAN_SIZE
from vfer.networks.settings import Variant

_KINDS = {
    "torchvision": "an AlexNet state dict (.pth, .safetensors)",
    "caffe": "MatConvNet's imagenet-caffe-alex.mat, from "
    "https://www.vlfeat.org/matconvnet/models/imagenet-caffe-alex.mat",
}
_ORDER = (  # what tells imagenet-caffe-alex.mat from imagenet-caffe-ref.mat, of the same shapes
    *("conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"),
    *("conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"),
    *("fc6", "relu6", "fc7", "relu7"),
)
_NORM = (5, 1, 1e-4 / 5, 0.75)  # N, κ, α with Caffe's division by N done, β


def load_weights(source: str, variant: Variant = "torchvision") -> dict[str, Tensor]:
    """Return AlexNet's pretrained weights as a state dict; nothing is unpickled but tensors.

    Args:
        source: Of ``torchvision``: ``imagenet`` for torchvision's ImageNet weights, from the
            hub's cache or else its server, or the path of such a file (``.pth`` or
            ``.safetensors``). Of ``caffe``: the path of MatConvNet's ``imagenet-caffe-alex.mat``.
        variant: Which AlexNet they are for.

    Raises:
        FileNotFoundError: Naming the file, where it is from and the option that takes its path.
        ValueError: If the file holds no weights of this variant.
    """
    if source == "imagenet" and variant == "torchvision":
        return _hub()
    path = Path(source)
    if not path.is_file():
        known = "'imagenet', " if variant == "torchvision" else ""
        raise FileNotFoundError(
            f"model.weights: no file {path}; give {known}null, or the path of {_KINDS[variant]}"
        )
    if (path.suffix == ".mat") != (variant == "caffe"):
        raise ValueError(
            f"model.weights is {path} and model.variant {variant}, which takes {_KINDS[variant]}"
        )
    if variant == "caffe":
        return _matconvnet(path)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ValueError(f"model.weights: {path} holds no state dict of tensors")
    return loaded


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ValueError(f"model.weights: {path} cannot be read as weights ({reason})")


def _hub() -> dict[str, Tensor]:
    url = AlexNet_Weights.IMAGENET1K_V1.url
    try:
        return dict(AlexNet_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True))
    except (URLError, OSError) as error:
        cache = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
        raise FileNotFoundError(
            f"the ImageNet weights are not at {cache} and cannot be fetched ({error}). Fetch "
            f"{url} elsewhere and give it with --model.weights PATH, or start from random "
            "weights with --model.weights null"
        ) from error


def _matconvnet(path: Path) -> dict[str, Tensor]:
    """Weights and average image of a network in MatConvNet's SimpleNN form.

    Filters are H×W×in×out there, also of fully connected layers; in a grouped convolution ``in``
    counts the channels of one group, as in torch.
    """
    try:
        found = loadmat(path, struct_as_record=False)
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError, zlib.error) as error:
        raise _unreadable(path, error) from error
    try:
        layers = {str(_only(layer.name)): layer for layer in map(_only, found["layers"].ravel())}
        order = tuple(name for name in layers if not name.startswith("drop"))
        meta = _only(found["meta"]) if "meta" in found else None
        image = _only(found["normalization"] if meta is None else meta.normalization).averageImage
        norms = [layers[name].param.ravel() for name in ("norm1", "norm2") if name in layers]
        weights = {}
        for name in (name for name in _ORDER if name in layers and name[:2] in ("co", "fc")):
            layer = layers[name]
            if hasattr(layer, "weights"):
                filters, biases = layer.weights.ravel()
            else:
                filters, biases = layer.filters, layer.biases
            weight = _tensor(filters).permute(3, 2, 0, 1).contiguous()
            part = "features" if name.startswith("conv") else "classifier"
            weights[f"{part}.{name}.weight"] = weight if part == "features" else weight.flatten(1)
            weights[f"{part}.{name}.bias"] = _tensor(biases).flatten()
    except (AttributeError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"model.weights: {path} has not the structure of {_KINDS['caffe']} "
            f"({type(error).__name__}: {error})"
        ) from error
    if order[: len(_ORDER)] != _ORDER:
        raise ValueError(
            f"model.weights: {path} holds the layers {', '.join(order)}; not those of "
            f"{_KINDS['caffe']}: {', '.join(_ORDER)}"
        )
    if not all(np.shape(p) == (4,) and np.allclose(p, _NORM, rtol=1e-4) for p in norms):
        raise ValueError(f"model.weights: {path} has a local response normalisation other than "
                         f"{_NORM}: {[p.tolist() for p in norms]}")  # fmt: skip
    mean = _tensor(image)
    if mean.numel() == 3:
        mean = mean.view(1, 1, 3).expand(MEAN_SIZE, MEAN_SIZE, 3)
    if mean.shape != (MEAN_SIZE, MEAN_SIZE, 3):
        raise ValueError(
            f"model.weights: {path} has an average image of {tuple(mean.shape)}; it must be "
            f"{MEAN_SIZE}×{MEAN_SIZE}×3, or three values"
        )
    return {"mean": mean.permute(2, 0, 1).contiguous(), **weights}


def _only(array: Any) -> Any:  # noqa: ANN401 - MATLAB wraps everything in arrays
    """Return the one element of an array."""
    return np.asarray(array).ravel()[0]


def _tensor(array: Any) -> Tensor:  # noqa: ANN401 - what a .mat file holds
    return torch.from_numpy(np.array(array, dtype=np.float32))
