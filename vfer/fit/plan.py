"""The stages of a run in their order (section 3, steps 3 to 5), and their random numbers."""

from dataclasses import dataclass
from math import ceil

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


def curve_every(stage: Stage, settings: StageConfig, images: int) -> int:
    """Return of how many neighbouring images of a clip one is measured for the test group's curve.

    With networks on single images fewer can be measured, so that a point costs at most
    `CURVE_SHARE` of the steps; every window of a segment's network needs all of its images.

    Args:
        stage: The stage.
        settings: Its settings.
        images: Of the test group.
    """
    if not stage.single or not settings.measure_every:
        return 1
    forward = 3 * settings.measure_every * settings.batch_size  # a step is three times that
    return max(1, ceil(images / (CURVE_SHARE * forward)))


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
