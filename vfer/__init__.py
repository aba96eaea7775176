"""Video-based facial expression recognition by deep temporal-spatial aggregation."""

from importlib.metadata import version

__version__ = version("vfer")
