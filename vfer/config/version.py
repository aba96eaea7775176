"""The version of the config tree, and what has changed from one to the next."""

from pathlib import Path
from typing import Any

import yaml

from vfer.config.keys import flatten
from vfer.networks.settings import OWN
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_yaml

VERSION = 2
_CHANGES = {
    1: "keys were only added, and all others mean what they meant: config_version, data.name, "
    "model.backbone, model.network, model.descriptor, model.classifier, stages.network, "
    "protocol.control, protocol.folds.apart, data.duplicates, data.damaged, logger.held_out_clips",
}
"""What has changed from each version to the next."""


def settings_of(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a bundle's config by dotted keys, so that bundles of different versions compare.

    Keys that version 1 did not have yet are added; those of a stage that only ``model.network``
    has are left out without it.

    Args:
        tree: As ``config.yaml`` has it, of any version up to this one.
    """
    flat = flatten(tree)
    if tree and "config_version" not in tree:
        flat = {"data.name": None, **{f"model.{name}": None for name in OWN}, **flat}
    own = any(key.startswith("model.network.") for key in flat)
    return {k: v for k, v in flat.items() if own or not k.startswith("stages.network.")}


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
        raise UsageError(f"{said}; {changes}. Then set config_version: {VERSION}")
    raise UsageError(f"{said}; take the vfer that the config was written for")


LONGEST = 308
"""Digits of the largest number that a computer's floating point has."""


def _check_once(node: yaml.Node | None, path: str, above: str = "") -> None:
    """Refuse a key that stands twice in one place: YAML would silently take the last.

    Raises:
        UsageError: Naming the key and both lines; or the key of a number that no computer has.
    """
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _check_once(one, path, above)
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":int"):
        key, digits = above.removesuffix("."), len(node.value)
        if digits > LONGEST:
            raise UsageError(f"{key} has {digits} digits in {path}; it must have {LONGEST} at most")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        key, line = f"{above}{name.value}", name.start_mark.line + 1
        if key in lines:
            raise UsageError(
                f"{path}, line {line}: {key} stands in line {lines[key]} already; remove one of "
                "them"
            )
        lines[key] = line
        _check_once(value, path, f"{key}.")


def check_file(path: str) -> None:
    """Refuse a config file of another version, or with a key twice.

    One that names no version is taken as current.

    Raises:
        UsageError: Saying what to change.
    """
    try:
        given = read_yaml(Path(path))
    except OSError:
        return  # the parser says what is wrong with it
    except ValueError as error:
        raise UsageError(f"--config {error}") from error
    text = Path(path).read_text(encoding="utf-8")
    _check_once(yaml.compose(text, Loader=yaml.SafeLoader), path)
    if isinstance(given, dict):
        check_version(given.get("config_version", VERSION), path)
