"""One AlexNet for frames and flow alike, as a class that a config can name (docs/extending.md)."""

import torch
from torch import Tensor, nn

from vfer.networks.alexnet import AlexNetStream
from vfer.networks.vlan import EmotionalVlan
from vfer.networks.weights import load_weights


class OneStream(nn.Module):
    """The paper's network with one set of weights for both inputs: half of its parameters.

    Both inputs are one batch of the same AlexNet, whose features EmotionalVlan adds up (Eq. 1). It
    is trained in one stage: there are no two streams to be trained apart.

    Args:
        classes: Number of emotions.
        frames: Images a stream gets of one segment, L − 1.
        width: Factor on all channel and feature counts, above 0; pretrained weights need 1.
        dropout: Probability before fc6 and fc7, 0 ≤ p < 1.
        vlan_start: Where EmotionalVlan's aₖ start.
        weights: ``imagenet``, the path of an AlexNet state dict, or None for random weights.
    """

    def __init__(
        self, classes: int, frames: int, width: float = 1.0, dropout: float = 0.5,
        vlan_start: float = 0.0, weights: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        given = None if weights is None else load_weights(weights)
        stream = AlexNetStream(width=width, dropout=dropout, weights=given)
        self.stream = stream.to(memory_format=torch.channels_last)
        self.vlan = EmotionalVlan(stream.out_features, frames, 2, start=vlan_start)
        self.fc9 = nn.Linear(self.vlan.out_features, classes)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of ``spatial`` and ``temporal`` images, 0…1.

        Both are ``(B, frames, 3, S, S)``.
        """
        both = torch.stack([images["spatial"], images["temporal"]], dim=1)
        features = self.stream(both.flatten(0, 2)).unflatten(0, both.shape[:3])
        return self.fc9(self.vlan(features))  # type: ignore[no-any-return]
