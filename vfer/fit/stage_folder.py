"""The folder of a finished or interrupted stage: found again, resumed, shared, started from."""

import csv
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from safetensors.torch import load_file
from torch import nn

from vfer.config.tree import StageConfig
from vfer.corpora import Corpus
from vfer.networks.settings import ModelConfig
from vfer.results.bundle import FINAL
from vfer.results.schema import STAGE_RECORD, WEIGHTS, read_stage
from vfer.runtime.files import (
    atomic_write,
    irregular,
    key_of,
    read_json,
    remove_leftovers,
    sha256,
    write_json,
)

CHECKPOINT, UNFINISHED = "checkpoint.ckpt", "checkpoint.tmp"
LOG, KEPT_LOG = "metrics.csv", "checkpoint.csv"
"""The log of a stage, and as it was at the checkpoint."""


def find_source(
    settings: StageConfig, stage: str, fold: str, corpus: Corpus, held: Collection[str],
    videos: Collection[str] = (),
) -> Path | None:  # fmt: skip
    """Return the folder of the other bundle's stage from which one starts; None without ``from``.

    Args:
        settings: The stage's config.
        stage: Which.
        fold: The fold's folder in both bundles, or that of the final model.
        corpus: The corpus.
        held: Subjects that it must not have been trained on.
        videos: SHA-256 of the videos that it must not have been trained on, whatever their
            subjects are called.

    Raises:
        FileNotFoundError: If that bundle has no such stage.
        ValueError: If it knows another corpus or other classes, or has seen one of the subjects.
    """
    if settings.from_ is None:
        return None
    directory = settings.from_ / fold / stage
    said = f"stages.{stage}.from is {settings.from_}"
    if not (directory / STAGE_RECORD).is_file():
        trains = f"; vfer.fit --{fold} on that bundle makes it" * (fold == FINAL)
        raise FileNotFoundError(f"{said}; there is no finished stage {directory}{trains}")
    for path, what in irregular(settings.from_, ("wandb", "tensorboard")):
        raise ValueError(f"{said}; {path} is {what}, and a bundle is read without following any")
    record = read_stage(directory / STAGE_RECORD, "model")
    for name, ours in (("corpus", corpus.name), ("classes", list(corpus.classes))):
        if record[name] != ours:  # of another corpus' subjects nothing could be said
            raise ValueError(f"{said}, which was trained for the {name} {record[name]}, not {ours}")
    seen = set(record["trained_on"]) & set(held)
    if seen:
        raise ValueError(
            f"{said}; its {fold} was trained on subjects {', '.join(sorted(seen))}, who are "
            "held out here: take a bundle with the same subject groups"
        )
    if videos and "videos" not in record:
        raise ValueError(
            f"{said}; an earlier version made it, which did not record the videos that it was "
            "trained on: train that stage again"
        )
    known = set(record.get("videos", ())) & set(videos)
    if known:
        raise ValueError(
            f"{said}; its {fold} was trained on videos that are held out here, {len(known)} "
            "of them, under other names: take a bundle with the same groups of the same people"
        )
    return directory


def load_source(network: nn.Module, directory: Path, model: ModelConfig) -> None:
    """Start a network from the weights of another bundle's stage.

    Raises:
        ValueError: If they are of another network.
    """
    record = read_stage(directory / STAGE_RECORD, "model")
    names = ("variant", "width", "insert_after") if model.own is None else ("backbone", "network")
    for name in ("input_size", *names):
        ours, theirs = getattr(model, name), record["model"].get(name)
        if ours != theirs:
            raise ValueError(f"{directory} has model.{name} {theirs}; here it is {ours}")
    try:
        network.load_state_dict(load_file(directory / WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"{directory} holds another network: {error}") from error


def move(made: Path, to: Path) -> None:
    """Put a whole folder in the place of another, or where there is none."""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    made.rename(to)


def _copy(stage: Path, to: Path) -> Path:
    """Copy a finished stage's folder to a temporary name beside where it is to be."""
    remove_leftovers(to.parent, f".{to.name}.*.tmp")
    beside = to.with_name(f".{to.name}.{secrets.token_hex(4)}.tmp")
    beside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(stage, beside)
    return beside


def share(stage: Path, shared: Path) -> None:
    """Copy a finished stage to where runs share it, by its key, unless it is there and whole."""
    if shared.exists() and not _is_there(shared, shared.name):
        shutil.rmtree(shared, ignore_errors=True)
    beside = _copy(stage, shared)
    try:
        beside.rename(shared)
    except OSError:  # two runs trained it at the same time
        shutil.rmtree(beside)
        if not (shared / STAGE_RECORD).is_file():
            raise


def find_finished(directory: Path, shared: Path | None, key: str) -> bool:
    """Return whether a stage is there, or has been copied from where runs share them."""
    if _is_there(directory, key):
        return True
    if shared is None or not _is_there(shared, key):
        return False
    move(_copy(shared, directory), directory)
    return True


def _is_there(directory: Path, key: str) -> bool:
    """Tell whether a finished stage of a key is there, whole; a damaged one is trained again."""
    try:
        read_stage(directory / STAGE_RECORD, "key", "curves", "iteration")
        record = read_json(directory / STAGE_RECORD)
        digest = record.pop("digest", None)
        if record["key"] != key or digest not in (None, key_of(record)):
            return False
        files = record.get("files", {})  # earlier versions recorded neither
        return all(sha256(directory / name) == sha for name, sha in files.items())
    except (FileNotFoundError, ValueError):
        return False


def write_record(partial: Path, record: dict[str, Any]) -> None:
    """Write ``stage.json``, the last file of a stage's folder, with the hashes of all others.

    What an interrupted training has left beside them is removed.
    """
    for name in (CHECKPOINT, UNFINISHED, KEPT_LOG, "key"):
        (partial / name).unlink(missing_ok=True)
    for path in partial.glob(".*.tmp"):
        path.unlink()
    files = {path.name: sha256(path) for path in sorted(partial.iterdir())}
    record = record | {"files": files}
    write_json(partial / STAGE_RECORD, record | {"digest": key_of(record)})


class Left(NamedTuple):
    """What an interrupted training has left: its checkpoint, and its log's rows.

    Attributes:
        checkpoint: None where there is none that is whole.
        log: Rows of ``metrics.csv``.
        damaged: Whether there is a checkpoint that is not as it was written.
        logged: The last step that was logged, also after the checkpoint; -1 for none.
    """

    checkpoint: Path | None
    log: list[dict[str, str]]
    damaged: bool = False
    logged: int = -1


def resume(partial: Path, key: str) -> Left:
    """Return what an interrupted training of the same inputs has left.

    Whatever else is in the folder is removed.
    """
    checkpoint, said, log = partial / CHECKPOINT, partial / "key", partial / KEPT_LOG
    known = said.is_file() and said.read_bytes() == key.encode()
    if known and _is_whole(checkpoint):
        return Left(checkpoint, _rows(log), logged=_last_step(partial / LOG))
    damaged = known and checkpoint.exists()
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    atomic_write(said, key)
    return Left(None, [], damaged)


def _is_whole(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is there, as it was written: torch's own format is a ZIP file."""
    try:
        with ZipFile(checkpoint) as file:
            return file.testzip() is None
    except (FileNotFoundError, BadZipFile, ValueError, EOFError, NotImplementedError):
        return False


def _rows(log: Path) -> list[dict[str, str]]:
    """Return the rows of a log; none of one that is not there."""
    if not log.is_file():
        return []
    with log.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _last_step(log: Path) -> int:
    """Return the last step in a log that a killed process may have written in part; -1 for none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
        steps = [row.get("step") or "" for row in csv.DictReader(text.splitlines())]
    except (FileNotFoundError, csv.Error):
        return -1
    return max((int(step) for step in steps if step.isdecimal()), default=-1)
