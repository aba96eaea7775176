"""Classes of one's own meet the first batch, or the first clip, before anything is trained."""

from vfer.fit.descriptors import try_descriptor
from vfer.fit.plan import Randomness, stages_of
from vfer.fit.run import Run, split
from vfer.fit.stages import build
from vfer.fit.training import steps_of, transform_of
from vfer.networks.build import try_network


def try_plugs(run: Run) -> None:
    """Let the run's own classes work on what they would get first.

    Raises:
        PlugError: If one fails, or returns a wrong shape, NaN or infinity.
        ValueError: If ``frozen`` names a part that a network has not.
    """
    config = run.config
    if config.model.own is None:
        return
    if config.model.descriptor is not None:
        try_descriptor(run)
        return
    fold = split(run, config.fold or 0, config.protocol.selection == "validation")
    for stage in stages_of(config):
        if stage.after:  # made of networks that have been tried
            continue
        randomness = Randomness(config.protocol.seed, fold.number, stage.name)
        network = build(run, stage, randomness.weights(), {})
        try:
            network.freeze(getattr(config.stages, stage.name).frozen)
        except ValueError as error:
            raise ValueError(f"stages.{stage.name}.{error}") from error
        batch = steps_of(run, fold, stage, randomness)[0]
        images = transform_of(run, stage)(batch).images
        try_network(network, config.model, len(run.corpus.classes), images)
