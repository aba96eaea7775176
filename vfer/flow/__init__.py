"""Optical flow by Horn and Schunck's equations (section 3.2)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfer.flow.images import flow_image, flow_to_rgb
    from vfer.flow.pairs import pair_flow
    from vfer.flow.solver import horn_schunck

__all__ = ["flow_image", "flow_to_rgb", "horn_schunck", "pair_flow"]
_HOMES = {
    "flow_image": "images",
    "flow_to_rgb": "images",
    "horn_schunck": "solver",
    "pair_flow": "pairs",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    """Import torch only when flow is computed: the settings need none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
