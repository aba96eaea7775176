"""The training curves of a stage, and the weights that did best on validation clips."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from vfer.config.tree import StageConfig
from vfer.fit.callbacks import ends_step
from vfer.fit.datamodule import Transform
from vfer.fit.datasets import EvaluatedClips, Part, thinned
from vfer.fit.evaluation import Probabilities, evaluate, measure
from vfer.fit.module import StageModule
from vfer.fit.plan import CurveCost, Stage, curve_cost
from vfer.fit.run import Fold, Run, frames_of
from vfer.networks.stage import StageNetwork
from vfer.results.tables import CurvePoint


class CurveRecorder(Callback):
    """Records accuracy and loss over iterations, and keeps the best weights on validation clips.

    The points go to the bundle. Those of the test group are read by nothing else: none is logged
    where a callback could monitor it. As nothing is chosen by them, they are measured in the
    precision of the training, and so that they cost little (`curve_cost`).

    Attributes:
        points: The points so far.
        best: The iteration with the best validation accuracy, the first of equals; None without.
        best_weights: The network's at that iteration, on the CPU.
    """

    def __init__(self, run: Run, fold: Fold, stage: Stage, transform: Transform) -> None:
        self.run, self.fold, self.stage, self.transform = run, fold, stage, transform
        self.classes = run.corpus.classes
        self.settings: StageConfig = getattr(run.config.stages, stage.name)
        self.frames = frames_of(run, "temporal" in stage.streams)
        self.test_clips = self._clips(fold.test)
        self.validation = self._clips(fold.validation)
        self.cost = self._cost()
        self.points: list[CurvePoint] = []
        self.best: int | None = None
        self.best_weights: dict[str, Tensor] = {}
        self._best_accuracy = -1.0
        self._recent: list[Tensor] = []

    def _clips(self, side: Part | None, every: int = 1) -> EvaluatedClips | None:
        if side is None or not side.clips:
            return None
        return EvaluatedClips(side, self.frames, self.classes, every)

    def _cost(self) -> CurveCost:
        frames = 0 if self.test_clips is None else int(self.test_clips.part.starts.frames.sum())
        length = self.run.config.data.segment_length
        return curve_cost(self.stage, self.settings, length, frames)

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: StageModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Gather the step's figures; every so many steps, make a point of them."""
        if not ends_step(trainer, batch_idx):
            return
        figures = trainer.callback_metrics
        self._recent.append(torch.stack([figures["accuracy"], figures["loss"]]).detach())
        step, every = trainer.global_step, self.settings.measure_every
        last = step == trainer.max_steps  # measured by ``train_stage``, which needs the figures
        if every and step % every == 0 and not last:
            network = pl_module.network
            self._add_training(step)
            self._validate(network, step)
            clips = self._clips(self.fold.test, self.cost.every)
            if clips is not None and step % self.cost.steps == 0:
                with trainer.precision_plugin.forward_context():
                    found = evaluate(network, clips, self.transform)
                self._add_measured("test", clips, found, step)

    def record(self, network: StageNetwork, iteration: int) -> Probabilities:
        """Add the last points; training figures are means since those before.

        Returns:
            What the network says of the test group, `test`.
        """
        self._add_training(iteration)
        self._validate(network, iteration)
        found = self.test(network)
        if self.test_clips is not None:
            shown = [thinned(one, self.cost.every) for one in found]  # as at the points before
            self._add_measured("test", self.test_clips, shown, iteration)
        return found

    def test(self, network: StageNetwork) -> Probabilities:
        """Return what a network says of the test group, all of it, in float32; or nothing."""
        clips = self.test_clips
        return [] if clips is None else evaluate(network, clips, self.transform)

    def _add_training(self, iteration: int) -> None:
        if self._recent:
            accuracy, loss = self._recent_figures().mean(dim=0).tolist()
            self._recent.clear()
            self._add(iteration, "train", accuracy, loss)

    def _validate(self, network: StageNetwork, iteration: int) -> None:
        """Measure the validation clips, and keep the weights if they are the best so far."""
        if self.validation is None:
            return
        found = evaluate(network, self.validation, self.transform)
        accuracy = self._add_measured("validation", self.validation, found, iteration)
        if accuracy > self._best_accuracy:
            self.best, self._best_accuracy = iteration, accuracy
            weights = network.state_dict()
            self.best_weights = {n: w.detach().cpu().clone() for n, w in weights.items()}

    def _add_measured(
        self, split: str, clips: EvaluatedClips, found: Probabilities, iteration: int
    ) -> float:
        """Add a point of what a network says of clips, and return its accuracy."""
        labels = [self.classes.index(clip.emotion) for clip in clips.part.clips]
        accuracy, loss = measure(found, labels, clips.part.unusable)
        self._add(iteration, split, accuracy, loss)
        return accuracy

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
