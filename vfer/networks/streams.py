"""The paper's networks: one stream with a classifier, and both with EmotionalVlan."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from vfer.networks.settings import Pool
from vfer.networks.stage import StageNetwork
from vfer.networks.vlan import EmotionalVlan


class FrameNetwork(StageNetwork):
    """Stages 1 and 2: one stream with a linear classifier, on single images (step 3, Figure 8).

    Args:
        stream: An AlexNet, or a backbone in its place: images ``(N, 3, S, S)`` 0…1 to features
            ``(N, out_features)``, with an attribute ``out_features``.
        classes: Number of emotions.
    """

    single = True

    def __init__(self, stream: nn.Module, classes: int) -> None:
        super().__init__()
        self.stream = stream
        self.classifier = nn.Linear(cast(int, stream.out_features), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, 3, H, W)``, 0…1."""
        return self.classifier(self.stream(images))  # type: ignore[no-any-return]

    def logits(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B·frames, classes)``: each image of the one stream is a sample."""
        (mine,) = images.values()
        return self(mine.flatten(0, 1))  # type: ignore[no-any-return]

    @torch.inference_mode()
    def describe(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(P, classes)`` of each pair's image."""
        (mine,) = images.values()
        return self.forward(mine.flatten(0, 1))  # not the compiled call

    def clip_logits(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return the logits of each image, ``(P, classes)``: segments are not looked at."""
        return described

    def part_of(self, parameter: str) -> str:
        """Return ``streams``, as in the network of segments, or ``classifier``."""
        part = super().part_of(parameter)
        return "streams" if part == "stream" else part


class SegmentNetwork(StageNetwork):
    """Stage 3: shared-weight streams, EmotionalVlan and fc9 (Figure 1, steps 4 and 5).

    Each stream has one set of weights for all its frames: frames are folded into the batch, so
    that a stream runs once a step.

    Args:
        streams: One AlexNet (or backbone) a stream name, in the order in which their features are
            stacked.
        frames: Images a stream gets of one segment, L − 1.
        classes: Number of emotions.
        pool: See ``EmotionalVlan``.
        start: See ``EmotionalVlan``.
    """

    def __init__(
        self,
        streams: Mapping[str, nn.Module],
        frames: int,
        classes: int,
        pool: Pool = "sum",
        start: float = 0.0,
    ) -> None:
        super().__init__()
        features = cast(int, next(iter(streams.values())).out_features)
        self.streams = nn.ModuleDict(dict(streams))
        self.vlan = EmotionalVlan(features, frames, len(streams), pool, start)
        self.fc9 = nn.Linear(self.vlan.out_features, classes)

    def features(self, images: dict[str, Tensor]) -> Tensor:
        """Return features ``(N, streams, features)`` of images ``(N, 3, H, W)`` a stream."""
        return torch.stack([net(images[name]) for name, net in self.streams.items()], dim=1)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, frames, 3, H, W)`` a stream."""
        batch, frames = next(iter(images.values())).shape[:2]
        x = self.features({name: x.flatten(0, 1) for name, x in images.items()})
        v = self.vlan(x.view(batch, frames, *x.shape[1:]).transpose(1, 2))
        return self.fc9(v)  # type: ignore[no-any-return]

    def feature_weights(self) -> Tensor:
        """Return what a unit of each feature adds to each logit.

        EmotionalVlan and fc9 are linear: the logits of features ``(streams, frames, features)`` are
        fc9's biases and the sums of the features times these.

        Returns:
            ``(classes, streams, frames, features)`` float64, on the CPU.
        """
        weight = self.fc9.weight.detach().cpu().double()  # not every device has float64
        return self.vlan.backwards(weight).detach()

    @torch.inference_mode()
    def describe(self, images: dict[str, Tensor]) -> Tensor:
        """Return features ``(P, streams, features)`` of each pair's images."""
        return self.features({name: x.flatten(0, 1) for name, x in images.items()})

    @torch.inference_mode()
    def aggregate(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return V of each segment, ``(S, out_features)``; arguments as of `clip_logits`."""
        return self.vlan(described[segments].transpose(1, 2))  # type: ignore[no-any-return]

    def clip_logits(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return logits ``(S, classes)`` of each segment, its features aggregated."""
        return self.fc9(self.aggregate(described, segments))  # type: ignore[no-any-return]
