"""The points of a sweep with their configs, checked before the first is run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vfer.config.parser import parse
from vfer.config.tree import Config
from vfer.fit.output import check_output
from vfer.fit.plan import check_validation
from vfer.runtime.console import UsageError
from vfer.sweep.points import Sweep, names_of

FILE = "sweep.json"
"""Tells in the sweep's folder what was swept; its points' bundles record it."""
_FIXED = (
    "protocol",
    "data.corpus",
    "data.root",
    "data.name",
    "data.classes",
    "data.channel",
    "data.facs",
)
"""What all points of a nested selection share: who is tested, on what, and by which chance."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        name: Of its folder, such as ``segment_length-12``.
        values: Of each swept key.
        words: Its command line for ``vfer.fit``.
        config: The same, parsed (where stages are shared apart).
    """

    name: str
    values: dict[str, Any]
    words: tuple[str, ...]
    config: Config


def _check_keys(keys: Iterable[str]) -> None:
    """Refuse to choose among points by what is not a setting of the model.

    Raises:
        UsageError: Naming the key.
    """
    for key in keys:
        if any(key == one or key.startswith(f"{one}.") for one in _FIXED):
            raise UsageError(
                f"parameter {key} is not for --nested: the points must be tested on the same clips "
                "and groups, with the same seed; give it as an option for all of them"
            )


def _groups(config: Config) -> int | None:
    """Return how many subject groups there are, where the config alone can tell."""
    folds = config.protocol.folds
    if folds == "official":
        return None
    if folds.subjects is not None:
        return len(folds.subjects)
    return None if folds.groups == "subjects" else folds.groups


def plan(
    sweep: Sweep,
    chosen: Sequence[Mapping[str, Any]],
    output: Path,
    configs: Sequence[str] = (),
    more: Sequence[str] = (),
    nested: bool = False,
) -> list[Point]:
    """Name the points and parse the config of each.

    Args:
        sweep: The sweep.
        chosen: The values of each point.
        output: The sweep's folder.
        configs: In place of those that the sweep file's command names.
        more: Further words for every point; the swept keys win over them.
        nested: Whether each point holds a validation group out, by which one is chosen.

    Raises:
        UsageError: If the config refuses a point's values, or its folder holds another run.
    """
    common = [w for path in configs or sweep.configs for w in ("--config", path)]
    common += [*sweep.words, *more]
    if nested:
        _check_keys(sweep.parameters)
        common.append("--protocol.selection=validation")
    points = []
    for name, values in zip(names_of(chosen), chosen, strict=True):
        words = [*common, *(f"--{key}={value}" for key, value in values.items())]
        words += [f"--output={output / name}", f"--notes={output / 'notes.txt'}"]
        words.append(f"--sweep={output / FILE}")
        try:
            config = parse("vfer.fit", words)
            if config.fold is not None or config.seeds != 1 or config.regroup != 1:
                raise UsageError(
                    "--fold, --seeds and --regroup are not for sweeps: a point is a whole bundle; "
                    "sweep protocol.seed for several seeds, protocol.folds.seed for several groups"
                )
            if nested:
                check_validation(config, _groups(config))
            check_output(config.output, config)
        except ValueError as error:
            raise UsageError(f"point {name}: {error}") from error
        if config.stages.cache is None:
            words.append(f"--stages.cache={output / 'stages'}")
        points.append(Point(name, dict(values), tuple(words), config))
    return points


def is_done(point: Point) -> bool:
    """Return whether a point's bundle is whole."""
    return (point.config.output / "files.json").is_file()
