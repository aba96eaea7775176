"""The networks of the paper; nothing here knows Lightning."""

from vfer.networks.alexnet import AlexNetStream
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.networks.vlan import EmotionalVlan
from vfer.networks.weights import load_weights

__all__ = ["AlexNetStream", "EmotionalVlan", "FrameNetwork", "SegmentNetwork", "load_weights"]
