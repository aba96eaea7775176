"""The LightningModule: loss, metrics and optimiser of one stage, around one network."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from vfer.config.tree import OptimizerConfig
from vfer.fit.datasets import random_stream
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.segments.batch import StreamInputs


class StageModule(pl.LightningModule):
    """Trains a network of one stage with cross-entropy (Eqs 3 and 4).

    Algorithm 1's error term O(1−O)(T−O) is that of sigmoid outputs under squared error and
    contradicts Eqs 3 and 4; the equations are followed.

    Args:
        network: ``FrameNetwork`` in ``spatial`` and ``temporal``, ``SegmentNetwork`` in ``vlan``.
        stage: Which of the three.
        optimizer: The stage's optimiser.
        iterations: Optimiser steps of the stage, for the schedule.
        seed: Of the run.
        fold: The fold's number.
    """

    def __init__(
        self, network: FrameNetwork | SegmentNetwork, stage: str,
        optimizer: OptimizerConfig, iterations: int, seed: int = 0, fold: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network = network
        self.stage = stage
        self.settings = optimizer
        self.iterations = iterations
        self.origin = (seed, fold)
        self._figures = torch.zeros(2)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream.

        In ``spatial`` and ``temporal`` every frame is a sample: ``(B·frames, classes)``.
        """
        if isinstance(self.network, FrameNetwork):
            return self.network(images[self.stage].flatten(0, 1))  # type: ignore[no-any-return]
        return self.network(images)  # type: ignore[no-any-return]

    def on_train_batch_start(self, batch: StreamInputs, batch_idx: int) -> None:
        """Let the step's dropout depend on (seed, fold, stage, step) alone, and on its part."""
        seed, fold = self.origin
        parts = self.trainer.accumulate_grad_batches
        part = self.global_rank * parts + batch_idx % parts
        draw = random_stream(seed, fold, self.stage, 2, self.global_step)
        torch.manual_seed(int(draw.integers(2**63, size=part + 1)[part]))

    def training_step(self, batch: StreamInputs, batch_idx: int) -> Tensor:
        """Cross-entropy of one batch, weighted so that a step's is the mean over its samples.

        Loss and accuracy are logged once a step, over the samples of all its parts and processes.
        """
        logits = self(batch.images)
        if self.stage == "vlan" and self.global_step == 0 and batch_idx == 0:
            self._log_first(logits)
        loss = F.cross_entropy(logits, batch.label) * batch.weight
        right = (logits.argmax(dim=1) == batch.label).float().mean() * batch.weight
        parts = self.trainer.accumulate_grad_batches
        before = 0 if batch_idx % parts == 0 else self._figures
        self._figures = before + torch.stack([loss.detach().float(), right]) / parts
        if (batch_idx + 1) % parts == 0:
            said = dict(zip(("loss", "accuracy"), self._figures, strict=True))
            self.log_dict(said, prog_bar=True, sync_dist=True)
        return loss

    def _log_first(self, logits: Tensor) -> None:
        """``first_logits``, the mean size of a logit before training: V may sum 30 features up."""
        for logger in self.loggers:
            logger.log_metrics({"first_logits": float(logits.detach().abs().mean())}, step=0)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many forms
        """SGD or AdamW, with a constant or a cosine schedule by step."""
        config = self.settings
        trained: Any = [p for p in self.parameters() if p.requires_grad]
        vlan = getattr(self.network, "vlan", None)
        if config.vlan_lr is not None and vlan is not None and vlan.a.requires_grad:
            others = [p for p in trained if p is not vlan.a]
            trained = [{"params": others}, {"params": [vlan.a], "lr": config.vlan_lr}]
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
            return self.network.forward(images[self.stage].flatten(0, 1))  # not the compiled call
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
