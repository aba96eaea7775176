"""The whole way from windows of face crops to probabilities, as one module that can be traced."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vfer.config.tree import DataConfig
from vfer.networks.settings import ModelConfig
from vfer.networks.stage import StageNetwork
from vfer.networks.streams import SegmentNetwork
from vfer.networks.vlan import EmotionalVlan
from vfer.predict.load import NetworkModel, stream_images


class WindowGraph(nn.Module):
    """Flow, resizing, networks and temperature of a bundle's models.

    Args:
        networks: Of each fold, in evaluation mode.
        data: Of the bundle's config.
        model: Of the bundle's config.
        temperature: By which logits are divided.
    """

    def __init__(
        self,
        networks: Iterable[StageNetwork],
        data: DataConfig,
        model: ModelConfig,
        temperature: float,
    ) -> None:
        super().__init__()
        self.any_length = model.network is None and model.pool == "sum"
        self.networks = nn.ModuleList(
            AnyLength(one) if self.any_length and isinstance(one, SegmentNetwork) else one
            for one in networks
        )
        self.data, self.model, self.temperature = data, model, temperature

    @classmethod
    def of(cls, loaded: NetworkModel) -> "WindowGraph":
        """Return the graph of a bundle's models, which it shares."""
        bundle, networks = loaded.bundle, loaded.networks.values()
        return cls(networks, bundle.data, bundle.model, loaded.temperature).eval()

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each window shows.

        Args:
            crops: ``(N, L, 150, 110, 3)`` uint8 RGB.

        Returns:
            Calibrated probabilities ``(N, classes)`` float32, 0…1, the mean over the folds'
            models; and those of each model, ``(N, folds, classes)``.
        """
        images = stream_images(crops, self.data, self.model)
        logits = torch.stack([network(images) for network in self.networks], dim=1)
        by_fold = (logits / self.temperature).softmax(dim=2)
        return by_fold.mean(dim=1), by_fold


class AnyLength(nn.Module):
    """A network of segments whose features are summed, for windows of any length.

    Eq. 1 is linear: V of the frames is V of one frame that holds their sum.

    Args:
        network: With pool ``sum``.
    """

    def __init__(self, network: SegmentNetwork) -> None:
        super().__init__()
        streams, _, features = network.vlan.shape
        self.network = network
        self.vlan = EmotionalVlan(features, 1, streams, "sum")
        self.vlan.load_state_dict(network.vlan.state_dict())

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream."""
        batch, frames = next(iter(images.values())).shape[:2]
        x = self.network.features({name: one.flatten(0, 1) for name, one in images.items()})
        summed = x.view(batch, frames, *x.shape[1:]).sum(dim=1)  # (B, streams, features)
        return self.network.fc9(self.vlan(summed[:, :, None]))  # type: ignore[no-any-return]
