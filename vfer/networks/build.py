"""From a config to the network of a stage."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from vfer.networks.alexnet import AlexNetStream
from vfer.networks.settings import ModelConfig
from vfer.networks.streams import FrameNetwork, SegmentNetwork


def build_frame_network(
    model: ModelConfig, classes: int, seed: int, weights: dict[str, Tensor] | None = None
) -> FrameNetwork:
    """Build the network of stage 1 or 2: one stream with a classifier.

    Args:
        model: The networks' settings.
        classes: Number of emotions.
        seed: For layers that start from random weights.
        weights: Pretrained AlexNet weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stream = AlexNetStream(
            variant=model.variant,
            width=model.width,
            insert_after=model.insert_after,
            dropout=model.dropout,
            weights=weights,
        )
        return FrameNetwork(stream, classes)


def build_segment_network(
    model: ModelConfig, classes: int, seed: int, trained: Mapping[str, FrameNetwork], frames: int
) -> SegmentNetwork:
    """Build the network of stage 3: copies of the trained streams, EmotionalVlan and fc9.

    Args:
        model: The networks' settings.
        classes: Number of emotions.
        seed: For layers that start from random weights.
        trained: The network of stage 1 or 2 of each stream, in the streams' order.
        frames: Images a stream gets of one segment, L − 1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        streams = {name: copy.deepcopy(network.stream) for name, network in trained.items()}
        return SegmentNetwork(streams, frames, classes, model.pool, model.vlan_start)
