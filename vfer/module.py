"""The LightningModule: loss, metrics and optimiser of one stage, around one network."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torchmetrics.classification import MulticlassAccuracy

from vfer.config import OptimizerConfig
from vfer.datamodule import random_stream
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.transforms import StreamInputs


class StageModule(pl.LightningModule):
    """Trains a network of one stage with cross-entropy (Eqs 3 and 4).

    Algorithm 1's error term O(1−O)(T−O) is that of sigmoid outputs under squared error and
    contradicts Eqs 3 and 4; the equations are followed.

    Args:
        network: ``FrameNetwork`` in ``spatial`` and ``temporal``, ``SegmentNetwork`` in ``vlan``.
        stage: Which of the three.
        classes: Number of emotions.
        optimizer: The stage's optimiser.
        iterations: Optimiser steps of the stage, for the schedule.
        seed: Of the run.
        fold: The fold's number.
    """

    def __init__(
        self, network: FrameNetwork | SegmentNetwork, stage: str, classes: int,
        optimizer: OptimizerConfig, iterations: int, seed: int = 0, fold: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self.stage = stage
        self.settings = optimizer
        self.iterations = iterations
        self.origin = (seed, fold)
        self.accuracy = MulticlassAccuracy(classes, average="micro")

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream.

        In ``spatial`` and ``temporal`` every frame is a sample: ``(B·frames, classes)``.
        """
        if isinstance(self.network, FrameNetwork):
            return self.network(images[self.stage].flatten(0, 1))  # type: ignore[no-any-return]
        return self.network(images)  # type: ignore[no-any-return]

    def on_train_batch_start(self, batch: StreamInputs, batch_idx: int) -> None:
        """Let the step's dropout depend on (seed, fold, stage, step) alone."""
        seed, fold = self.origin
        draw = random_stream(seed, fold, self.stage, 2, self.global_step)
        torch.manual_seed(int(draw.integers(2**63)))

    def training_step(self, batch: StreamInputs, batch_idx: int) -> Tensor:
        """Cross-entropy of one batch."""
        logits = self(batch.images)
        loss = F.cross_entropy(logits, batch.label)
        self.accuracy(logits, batch.label)
        self.log("loss", loss, prog_bar=True)
        self.log("accuracy", self.accuracy, prog_bar=True, on_step=True, on_epoch=False)
        return loss

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many forms
        """SGD or AdamW, with a constant or a cosine schedule by step."""
        config = self.settings
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer: Optimizer
        if config.name == "sgd":
            optimizer = SGD(
                trained,
                config.lr,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                fused=True,
            )
        else:
            optimizer = AdamW(trained, config.lr, weight_decay=config.weight_decay, fused=True)
        if config.schedule == "constant":
            return optimizer
        schedule = CosineAnnealingLR(optimizer, self.iterations)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.inference_mode()
    def describe(self, images: dict[str, Tensor]) -> Tensor:
        """What the networks say of single images, before segments are looked at.

        Args:
            images: ``(P, 1, 3, S, S)`` a stream, of pairs of neighbouring frames.

        Returns:
            Logits ``(P, classes)`` in ``spatial`` and ``temporal``; in ``vlan`` features
            ``(P, streams, features)``.
        """
        if isinstance(self.network, FrameNetwork):
            return self(images)  # type: ignore[no-any-return]
        return self.network.features({name: x.flatten(0, 1) for name, x in images.items()})

    @torch.inference_mode()
    def aggregate(self, described: Tensor, segments: Tensor) -> Tensor:
        """What EmotionalVlan makes of each segment, ``(S, out_features)``.

        Args:
            described: Of all pairs of a clip, as ``describe`` gives them in ``vlan``.
            segments: ``(S, L−1)`` int64, the pairs of each segment.
        """
        assert isinstance(self.network, SegmentNetwork)
        return self.network.vlan(described[segments].transpose(1, 2))  # type: ignore[no-any-return]

    @torch.inference_mode()
    def clip_probabilities(self, described: Tensor, segments: Tensor) -> Tensor:
        """Softmax of each segment of one clip; in ``spatial`` and ``temporal`` of each image.

        Each image goes through its stream once, however many segments share it.

        Args:
            described: Of all pairs of the clip, as ``describe`` gives it.
            segments: ``(S, L−1)`` int64, the pairs of each segment.

        Returns:
            ``(S, classes)``; of a stage on single images ``(P, classes)``. In 0…1, float64.
        """
        logits = described
        if isinstance(self.network, SegmentNetwork):
            logits = self.network.fc9(self.aggregate(described, segments))
        return logits.cpu().double().softmax(dim=1)  # not every device has float64
