"""Video-based facial expression recognition by deep temporal-spatial aggregation."""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfer.predict.predictor import Predictor

__all__ = ["Predictor", "__version__"]
__version__ = version("vfer")

# torchmetrics imports onnxruntime where it is installed, which then tells a host of its usage,
# unless that is forbidden before. Nothing here asks the network without being asked to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    """Import torch only when a model is asked for: ``import vfer`` stays cheap."""
    if name != "Predictor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vfer.predict.predictor import Predictor

    return Predictor
