"""The final model of a bundle, trained on all subjects: ``final/``, and its checks.

It is no fold: nothing is scored with it, and no figure of the bundle is of it.
"""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vfer.results.bundle import FINAL, fold_directory, read_folds
from vfer.results.checks import Difference
from vfer.results.clips import ClipFacts
from vfer.results.records import setting, stage_folders, trains
from vfer.results.schema import STAGE_RECORD, TABLE, WEIGHTS, read_stage
from vfer.results.scoring import Header
from vfer.results.tables import Tables
from vfer.runtime.files import read_json


def chosen_iteration(directory: Path, config: Mapping[str, Any], stage: str) -> int:
    """Return the median of the iterations that the folds chose for a stage.

    Of an even number of folds it is the lower of the two in the middle, which one fold has chosen.

    Args:
        directory: Of a bundle whose folds are finished.
        config: Its config.
        stage: Which.

    Raises:
        ValueError: If a record says no iteration, or is none; the message names it.
        FileNotFoundError: If a record is missing.
    """
    folder = f"selection/{stage}" if setting(config, "protocol.retrain") else stage
    folds = read_folds(directory / "folds.json")
    records = [fold_directory(directory, fold) / folder / STAGE_RECORD for fold in folds]
    return statistics.median_low(
        int(read_stage(path, "iteration")["iteration"]) for path in records
    )


def check_final(
    directory: Path, config: Mapping[str, Any], header: Header, tables: Tables,
    facts: Sequence[ClipFacts],
) -> Iterator[Difference]:  # fmt: skip
    """Check the records of the final model, where there is one: it has seen everybody.

    One whose training was interrupted, so that its last stage is not there, is not a model yet.

    Args:
        directory: The bundle's folder.
        config: Of the bundle.
        header: Of the bundle.
        tables: Of the bundle.
        facts: Of every clip.
    """
    stages = [folder for folder in stage_folders(config) if "/" not in folder]
    if not (directory / FINAL / stages[-1] / STAGE_RECORD).is_file():
        return
    try:
        listed: Collection[str] = read_json(directory / "files.json")
    except ValueError:  # told by `verify`
        return
    for stage in stages:
        name = f"{FINAL}/{stage}/{STAGE_RECORD}"
        learnt = TABLE if stage == "classifier" else WEIGHTS
        for needed in (name, f"{FINAL}/{stage}/{learnt}"):
            if needed not in listed:
                yield Difference("files.json", needed, "not listed", "a SHA-256")
        try:
            record = read_stage(directory / name)
            yield from _check_record(name, record, config, header)
            if trains(config, stage):
                yield from _check_seen(name, record, config, tables, facts)
            yield from _check_iteration(directory, name, record, config)
        except (KeyError, OSError, ValueError) as error:
            yield Difference(name, "(cannot be read)", error, "the record of a stage")


def _check_record(
    name: str, record: Mapping[str, Any], config: Mapping[str, Any], header: Header
) -> Iterator[Difference]:
    """Check that a stage is of no fold, of the bundle's corpus, and was tested on nobody."""
    wanted = {"fold": None, "corpus": header.corpus, "classes": list(header.classes)}
    for key, value in wanted.items():
        if record[key] != value:
            yield Difference(name, key, record[key], value)
    tested = sorted({point.split for point in record["curves"]} - {"train"})
    if tested:
        yield Difference(name, "curves", f"points of {', '.join(tested)}", "of training only")


def _check_seen(
    name: str, record: Mapping[str, Any], config: Mapping[str, Any], tables: Tables,
    facts: Sequence[ClipFacts],
) -> Iterator[Difference]:  # fmt: skip
    """Check that a stage was trained on everybody, and every video, of the bundle."""
    scored = {row.clip: row.subject for row in tables.clips if row.status == "scored"}
    people, videos = set(record["trained_on"]), set(record["videos"])
    lacking = sorted(set(scored.values()) - people)
    if lacking:
        yield Difference(name, "trained_on", f"not {', '.join(lacking)}", "all subjects")
    unseen = [one.clip for one in facts if one.clip in scored and one.video not in videos]
    if unseen:
        yield Difference(name, "videos", f"not those of {', '.join(unseen)}", "all scored clips'")
    if any(setting(config, f"stages.{stage}.from") for stage in setting(config, "stages") or {}):
        return  # what it started from may have seen more
    more = sorted(people - {row.subject for row in tables.clips})
    if more:
        yield Difference(name, "trained_on", ", ".join(more), "subjects of predictions.csv")
    if facts and not videos <= {one.video for one in facts}:
        yield Difference(name, "videos", "others", "those of clips.csv")


def _check_iteration(
    directory: Path, name: str, record: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[Difference]:
    """Check that a stage was trained for as long as the config, or the folds' choice, says."""
    stage = name.split("/")[1]
    if stage == "classifier":
        return
    regression = stage == "vlan" and setting(config, "stages.schema") == "non_trained"
    if regression:
        wanted, told = 0, "of the non-trained schema"
    elif setting(config, "protocol.selection") == "validation":
        wanted, told = chosen_iteration(directory, config, stage), "the median of the folds' choice"
    else:
        wanted, told = setting(config, f"stages.{stage}.iterations"), "of config.yaml"
    if record["iteration"] != wanted:
        yield Difference(name, "iteration", record["iteration"], f"{wanted}, {told}")
