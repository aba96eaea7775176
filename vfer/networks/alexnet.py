"""AlexNet up to its fully connected features, as one stream of the method (section 3, Figure 1)."""

from collections import OrderedDict
from typing import get_args

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from vfer.networks.settings import MIN_SIZE, InsertAfter, Variant

MEAN_SIZE = 227
"""Side of the Caffe variant's average image, pixels."""
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, of images in 0…1, as torchvision's weights expect them."""


class AlexNetStream(nn.Module):
    """AlexNet, cut behind fc6 or fc7, on images in 0…1.

    ``torchvision``: the single column of torchvision, 64-192-384-256-256 channels, without local
    response normalisation; dropout stands before fc6 and fc7. It normalises images by ImageNet's
    mean and standard deviation. At width 1 the names and shapes of the parameters are those of
    ``torchvision.models.alexnet``.

    ``caffe``: the network of Krizhevsky et al. as Caffe and MatConvNet's ``imagenet-caffe-alex``
    have it: 96-256-384-384-256 channels, two groups in conv2, conv4 and conv5, local response
    normalisation between ReLU and pooling of the first two layers; dropout stands after the ReLUs
    of fc6 and fc7. It brings images to 0…255 and subtracts an average image, which is one of its
    buffers and is saved with its weights. Flow images are treated like frames.

    Both end in fully connected layers of 4096.

    Args:
        variant: ``torchvision`` or ``caffe``.
        width: Factor on all channel and feature counts, above 0; pretrained weights need 1.
        insert_after: ``fc7``; ``fc6``, without fc7; or ``fc7_only``, without fc6: fc7 takes the
            maps directly.
        dropout: Probability, 0 ≤ p < 1.
        weights: State dict to start from (``load_weights``), or None for random weights. Under
            ``fc7_only`` fc7 starts at random all the same: no pretrained layer is its like.

    Raises:
        ValueError: If an argument is not legal or the weights do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        variant: Variant = "torchvision",
        width: float = 1.0,
        insert_after: InsertAfter = "fc7",
        dropout: float = 0.5,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        if width <= 0 or not 0 <= dropout < 1:
            raise ValueError(f"width is {width} (above 0), dropout is {dropout} (0 ≤ p < 1)")
        for name, value, legal in (
            ("variant", variant, get_args(Variant)),
            ("insert_after", insert_after, get_args(InsertAfter)),
        ):
            if value not in legal:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(legal)}")
        self.variant = variant
        self.out_features = max(1, round(4096 * width))
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        if variant == "torchvision":
            self.register_buffer("mean", mean, persistent=False)
            self.register_buffer("std", std, persistent=False)
            self.features, maps = _torchvision_features(width)
        else:
            self.register_buffer("mean", (255 * mean).repeat(1, MEAN_SIZE, MEAN_SIZE))
            self.features, maps = _caffe_features(width)
        self.classifier = self._fully_connected(maps * 6 * 6, insert_after, dropout)
        self._start()
        if weights is not None:
            own = self.state_dict()
            fits = [n for n in own if insert_after != "fc7_only" or not n.startswith("classifier")]
            self._load(weights, {name: own[name] for name in fits})

    def _fully_connected(
        self, inputs: int, insert_after: InsertAfter, dropout: float
    ) -> nn.Sequential:
        sizes = {"fc6": (inputs, self.out_features), "fc7": (self.out_features,) * 2}
        if insert_after == "fc6":
            del sizes["fc7"]
        elif insert_after == "fc7_only":
            sizes = {"fc7": (inputs, self.out_features)}
        layers: dict[str, nn.Module] = {}
        for name, (before, after) in sizes.items():
            drop, linear, relu = (
                nn.Dropout(dropout),
                nn.Linear(before, after),
                nn.ReLU(inplace=True),
            )
            if self.variant == "torchvision":  # its names are numbers
                at = 0 if name == "fc6" else 3
                layers |= {str(at): drop, str(at + 1): linear, str(at + 2): relu}
            else:
                layers |= {name: linear, f"relu{name[2]}": relu, f"drop{name[2]}": drop}
        return _sequence(layers)

    def _start(self) -> None:
        """He et al. 2015: with torch's own initial weights a signal fades over eight layers."""
        layers = [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        if self.variant == "caffe":  # as if its images, 0…255, had been scaled like torchvision's
            std = torch.tensor(STD).view(3, 1, 1)
            layers[0].weight.data /= 255 * std

    def _load(self, weights: dict[str, Tensor], own: dict[str, Tensor]) -> None:
        for name, parameter in own.items():
            if name not in weights or weights[name].shape != parameter.shape:
                found = tuple(weights[name].shape) if name in weights else "missing"
                raise ValueError(
                    f"the weights do not fit this AlexNet: {name} is {found}, expected "
                    f"{tuple(parameter.shape)} (pretrained weights need model.width 1.0 and the "
                    "model.variant that they are of)"
                )
        self.load_state_dict({name: weights[name] for name in own}, strict=False)

    def normalise(self, x: Tensor) -> Tensor:
        """Images in 0…1, ``(B, 3, H, W)``, as the first layer takes them; see the class."""
        if self.variant == "torchvision":
            return (x - self.mean).div_(self.std)
        mean = self.mean
        if x.shape[-2:] != mean.shape[-2:]:
            mean = resize(mean, list(x.shape[-2:]), antialias=True)
        return 255 * x - mean

    def forward(self, x: Tensor) -> Tensor:
        """Return features of a batch of images.

        Args:
            x: ``(B, 3, H, W)`` float, 0…1; 227×227 in the paper, at least 63×63. Where the last
                maps are not 6×6 they are pooled or enlarged to it.

        Returns:
            ``(B, out_features)``, after ReLU.

        Raises:
            ValueError: If the images are too small.
        """
        if min(x.shape[-2:]) < MIN_SIZE:
            raise ValueError(
                f"images are {tuple(x.shape[-2:])}; AlexNet needs at least {MIN_SIZE} px"
            )
        x = self.features(self.normalise(x))
        if x.shape[-2:] != (6, 6):  # adaptive pooling has no deterministic CUDA backward: skip it
            x = nn.functional.adaptive_avg_pool2d(x, (6, 6))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def _sequence(layers: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _torchvision_features(width: float) -> tuple[nn.Sequential, int]:
    """Layers up to the last pooling, and how many maps they give."""
    c1, c2, c3, c4 = (max(1, round(n * width)) for n in (64, 192, 384, 256))
    layers = nn.Sequential(
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
    return layers, c4


def _caffe_features(width: float) -> tuple[nn.Sequential, int]:
    """Layers up to the last pooling, and how many maps they give; named as in MatConvNet's file."""
    c1, c2, c3, c4, c5 = (2 * max(1, round(n * width / 2)) for n in (96, 256, 384, 384, 256))
    convolutions = (
        nn.Conv2d(3, c1, 11, stride=4),
        nn.Conv2d(c1, c2, 5, padding=2, groups=2),
        nn.Conv2d(c2, c3, 3, padding=1),
        nn.Conv2d(c3, c4, 3, padding=1, groups=2),
        nn.Conv2d(c4, c5, 3, padding=1, groups=2),
    )
    layers: dict[str, nn.Module] = {}
    for i, convolution in enumerate(convolutions, 1):
        layers |= {f"conv{i}": convolution, f"relu{i}": nn.ReLU(inplace=True)}
        if i in (1, 2):
            layers[f"norm{i}"] = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        if i in (1, 2, 5):
            layers[f"pool{i}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return _sequence(layers), c5
