"""3DCNN: three-dimensional convolutions over grey values, gradients and flow."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resize

from vfer.flow.pairs import gray

CHANNELS = ("gray", "gradient-x", "gradient-y", "optflow-x", "optflow-y")
SIZE = (60, 40)
"""Height and width of the paper's input, pixels."""
MIN_FRAMES = 6
"""Fewest frames of which a map of flow is left behind both convolutions."""
_SETS, _KERNELS, _FEATURES = 2, 3, 128  # of C2, of C4 a set and channel, of C6


def hardwired(spatial: Tensor, temporal: Tensor) -> tuple[Tensor, ...]:
    """Compute the first layer, H1, which has no parameters.

    Args:
        spatial: ``(B, n, 3, S, S)`` RGB frames, 0…1.
        temporal: ``(B, n, 3, S, S)`` flow images, 0…1, 0.5 no motion; the last, which leads to a
            frame that is not among these, is not used.

    Returns:
        Maps of 60×40 of each of ``CHANNELS``: ``(B, n, 60, 40)`` grey values in −1…1 and their
        central differences, ``(B, n − 1, 60, 40)`` flow, where ±1 is the flow image's limit.
    """
    frames = resize(spatial.flatten(0, 1), list(SIZE), antialias=True)
    flow = resize(temporal[:, :-1, :2].flatten(0, 1), list(SIZE), antialias=True)
    grey = 2 * gray(frames.movedim(-3, -1)).view(*spatial.shape[:2], *SIZE) - 1
    down, right = torch.gradient(grey, dim=(2, 3))
    moved = 2 * flow.view(len(spatial), -1, 2, *SIZE) - 1
    return grey, right, down, moved[:, :, 0], moved[:, :, 1]


class Subsample(nn.Module):
    """The mean of squares, with a factor and a bias for each map.

    Args:
        maps: ``(C, T)``: every point in time is a map of its own.
        side: Of the squares, pixels; what does not fill one is left out.
    """

    def __init__(self, maps: tuple[int, int], side: int) -> None:
        super().__init__()
        self.side = side
        self.factor = nn.Parameter(torch.ones(*maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(*maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, T, H/side, W/side)`` of ``(B, C, T, H, W)``."""
        small = F.avg_pool2d(x.flatten(1, 2), self.side)  # in 3-D it is not deterministic on CUDA
        small = small.view(*x.shape[:3], *small.shape[2:])
        subsampled: Tensor = small * self.factor + self.bias
        return subsampled


class ThreeDCNN(nn.Module):
    """The network of Ji et al., "3D convolutional neural networks for human action recognition".

    IEEE TPAMI 35 (2013), section 2.3 and Figure 3, without the auxiliary outputs and the
    combination of models. With 7 frames and 3 classes it has the paper's 295 458 parameters.

    Args:
        classes: Number of emotions.
        frames: Frames of a segment, at least 6; the paper has 7.

    Raises:
        ValueError: If there are too few frames.
    """

    def __init__(self, classes: int, frames: int) -> None:
        super().__init__()
        if frames < MIN_FRAMES:
            raise ValueError(
                f"3DCNN gets {frames} frames; its convolutions need at least {MIN_FRAMES}: set "
                f"data.segment_length to {MIN_FRAMES + 1} or more (the paper's is 8)"
            )
        lengths = [frames] * 3 + [frames - 1] * 2  # of the channels' maps
        sets = _SETS * _KERNELS
        self.c2 = nn.ModuleList(nn.Conv3d(1, _SETS, (3, 7, 7)) for _ in CHANNELS)
        self.s3 = nn.ModuleList(Subsample((_SETS, n - 2), 2) for n in lengths)
        self.c4 = nn.ModuleList(nn.Conv3d(_SETS, sets, (3, 7, 6), groups=_SETS) for _ in CHANNELS)
        self.s5 = nn.ModuleList(Subsample((sets, n - 4), 3) for n in lengths)
        maps = sets * sum(n - 4 for n in lengths)
        self.c6 = nn.Conv2d(maps, _FEATURES, (7, 4), bias=False)
        # The paper counts a bias for each of a feature's maps, though only their sum matters.
        self.c6_bias = nn.Parameter(torch.zeros(_FEATURES, maps))
        self.output = nn.Linear(_FEATURES, classes, bias=False)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream, 0…1.

        Raises:
            ValueError: If a stream is missing.
        """
        if set(images) != {"spatial", "temporal"}:
            raise ValueError(f"3DCNN gets {', '.join(images)} alone; set model.streams to both")
        maps = []
        channels = hardwired(images["spatial"], images["temporal"])
        for x, c2, s3, c4, s5 in zip(channels, self.c2, self.s3, self.c4, self.s5, strict=True):
            x = s3(torch.tanh(c2(x[:, None])))  # (B, 2, n − 2, 27, 17)
            x = s5(torch.tanh(c4(x)))  # (B, 6, n − 4, 7, 4)
            maps.append(x.flatten(1, 2))
        features = self.c6(torch.cat(maps, dim=1)).flatten(1) + self.c6_bias.sum(dim=1)
        logits: Tensor = self.output(torch.tanh(features))
        return logits
