"""The training of one stage's network by Lightning, from its start or from a checkpoint."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from rich.console import Console

from vfer.config.tree import StageConfig
from vfer.fit.callbacks import Checkpoints, FiniteLoss, StepBar
from vfer.fit.curves import CurveRecorder
from vfer.fit.datamodule import StageData, Transform
from vfer.fit.datasets import StepDataset
from vfer.fit.loggers import Logger
from vfer.fit.module import StageModule
from vfer.fit.plan import Randomness, Stage
from vfer.fit.precision import precision_of
from vfer.fit.profile import Profile
from vfer.fit.run import Fold, Run, frames_of
from vfer.fit.stage_folder import CHECKPOINT, Left
from vfer.networks.stage import StageNetwork
from vfer.runtime.ranks import rank, world
from vfer.segments.images import stream_inputs


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """Ctrl-C was pressed in the last step, which has been finished."""


def transform_of(run: Run, stage: Stage) -> Transform:
    """Return what makes a stage's images of a batch."""
    model, data = run.config.model, run.config.data
    return partial(stream_inputs, streams=stage.streams, size=model.input_size, config=data.flow)


def steps_of(
    run: Run, fold: Fold, stage: Stage, randomness: Randomness, micro_batch: int | None = None
) -> StepDataset:
    """Return a stage's batches by step, in parts as its config or ``micro_batch`` says."""
    settings: StageConfig = getattr(run.config.stages, stage.name)
    if micro_batch is not None:
        settings = replace(settings, micro_batch=micro_batch)
    needs_flow = "temporal" in stage.streams and not settings.augmentation.computes_flow
    frames = frames_of(run, needs_flow)
    return StepDataset(
        fold.train, frames, run.corpus.classes, settings, stage.single, randomness, rank(), world()
    )


def fit_network(
    network: StageNetwork, randomness: Randomness, end: int, recorder: CurveRecorder, left: Left,
    loggers: Sequence[Logger], unfinished: Path, console: Console, micro_batch: int | None = None,
) -> None:  # fmt: skip
    """Train a stage's network to its last iteration.

    Args:
        network: What is trained, in place.
        randomness: Of the stage.
        end: The last iteration.
        recorder: Of the curves; knows run, fold and stage.
        left: What an interrupted training has left.
        loggers: Beside the CSV logger.
        unfinished: The unfinished stage's folder.
        console: Where progress is shown.
        micro_batch: Instead of the config's.

    Raises:
        OutOfMemoryError: If the device's memory does not do.
        KeyboardInterrupt: If it was stopped; it can be resumed.
        Interrupted: If Ctrl-C was pressed in the last step.
    """
    run, fold, stage = recorder.run, recorder.fold, recorder.stage
    config, name = run.config, f"{fold.title} {stage.name}"
    settings: StageConfig = getattr(config.stages, stage.name)
    module = StageModule(network, settings.optimizer, settings.iterations, randomness)
    log = CSVLogger(unfinished, name="", version="", flush_logs_every_n_steps=1)
    with warnings.catch_warnings(action="ignore"):  # that it begins its file anew
        writer = log.experiment
    steps = steps_of(run, fold, stage, randomness, micro_batch)
    profile = Profile() if config.trainer["profile"] else None
    transform = recorder.transform if profile is None else profile.timed(recorder.transform)
    data = StageData(steps, transform, config.data.loaders)
    checkpoints = Checkpoints(unfinished / CHECKPOINT, config.stages.checkpoint_every)
    callbacks: list[Callback] = [FiniteLoss(steps, name), recorder, checkpoints]
    if config.trainer["enable_progress_bar"] is not False:
        callbacks.append(StepBar(console, name))
    if profile is not None:
        callbacks = [profile, *callbacks, profile.after]
    options = config.trainer | {"enable_progress_bar": False}  # ours is among the callbacks
    options |= {"precision": precision_of(config)}
    del options["profile"]
    options["log_every_n_steps"] = min(options["log_every_n_steps"] or 50, end)
    trainer = pl.Trainer(
        **options,
        max_steps=end,
        max_epochs=1,
        logger=[log, *loggers],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        gradient_clip_val=settings.optimizer.clip_norm,
        accumulate_grad_batches=len(steps.shares),
    )
    if config.stages.compile:
        network.compile()
    if left.checkpoint is not None:
        step = _step(left.checkpoint)
        console.print(f"{name}: resumed from iteration {step}")
        writer.metrics = [row for row in left.log if int(row["step"]) < step]
        writer.save()
        for logger in loggers:
            logger.logged = left.logged
    try:
        trainer.fit(module, data, ckpt_path=left.checkpoint, weights_only=True)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    if profile is not None:
        console.print(f"{name}: {profile.summary(module, options['precision'])}", soft_wrap=True)
    if checkpoints.stop:
        raise Interrupted


def _step(checkpoint: Path) -> int:
    """Return the iteration at which a checkpoint was written; its tensors stay on disk."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(found["global_step"])
