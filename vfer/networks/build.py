"""From a config to the network of a stage; classes of one's own are checked before any training."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from vfer.networks.alexnet import AlexNetStream
from vfer.networks.settings import ModelConfig
from vfer.networks.stage import StageNetwork
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.networks.whole import WholeNetwork
from vfer.plugs import Plug, PlugError, make, plug


def _module(one: Plug, **given: int) -> nn.Module:
    """Make a module of one's own, and see that its weights can be saved and read again."""
    made = make(one, **given)
    if not isinstance(made, nn.Module):
        raise PlugError(f"{one} is {type(made).__name__}; it must be a torch.nn.Module")
    places: dict[int, str] = {}
    for name, value in made.state_dict(keep_vars=True).items():
        if is_lazy(value):
            raise PlugError(f"{one}: {name} has no shape before the first call; give it one")
        if not isinstance(value, Tensor):
            raise PlugError(f"{one}: {name} in its state is no tensor and could not be saved")
        place = value.data_ptr() if value.numel() else id(value)
        if place in places:
            raise PlugError(
                f"{one}: {places[place]} and {name} are one tensor, which could not be saved; call "
                "one module twice, or use F.linear with its weight, instead of tying two"
            )
        places[place] = name
    return made


def _backbone(one: Plug) -> nn.Module:
    """Make a backbone, and see that it says how many features it has."""
    made = _module(one)
    features = getattr(made, "out_features", None)
    if type(features) is not int or features < 1:
        raise PlugError(
            f"{one} has out_features {features!r}; it must be how many features it returns of an "
            "image, a whole number from 1"
        )
    return made


def build_frame_network(
    model: ModelConfig, classes: int, weights: dict[str, Tensor] | None = None
) -> FrameNetwork:
    """Build the network of stage 1 or 2: one stream with a classifier.

    Args:
        model: The networks' settings.
        classes: Number of emotions.
        weights: Pretrained AlexNet weights.

    Raises:
        ValueError: If the weights do not fit, or the backbone cannot be used.
    """
    own = plug("model.backbone", model.backbone)
    if own is not None:
        return FrameNetwork(_backbone(own), classes)
    stream = AlexNetStream(
        variant=model.variant,
        width=model.width,
        insert_after=model.insert_after,
        dropout=model.dropout,
        weights=weights,
    ).to(memory_format=torch.channels_last)  # faster, above all in bfloat16
    return FrameNetwork(stream, classes)


def build_segment_network(
    model: ModelConfig, classes: int, frames: int, trained: Mapping[str, StageNetwork]
) -> SegmentNetwork:
    """Build the network of stage 3: copies of the trained streams, EmotionalVlan and fc9.

    Args:
        model: The networks' settings.
        classes: Number of emotions.
        frames: Images a stream gets of one segment, L − 1.
        trained: The network of stage 1 or 2 of each stream, in the streams' order.
    """
    streams = {}
    for name, network in trained.items():
        assert isinstance(network, FrameNetwork)
        streams[name] = copy.deepcopy(network.stream)
    return SegmentNetwork(streams, frames, classes, model.pool, model.vlan_start)


def build_whole_network(model: ModelConfig, classes: int, frames: int) -> WholeNetwork:
    """Build the network of ``model.network``.

    Raises:
        PlugError: If it cannot be used.
    """
    own = plug("model.network", model.network)
    assert own is not None
    made = _module(own, classes=classes, frames=frames)
    if not any(parameter.requires_grad for parameter in made.parameters()):
        raise PlugError(f"{own} has no parameters to train; a descriptor needs none")
    return WholeNetwork(made, model.stream_names)


def try_on_noise(model: ModelConfig, classes: int, frames: int) -> None:
    """See what the model's own class, if it has one, makes of random images, before any decoding.

    Args:
        model: The networks' settings.
        classes: Number of emotions.
        frames: Images a stream gets of one segment, L − 1.

    Raises:
        PlugError: As of `try_network`.
    """
    shape = (2, frames, 3, model.input_size, model.input_size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if model.backbone is not None:
            (name, *_) = model.stream_names
            network = build_frame_network(model, classes)
            try_network(network, model, classes, {name: torch.rand(shape)})
        elif model.network is not None:
            images = {name: torch.rand(shape) for name in model.stream_names}
            try_network(build_whole_network(model, classes, frames), model, classes, images)


def try_network(
    network: StageNetwork, model: ModelConfig, classes: int, images: dict[str, Tensor]
) -> None:
    """See what a class of one's own makes of some images, as it is trained.

    Args:
        network: Of a stage, as it is built.
        model: The networks' settings.
        classes: Number of emotions.
        images: ``(B, frames, 3, S, S)`` a stream, 0…1.

    Raises:
        PlugError: Naming the class, the shape that it returned, and the one that it must return.
    """
    own = plug(f"model.{model.own}", getattr(model, str(model.own)))
    batch, frames, *size = next(iter(images.values())).shape
    net: nn.Module
    inputs: Tensor | dict[str, Tensor]
    if isinstance(network, FrameNetwork):
        net, inputs = network.stream, next(iter(images.values())).flatten(0, 1)
        wanted = (batch * frames, network.classifier.in_features)
        given = f"images {(batch * frames, *size)}"
    else:
        net, inputs, wanted = network, images, (batch, classes)
        given = f"images {(batch, frames, *size)} of {' and '.join(images)}"
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net.eval()(inputs)
            found = net.train()(inputs)
    except (Exception, SystemExit) as error:  # whatever the user's class raises
        raise PlugError(f"{own} fails on {given}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Tensor) or not found.is_floating_point():
        what = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise PlugError(f"{own} returns {what}; it must return a tensor of floating numbers")
    if tuple(found.shape) != wanted:
        raise PlugError(f"{own} returns {tuple(found.shape)} for {given}; it must return {wanted}")
    if any(p.requires_grad for p in net.parameters()) and not found.requires_grad:
        raise PlugError(f"{own} returns what has no gradient: its parameters would not be trained")
    if not found.isfinite().all():
        raise PlugError(f"{own} returns NaN or infinity for {given}")
