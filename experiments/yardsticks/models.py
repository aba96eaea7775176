"""Networks of torchvision as classes that a config can name (docs/extending.md).

Weights are the user's own file, a state dict as torchvision publishes it; nothing is fetched.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r2plus1d_18, swin3d_t

Normal = tuple[tuple[float, ...], tuple[float, ...]]
IMAGENET: Normal = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of images 0…1, of ImageNet; Swin3D's weights want them too."""
KINETICS: Normal = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
"""Those of R(2+1)D's weights, of Kinetics-400."""


def _normalised(images: Tensor, of: Normal) -> Tensor:
    """Return images ``(…, 3, S, S)``, 0…1, less a mean and over a standard deviation."""
    mean, std = (images.new_tensor(one)[:, None, None] for one in of)
    return (images - mean) / std


def _fill(network: nn.Module, weights: str | None, head: str) -> None:
    """Load a file of weights, all but those of the last layer.

    Raises:
        ValueError: If they are of another network, or no weights.
        FileNotFoundError: If the file is not there.
    """
    if weights is None:
        return
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights is {path}: no such file; give torchvision's, or null")
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
        kept = {name: value for name, value in given.items() if not name.startswith(f"{head}.")}
        missing, unknown = network.load_state_dict(kept, strict=False)
    except Exception as error:  # whatever a file that is none raises
        raise ValueError(f"weights {path} cannot be taken: {error}") from error
    missing = [name for name in missing if not name.startswith(f"{head}.")]
    if missing or unknown:
        first = (*missing, *unknown)[0]
        raise ValueError(f"weights {path} are of another network: {first} does not fit")


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) in AlexNet's place: 512 features of an image.

    Args:
        weights: File of ImageNet weights, or None for random ones.
    """

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        self.out_features = 512
        self.layers = resnet18()
        _fill(self.layers, weights, "fc")
        self.layers.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return features ``(N, 512)`` of images ``(N, 3, S, S)``, 0…1."""
        features: Tensor = self.layers(_normalised(images, IMAGENET))
        return features


class _OnFrames(nn.Module):
    """A video network on the frames of a segment, without flow.

    Args:
        layers: The network.
        head: The name of its last layer, which is replaced.
        normal: Mean and standard deviation of its images.
        classes: Number of emotions.
        weights: File of Kinetics-400 weights, or None for random ones.
    """

    def __init__(
        self, layers: nn.Module, head: str, normal: Normal, classes: int, weights: str | None
    ) -> None:
        super().__init__()
        self.layers, self.normal = layers, normal
        _fill(layers, weights, head)
        setattr(layers, head, nn.Linear(getattr(layers, head).in_features, classes))

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of ``spatial`` images ``(B, frames, 3, S, S)``, 0…1."""
        logits: Tensor = self.layers(_normalised(images["spatial"], self.normal).transpose(1, 2))
        return logits


class R2Plus1D18(_OnFrames):
    """R(2+1)D-18 (Tran et al. 2018).

    Args:
        classes: Number of emotions.
        frames: Frames of a segment; any number.
        weights: File of Kinetics-400 weights, or None for random ones.
    """

    def __init__(self, classes: int, frames: int, weights: str | None = None) -> None:
        super().__init__(r2plus1d_18(), "fc", KINETICS, classes, weights)


class Swin3DT(_OnFrames):
    """Video Swin Transformer, tiny (Liu et al. 2022).

    Args:
        classes: Number of emotions.
        frames: Frames of a segment; any number.
        weights: File of Kinetics-400 weights, or None for random ones.
    """

    def __init__(self, classes: int, frames: int, weights: str | None = None) -> None:
        super().__init__(swin3d_t(), "head", IMAGENET, classes, weights)
