"""What a piece of a config's work costs on this machine: measured in seconds, on random crops."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console

from vfer.config.tree import Config, StageConfig
from vfer.corpora import Clip, Corpus
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.files import write_video
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.fit.budget import Costs, Extent, StageCost, extrapolate
from vfer.fit.curves import CurveRecorder
from vfer.fit.module import StageModule
from vfer.fit.opening import plugs_of
from vfer.fit.parts import kept_bytes
from vfer.fit.plan import Randomness, Stage, stages_of
from vfer.fit.run import Fold, Run, Seen, split
from vfer.fit.stage_folder import Left
from vfer.fit.stages import Before, TrainedStage, build
from vfer.fit.training import fit_network, steps_of, transform_of
from vfer.flow.pairs import pair_flow
from vfer.networks.stage import StageNetwork
from vfer.prepare.clip import prepare_clip
from vfer.prepare.store import CropStore, Entry, flow_key
from vfer.runtime.pool import cores
from vfer.runtime.ranks import device

STEPS = 4
"""Of a timing; the first warms up and does not count."""
IMAGES = 60
"""On a CPU a step is timed with about so many images, and with three times as many."""
DRAWN = 16
"""Frames of the clip that is drawn where the copy has none."""


def memory() -> int:
    """Return the most bytes of memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def costs_of(config: Config, extent: Extent, corpus: Corpus | None) -> Costs:
    """Measure what the work of a config costs here.

    Args:
        config: The parsed command line.
        extent: How much there is.
        corpus: The copy, or None where there is none.
    """
    base = memory()
    frame, said = _time_preparing(config, corpus)
    process = memory()
    return Costs(
        frame=frame,
        frame_of=said,
        pair=_time_flow(config),
        processes=config.data.workers or cores(),
        process=process,
        base=base,
        stages=tuple(_time_stages(config, extent, 6 if corpus is None else len(corpus.classes))),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute as a preparing process does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _time_preparing(config: Config, corpus: Corpus | None) -> tuple[float, str]:
    """Return seconds a frame of preparing a clip, and what clip that was."""
    clips = [] if corpus is None else [c for c in corpus.clips if c.excluded is None]
    readable = [clip for clip in clips if clip.path.is_file()]
    with TemporaryDirectory() as folder, _one_thread():
        if readable:
            clip, said = readable[len(readable) // 2], "a clip of the copy"
        else:
            drawn = config.data.facs if config.data.corpus == "facs" else FacsConfig()
            size = f"{drawn.width}×{drawn.height}"
            clip, said = _drawn(drawn, Path(folder)), f"a drawn clip of {size}"
        _prepare(clip, config.data.faces)  # loads the detector
        seconds, frames = _prepare(clip, config.data.faces)
    return seconds / max(frames, 1), said


def _drawn(facs: FacsConfig, folder: Path) -> Clip:
    few = replace(facs, subjects=1, clips_per_emotion=1, frames=min(facs.frames, DRAWN))
    path = folder / "drawn.avi"
    write_video(path, draw_clip(few, 1, "anger", 1)[0], few.fps)
    return Clip("drawn", path, "1", "anger")


def _prepare(clip: Clip, config: FaceConfig) -> tuple[float, int]:
    begun = time.perf_counter()
    entry, _ = prepare_clip(clip, config)
    return time.perf_counter() - begun, entry.frames


def _time_flow(config: Config, pairs: int = 32) -> float:
    """Return seconds of a pair's flow."""
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    crops = torch.randint(256, (1, pairs + 1, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    for _ in range(2):
        begun = time.perf_counter()
        pair_flow(crops.to(where), config.data.flow).half().cpu()
        took = time.perf_counter() - begun
    return took / pairs


class _Clock(CurveRecorder):
    """Takes the time of each step, and makes no curve."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self.ends = [time.perf_counter()]

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, pl_module: StageModule, outputs: object, batch: object,
        batch_idx: int,
    ) -> None:  # fmt: skip
        """Take the time when a step has ended."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            _finish()
            self.ends.append(time.perf_counter())

    @property
    def step(self) -> float:
        """Seconds of a step, the median of those that count."""
        return float(median(np.diff(self.ends)[1:]))


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _time_stages(config: Config, extent: Extent, classes: int) -> Iterator[StageCost]:
    """Yield what each stage costs: steps and evaluation by the code that runs them."""
    quiet = Console(quiet=True)
    alone = {"devices": 1, "num_nodes": 1, "log_every_n_steps": STEPS}
    alone["enable_progress_bar"] = False
    config = replace(config, trainer=config.trainer | alone)
    with TemporaryDirectory() as folder:
        run = _made_up(config, extent, classes, Path(folder))
        fold, before = split(run, 0), dict[str, TrainedStage]()
        for stage in stages_of(config):
            cost, network = _time_stage(run, fold, stage, before, Path(folder), quiet)
            before[stage.name] = TrainedStage(network.cpu(), "", (), [], Seen(), 0)
            yield cost


def _made_up(config: Config, extent: Extent, classes: int, folder: Path) -> Run:
    """Return a run on three clips of random crops, as long as the corpus's are."""
    frames = max(round(extent.frames / max(extent.clips, 1)), 1)
    draw, store, clips = np.random.default_rng(0), CropStore(folder / "store"), []
    for subject in ("1", "2", "3"):
        clip = Clip(f"clip {subject}", folder / f"{subject}.avi", subject, "0")
        crops = draw.integers(0, 256, (frames, HEIGHT, WIDTH, 3), np.uint8)
        store.add(Entry(clip.name, "ok", frames=frames, source=subject), crops)
        if config.data.flow.cache:
            shape = (frames - 1, 2, HEIGHT, WIDTH)
            flow = draw.random(shape, np.float32).astype(np.float16)
            store.add_flow(clip.name, flow_key(config.data.flow), flow)
        clips.append(clip)
    corpus = Corpus("made-up", tuple(map(str, range(classes))), tuple(clips))
    plain = replace(config.protocol, selection="last", retrain=False, control=None)
    groups = (frozenset({"1"}), frozenset({"2", "3"}))
    return Run(replace(config, protocol=plain), corpus, store, groups, None, "", plugs_of(config))


def _time_stage(
    run: Run, fold: Fold, stage: Stage, before: Before, folder: Path, quiet: Console
) -> tuple[StageCost, StageNetwork]:
    settings: StageConfig = getattr(run.config.stages, stage.name)
    network = build(run, stage, 0, before)
    network.freeze(settings.frozen)
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    step, kept = 0.0, 0
    if settings.iterations and not stage.regression:
        timed = [
            (size, _time_steps(run, fold, stage, network, size, folder, quiet))
            for size in _sizes(run.config, stage, settings)
        ]
        step = extrapolate(timed, settings.batch_size)
        parts = steps_of(run, fold, stage, Randomness(0, 0, stage.name)).shares
        kept = kept_bytes(run, fold, stage, network).of(max(map(len, parts)))
    clock = _Clock(run, fold, stage, transform_of(run, stage))
    network.to(device(run.config.trainer))
    tested = []
    for _ in range(3):
        begun = time.perf_counter()
        clock.test(network)
        _finish()
        tested.append((time.perf_counter() - begun) / len(fold.test.clips))
    weights = sum(v.numel() * v.element_size() for v in network.state_dict().values())
    each = 2 if settings.optimizer.name == "adamw" else int(settings.optimizer.momentum > 0)
    return StageCost(stage.name, step, median(tested), weights, each * trained, kept), network


def _sizes(config: Config, stage: Stage, settings: StageConfig) -> list[int]:
    """Return the batch sizes with which a step is timed: on a GPU the whole, else smaller ones."""
    whole = settings.batch_size
    images = 1 if stage.single else len(stage.streams) * (config.data.segment_length - 1)
    few = max(IMAGES // images, 1)
    if device(config.trainer).type != "cpu" or whole <= 3 * few:
        return [whole]
    return [few, 3 * few]


def _time_steps(
    run: Run, fold: Fold, stage: Stage, network: StageNetwork, size: int, folder: Path,
    quiet: Console,
) -> float:  # fmt: skip
    """Return seconds of a training step of ``size`` samples."""
    settings: StageConfig = getattr(run.config.stages, stage.name)
    short = replace(settings, iterations=STEPS, batch_size=size, measure_every=0, from_=None)
    changed: dict[str, Any] = {stage.name: short, "checkpoint_every": 10 * STEPS}
    stages = replace(run.config.stages, **changed)
    run = replace(run, config=replace(run.config, stages=stages))
    clock = _Clock(run, fold, stage, transform_of(run, stage))
    place = folder / f"{stage.name}-{size}"
    place.mkdir()
    draw = Randomness(0, 0, stage.name)
    fit_network(network, draw, STEPS, clock, Left(None, []), (), place, quiet)
    return clock.step
