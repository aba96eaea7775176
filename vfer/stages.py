"""The three stages of one fold: spatial → temporal → vlan (section 3.2, steps 3 to 5).

A stage is a function of its inputs that leaves ``fold-<k>/<stage>/``: weights, curves and the key
of the inputs. A stage that is there with the same key is not trained again.
"""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, Logger
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor

from vfer.cli import bar
from vfer.datamodule import (
    ClipDataset,
    Frames,
    StageData,
    Transform,
    random_stream,
)
from vfer.experiment import Fold, Run
from vfer.files import key_of, read_json, write_json
from vfer.module import StageModule
from vfer.networks.alexnet import AlexNetStream
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.tables import STREAMS, CurvePoint

Probabilities = list[NDArray[np.float64]]
"""Of each clip of a part ``(S, classes)``: of its segments, or of its images."""


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        network: With its weights after the last iteration, on the CPU.
        key: The key of its inputs.
        curves: Training curves.
        test: Softmax on the test group.
    """

    network: FrameNetwork | SegmentNetwork
    key: str
    curves: tuple[CurvePoint, ...]
    test: Probabilities


def evaluate(module: StageModule, data: ClipDataset, transform: Transform) -> Probabilities:
    """Softmax of every segment (image) of every clip, without augmentation or dropout."""
    was_training = module.training
    module.eval()
    found = []
    with torch.inference_mode():
        for i in range(len(data)):
            batch = move_data_to_device(data[i], module.device)
            images = transform(batch.pairs).images
            found.append(module.clip_probabilities(images, batch.segments).numpy())
    module.train(was_training)
    return found


def measure(
    probabilities: Probabilities, labels: Sequence[int], misses: int
) -> tuple[float, float]:
    """Clip accuracy, misses counted as wrong, and mean cross-entropy of the scored clips."""
    means = [p.mean(axis=0) for p in probabilities]
    hits = sum(int(np.argmax(p)) == label for p, label in zip(means, labels, strict=True))
    likelihood = [max(p[label], 1e-300) for p, label in zip(means, labels, strict=True)]
    return hits / (len(labels) + misses), float(-np.mean(np.log(likelihood)))


class CurveRecorder(Callback):
    """Records accuracy and loss over iterations, on the training batches and on the test group.

    The points go to the bundle and are read by nothing else: no metric of the test group is
    logged where a callback could monitor it.
    """

    def __init__(self, run: Run, fold: Fold, stage: str, transform: Transform) -> None:
        self.fold, self.stage, self.transform = fold, stage, transform
        self.every = getattr(run.config.stages, stage).measure_every
        frames = Frames(run.store, run.config.data)
        self.test = ClipDataset(fold.test, frames, run.corpus.classes)
        self.labels = [run.corpus.classes.index(c.emotion) for c in fold.test.clips]
        self.points: list[CurvePoint] = []
        self._recent: list[tuple[Tensor, Tensor]] = []

    def on_train_batch_end(  # type: ignore[override]
        self,
        trainer: pl.Trainer,
        pl_module: StageModule,
        *_: Any,  # noqa: ANN401
    ) -> None:
        """Gather the batch's figures; every so many steps, make a point of them."""
        figures = trainer.callback_metrics
        self._recent.append((figures["accuracy"].detach(), figures["loss"].detach()))
        step = trainer.global_step
        last = step == trainer.max_steps  # measured by ``train_stage``, which needs the figures
        if self.every and step % self.every == 0 and not last:
            self.record(pl_module, step)

    def record(self, module: StageModule, iteration: int) -> Probabilities:
        """Add a point for each split; training figures are means since the last point."""
        accuracy, loss = (float(torch.stack(v).mean()) for v in zip(*self._recent, strict=True))
        self._recent.clear()
        self._add(iteration, "train", accuracy, loss)
        found = evaluate(module, self.test, self.transform)
        self._add(iteration, "test", *measure(found, self.labels, self.fold.unusable))
        return found

    def _add(self, iteration: int, split: str, accuracy: float, loss: float) -> None:
        if not np.isfinite(loss):
            raise ValueError(
                f"fold {self.fold.number}, stage {self.stage}: the {split} loss is {loss} at "
                f"iteration {iteration}; the training diverged, a smaller learning rate helps"
            )
        point = CurvePoint(self.fold.number, self.stage, iteration, split, accuracy, loss)
        self.points.append(point)


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


def build(
    run: Run, stage: str, seed: int, before: dict[str, Stage]
) -> FrameNetwork | SegmentNetwork:
    """The network of a stage before training; what is random in it follows the seed.

    Args:
        run: What all folds share.
        stage: Which.
        seed: For layers that start from random weights.
        before: The finished stages; ``vlan`` takes its streams from them.
    """
    model, classes = run.config.model, len(run.corpus.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if stage != "vlan":
            stream = AlexNetStream(model.width, model.insert_after, model.dropout, run.weights)
            return FrameNetwork(stream, classes)
        streams = {}
        for name in STREAMS:
            network = before[name].network
            assert isinstance(network, FrameNetwork)
            streams[name] = copy.deepcopy(network.stream)
        frames = run.config.data.segment_length - 1
        return SegmentNetwork(streams, frames, classes, model.pool, model.vlan_start)


def stage_key(run: Run, fold: Fold, stage: str, before: dict[str, Stage]) -> str:
    """A key of everything that a stage's outcome depends on."""
    data, model = run.config.data, asdict(run.config.model)
    if stage != "vlan":
        for name in ("pool", "vlan_start"):
            model.pop(name)
    sides = [
        [[c.name, c.emotion, run.store.entry(c.name).crops] for c in side.clips]
        for side in (fold.train, fold.test)
    ]
    return key_of(
        {
            "stage": [stage, asdict(getattr(run.config.stages, stage))],
            "model": [model, run.weights_key],
            "data": [data.segment_length, asdict(data.windows), asdict(data.flow)],
            "trainer": {k: run.config.trainer[k] for k in ("precision", "deterministic")},
            "clips": sides,
            "classes": run.corpus.classes,
            "fold": [fold.number, fold.unusable],
            "seed": run.config.protocol.seed,
            "before": [before[name].key for name in STREAMS] if stage == "vlan" else [],
        }
    )


def train_stage(
    run: Run, fold: Fold, stage: str, before: dict[str, Stage], directory: Path,
    loggers: Sequence[Logger], console: Console,
) -> Stage:  # fmt: skip
    """Train one stage, or find it again.

    Args:
        run: What all folds share.
        fold: The fold.
        stage: ``spatial``, ``temporal`` or ``vlan``.
        before: The finished stages.
        directory: Where the stage is left; whole or not there.
        loggers: Beside the CSV logger.
        console: Where progress is shown.
    """
    config, seed = run.config, run.config.protocol.seed
    settings = getattr(config.stages, stage)
    key = stage_key(run, fold, stage, before)
    draw = random_stream(seed, fold.number, stage, 3)
    network = build(run, stage, int(draw.integers(2**63)), before)
    module = StageModule(
        network, stage, len(run.corpus.classes), settings.optimizer, settings.iterations, seed,
        fold.number,
    )  # fmt: skip
    transform = Transform(stage, config.model.input_size, config.data)
    recorder = CurveRecorder(run, fold, stage, transform)
    record = directory / "stage.json"
    if record.is_file() and read_json(record)["key"] == key:
        network.load_state_dict(load_file(directory / "weights.safetensors"))
        curves = tuple(CurvePoint(**point) for point in read_json(record)["curves"])
        return Stage(network, key, curves, evaluate(module, recorder.test, transform))

    partial = directory.with_name(f".{stage}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    data = StageData(
        fold.train, recorder.test.frames, run.corpus.classes, config.data, settings, transform,
        stage, seed, fold.number,
    )  # fmt: skip
    callbacks: list[Callback] = [recorder]
    if config.trainer["enable_progress_bar"] is not False:
        callbacks.append(StepBar(console, f"fold {fold.number} {stage}"))
    trainer = pl.Trainer(
        **(config.trainer | {"enable_progress_bar": False}),  # ours is among the callbacks
        max_steps=settings.iterations,
        max_epochs=1,
        logger=[CSVLogger(partial, name="", version=""), *loggers],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        gradient_clip_val=settings.optimizer.clip_norm,
        devices=1,
    )
    try:
        trainer.fit(module, data)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from stop
    module.to(trainer.strategy.root_device)
    test = recorder.record(module, settings.iterations)
    module.cpu()
    save_file(network.state_dict(), partial / "weights.safetensors")
    write_json(
        partial / "stage.json",
        {
            "key": key,
            "stage": stage,
            "fold": fold.number,
            "classes": list(run.corpus.classes),
            "model": asdict(config.model),
            "frames": config.data.segment_length - 1,
            "iterations": settings.iterations,
            "curves": [asdict(point) for point in recorder.points],
        },
    )
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return Stage(network, key, tuple(recorder.points), test)
