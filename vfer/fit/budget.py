"""What a run takes, computed from how much there is and from what a piece of it costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vfer.config.tree import Config, StageConfig
from vfer.faces.settings import HEIGHT, WIDTH
from vfer.fit.plan import curve_cost, stages_of

CROP = HEIGHT * WIDTH * 3
"""Bytes of a frame's crop, uint8 RGB."""
FLOW = HEIGHT * WIDTH * 2 * 2
"""Bytes of a pair's flow, float16 (dx, dy)."""
ROW = 200
"""Bytes of a segment's row in ``segments.csv``, which a bundle has twice: of a fold, and of all."""
COUNTED, MEASURED, COMPUTED, ASSUMED = "counted", "measured", "computed", "assumed"


@dataclass(frozen=True)
class Extent:
    """How much there is.

    Attributes:
        clips: That take part.
        frames: Of all of them.
        segments: Of all of them.
        folds: Of the protocol.
        clips_from, frames_from, segments_from: `COUNTED` … `ASSUMED`.
        said: Where clips and frames are from, in words.
        new_clips, new_frames: Of these, what the crop store has not.
        new_pairs: Pairs of neighbouring frames whose flow is not there; 0 where none is cached.
    """

    clips: int
    frames: int
    segments: int
    folds: int
    clips_from: str
    frames_from: str
    segments_from: str
    said: str
    new_clips: int
    new_frames: int
    new_pairs: int


@dataclass(frozen=True)
class StageCost:
    """What one stage costs.

    Attributes:
        name: Of the stage.
        step: Seconds of a training step.
        clip: Seconds of evaluating a clip.
        weights: Bytes of its network's parameters and buffers.
        state: Bytes that its optimiser keeps beside them.
        activations: Bytes that the largest part of a batch leaves for the backward pass.
    """

    name: str
    step: float
    clip: float
    weights: int
    state: int
    activations: int


@dataclass(frozen=True)
class Costs:
    """What a piece of the work costs on this machine.

    Attributes:
        frame: Seconds in which one process prepares a frame.
        frame_of: What that was measured on.
        pair: Seconds of a pair's flow.
        processes: That prepare clips.
        process: Bytes of memory of one of these.
        base: Bytes of memory of a training process before its network.
        stages: In their order.
    """

    frame: float
    frame_of: str
    pair: float
    processes: int
    process: int
    base: int
    stages: tuple[StageCost, ...]


@dataclass(frozen=True)
class Line:
    """One figure of the table.

    Attributes:
        part: ``corpus``, ``disk``, ``memory`` or ``time``.
        what: It is of.
        value: In its unit.
        unit: ``B``, ``s``, or empty for a count.
        how: `COUNTED`, `MEASURED`, `COMPUTED` or `ASSUMED`.
        note: From what; may be empty.
    """

    part: str
    what: str
    value: float
    unit: str
    how: str
    note: str = ""


def extrapolate(points: Sequence[tuple[int, float]], at: int) -> float:
    """Return the time of a step of ``at`` samples from those of one or two smaller steps.

    Args:
        points: (samples, seconds), ascending. From two a part that does not grow with the samples
            (the optimiser's) is told; it is not taken for less than nothing.
        at: Samples.
    """
    (few, short), (many, long) = points[0], points[-1]
    if few == many:
        return long * at / many
    each = max((long - short) / (many - few), 0.0)
    fixed = max(long - each * many, 0.0)
    return fixed + (long - fixed) * at / many


def points_of(iterations: int, every: int) -> int:
    """Return how often a stage is measured: every so many iterations, and at its end."""
    return 1 + ((iterations - 1) // every if every and iterations else 0)


def stage_seconds(cost: StageCost, config: Config, extent: Extent) -> float:
    """Return the time of a stage in one fold, with the points of its curve.

    The choice of an iteration on a validation group is counted, and a second training after it
    with as many iterations, which are the most that it can be.
    """
    settings: StageConfig = getattr(config.stages, cost.name)
    regression = cost.name == "vlan" and config.stages.schema == "non_trained"
    iterations = 0 if regression else settings.iterations
    held = extent.clips / extent.folds
    whole, length = held * cost.clip, config.data.segment_length
    stage = next(one for one in stages_of(config) if one.name == cost.name)
    curve = curve_cost(stage, settings, length, extent.frames // extent.folds)
    once = iterations * cost.step + whole
    once += (points_of(iterations, curve.steps) - 1) * whole / curve.every
    if regression:
        once += (extent.clips - held) * cost.clip  # describes the training clips
    if config.protocol.selection != "validation":
        return once
    points = points_of(iterations, settings.measure_every)
    return once + points * whole + (once if config.protocol.retrain else 0.0)


def lines(config: Config, extent: Extent, costs: Costs) -> Iterator[Line]:
    """Yield the table of a run."""
    yield from _corpus(extent)
    yield from _disk(config, extent, costs)
    yield from _memory(config, extent, costs)
    yield from _time(config, extent, costs)


def _models(config: Config, extent: Extent) -> tuple[int, int]:
    """Return how many folds a command runs, of all its runs, and how many models it trains."""
    runs = config.seeds * config.regroup
    folds = runs * (1 if config.fold is not None else extent.folds)
    return folds, folds + config.final


def _corpus(extent: Extent) -> Iterator[Line]:
    yield Line("corpus", "clips", extent.clips, "", extent.clips_from, extent.said)
    yield Line("corpus", "frames", extent.frames, "", extent.frames_from)
    yield Line("corpus", "segments", extent.segments, "", extent.segments_from)
    yield Line("corpus", "folds", extent.folds, "", COUNTED)


def _disk(config: Config, extent: Extent, costs: Costs) -> Iterator[Line]:
    yield Line("disk", "crops", extent.frames * CROP, "B", COMPUTED, f"{CROP} bytes a frame")
    if config.data.flow.cache:
        pairs = max(extent.frames - extent.clips, 0)
        yield Line("disk", "flow", pairs * FLOW, "B", COMPUTED, f"{FLOW} bytes a pair of frames")
    folds, models = _models(config, extent)
    weights = sum(stage.weights for stage in costs.stages)
    weights *= 2 if config.protocol.retrain else 1
    tables = ROW * extent.segments // extent.folds
    yield Line("disk", "a fold of the bundle", weights + tables, "B", COMPUTED, "mostly weights")
    whole = models * weights + 2 * folds * tables
    yield Line("disk", "the bundle", whole, "B", COMPUTED, f"{models} models")
    if costs.stages:
        most = max(2 * (stage.weights + stage.state) for stage in costs.stages)
        note = "of a fold under way; an old one stays until the new is whole"
        yield Line("disk", "checkpoints", most, "B", COMPUTED, note)


def _memory(config: Config, extent: Extent, costs: Costs) -> Iterator[Line]:
    note = f"{costs.processes} processes as large as the one measured"
    yield Line("memory", "preparing", costs.processes * costs.process, "B", COMPUTED, note)
    if not costs.stages:
        return
    most = max(_training(stage) for stage in costs.stages)
    others = sum(stage.weights for stage in costs.stages[:-1])
    note = "weights, gradients, optimiser and activations; on a GPU mostly there"
    yield Line("memory", "training", costs.base + others + most, "B", COMPUTED, note)
    if config.data.residency != "disk":
        kept = extent.frames * (CROP + FLOW * config.data.flow.cache)
        place = {"auto": "where they fill at most half of it", "ram": "RAM", "device": "the GPU's"}
        note = f"data.residency: {config.data.residency}, {place[config.data.residency]}"
        yield Line("memory", "what is read, kept", kept, "B", COMPUTED, note)


def _training(stage: StageCost) -> int:
    return 2 * stage.weights + stage.state + stage.activations


def _time(config: Config, extent: Extent, costs: Costs) -> Iterator[Line]:
    yield Line("time", "prepare a frame", costs.frame, "s", MEASURED, costs.frame_of)
    prepare = extent.new_frames * costs.frame / min(costs.processes, max(extent.new_clips, 1))
    note = f"{extent.new_clips} clips, {costs.processes} processes"
    yield Line("time", "prepare what is missing", prepare, "s", COMPUTED, note)
    flow = extent.new_pairs * costs.pair
    if config.data.flow.cache:
        yield Line("time", "flow of a pair", costs.pair, "s", MEASURED, "random crops")
        yield Line("time", "flow that is missing", flow, "s", COMPUTED, f"{extent.new_pairs} pairs")
    fold = 0.0
    for stage in costs.stages:
        took = stage_seconds(stage, config, extent)
        fold += took
        iterations = getattr(config.stages, stage.name).iterations
        if stage.step:
            yield Line("time", f"{stage.name}: a step", stage.step, "s", MEASURED, "random crops")
        yield Line("time", f"{stage.name}: a clip tested", stage.clip, "s", MEASURED)
        yield Line("time", f"{stage.name}: the stage", took, "s", COMPUTED,
                   f"{iterations if stage.step else 0} steps, and its curve")  # fmt: skip
    _, models = _models(config, extent)
    if costs.stages:
        yield Line("time", "a fold", fold, "s", COMPUTED)
    whole = prepare + flow + models * fold
    note = f"{models} models one after the other"
    yield Line("time", "the whole command", whole, "s", COMPUTED, note)
