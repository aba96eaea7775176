"""Networks of torchvision as classes that a config can name (docs/extending.md).

Weights are the user's own file, a state dict as torchvision publishes it; nothing is fetched.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r2plus1d_18, swin3d_t

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of images 0…1, of ImageNet; Swin3D's weights want them too."""
KINETICS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
"""Those of R(2+1)D's weights, of Kinetics-400."""


def _normalised(images: Tensor, of: tuple[tuple[float, ...], ...]) -> Tensor:
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


class R2Plus1D18(nn.Module):
    """R(2+1)D-18 (Tran et al. 2018) on the frames of a segment.

    Args:
        classes: Number of emotions.
        frames: Frames of a segment; any number.
        weights: File of Kinetics-400 weights, or None for random ones.
    """

    def __init__(self, classes: int, frames: int, weights: str | None = None) -> None:
        super().__init__()
        self.layers = r2plus1d_18()
        _fill(self.layers, weights, "fc")
        self.layers.fc = nn.Linear(self.layers.fc.in_features, classes)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of ``spatial`` images ``(B, frames, 3, S, S)``, 0…1."""
        logits: Tensor = self.layers(_normalised(images["spatial"], KINETICS).transpose(1, 2))
        return logits


class Swin3DT(nn.Module):
    """Video Swin Transformer, tiny (Liu et al. 2022), on the frames of a segment.

    Args:
        classes: Number of emotions.
        frames: Frames of a segment; any number.
        weights: File of Kinetics-400 weights, or None for random ones.
    """

    def __init__(self, classes: int, frames: int, weights: str | None = None) -> None:
        super().__init__()
        self.layers = swin3d_t()
        _fill(self.layers, weights, "head")
        self.layers.head = nn.Linear(self.layers.head.in_features, classes)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of ``spatial`` images ``(B, frames, 3, S, S)``, 0…1."""
        logits: Tensor = self.layers(_normalised(images["spatial"], IMAGENET).transpose(1, 2))
        return logits
