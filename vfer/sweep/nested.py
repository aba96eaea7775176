"""Nested selection: the bundle of the points that were best on each fold's validation group."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from rich.console import Console

from vfer.config.keys import differing
from vfer.results import bundle
from vfer.results.clips import read_clips, write_clips
from vfer.results.nested import CHOSEN, POINTS, RECORD, select, with_values
from vfer.results.records import read_config, setting
from vfer.results.scoring import NESTED, Header
from vfer.results.tables import TABLES, ClipResult, read_tables
from vfer.runtime.files import atomic_write, read_json, sha256, write_json
from vfer.verify import verify

FOLDER = "nested"


def nest(points: Sequence[str], keys: Sequence[str], output: Path, console: Console) -> Path:
    """Take of each fold the point that was best on its validation group; make a bundle of them.

    A bundle that is there, of the same points and their same bundles, is left as it is; another is
    replaced: nothing in it is not in the points'.

    Args:
        points: Their names, in the order of the sweep; all are done.
        keys: What was swept.
        output: The sweep's folder, which holds a bundle of each name.
        console: Where it is told which fold took which.

    Returns:
        The bundle's folder.

    Raises:
        RuntimeError: The points were not tested on the same clips and groups, or one of them has no
            validation score.
    """
    made = output / FOLDER
    with FileLock(output / f".{FOLDER}.lock"):
        folders = {name: output / name for name in points}
        try:
            _check_alike(folders)
            trees = {name: read_config(path / "config.yaml") for name, path in folders.items()}
            shared, values = _shared(trees, keys)
            record = _record(output, shared, values)
        except (FileNotFoundError, ValueError) as error:
            raise RuntimeError(f"no nested selection: {error}") from error
        for one in record["folds"]:
            said = one["scores"][one["point"]]
            console.print(
                f"fold {one['fold']}: {one['point']}, {said['accuracy']:.1%} on the validation "
                f"group {one['validation_group']} at iteration {said['iteration']}"
            )
        if (made / "files.json").is_file() and read_json(made / RECORD) == record:
            console.print(f"nested selection: done before, {made}")
            return made
        partial = output / f".{FOLDER}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _write(partial, folders, shared, record)
        wrong = verify(partial)
        if wrong:
            raise RuntimeError(f"the nested selection does not verify: {wrong[0]}")
        shutil.rmtree(made, ignore_errors=True)
        partial.rename(made)
    return made


def _check_alike(folders: Mapping[str, Path]) -> None:
    """Refuse points that were not tested on the same clips and groups, with the same seed."""
    first, *others = folders
    told = {}
    for name, folder in folders.items():
        found = read_json(folder / "results.json")
        rows = read_tables(folder, found["classes"]).clips
        told[name] = {
            "corpus": (found["corpus"], found["classes"]),
            "protocol": found["protocol"],
            "groups": read_json(folder / "folds.json"),
            "clips": sorted((r.clip, r.subject, r.label, r.status == "excluded") for r in rows),
            "videos": read_json(folder / "environment.json")["corpus"]["fingerprint"],
            "seeds": found["seeds"],
            "selection": found["selection"],
        }
    for name in others:
        unlike = [key for key, value in told[name].items() if value != told[first][key]]
        if unlike:
            raise ValueError(f"the points {first} and {name} differ in their {', '.join(unlike)}")
    if told[first]["selection"] != "validation":
        raise ValueError("the points have no validation group (protocol.selection)")


def _shared(
    trees: Mapping[str, dict[str, Any]], keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the config that all points share, and of each the settings in which they differ.

    Returns:
        The first point's, the settings that differ saying so; of each point these by dotted keys.
    """
    first, *others = trees.values()
    apart: set[str] = set()
    masked = dict(first)
    found = {k for k in keys if len({repr(setting(tree, k)) for tree in trees.values()}) > 1}
    while found:
        # A class of one's own brings keys along that others have not: then it is named as a whole.
        apart |= {k if _in_all(trees.values(), k) else _part(k) for k in found}
        apart = {k for k in apart if k == _part(k) or _part(k) not in apart}
        masks = dict.fromkeys(apart, CHOSEN)
        masked = with_values(first, masks)
        found = {_part(k) for one in others for k in differing(masked, with_values(one, masks))}
    return masked, {
        name: {key: setting(tree, key) for key in sorted(apart)} for name, tree in trees.items()
    }


def _part(key: str) -> str:
    """Return the first two names of a dotted key, such as ``model.backbone``."""
    return ".".join(key.split(".")[:2])


def _in_all(trees: Iterable[Mapping[str, Any]], key: str) -> bool:
    return all(isinstance(setting(tree, key.rpartition(".")[0]), dict) for tree in trees)


def _record(
    root: Path, shared: Mapping[str, Any], values: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return what ``nested.json`` says: the points, and of each fold which was chosen and why."""
    configs = {name: with_values(shared, mine) for name, mine in values.items()}
    first = next(iter(values))
    return {
        "schema": 1,
        "keys": list(values[first]),
        "points": {
            name: {"values": mine, "bundle": sha256(root / name / "files.json")}
            for name, mine in values.items()
        },
        "folds": select(root, configs, list(bundle.read_folds(root / first / "folds.json"))),
    }


def _write(
    output: Path, folders: Mapping[str, Path], shared: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Write the whole bundle into an empty folder."""
    first = next(iter(folders.values()))
    found = read_json(first / "results.json")
    classes = found["classes"]
    write_json(output / RECORD, record)
    atomic_write(output / "config.yaml", yaml.safe_dump(dict(shared), sort_keys=False))
    groups = bundle.read_folds(first / "folds.json")
    bundle.write_folds(output / "folds.json", list(groups.values()))
    for name, folder in folders.items():
        for path in folder.glob("fold-*/**/stage.json"):
            _link(path, output / POINTS / name / path.relative_to(folder))
    chosen = {one["fold"]: folders[one["point"]] for one in record["folds"]}
    for fold, folder in chosen.items():
        here, there = (bundle.fold_directory(d, fold) for d in (output, folder))
        for path in (p.relative_to(there) for p in there.rglob("*") if p.is_file()):
            own = path.as_posix() in (bundle.MARKER, *TABLES)  # written again, as one bundle's
            if not own and not any(part.startswith(".") for part in path.parts):
                _link(there / path, here / path)
        bundle.write_fold(
            output, fold, read_tables(there, classes), subjects=groups[fold], classes=classes,
            key=sha256(output / RECORD),
        )  # fmt: skip
    rows = read_tables(first, classes).clips
    excluded = [row for row in rows if row.status == "excluded"]
    header = replace(Header.of(found), selection=NESTED)
    _write_facts(output, chosen, rows)
    results = bundle.assemble(output, header, excluded)
    _write_environment(output, list(folders.values()))
    from vfer.report.figures import draw_scores  # imports Matplotlib

    draw_scores(output / "figures", results, read_tables(output, classes))
    bundle.seal(output)


def _link(path: Path, to: Path) -> None:
    """Give a file a second name; where that cannot be, copy it. Stages' files never change."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, to)
    except OSError:
        shutil.copy2(path, to)


def _write_facts(output: Path, chosen: Mapping[int, Path], rows: Sequence[ClipResult]) -> None:
    """Write of each clip what the point says that its fold took; of an excluded one, the first."""
    known = {fold: {one.clip: one for one in read_clips(path)} for fold, path in chosen.items()}
    first = next(iter(known.values()))
    write_clips(output, [(first if r.fold is None else known[r.fold])[r.clip] for r in rows])


def _write_environment(output: Path, folders: Sequence[Path]) -> None:
    """Write what the points' environments say alike, and with what the chosen stages were made."""
    from vfer.fit.environment import gather_environments  # imports torch

    told = [read_json(folder / "environment.json") for folder in folders]
    alike = {k: v for k, v in told[0].items() if all(one.get(k) == v for one in told)}
    corpus = told[0]["corpus"]
    write_json(output / "environment.json", alike | {"corpus": corpus})
    gather_environments(output)
