"""The three stages of one fold: spatial → temporal → vlan (section 3.2, steps 3 to 5).

A stage is a function of its inputs that leaves ``fold-<k>/<stage>/``: weights, curves and the key
of the inputs. A stage that is there with the same key is not trained again.
"""

import copy
import csv
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from rich.console import Console
from safetensors.torch import load_file, save_file

from vfer.callbacks import Checkpoints, CurveRecorder, Probabilities, StepBar, evaluate
from vfer.datamodule import StageData, Transform, random_stream
from vfer.experiment import Fold, Run
from vfer.files import atomic_write, key_of, read_json, write_json
from vfer.module import StageModule
from vfer.networks.alexnet import AlexNetStream
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.tables import STREAMS, CurvePoint
from vfer.tracking import StageLogger


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


def _resume(partial: Path, key: str) -> tuple[Path | None, list[dict[str, str]]]:
    """What an interrupted training of the same inputs left: its checkpoint, and its log's rows.

    Whatever else is in the folder is removed.
    """
    checkpoint, said, log = partial / "checkpoint.ckpt", partial / "key", partial / "metrics.csv"
    rows = []
    if said.is_file() and said.read_text(encoding="utf-8") == key and checkpoint.is_file():
        if log.is_file():
            with log.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        return checkpoint, rows
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    atomic_write(said, key)
    return None, rows


def train_stage(
    run: Run, fold: Fold, stage: str, before: dict[str, Stage], directory: Path,
    loggers: Sequence[StageLogger], console: Console,
) -> Stage:  # fmt: skip
    """Train one stage, go on with it where it was interrupted, or find it again.

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
    checkpoint, rows = _resume(partial, key)
    log = CSVLogger(partial, name="", version="", flush_logs_every_n_steps=1)
    with warnings.catch_warnings(action="ignore"):  # that it begins its file anew
        writer = log.experiment
    data = StageData(
        fold.train, recorder.test.frames, run.corpus.classes, config.data, settings, transform,
        stage, seed, fold.number,
    )  # fmt: skip
    checkpoints = Checkpoints(partial / "checkpoint.ckpt", config.stages.checkpoint_every)
    callbacks: list[Callback] = [recorder, checkpoints]
    if config.trainer["enable_progress_bar"] is not False:
        callbacks.append(StepBar(console, f"fold {fold.number} {stage}"))
    trainer = pl.Trainer(
        **(config.trainer | {"enable_progress_bar": False}),  # ours is among the callbacks
        max_steps=settings.iterations,
        max_epochs=1,
        logger=[log, *loggers],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        gradient_clip_val=settings.optimizer.clip_norm,
        devices=1,
    )
    if checkpoint is not None:
        step = _step(checkpoint)
        console.print(f"fold {fold.number} {stage}: goes on from iteration {step}")
        writer.metrics = [row for row in rows if int(row["step"]) < step]
        writer.save()
        for logger in loggers:
            logger.logged = max((int(row["step"]) for row in rows), default=-1)
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C and SIGTERM
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
    for name in ("checkpoint.ckpt", "key"):
        (partial / name).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return Stage(network, key, tuple(recorder.points), test)


def _step(checkpoint: Path) -> int:
    """The iteration at which a checkpoint was written; its tensors stay on disk."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(found["global_step"])
