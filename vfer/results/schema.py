"""What the JSON files of a bundle hold: the type and range of every field.

Checked where a file is read, so that ``verify``, ``report``, ``predict`` and ``stages.*.from`` say
the same: which file, which field, what is there and what it must be.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from vfer.results.tables import STAGES, CurvePoint, impossible
from vfer.runtime.files import read_json

STAGE_RECORD = "stage.json"
"""In a stage's folder, what it says of itself."""
WEIGHTS = "weights.safetensors"
"""What its network has learnt."""
TABLE = "training.safetensors"
"""What its classifier was fitted to, from which it can be fitted again."""


class Kind(NamedTuple):
    """What a field may hold."""

    fits: Callable[[Any], bool]
    said: str


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


TEXT = Kind(lambda value: isinstance(value, str), "a text")
NAME = Kind(lambda value: isinstance(value, str) and bool(value), "a name")
NAMES = Kind(_texts, "a list of names")
CLASSES = Kind(
    lambda value: _texts(value) and 2 <= len(set(value)) == len(value),
    "a list of at least two names, each once",
)
COUNT = Kind(lambda value: _whole(value) and value >= 0, "a whole number from 0")
SEED = Kind(lambda value: _whole(value) and 0 <= value < 2**32, "a whole number, 0 to 2³²−1")
SEEDS = Kind(
    lambda value: isinstance(value, list) and bool(value) and all(map(SEED.fits, value)),
    f"a list, each {SEED.said}",
)
OBJECT = Kind(lambda value: isinstance(value, dict), "an object")
OBJECTS = Kind(
    lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "a list of objects",
)
HASHES = Kind(
    lambda value: isinstance(value, list) and all(map(_hash, value)), "a list of SHA-256 hashes"
)
FILES = Kind(
    lambda value: isinstance(value, dict) and all(map(_hash, value.values())),
    "an object, a SHA-256 of each file",
)
COUNTS = Kind(
    lambda value: isinstance(value, dict) and all(map(COUNT.fits, value.values())),
    "an object, each a whole number from 0",
)

STAGE = {
    "stage": Kind(lambda value: value in [*STAGES, "classifier"], "the name of a stage"),
    "fold": Kind(
        lambda value: value is None or COUNT.fits(value), f"{COUNT.said}, null of the final model"
    ),
    "key": TEXT,
    "corpus": NAME,
    "classes": CLASSES,
    "trained_on": NAMES,
    "videos": HASHES,
    "iteration": COUNT,
    "frames": COUNT,
    "curves": OBJECTS,
    "model": OBJECT,
    "plugs": OBJECT,
    "seed": SEED,
    "files": FILES,
    "digest": TEXT,
}
"""Of ``stage.json``."""
FOLD = {
    "fold": COUNT,
    "subjects": NAMES,
    "classes": CLASSES,
    "key": TEXT,
    "clips": COUNT,
    "segments": COUNT,
    "files": FILES,
}
"""Of ``fold.json``."""
ENVIRONMENT = {
    "seed": SEED,
    "decoder": COUNTS,
    "corpus": OBJECT,
    "packages": OBJECT,
    "plugs": OBJECT,
    "commit": Kind(lambda value: value is None or isinstance(value, str), "a text, or null"),
}
"""Of ``environment.json``."""
CORPUS = {"name": NAME, "classes": CLASSES, "clips": COUNT, "fingerprint": TEXT}
"""Of ``corpus`` in it."""


def check_fields(
    value: object, where: str, kinds: Mapping[str, Kind], needed: Collection[str] = ()
) -> dict[str, Any]:
    """Return an object whose fields are what they must be; others it may have as well.

    Raises:
        ValueError: Naming where, the field, what it holds and what it must be.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {type(value).__name__}; it must be an object")
    for name in needed:
        if name not in value:
            raise ValueError(f"{where}: {name} is missing; it must be {kinds[name].said}")
    for name, kind in kinds.items():
        if name in value and not kind.fits(value[name]):
            raise ValueError(
                f"{where}: {name} is {str(value[name])[:80]!r}; it must be {kind.said}"
            )
    return value


def read_stage(path: Path, *needed: str) -> dict[str, Any]:
    """Read ``stage.json``, its curves with it.

    Args:
        path: Of the file.
        needed: What it must have beside what every one has.

    Returns:
        Its content, ``curves`` as `CurvePoint` records where it has them.

    Raises:
        ValueError: A field is missing or impossible; the message names file and field.
        FileNotFoundError: It is not there.
    """
    always = ("stage", "fold", "corpus", "classes", "trained_on")
    record = check_fields(read_json(path), str(path), STAGE, (*always, *needed))
    return record | {"curves": [_point(one, path) for one in record.get("curves", ())]}


def _point(value: dict[str, Any], path: Path) -> CurvePoint:
    """Make a point of a curve."""
    where = f"{path}: curves"
    if value.keys() != {one.name for one in fields(CurvePoint)}:
        raise ValueError(f"{where}: a point has {', '.join(map(str, value))}")
    for name, one in value.items():
        said = impossible(name, one)
        if said:
            raise ValueError(f"{where}: {said}")
    return CurvePoint(**value)


def read_marker(path: Path) -> dict[str, Any]:
    """Read ``fold.json``.

    Raises:
        ValueError: A field is missing or impossible; the message names file and field.
        FileNotFoundError: It is not there.
    """
    return check_fields(read_json(path), str(path), FOLD, FOLD)


def read_environment(path: Path) -> dict[str, Any]:
    """Read ``environment.json``.

    Raises:
        ValueError: A field is missing or impossible; the message names file and field.
        FileNotFoundError: It is not there.
    """
    record = check_fields(read_json(path), str(path), ENVIRONMENT, ("corpus",))
    check_fields(record["corpus"], f"{path}: corpus", CORPUS, ("name", "clips"))
    return record
