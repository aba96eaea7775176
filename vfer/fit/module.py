"""The LightningModule: loss, metrics and optimiser of one stage, around one network."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from vfer.config.tree import OptimizerConfig
from vfer.fit.plan import Randomness
from vfer.networks.stage import StageNetwork
from vfer.segments.batch import StreamInputs


class StageModule(pl.LightningModule):
    """Trains a network of one stage with cross-entropy (Eqs 3 and 4).

    Algorithm 1's error term O(1−O)(T−O) is that of sigmoid outputs under squared error and
    contradicts Eqs 3 and 4; the equations are followed.

    Args:
        network: What is trained.
        optimizer: The stage's optimiser.
        iterations: Optimiser steps of the stage, for the schedule.
        randomness: Of the stage, for dropout.
    """

    def __init__(
        self,
        network: StageNetwork,
        optimizer: OptimizerConfig,
        iterations: int,
        randomness: Randomness,
    ) -> None:
        super().__init__()
        self.network = network
        self.settings = optimizer
        self.iterations = iterations
        self.randomness = randomness
        self._figures = torch.zeros(2)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        """Return logits ``(B, classes)`` of images ``(B, frames, 3, S, S)`` a stream.

        Of a network on single images every frame is a sample: ``(B·frames, classes)``.
        """
        return self.network.logits(images)

    def on_train_batch_start(self, batch: StreamInputs, batch_idx: int) -> None:
        """Let the step's dropout depend on (seed, fold, stage, step) alone, and on its part."""
        parts = self.trainer.accumulate_grad_batches
        part = self.global_rank * parts + batch_idx % parts
        draw = self.randomness.dropout(self.global_step)
        torch.manual_seed(int(draw.integers(2**63, size=part + 1)[part]))

    def training_step(self, batch: StreamInputs, batch_idx: int) -> Tensor:
        """Return a batch's cross-entropy, weighted so that a step's is the mean over its samples.

        Loss and accuracy are logged once a step, over the samples of all its parts and processes.
        """
        logits = self(batch.images)
        if not self.network.single and self.global_step == 0 and batch_idx == 0:
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
        """Log ``first_logits``, the mean size of a logit at first: V may sum 30 features up."""
        for logger in self.loggers:
            logger.log_metrics({"first_logits": float(logits.detach().abs().mean())}, step=0)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many forms
        """Return SGD or AdamW, with a constant or a cosine schedule by step."""
        config = self.settings
        fused = config.clip_norm is None  # Lightning does not clip under bf16 what is fused
        optimizer: Optimizer
        if config.name == "sgd":
            optimizer = SGD(self._groups(), config.lr, momentum=config.momentum, fused=fused)
        else:
            optimizer = AdamW(self._groups(), config.lr, fused=fused)
        if config.schedule == "constant":
            return optimizer
        schedule = CosineAnnealingLR(optimizer, self.iterations)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> list[dict[str, Any]]:
        """Return what is trained in groups of one learning rate and one decay.

        Biases do not decay, as in the recipes of Caffe and MatConvNet for AlexNet.
        """
        config = self.settings
        vlan_lr = config.lr if config.vlan_lr is None else config.vlan_lr
        a = getattr(getattr(self.network, "vlan", None), "a", None)
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                rate = vlan_lr if parameter is a else config.lr
                decay = 0.0 if "bias" in name.rpartition(".")[2] else config.weight_decay
                groups.setdefault((rate, decay), []).append(parameter)
        return [
            {"params": params, "lr": lr, "weight_decay": decay}
            for (lr, decay), params in groups.items()
        ]
