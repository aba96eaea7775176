"""What happens beside the steps of a stage: checkpoints, the progress bar, watching the loss."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from torch import Tensor

from vfer.fit.datasets import StepDataset
from vfer.fit.stage_folder import KEPT_LOG, LOG, UNFINISHED
from vfer.runtime.console import ENDING, bar
from vfer.runtime.files import atomic_write


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
        if ends_step(trainer, batch_idx):
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


def ends_step(trainer: pl.Trainer, batch_idx: int) -> bool:
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
        if not ends_step(trainer, batch_idx):
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
