"""The networks of the paper; nothing here knows Lightning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfer.networks.alexnet import AlexNetStream
    from vfer.networks.streams import FrameNetwork, SegmentNetwork
    from vfer.networks.vlan import EmotionalVlan
    from vfer.networks.weights import load_weights

__all__ = ["AlexNetStream", "EmotionalVlan", "FrameNetwork", "SegmentNetwork", "load_weights"]
_HOMES = {
    "AlexNetStream": "alexnet",
    "EmotionalVlan": "vlan",
    "FrameNetwork": "streams",
    "SegmentNetwork": "streams",
    "load_weights": "weights",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    """Import torch only when a network is asked for: the settings need none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
