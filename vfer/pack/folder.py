"""The files of a model folder: copied from a bundle, whole or not there."""

import copy
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from vfer.config.version import settings_of
from vfer.pack.card import card, licence_page
from vfer.predict.bundle import Bundle, Fold, read_bundle
from vfer.predict.calibration import out_of_fold
from vfer.report.bundles import Model
from vfer.report.bundles import read_bundle as read_result
from vfer.results.bundle import FINAL
from vfer.results.faces import FACES
from vfer.results.records import read_config
from vfer.results.schema import STAGE_RECORD
from vfer.results.tables import SEGMENTS
from vfer.runtime.console import UsageError, bar
from vfer.runtime.files import atomic_write

CARD, LICENCE = "README.md", "LICENSE"
_PATHS = ("root", "cache", "weights", "from")
"""The keys of ``data``, ``model`` and ``stages`` that hold paths."""


def check_license(name: str | None) -> None:
    """Refuse what is no identifier of a licence.

    Raises:
        UsageError: Naming it.
    """
    if name is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise UsageError(
            f"--license is {name!r}; give one of the Hub's identifiers, in lower case, such as "
            "mit, apache-2.0 or cc-by-nc-sa-4.0"
        )


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        UsageError: Saying what to do.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; give a new folder, or remove it")


def pack(run: Path, folder: Path, fold: Fold | None, licence: str | None, console: Console) -> None:
    """Make a model folder.

    Args:
        run: A finished bundle that verifies.
        folder: The model folder, not there yet or empty.
        fold: Which model; None for those of all folds, and the final one where there is one.
        licence: The model's, as the Hub names it; None where that is not decided.
        console: Where progress is shown.

    Raises:
        UsageError: If the bundle has no such model, or is a control.
        RuntimeError: If it does not verify.
        FileNotFoundError: If it is no finished bundle.
        ValueError: If a file is not as it should be; the message names it.
    """
    models = _models(run, fold)
    console.print(f"verifying {run}", markup=False)
    result = read_result(run)
    if result.wrong:
        raise RuntimeError(
            f"{run} does not verify, {len(result.wrong)} differences, so that a card of it would "
            f"say what is not so: {result.wrong[0]}"
        )
    control = result.results["protocol"].get("control")
    if control is not None:
        raise UsageError(f"{run} is a control ({control}), a yardstick and no model for use")
    config = without_paths(read_config(run / "config.yaml"))
    model = Model(folder.resolve().name, (replace(result, config=settings_of(config)),))
    found = out_of_fold(run, models.classes, [])
    texts = {CARD: card(model, models, found, licence), "config.yaml": _yaml(config)}
    if licence is None:
        texts[LICENCE] = licence_page(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        _copy(run, beside, models, console)
        for name, text in texts.items():
            atomic_write(beside / name, text)
        if folder.is_dir():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    console.print(f"{folder}: {size / 1e6:.1f} MB, models {', '.join(map(str, models.stages))}")
    console.print(
        f"Read {folder / CARD} before you publish it. stage.json, and config.yaml where groups are "
        "given, name the subjects as the corpus does: see that these are nobody's own names",
        markup=False,
    )


def _models(run: Path, fold: Fold | None) -> Bundle:
    """Read which models are to be packed; classes that they name are not imported."""
    models = read_bundle(run, fold, "cpu", trust_code=True)
    if fold is not None:
        return models
    try:
        final = read_bundle(run, FINAL, "cpu", trust_code=True)
    except UsageError:  # there is none
        return models
    return replace(
        models,
        stages={**models.stages, **final.stages},
        seen={**models.seen, **final.seen},
    )


def _copy(run: Path, folder: Path, models: Bundle, console: Console) -> None:
    """Copy what prediction reads."""
    files = [run / FACES] if (run / FACES).is_file() else []
    for stage in models.stages.values():
        files += [stage / STAGE_RECORD, stage / models.file]
    with bar(console) as progress:
        task = progress.add_task("copying files", total=len(files))
        for path in files:
            to = folder / path.relative_to(run)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            progress.advance(task)
    _write_segments(run, folder, models.classes)


def _write_segments(run: Path, folder: Path, classes: Sequence[str]) -> None:
    """Write what was said out of fold, which calibrates, with numbers for people and clips.

    Names of clips may be paths, and those of subjects the people's own.
    """
    rows = SEGMENTS.read(run, classes)
    people = {name: str(k) for k, name in enumerate(sorted({row.subject for row in rows}))}
    clips = {name: str(k) for k, name in enumerate(sorted({row.clip for row in rows}))}
    numbered = [replace(row, subject=people[row.subject], clip=clips[row.clip]) for row in rows]
    SEGMENTS.write(folder, numbered, classes)


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False)


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config whose paths are their last names: where files lay concerns nobody else."""
    found = copy.deepcopy(dict(config))
    stages = [one for one in (found.get("stages") or {}).values() if isinstance(one, dict)]
    parts = (found.get("data"), found.get("model"), found.get("stages"), *stages)
    for part in parts:
        for key in _PATHS:
            if isinstance(part, dict) and isinstance(part.get(key), str):
                part[key] = re.split(r"[/\\]", part[key].rstrip("/\\"))[-1]
    return found
