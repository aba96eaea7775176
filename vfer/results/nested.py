"""Nested selection: in each outer fold the point of a sweep that was best on a training group.

A sweep whose best point is chosen by its accuracy has chosen on the people it was tested on. Here a
fold takes the point that did best on its validation group, which is one of its training groups;
another fold may take another. ``nested.json`` says so, and `check_nested` chooses again from the
points' records in ``points/``.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vfer.results.bundle import fold_directory
from vfer.results.checks import Difference
from vfer.results.clips import ClipFacts
from vfer.results.records import Folds, check_fold_stages, setting, stage_folders
from vfer.results.schema import read_stage
from vfer.results.scoring import NESTED
from vfer.results.tables import CurvePoint, Tables
from vfer.runtime.files import read_json, sha256

RECORD = "nested.json"
POINTS = "points"
CHOSEN = f"chosen in each fold, see {RECORD}"
"""What ``config.yaml`` says of a setting in which the points differ."""


class Score(NamedTuple):
    """How good a point is on a fold's validation group.

    Attributes:
        accuracy: Clip accuracy of its last stage, 0…1, at the iteration that was chosen.
        loss: Mean cross-entropy there, nats; None where it was not measured.
        iteration: Which it was.
    """

    accuracy: float
    loss: float | None
    iteration: int


def validation_score(curves: Sequence[CurvePoint]) -> Score:
    """Return the best validation accuracy along a stage; of equal ones, the earliest.

    Raises:
        ValueError: If none was measured.
    """
    points = [p for p in curves if p.split == "validation" and p.accuracy is not None]
    if not points:
        raise ValueError("no accuracy on the validation group")
    best = max(points, key=lambda p: (p.accuracy or 0.0, -p.iteration))
    return Score(best.accuracy or 0.0, best.loss, best.iteration)


def choose(scores: Mapping[str, Score]) -> str:
    """Return the point with the largest accuracy; of equals the least loss, of these the first."""

    def rank(name: str) -> tuple[float, float]:
        one = scores[name]
        return -one.accuracy, math.inf if one.loss is None else one.loss

    return min(scores, key=rank)  # of equals, the first


def selecting_stage(config: Mapping[str, Any]) -> str:
    """Return the folder, in a fold's, of the stage whose validation group chooses."""
    folders = stage_folders(config)
    return next((f for f in folders[::-1] if f.startswith("selection/")), folders[-1])


def with_values(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with some dotted keys set."""
    changed = copy.deepcopy(dict(config))
    for key, value in values.items():
        *parents, name = key.split(".")
        part = changed
        for parent in parents:
            part = part[parent]
        part[name] = copy.deepcopy(value)
    return changed


def read_scores(
    root: Path, configs: Mapping[str, Mapping[str, Any]], fold: int
) -> dict[str, Score]:
    """Return how good each point is on a fold's validation group.

    Args:
        root: Holds the folder of each point, by its name.
        configs: Of each point, in the order of the sweep.
        fold: Which.

    Raises:
        ValueError: If a point has no such record.
        FileNotFoundError: Likewise.
    """
    scores = {}
    for name, config in configs.items():
        path = fold_directory(root / name, fold) / selecting_stage(config) / "stage.json"
        try:
            scores[name] = validation_score(read_stage(path, "curves")["curves"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error
    return scores


def select(
    root: Path, configs: Mapping[str, Mapping[str, Any]], folds: Sequence[int]
) -> list[dict[str, Any]]:
    """Return what ``nested.json`` says of each fold; see `read_scores` for the arguments."""
    chosen = []
    for fold in folds:
        scores = read_scores(root, configs, fold)
        chosen.append(
            {
                "fold": fold,
                "validation_group": (fold + 1) % len(folds),
                "point": choose(scores),
                "scores": {name: one._asdict() for name, one in scores.items()},
            }
        )
    return chosen


def fold_configs(
    directory: Path, config: Mapping[str, Any], selection: str, folds: Folds
) -> dict[int, Mapping[str, Any]]:
    """Return the config of each fold: the bundle's, or, where points were chosen, the point's.

    Raises:
        ValueError: If ``nested.json`` is missing where it must be, there where it must not be, or
            of another form.
    """
    path = directory / RECORD
    if selection != NESTED:
        if path.is_file():
            raise ValueError(f"{path}: the selection is {selection}, not {NESTED}")
        return dict.fromkeys(folds, config)
    if not path.is_file():
        raise ValueError(f"{path} is missing: the selection is {NESTED}")
    record = read_json(path)
    try:
        points = {name: dict(one["values"]) for name, one in record["points"].items()}
        of_fold = {one["fold"]: points[one["point"]] for one in record["folds"]}
        return {fold: with_values(config, of_fold[fold]) for fold in folds}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the record of a nested selection: {error!r}") from error


def check_nested(
    directory: Path, config: Mapping[str, Any], tables: Tables, folds: Folds,
    facts: Sequence[ClipFacts],
) -> Iterator[Difference]:  # fmt: skip
    """Choose again, from the points' records; these are checked as those of any other run."""
    record = read_json(directory / RECORD)
    values: dict[str, dict[str, Any]] = {n: p["values"] for n, p in record["points"].items()}
    keys = record.get("keys")
    for name, mine in values.items():
        if list(mine) != keys:
            yield Difference(RECORD, f"points.{name}.values", sorted(mine), f"{keys} as in keys")
    for key in keys or ():
        if (told := setting(config, key)) != CHOSEN:
            yield Difference("config.yaml", key, told, CHOSEN)
    root = directory / POINTS
    there = sorted(path.name for path in root.glob("*") if path.is_dir())
    if there != sorted(values):
        yield Difference(POINTS, "points", there, f"{sorted(values)} of {RECORD}")
        return
    configs = {name: with_values(config, mine) for name, mine in values.items()}
    for name, one in configs.items():
        for fold in folds:
            for d in check_fold_stages(root / name, one, fold, tables, folds, facts):
                yield Difference(f"{POINTS}/{name}/{d.file}", d.key, d.found, d.recomputed)
    try:
        expected = select(root, configs, list(folds))
    except (FileNotFoundError, ValueError) as error:
        yield Difference(RECORD, "folds", "scores", f"cannot be recomputed: {error}")
        return
    if len(record["folds"]) != len(expected):
        yield Difference(RECORD, "folds", len(record["folds"]), len(expected))
    for told, computed in zip(record["folds"], expected, strict=False):
        for key, value in computed.items():
            if told.get(key) != value:
                yield Difference(RECORD, f"fold {computed['fold']}: {key}", told.get(key), value)
        yield from _same_records(directory, computed["fold"], told["point"])


def _same_records(directory: Path, fold: int, point: str) -> Iterator[Difference]:
    """Check that a fold's stages are those of the point that it took."""
    ours, theirs = (fold_directory(d, fold) for d in (directory, directory / POINTS / point))
    names = {
        path.relative_to(d).as_posix(): None
        for d in (ours, theirs)
        for path in d.rglob("stage.json")
    }
    for name in sorted(names):
        one, other = ours / name, theirs / name
        if not (one.is_file() and other.is_file() and sha256(one) == sha256(other)):
            yield Difference(
                f"{ours.name}/{name}", "(whole file)", "another", f"that of {POINTS}/{point}"
            )
