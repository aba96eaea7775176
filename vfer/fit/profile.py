"""Where a stage's time goes: ``trainer.profile``."""

import time
from collections import defaultdict
from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vfer.fit.datamodule import Transform
from vfer.fit.module import StageModule
from vfer.segments.batch import SegmentBatch, StreamInputs

PARTS = ("feeding", "images", "forward", "backward", "optimiser", "measuring", "around")


class Profile(Callback):
    """Times the parts of a stage's steps; waits for the device at the end of each, which costs.

    The first step, which warms up, is not counted. To stand first among the callbacks, with
    `after` last: what the others do at a step's end (curves, checkpoints, logs) is measuring.

    Attributes:
        spent: Seconds of each of `PARTS`. Feeding is what is neither of the others between a
            step's end and the next one's begin: reading, moving to the device, Lightning's loop.
        images: That went through networks.
        after: To stand last among the callbacks.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.images, self.batches = 0, 0
        self.after = _After(self)
        self._since: float | None = None
        self._seen: StreamInputs | None = None

    def lap(self, part: str) -> None:
        """Count the time since the last call as a part's."""
        if self._since is None:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.spent[part] += now - self._since
        self._since = now

    def timed(self, transform: Transform) -> Transform:
        """Return what makes a batch's images, and is counted."""

        def images(batch: SegmentBatch) -> StreamInputs:
            self.lap("feeding")
            made = transform(batch)
            self.lap("images")
            return made

        return images

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: StreamInputs, number: int
    ) -> None:
        """End what stands between the steps."""
        self.lap("around")
        if self._since is not None:
            self.images += sum(one.shape[:2].numel() for one in batch.images.values())
            self.batches += 1
        self._seen = batch

    def on_before_backward(self, *_: object) -> None:
        """End the way forward."""
        self.lap("forward")

    def on_after_backward(self, *_: object) -> None:
        """End the way back."""
        self.lap("backward")

    def on_train_batch_end(self, *_: object) -> None:
        """End the step; begin to count with the first one's end."""
        self.lap("optimiser")
        if self._since is None:
            self._since = time.perf_counter()

    def summary(self, module: StageModule, precision: str) -> str:
        """Return a line: images and FLOP a second, the share of the device's peak, of each part.

        Args:
            module: That was trained; its gradients are left alone.
            precision: How it computes, ``32-true`` or ``bf16-mixed``.
        """
        seconds = sum(self.spent.values())
        if self._seen is None or not self.batches:
            return "profile: fewer than two steps, nothing to say"
        rate = flop(module, self._seen) * self.batches / seconds
        peak = matmul_rate(module.device, torch.bfloat16 if "bf16" in precision else torch.float32)
        shares = ", ".join(f"{part} {self.spent[part] / seconds:.0%}" for part in PARTS)
        return (
            f"profile: {self.images / seconds:.0f} images/s, {rate / 1e12:.3f} TFLOP/s, "
            f"{rate / peak:.0%} of what a product of matrices reaches here in {precision}; {shares}"
        )


class _After(Callback):
    """Ends what the other callbacks do at a step's end."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def on_train_batch_end(self, *_: object) -> None:
        """End the measuring."""
        self.profile.lap("measuring")


def flop(module: StageModule, batch: StreamInputs) -> int:
    """Return the floating-point operations of a batch's way forward and back."""
    images: Mapping[str, Tensor] = batch.images
    trained = [one for one in module.parameters() if one.requires_grad]
    with FlopCounterMode(display=False) as counter, torch.random.fork_rng():
        loss = F.cross_entropy(module(images), batch.label)
        torch.autograd.grad(loss, trained)
    return int(counter.get_total_flops())


def matmul_rate(device: torch.device, kind: torch.dtype) -> float:
    """Return the operations a second of a product of square matrices: what could be reached."""
    size = 8192 if device.type == "cuda" else 1024
    one = torch.rand(size, size, device=device, dtype=kind)
    best = float("inf")
    for _ in range(5):
        since = time.perf_counter()
        one @ one
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - since)
    return 2 * size**3 / best
