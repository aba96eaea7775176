"""AlexNet up to its fully connected features, as one stream of the method (section 3, Figure 1)."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Literal, get_args
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import AlexNet_Weights

InsertAfter = Literal["fc7", "fc6"]
"""The layer whose features a stream gives; what lies behind it is cut off."""

MIN_SIZE = 63
"""Smallest input side, in pixels, that leaves a map behind the last pooling."""


class AlexNetStream(nn.Module):
    """torchvision's single-column AlexNet, cut behind fc6 or fc7.

    64-192-384-256-256 channels and two fully connected layers of 4096, without local response
    normalisation; dropout stands before fc6 and fc7 (Caffe's stands after). At width 1 the names
    and shapes of the parameters are those of ``torchvision.models.alexnet``.

    Args:
        width: Factor on all channel and feature counts, above 0; pretrained weights need 1.
        insert_after: ``fc7`` or ``fc6``.
        dropout: Probability, 0 ≤ p < 1.
        weights: State dict to start from (``load_weights``), or None for random weights.

    Raises:
        ValueError: If an argument is not legal or the weights do not fit.
    """

    def __init__(
        self,
        width: float = 1.0,
        insert_after: InsertAfter = "fc7",
        dropout: float = 0.5,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        if width <= 0 or not 0 <= dropout < 1:
            raise ValueError(f"width is {width} (above 0), dropout is {dropout} (0 ≤ p < 1)")
        if insert_after not in get_args(InsertAfter):
            raise ValueError(
                f"insert_after is {insert_after!r}; it must be {' or '.join(get_args(InsertAfter))}"
            )
        c1, c2, c3, c4, fc = (max(1, round(n * width)) for n in (64, 192, 384, 256, 4096))
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(c1, c2, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(c2, c3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c4, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        fc6 = (nn.Dropout(dropout), nn.Linear(c4 * 6 * 6, fc), nn.ReLU(inplace=True))
        fc7 = (nn.Dropout(dropout), nn.Linear(fc, fc), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(*fc6, *(fc7 if insert_after == "fc7" else ()))
        self.out_features = fc
        if weights is not None:
            self._load(weights)
        else:
            self._start()

    def _start(self) -> None:
        """He et al. 2015: with torch's own initial weights a signal fades over eight layers."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def _load(self, weights: dict[str, Tensor]) -> None:
        own = self.state_dict()
        for name, parameter in own.items():
            if name not in weights or weights[name].shape != parameter.shape:
                found = tuple(weights[name].shape) if name in weights else "missing"
                raise ValueError(
                    f"the weights do not fit this AlexNet: {name} is {found}, expected "
                    f"{tuple(parameter.shape)} (pretrained weights need model.width 1.0)"
                )
        self.load_state_dict({name: weights[name] for name in own})

    def forward(self, x: Tensor) -> Tensor:
        """Features of a batch of images.

        Args:
            x: ``(B, 3, H, W)`` float, normalised; 227×227 in the paper, at least 63×63. Where the
                last maps are not 6×6 they are pooled or enlarged to it.

        Returns:
            ``(B, out_features)``, after ReLU.

        Raises:
            ValueError: If the images are too small.
        """
        if min(x.shape[-2:]) < MIN_SIZE:
            raise ValueError(
                f"images are {tuple(x.shape[-2:])}; AlexNet needs at least {MIN_SIZE} px"
            )
        x = self.features(x)
        if x.shape[-2:] != (6, 6):  # adaptive pooling has no deterministic CUDA backward: skip it
            x = nn.functional.adaptive_avg_pool2d(x, (6, 6))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def load_weights(source: str) -> dict[str, Tensor]:
    """AlexNet's pretrained weights as a state dict.

    Args:
        source: ``imagenet`` for torchvision's ImageNet weights, from the hub's cache or else its
            server, or the path of such a file (``.pth`` or ``.safetensors``).

    Raises:
        FileNotFoundError: Naming the file and the option that takes a local path.
        ValueError: If the file holds no state dict.
    """
    if source == "imagenet":
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
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"model.weights: no file {path}; give 'imagenet', null, or the path of an AlexNet "
            "state dict (.pth, .safetensors)"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"model.weights: {path} cannot be read as weights ({reason})") from error
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ValueError(f"model.weights: {path} holds no state dict of tensors")
    return loaded
