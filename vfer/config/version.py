"""The version of the config tree, and what has changed from one to the next."""

from pathlib import Path
from typing import Any

import yaml

from vfer.runtime.console import UsageError

VERSION = 2
_CHANGES = {
    1: "keys were only added (config_version itself), and all else means what it meant",
}
"""What has changed from each version to the next."""


def check_version(version: Any, where: str) -> None:  # noqa: ANN401 - any YAML value
    """Refuse a config of another version.

    Args:
        version: What stands under ``config_version``.
        where: Whose it is, for the message.

    Raises:
        UsageError: Saying what to change.
    """
    if version == VERSION:
        return
    said = f"{where} has config_version {version}, this vfer reads {VERSION}"
    if version in _CHANGES:
        changes = "; ".join(
            f"from {one} to {one + 1}: {_CHANGES[one]}" for one in range(version, VERSION)
        )
        raise UsageError(f"{said}. {changes}. Then set config_version: {VERSION}")
    raise UsageError(f"{said}; take the vfer that the config was written for")


def check_file(path: str) -> None:
    """Refuse a config file of another version; one that names none is taken as current.

    Raises:
        UsageError: Saying what to change.
    """
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return  # the parser says what is wrong with it
    if isinstance(given, dict):
        check_version(given.get("config_version", VERSION), path)
