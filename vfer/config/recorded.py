"""The config of a finished bundle, read again: what its model needs, and nothing is imported."""

from argparse import ArgumentError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from vfer.config.parser import build_part
from vfer.config.ranges import check_values
from vfer.config.refusals import refusal
from vfer.config.tree import DataConfig
from vfer.config.version import VERSION
from vfer.networks.settings import OWN, ModelConfig
from vfer.plugs import Plug, plug

_PARTS: dict[str, type] = {"data": DataConfig, "model": ModelConfig}


def recorded_parts(tree: Mapping[str, Any], where: Path) -> tuple[DataConfig, ModelConfig]:
    """Return the parts of a bundle's config that say what its model sees, and is.

    Keys that an earlier version did not have yet take their defaults.

    Args:
        tree: As ``config.yaml`` has it.
        where: The file, for messages.

    Raises:
        ValueError: If it is of a later version, or a value is not legal.
    """
    version = tree.get("config_version", 1)
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ValueError(
            f"{where} has config_version {version}, this vfer reads 1 to {VERSION}; take the vfer "
            "that it was made by"
        )
    parser = ArgumentParser(exit_on_error=False)
    for name, kind in _PARTS.items():
        parser.add_argument(f"--{name}", type=kind)
    try:
        made = parser.parse_object({name: tree.get(name) or {} for name in _PARTS})
        check_values(made, _PARTS)
        data, model = (build_part(kind, made[name], name) for name, kind in _PARTS.items())
    except (ArgumentError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: {refusal(str(error), ())}") from error
    return data, model


def recorded_plugs(model: ModelConfig) -> tuple[Plug, ...]:
    """Return the classes of somebody's own that a model is made of."""
    found = (plug(f"model.{name}", getattr(model, name)) for name in OWN)
    return tuple(one for one in found if one is not None)
