"""The networks that are trained: one stream with a classifier, and both with EmotionalVlan."""

import torch
from torch import Tensor, nn

from vfer.networks.alexnet import AlexNetStream
from vfer.networks.settings import Pool
from vfer.networks.vlan import EmotionalVlan


class FrameNetwork(nn.Module):
    """Stages 1 and 2: one AlexNet with a linear classifier, on single images (step 3, Figure 8).

    Args:
        stream: The AlexNet.
        classes: Number of emotions.
    """

    def __init__(self, stream: AlexNetStream, classes: int) -> None:
        super().__init__()
        self.stream = stream
        self.classifier = nn.Linear(stream.out_features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, 3, H, W)``, 0…1."""
        return self.classifier(self.stream(images))  # type: ignore[no-any-return]


class SegmentNetwork(nn.Module):
    """Stage 3: shared-weight streams, EmotionalVlan and fc9 (Figure 1, steps 4 and 5).

    Each stream has one set of weights for all its frames: frames are folded into the batch, so
    that a stream runs once a step.

    Args:
        streams: One AlexNet a stream name, in the order in which their features are stacked.
        frames: Images a stream gets of one segment, L − 1.
        classes: Number of emotions.
        pool: See ``EmotionalVlan``.
        start: See ``EmotionalVlan``.
    """

    def __init__(
        self,
        streams: dict[str, AlexNetStream],
        frames: int,
        classes: int,
        pool: Pool = "sum",
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(streams)
        features = next(iter(streams.values())).out_features
        self.vlan = EmotionalVlan(features, frames, len(self.streams), pool, start)
        self.fc9 = nn.Linear(self.vlan.out_features, classes)

    def features(self, images: dict[str, Tensor]) -> Tensor:
        """Features ``(N, streams, features)`` of images ``(N, 3, H, W)`` a stream."""
        return torch.stack([net(images[name]) for name, net in self.streams.items()], dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of features ``(B, streams, frames, features)``."""
        return self.fc9(self.vlan(features))  # type: ignore[no-any-return]

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, frames, 3, H, W)`` a stream."""
        batch, frames = next(iter(images.values())).shape[:2]
        x = self.features({name: x.flatten(0, 1) for name, x in images.items()})
        return self.classify(x.view(batch, frames, *x.shape[1:]).transpose(1, 2))
