"""A whole network of one's own in the place of streams and EmotionalVlan."""

import torch
from torch import Tensor, nn

from vfer.networks.stage import StageNetwork

CHUNK = 4
"""Segments that are evaluated at a time, so that a long clip takes no more memory."""


class WholeNetwork(StageNetwork):
    """A network of one's own, on whole segments.

    Args:
        network: ``forward({stream: (B, L−1, 3, S, S)}) -> (B, classes)``, images in 0…1.
        streams: The streams whose images it gets, in their order.
    """

    def __init__(self, network: nn.Module, streams: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.streams = streams

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream."""
        return self.network(images)  # type: ignore[no-any-return]

    def describe(self, images: dict[str, Tensor]) -> Tensor:
        """Return the images themselves, ``(P, streams, 3, S, S)``."""
        return torch.cat([images[name] for name in self.streams], dim=1)

    def clip_logits(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return logits ``(S, classes)`` of each segment."""
        parts = []
        for pairs in torch.split(segments, CHUNK):
            images = described[pairs].unbind(2)  # streams of (≤ CHUNK, L−1, 3, S, S)
            parts.append(self.forward(dict(zip(self.streams, images, strict=True))))
        return torch.cat(parts)

    def part_of(self, parameter: str) -> str:
        """Return the name of the network's own child."""
        return parameter.split(".")[1]
