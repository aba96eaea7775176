"""The stages of a run in their order (section 3, steps 3 to 5), and their random numbers."""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from vfer.config.tree import Config, StageConfig
from vfer.results.tables import STAGES
from vfer.runtime.console import UsageError


@dataclass(frozen=True)
class Stage:
    """One stage of training: what its network sees, and what it starts from.

    Attributes:
        name: One of ``STAGES``; its folder, and its settings in ``stages``.
        streams: The streams whose images it takes.
        single: Whether a sample is one image of a segment, with the segment's label.
        after: The stages from whose networks it starts.
        regression: Whether its classifier is fitted to features rather than trained (Table 1).
    """

    name: str
    streams: tuple[str, ...]
    single: bool = False
    after: tuple[str, ...] = ()
    regression: bool = False


def stages_of(config: Config) -> tuple[Stage, ...]:
    """Return the stages that a config trains: one a stream, and ``vlan``.

    With a whole network of one's own it is ``network`` alone; with a descriptor there is none.
    """
    streams = config.model.stream_names
    if config.model.descriptor is not None:
        return ()
    *_, vlan, network = STAGES
    if config.model.network is not None:
        return (Stage(network, streams),)
    singles = tuple(Stage(name, (name,), single=True) for name in streams)
    regression = config.stages.schema == "non_trained"
    return (*singles, Stage(vlan, streams, after=streams, regression=regression))


CURVE_SHARE = 0.05
"""What a point of the test group's curve may cost of the steps since the last one."""


class CurveCost(NamedTuple):
    """How the test group's curve is measured so that it costs at most `CURVE_SHARE` of a stage.

    Attributes:
        every: Of so many neighbouring images of a clip one is measured before the last point.
        steps: Steps between points; a multiple of ``measure_every``, and 0 where that is.
    """

    every: int
    steps: int


def curve_cost(stage: Stage, settings: StageConfig, length: int, frames: int) -> CurveCost:
    """Return how the test group's curve is measured.

    Networks on single images see fewer of them. Those on segments need all images of every window:
    they are measured less often, but once before the last iteration where ``measure_every`` asks
    for it.

    Args:
        stage: The stage.
        settings: Its settings.
        length: Frames of a segment, L.
        frames: Of the test group.
    """
    every = settings.measure_every
    if not every:
        return CurveCost(1, 0)
    # A step is three times the way forward of its images.
    forward = 3 * every * settings.batch_size * (1 if stage.single else length - 1)
    share = max(1, ceil(frames / (CURVE_SHARE * forward)))
    if stage.single:
        return CurveCost(share, every)
    return CurveCost(1, every * max(1, min(share, (settings.iterations - 1) // every)))


def check_validation(config: Config, groups: int | None) -> None:
    """Refuse ``protocol.selection: validation`` where there is nothing to choose, or by nobody.

    Args:
        config: The parsed command line.
        groups: How many subject groups there are, or None where only the corpus can tell.

    Raises:
        UsageError: Saying what to change.
    """
    if groups is not None and groups < 3:
        raise UsageError(
            f"protocol.selection is validation and there are {groups} subject groups: one "
            "tests and one validates, so that at least 3 are needed (protocol.folds.groups)"
        )
    if config.model.descriptor is not None:
        raise UsageError(
            "protocol.selection is validation, which chooses an iteration, and a descriptor has "
            "none: set protocol.selection to last"
        )
    for stage in stages_of(config):
        settings: StageConfig = getattr(config.stages, stage.name)
        if settings.iterations and not settings.measure_every:
            raise UsageError(
                f"stages.{stage.name}.measure_every is 0 and protocol.selection validation: "
                "without points of the curve there is nothing to choose from"
            )


@dataclass(frozen=True)
class Randomness:
    """Everything random in one stage of one fold.

    Each draw is a function of (seed, fold, stage) and a step's or an epoch's number, so that a
    step does not depend on those before it having been run in this process.

    Attributes:
        seed: Of the run.
        fold: From 0.
        stage: Its name.
    """

    seed: int
    fold: int
    stage: str

    def _stream(self, *purpose: int) -> np.random.Generator:
        place = STAGES.index(self.stage)
        return np.random.default_rng([self.seed, self.fold, place, *purpose])

    def order(self, epoch: int) -> np.random.Generator:
        """Return what the order of an epoch's samples is drawn from."""
        return self._stream(0, epoch)

    def augmentation(self, step: int) -> np.random.Generator:
        """Return what a step's augmentation is drawn from."""
        return self._stream(1, step)

    def dropout(self, step: int) -> np.random.Generator:
        """Return what a step's seeds of dropout are drawn from, one a part of the step."""
        return self._stream(2, step)

    def weights(self) -> int:
        """Return the seed of the weights that start at random."""
        return int(self._stream(3).integers(2**63))
