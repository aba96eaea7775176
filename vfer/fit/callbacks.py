"""What happens beside the steps of a stage: measuring, curves, checkpoints, the progress bar."""

import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from torch import Tensor

from vfer.fit.datamodule import Transform
from vfer.fit.datasets import ClipDataset, StepDataset
from vfer.fit.evaluation import Probabilities, evaluate, measure
from vfer.fit.module import StageModule
from vfer.fit.plan import Stage
from vfer.fit.run import Fold, Run, frames_of
from vfer.fit.stage_folder import KEPT_LOG, LOG, UNFINISHED
from vfer.networks.stage import StageNetwork
from vfer.results.tables import CurvePoint
from vfer.runtime.console import ENDING, bar
from vfer.runtime.files import atomic_write


class CurveRecorder(Callback):
    """Records accuracy and loss over iterations, and keeps the best weights on validation clips.

    The points go to the bundle. Those of the test group are read by nothing else: none is logged
    where a callback could monitor it.

    Attributes:
        points: The points so far.
        best: The iteration with the best validation accuracy, the first of equals; None without.
        best_weights: The network's at that iteration, on the CPU.
    """

    def __init__(self, run: Run, fold: Fold, stage: Stage, transform: Transform) -> None:
        self.run, self.fold, self.stage, self.transform = run, fold, stage, transform
        self.classes = run.corpus.classes
        self.every = getattr(run.config.stages, stage.name).measure_every
        self.frames = frames_of(run, "temporal" in stage.streams)
        sides = {"validation": fold.validation, "test": fold.test}
        self.sides = {
            split: ClipDataset(side, self.frames, run.corpus.classes)
            for split, side in sides.items()
            if side is not None and side.clips
        }
        self.points: list[CurvePoint] = []
        self.best: int | None = None
        self.best_weights: dict[str, Tensor] = {}
        self._best_accuracy = -1.0
        self._recent: list[Tensor] = []

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: StageModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Gather the step's figures; every so many steps, make a point of them."""
        if not _ends_step(trainer, batch_idx):
            return
        figures = trainer.callback_metrics
        self._recent.append(torch.stack([figures["accuracy"], figures["loss"]]).detach())
        step = trainer.global_step
        last = step == trainer.max_steps  # measured by ``train_stage``, which needs the figures
        if self.every and step % self.every == 0 and not last:
            self.record(pl_module.network, step)

    def record(self, network: StageNetwork, iteration: int) -> Probabilities:
        """Add a point for each split; training figures are means since the last point.

        Returns:
            What the network says of the test group; nothing where there is none.
        """
        if self._recent:
            accuracy, loss = self._recent_figures().mean(dim=0).tolist()
            self._recent.clear()
            self._add(iteration, "train", accuracy, loss)
        found: Probabilities = []
        for split, data in self.sides.items():  # the test group comes last
            found = evaluate(network, data, self.transform)
            labels = [data.classes.index(clip.emotion) for clip in data.part.clips]
            accuracy, loss = measure(found, labels, data.part.unusable)
            self._add(iteration, split, accuracy, loss)
            if split == "validation" and accuracy > self._best_accuracy:
                self.best, self._best_accuracy = iteration, accuracy
                weights = network.state_dict()
                self.best_weights = {n: w.detach().cpu().clone() for n, w in weights.items()}
        return found

    def test(self, network: StageNetwork) -> Probabilities:
        """Return what a network says of the test group; nothing where there is none."""
        data = self.sides.get("test")
        return [] if data is None else evaluate(network, data, self.transform)

    def _recent_figures(self) -> Tensor:
        return torch.stack([figures.cpu() for figures in self._recent])

    def _add(self, iteration: int, split: str, accuracy: float, loss: float) -> None:
        if not np.isfinite(loss):
            raise ValueError(
                f"{self.fold.title}, stage {self.stage.name}: the {split} loss is {loss} at "
                f"iteration {iteration}; the training diverged, a smaller learning rate helps"
            )
        point = CurvePoint(self.fold.number, self.stage.name, iteration, split, accuracy, loss)
        self.points.append(point)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: points and best so far, the figures since the last."""
        return {
            "points": [asdict(point) for point in self.points],
            "recent": self._recent_figures() if self._recent else torch.empty(0, 2),
            "best": self.best,
            "best_accuracy": self._best_accuracy,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.points = [CurvePoint(**point) for point in state_dict["points"]]
        self._recent = list(state_dict["recent"])
        self.best, self._best_accuracy = state_dict["best"], state_dict["best_accuracy"]
        self.best_weights = state_dict["best_weights"]


class FiniteLoss(Callback):
    """Stops a training whose loss is no number, and names the clips of its batch.

    A step's loss is looked at after the next step, so that nothing waits for the device.

    Args:
        steps: The batches.
        title: Of fold and stage.
    """

    def __init__(self, steps: StepDataset, title: str) -> None:
        self.steps, self.title = steps, title
        self._before: tuple[int, Tensor] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object,
        batch_idx: int,
    ) -> None:  # fmt: skip
        """Look at the last step's loss."""
        if _ends_step(trainer, batch_idx):
            self._look()
            self._before = trainer.global_step, trainer.callback_metrics["loss"].detach()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the very last one's."""
        self._look()

    def _look(self) -> None:
        if self._before is None or self._before[1].isfinite():
            return
        number, loss = self._before
        raise ValueError(
            f"{self.title}: the loss of iteration {number} is {float(loss)}: the training "
            "diverged, a smaller learning rate helps, or a clip of its batch is odd: "
            f"{', '.join(self.steps.clips(number - 1))}"
        )


def _ends_step(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Return whether a batch is the last part of its step."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class Checkpoints(Callback):
    """Keeps the state of training in one file, from which a killed run is resumed.

    It is written every so many steps, and when the process is asked to end (Ctrl-C, SIGTERM,
    SIGHUP): the step under way is finished first; a second Ctrl-C stops at once. Everything random
    in a step follows from its number, so that no random state need be kept.

    Args:
        path: The file; always whole, as it is written beside and then renamed.
        every: Steps between checkpoints.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.stop = self._written = False
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over Ctrl-C and its like, where there is one process and signals can be caught."""
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, *ENDING):
                if signal.getsignal(name) is not signal.SIG_IGN:
                    self._before[name] = signal.signal(name, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.stop:
            print("finishing the step; Ctrl-C again stops at once", file=sys.stderr)
        self.stop = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Put a checkpoint in its place, and stop, now that the step before is in the log."""
        if self._written:
            self._place(trainer)
        if self.stop and batch_idx % trainer.accumulate_grad_batches == 0:
            raise KeyboardInterrupt

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object,
        batch_idx: int,
    ) -> None:  # fmt: skip
        """Write the checkpoint if it is time."""
        if not _ends_step(trainer, batch_idx):
            return
        step = trainer.global_step
        ending = trainer.world_size == 1 and trainer.received_sigterm  # no batch will follow
        asked = ending or (trainer.world_size == 1 and self.stop)
        due = asked or step % self.every == 0
        if due and step < trainer.max_steps:  # after the last step the whole stage is written
            trainer.save_checkpoint(self.path.with_name(UNFINISHED), weights_only=False)
            self._written = True
            if ending:
                self._place(trainer)

    def _place(self, trainer: pl.Trainer) -> None:
        """Give a checkpoint its name; a process killed before goes on from the last one.

        The log is kept as it is now: Lightning writes that file over, not beside.
        """
        for logger in trainer.loggers:
            logger.save()
        log = self.path.with_name(LOG)
        if trainer.is_global_zero and log.is_file():
            atomic_write(self.path.with_name(KEPT_LOG), log.read_bytes())
        if trainer.is_global_zero:
            self.path.with_name(UNFINISHED).replace(self.path)
        self._written = False

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}


class StepBar(Callback):
    """A progress bar over a stage's steps; Lightning's count epochs, which a stage has not."""

    def __init__(self, console: Console, description: str) -> None:
        self.bar, self.description = bar(console), description

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        self.bar.start()
        self.task = self.bar.add_task(self.description, total=trainer.max_steps)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:  # noqa: ANN401
        """Advance it, with the batch's figures."""
        figures = (f"{name} {float(v):.2f}" for name, v in trainer.callback_metrics.items())
        text = " ".join((self.description, *figures))
        self.bar.update(self.task, completed=trainer.global_step, description=text)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the bar as it is, also after an error."""
        self.bar.stop()
