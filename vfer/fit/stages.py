"""The three stages of one fold: spatial → temporal → vlan (section 3.2, steps 3 to 5).

A stage is a function of its inputs that leaves ``fold-<k>/<stage>/``: weights, curves and the key
of the inputs. A stage that is there with the same key is not trained again.
"""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import nn

from vfer.baselines.classifier import fit_classifier
from vfer.config.tree import StageConfig
from vfer.fit.callbacks import Checkpoints, CurveRecorder, StepBar
from vfer.fit.datamodule import StageData, Transform
from vfer.fit.datasets import ClipDataset, Frames, random_stream
from vfer.fit.evaluation import Probabilities, describe, evaluate
from vfer.fit.loggers import Logger
from vfer.fit.module import StageModule
from vfer.fit.run import Fold, Run
from vfer.fit.stage_folder import (
    CHECKPOINT,
    WEIGHTS,
    find_finished,
    find_source,
    load_source,
    move,
    resume,
    share,
)
from vfer.networks.build import build_frame_network, build_segment_network
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.results.tables import CurvePoint
from vfer.runtime.files import key_of, read_json, sha256, write_json
from vfer.runtime.ranks import device, first, world

FORMAT = 1  # to be raised when the same inputs give other weights


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        network: With its weights after the last or the chosen iteration, on the CPU.
        key: The key of its inputs.
        curves: Training curves.
        test: Softmax on the test group.
        trained_on: The subjects that its weights have seen, in this stage or before.
        iteration: The one that its weights are of.
    """

    network: FrameNetwork | SegmentNetwork
    key: str
    curves: tuple[CurvePoint, ...]
    test: Probabilities
    trained_on: frozenset[str]
    iteration: int


def build(
    run: Run, stage: str, seed: int, before: dict[str, Stage]
) -> FrameNetwork | SegmentNetwork:
    """Build the network of a stage before training; what is random in it follows the seed."""
    model, classes = run.config.model, len(run.corpus.classes)
    if stage != "vlan":
        return build_frame_network(model, classes, seed, run.weights)
    trained = {}
    for name in model.stream_names:
        network = before[name].network
        assert isinstance(network, FrameNetwork)
        trained[name] = network
    return build_segment_network(model, classes, seed, trained, run.config.data.segment_length - 1)


def freeze(network: nn.Module, parts: Collection[str]) -> None:
    """Keep parts of a network, ``streams`` or ``vlan``, from being trained."""
    for name, parameter in network.named_parameters():
        part = name.split(".")[0]
        parameter.requires_grad_(("streams" if part == "stream" else part) not in parts)


def stage_key(
    run: Run, fold: Fold, stage: str, before: dict[str, Stage], source: Path | None, end: int
) -> str:
    """A key of everything that a stage's outcome depends on."""
    data, model = run.config.data, asdict(run.config.model)
    settings = asdict(getattr(run.config.stages, stage))
    settings["from_"] = None if source is None else sha256(source / WEIGHTS)
    if stage != "vlan":
        for name in ("streams", "pool", "vlan_start"):
            model.pop(name)
    sides = [
        [[c.name, c.emotion, run.store.entry(c.name).crops] for c in side.clips]
        for side in (fold.train, fold.test, fold.validation)
        if side is not None
    ]
    schema = run.config.stages.schema if stage == "vlan" else "trained"
    if schema == "non_trained":
        settings = {}
    return key_of(
        {
            "format": FORMAT,
            "stage": [stage, schema, settings],
            "model": [model, run.weights_key],
            "data": [data.segment_length, asdict(data.windows)],
            "flow": None if stage == "spatial" else asdict(data.flow),
            "trainer": {k: run.config.trainer[k] for k in ("precision", "deterministic")},
            "how": [run.config.stages.compile, world()],
            "clips": sides,
            "classes": run.corpus.classes,
            "fold": [fold.number, fold.test.unusable],
            "end": end,
            "seed": run.config.protocol.seed,
            "before": [before[n].key for n in run.config.model.stream_names]
            if stage == "vlan"
            else [],
        }
    )


def train_stage(
    run: Run, fold: Fold, stage: str, before: dict[str, Stage], directory: Path,
    loggers: Sequence[Logger], console: Console, end: int | None = None,
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
        end: Iterations to train, if that is not the stage's whole number.
    """
    config, seed, classes = run.config, run.config.protocol.seed, run.corpus.classes
    settings: StageConfig = getattr(config.stages, stage)
    end = settings.iterations if end is None else end
    regression = stage == "vlan" and config.stages.schema == "non_trained"
    if regression:
        end = 0
    sides = (fold.test, *([] if fold.validation is None else [fold.validation]))
    held = {clip.subject for side in sides for clip in side.clips}
    source = find_source(settings, stage, fold.number, run.corpus, held)
    key = stage_key(run, fold, stage, before, source, end)
    draw = random_stream(seed, fold.number, stage, 3)
    network = build(run, stage, int(draw.integers(2**63)), before)
    module = StageModule(network, stage, settings.optimizer, settings.iterations, seed, fold.number)
    model = config.model
    transform = Transform(stage, model.input_size, config.data, model.stream_names)
    recorder = CurveRecorder(run, fold, stage, transform)
    shared = None if config.stages.cache is None else config.stages.cache / key
    if first(lambda: find_finished(directory, shared, key)):
        record = read_json(directory / "stage.json")
        network.load_state_dict(load_file(directory / WEIGHTS))
        curves = tuple(CurvePoint(**point) for point in record["curves"])
        module.to(device(config.trainer))
        test = evaluate(module, recorder.sides["test"], transform)
        module.cpu()
        seen = frozenset(record["trained_on"])
        return Stage(network, key, curves, test, seen, record["iteration"])

    earlier = before.values() if stage == "vlan" else ()
    trained_on = {subject for one in earlier for subject in one.trained_on}
    if source is not None:
        load_source(network, source, config.model)
        trained_on = set(read_json(source / "stage.json")["trained_on"])
    if end or regression:
        trained_on |= {clip.subject for clip in fold.train.clips}
    freeze(network, settings.frozen)
    partial = directory.with_name(f".{stage}.partial")
    checkpoint, rows = first(lambda: resume(partial, key))
    stop = False
    if end:
        stop = _fit(run, fold, module, end, recorder, checkpoint, rows, loggers, partial, console)
    module.to(device(config.trainer))
    if regression:
        assert isinstance(network, SegmentNetwork)
        nn.init.zeros_(network.vlan.a)
        training = ClipDataset(fold.train, recorder.frames, classes)
        *layer, strength = first(lambda: _regress(module, training, transform))
        for ours, found in zip(network.fc9.parameters(), layer, strict=True):
            ours.data.copy_(torch.from_numpy(found))
        console.print(f"fold {fold.number}: logistic regression, C = {strength:g}")
    test = recorder.record(module, end)
    iteration = end if recorder.best is None else recorder.best
    if iteration != end:
        network.load_state_dict(recorder.best_weights)
        test = evaluate(module, recorder.sides["test"], transform)
    module.cpu()

    def write() -> None:
        save_file(network.state_dict(), partial / WEIGHTS)
        write_json(
            partial / "stage.json",
            {
                "key": key,
                "stage": stage,
                "fold": fold.number,
                "corpus": run.corpus.name,
                "classes": list(classes),
                "model": asdict(config.model),
                "frames": config.data.segment_length - 1,
                "iteration": iteration,
                "trained_on": sorted(trained_on),
                "curves": [asdict(point) for point in recorder.points],
            },
        )
        for name in (CHECKPOINT, "key"):
            (partial / name).unlink(missing_ok=True)
        move(partial, directory)
        if shared is not None:
            share(directory, shared)

    first(write)
    if stop:
        raise KeyboardInterrupt
    return Stage(network, key, tuple(recorder.points), test, frozenset(trained_on), iteration)


def _fit(
    run: Run, fold: Fold, module: StageModule, end: int, recorder: CurveRecorder,
    checkpoint: Path | None, rows: list[dict[str, str]], loggers: Sequence[Logger],
    partial: Path, console: Console,
) -> bool:  # fmt: skip
    """Train a stage's network from its start, or from a checkpoint, to its last iteration.

    Returns:
        Whether Ctrl-C was pressed in the last one.
    """
    config, stage = run.config, module.stage
    settings: StageConfig = getattr(config.stages, stage)
    log = CSVLogger(partial, name="", version="", flush_logs_every_n_steps=1)
    with warnings.catch_warnings(action="ignore"):  # that it begins its file anew
        writer = log.experiment
    frames = Frames(run.store, config.data, not settings.augmentation.changes_flow)
    data = StageData(
        fold.train, frames, run.corpus.classes, config.data, settings, recorder.transform, stage,
        config.protocol.seed, fold.number,
    )  # fmt: skip
    checkpoints = Checkpoints(partial / CHECKPOINT, config.stages.checkpoint_every)
    callbacks: list[Callback] = [recorder, checkpoints]
    if config.trainer["enable_progress_bar"] is not False:
        callbacks.append(StepBar(console, f"fold {fold.number} {stage}"))
    options = config.trainer | {"enable_progress_bar": False}  # ours is among the callbacks
    if options["log_every_n_steps"] is not None:
        options["log_every_n_steps"] = min(options["log_every_n_steps"], end)
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
        accumulate_grad_batches=len(data.steps.shares),
    )
    if config.stages.compile:
        module.network.compile()
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
    return checkpoints.stop


def _regress(
    module: StageModule, data: ClipDataset, transform: Transform
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Logistic regression on the training segments; see ``fit_classifier``."""
    clips = data.part.clips
    described = describe(module, data, transform, range(len(data)))
    found = [module.aggregate(*clip).cpu() for clip in described]
    repeat = [len(rows) for rows in found]
    labels = np.repeat([data.classes.index(clip.emotion) for clip in clips], repeat)
    subjects = np.repeat([clip.subject for clip in clips], repeat).tolist()
    return fit_classifier(torch.cat(found).numpy(), labels, subjects, len(data.classes))


def _step(checkpoint: Path) -> int:
    """The iteration at which a checkpoint was written; its tensors stay on disk."""
    found = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return int(found["global_step"])
