"""The stages of one fold: spatial → temporal → vlan (section 3, steps 3 to 5), or ``network``.

A stage is a function of its inputs that leaves ``fold-<k>/<stage>/``: weights, curves and the key
of the inputs. A stage that is there with the same key is not trained again.
"""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from safetensors.torch import load_file, save
from torch import nn

from vfer.baselines.classifier import edge_of, fit_classifier
from vfer.config.tree import StageConfig
from vfer.fit.curves import CurveRecorder
from vfer.fit.datasets import EvaluatedClips
from vfer.fit.evaluation import Probabilities, describe
from vfer.fit.loggers import Logger
from vfer.fit.parts import fitting
from vfer.fit.plan import Randomness, Stage
from vfer.fit.precision import precision_of
from vfer.fit.run import Fold, Run, Seen, seen_in, source_of
from vfer.fit.stage_folder import (
    find_finished,
    load_source,
    move,
    resume,
    share,
    write_record,
)
from vfer.fit.training import Interrupted, fit_network, transform_of
from vfer.networks.build import build_frame_network, build_segment_network, build_whole_network
from vfer.networks.settings import OWN
from vfer.networks.stage import StageNetwork
from vfer.networks.streams import SegmentNetwork
from vfer.results.schema import STAGE_RECORD, WEIGHTS, read_stage
from vfer.results.tables import CurvePoint
from vfer.runtime.environment import made_with
from vfer.runtime.files import atomic_write, key_of, sha256, write_json
from vfer.runtime.ranks import device, first, world

FORMAT = 5  # to be raised when the same inputs give other weights


@dataclass(frozen=True)
class TrainedStage:
    """A finished stage.

    Attributes:
        network: With its weights after the last or the chosen iteration, on the CPU.
        key: The key of its inputs.
        curves: Training curves.
        test: Softmax on the test group.
        seen: Whom and what its weights have seen, in this stage or before.
        iteration: The one that its weights are of.
    """

    network: StageNetwork
    key: str
    curves: tuple[CurvePoint, ...]
    test: Probabilities
    seen: Seen
    iteration: int


Before = Mapping[str, TrainedStage]
"""The stages of a fold that are finished, by name."""


def build(run: Run, stage: Stage, seed: int, before: Before) -> StageNetwork:
    """Build the network of a stage before training; what is random in it follows the seed."""
    model, classes = run.config.model, len(run.corpus.classes)
    frames = run.config.data.segment_length - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if stage.single:
            return build_frame_network(model, classes, run.weights)
        if stage.after:
            trained = {name: before[name].network for name in stage.after}
            return build_segment_network(model, classes, frames, trained)
        return build_whole_network(model, classes, frames)


def _settings_used(run: Run, stage: Stage) -> dict[str, Any]:
    """Return the networks' settings that a stage depends on."""
    unused: tuple[str, ...] = ()
    if run.config.model.own is not None:  # nothing of AlexNet's is used
        unused += ("variant", "width", "insert_after", "dropout", "weights")
    if not stage.after:
        unused += ("pool", "vlan_start")
    if stage.single:
        unused += ("streams",)
    return {k: v for k, v in asdict(run.config.model).items() if k not in unused}


def _model_key(run: Run, stage: Stage) -> dict[str, Any]:
    """Return what of the networks a stage depends on; what is one's own by its code."""
    used = {k: v for k, v in _settings_used(run, stage).items() if k not in OWN}
    return used | {key: one for key, one in run.plugs.items() if key.startswith("model.")}


def stage_key(
    run: Run, fold: Fold, stage: Stage, before: Before, source: Path | None, end: int
) -> str:
    """Return a key of everything that a stage's outcome depends on."""
    data = run.config.data
    settings = asdict(getattr(run.config.stages, stage.name))
    settings["from_"] = None if source is None else sha256(source / WEIGHTS)
    sides = [
        [[c.name, c.subject, c.emotion, run.store.entry(c.name).crops] for c in side.clips]
        for side in (fold.train, fold.test, fold.validation)
        if side is not None
    ]
    return key_of(
        {
            "format": FORMAT,
            "stage": [stage.name, stage.regression, "log-loss" if stage.regression else settings],
            "model": [_model_key(run, stage), run.weights_key],
            "data": [data.segment_length, asdict(data.windows)],
            "flow": asdict(data.flow) if "temporal" in stage.streams else None,
            "trainer": [precision_of(run.config), run.config.trainer["deterministic"]],
            "how": [run.config.stages.compile, world()],
            "clips": sides,
            "control": run.config.protocol.control,
            "classes": run.corpus.classes,
            "fold": [fold.number, fold.test.unusable],
            "end": end,
            "seed": run.config.protocol.seed,
            "before": [before[name].key for name in stage.after],
        }
    )


def train_stage(
    run: Run, fold: Fold, stage: Stage, before: Before, directory: Path,
    loggers: Sequence[Logger], console: Console, end: int | None = None,
    micro_batch: int | None = None,
) -> TrainedStage:  # fmt: skip
    """Train one stage, resume it where it was interrupted, or find it again.

    As many samples go through the network at a time as what memory is free does for, unless the
    config says how many. Where that was too much, it goes on from its last checkpoint with half as
    many. ``environment.json`` of the stage says so.

    Args:
        run: What all folds share.
        fold: The fold.
        stage: Which stage.
        before: The finished stages.
        directory: Where the stage is left; whole or not there.
        loggers: Beside the CSV logger.
        console: Where progress is shown.
        end: Iterations to train, if that is not the stage's whole number.
        micro_batch: Samples at a time, if these are fewer than the config's.

    Raises:
        RuntimeError: If the memory does not do for one sample, or for several processes.
    """
    config = run.config
    settings: StageConfig = getattr(config.stages, stage.name)
    end = 0 if stage.regression else settings.iterations if end is None else end
    source = source_of(run, fold, stage)
    key = stage_key(run, fold, stage, before, source, end)
    randomness = Randomness(config.protocol.seed, fold.number, stage.name)
    network = build(run, stage, randomness.weights(), before)
    recorder = CurveRecorder(run, fold, stage, transform_of(run, stage))
    shared = None if config.stages.cache is None else config.stages.cache / key
    if first(lambda: find_finished(directory, shared, key)):
        return _read(run, directory, key, network, recorder)

    seen = Seen().union(*(before[name].seen for name in stage.after))
    if source is not None:
        load_source(network, source, config.model)
        seen = Seen.of(read_stage(source / STAGE_RECORD))
    if end or stage.regression:
        seen = seen.union(seen_in(run, fold.train))
    trained = [parameter.requires_grad for parameter in network.parameters()]
    network.freeze(settings.frozen)
    partial = directory.with_name(f".{stage.name}.partial")
    left = first(lambda: resume(partial, key))
    if left.damaged:
        console.print(f"{fold.title} {stage.name}: its checkpoint is damaged; from the start")
    stop, short = False, ""
    if end and micro_batch is None and settings.micro_batch is None:
        micro_batch = fitting(run, fold, stage, network)
        if micro_batch is not None:
            console.print(
                f"{fold.title} {stage.name}: {micro_batch} of {settings.batch_size} samples at a "
                "time (micro_batch): more would not fit in what memory is free"
            )
    if end:
        try:
            fit_network(
                network, randomness, end, recorder, left, loggers, partial, console, micro_batch
            )
        except Interrupted:  # in the last step: the stage is whole
            stop = True
        except torch.OutOfMemoryError as error:  # while it is handled it holds what it has met
            short = str(error).partition(".")[0]
    if short:
        del network, recorder
        fewer = _fewer(f"stages.{stage.name}", settings, micro_batch, short, console)
        return train_stage(
            run, fold, stage, before, directory, loggers, console, end, micro_batch=fewer
        )
    for parameter, flag in zip(network.parameters(), trained, strict=True):
        parameter.requires_grad_(flag)  # the next stage has its own ``frozen``
    network.to(device(config.trainer))
    if stage.regression:
        assert isinstance(network, SegmentNetwork)
        strength = _fit_regression(network, recorder)
        console.print(f"{fold.title}: logistic regression, C = {strength:g}")
        if (edge := edge_of(strength)) is not None:
            console.print(f"{fold.title}: that is the {edge} C tried; another may be better")
    test = recorder.record(network, end)
    iteration = end if recorder.best is None else recorder.best
    if iteration != end:
        network.load_state_dict(recorder.best_weights)
        test = recorder.test(network)
    network.cpu()
    found = TrainedStage(network, key, tuple(recorder.points), test, seen, iteration)
    first(lambda: _write(run, fold, stage, found, partial, directory, micro_batch))
    if shared is not None:
        first(lambda: share(directory, shared))
    if stop:
        raise KeyboardInterrupt
    return found


def _fewer(
    key: str, settings: StageConfig, micro_batch: int | None, why: str, console: Console
) -> int:
    """Return half of the samples that went through the network at a time, and free the device.

    Raises:
        RuntimeError: If that was one sample, or others train with this process.
    """
    many = min(micro_batch or settings.micro_batch or settings.batch_size, settings.batch_size)
    if many == 1:
        raise RuntimeError(
            f"{why}. One sample at a time is too much for the memory: a smaller model.width or "
            "model.input_size, or data.residency ram, takes less"
        )
    if world() > 1:  # the others would wait for this one
        raise RuntimeError(f"{why}. Fewer samples at a time take less: --{key}.micro_batch")
    console.print(
        f"{key}: {why}; going on with {many // 2} samples at a time (micro_batch) instead of {many}"
    )
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return many // 2


def _read(
    run: Run, directory: Path, key: str, network: StageNetwork, recorder: CurveRecorder
) -> TrainedStage:
    """Read a finished stage, and test it again."""
    record = read_stage(directory / STAGE_RECORD, "curves", "iteration")
    network.load_state_dict(load_file(directory / WEIGHTS))
    curves = tuple(record["curves"])
    network.to(device(run.config.trainer))
    test = recorder.test(network)
    network.cpu()
    return TrainedStage(network, key, curves, test, Seen.of(record), record["iteration"])


def _write(
    run: Run, fold: Fold, stage: Stage, found: TrainedStage, partial: Path, directory: Path,
    micro_batch: int | None,
) -> None:  # fmt: skip
    """Write a finished stage beside its place, then put it there."""
    state = {name: value.contiguous() for name, value in found.network.state_dict().items()}
    atomic_write(partial / WEIGHTS, save(state))  # save_file names no file of a full disk
    write_json(
        partial / "environment.json",
        made_with()
        | {"precision": precision_of(run.config)}
        | ({} if micro_batch is None else {"micro_batch": micro_batch}),
    )
    write_record(
        partial,
        {
            "key": found.key,
            "stage": stage.name,
            "fold": None if fold.final else fold.number,
            "corpus": run.corpus.name,
            "classes": list(run.corpus.classes),
            "model": _settings_used(run, stage),
            "plugs": run.plugs,
            "frames": run.config.data.segment_length - 1,
            "iteration": found.iteration,
            "trained_on": sorted(found.seen.subjects),
            "videos": sorted(found.seen.videos),
            "curves": [asdict(point) for point in found.curves],
        },
    )
    move(partial, directory)


def _fit_regression(network: SegmentNetwork, recorder: CurveRecorder) -> float:
    """Fit fc9 by logistic regression on features aggregated with aₖ = 0 (Table 1).

    Returns:
        C, the inverse of the penalty's weight.
    """
    nn.init.zeros_(network.vlan.a)
    training = EvaluatedClips(recorder.fold.train, recorder.frames, recorder.classes)
    *layer, strength = first(lambda: _regress(network, training, recorder))
    for ours, found in zip(network.fc9.parameters(), layer, strict=True):
        ours.data.copy_(torch.from_numpy(found))
    return strength


def _regress(
    network: SegmentNetwork, data: EvaluatedClips, recorder: CurveRecorder
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return ``fit_classifier`` of the training segments."""
    clips = data.part.clips
    described = describe(network, data, recorder.transform, range(len(data)))
    found = [network.aggregate(*clip).cpu() for clip in described]
    repeat = [len(rows) for rows in found]
    labels = np.repeat([data.classes.index(clip.emotion) for clip in clips], repeat)
    subjects = np.repeat([clip.subject for clip in clips], repeat).tolist()
    return fit_classifier(torch.cat(found).numpy(), labels, subjects, len(data.classes))
