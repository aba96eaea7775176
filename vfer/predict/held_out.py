"""Clips of a bundle's own corpus, each with the fold whose model has not seen its subject."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from vfer.config.recorded import recorded_parts
from vfer.predict.bundle import Fold
from vfer.results.cross import MODELS
from vfer.results.records import read_config
from vfer.results.scoring import Header
from vfer.results.tables import PREDICTIONS, ClipResult
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_json


@dataclass(frozen=True)
class Job:
    """A video that is to be predicted.

    Attributes:
        path: Of its file.
        fold: Which model; None for the mean of all.
        notes: What a reader of its timeline should know, a sentence each.
    """

    path: Path
    fold: Fold | None
    notes: tuple[str, ...] = ()


def _note(row: ClipResult) -> str:
    """Say what was held out: a subject, or a clip where nobody is known."""
    who, them = (
        ("The clip", "it") if row.subject == row.clip else (f"Subject {row.subject}", "them")
    )
    return (
        f"{who} was held out: the model of fold {row.fold} was not trained on {them}. The clip is "
        f"labelled {row.label}."
    )


def held_out_clips(run: Path, count: int, console: Console) -> list[Job]:
    """Choose scored clips, class after class and evenly among subjects, whatever their results are.

    Args:
        run: A bundle of LOSGO.
        count: At most how many, at least 1.
        console: Where it is said if the corpus has to be rendered.

    Raises:
        UsageError: If the bundle is not finished, or is of another corpus than its models.
        FileNotFoundError: If the corpus is not where it was.
    """
    from vfer.prepare.corpus import open_corpus

    tree = read_config(run / "config.yaml")
    needed = ("results.json", PREDICTIONS.name)
    if not all((run / name).is_file() for name in needed) or (run / MODELS).is_file():
        raise UsageError(f"--held-out needs a finished bundle of vfer fit, and {run} is none")
    classes = Header.of(read_json(run / "results.json")).classes
    scored = [row for row in PREDICTIONS.read(run, classes) if row.status == "scored"]
    data, _ = recorded_parts(tree, run / "config.yaml")
    paths = {clip.name: clip.path for clip in open_corpus(data, console).clips}
    lost = [row.clip for row in scored if row.clip not in paths]
    if lost:
        raise UsageError(f"the corpus of {run} has changed: {lost[0]} is not there any more")
    labels = list(dict.fromkeys(row.label for row in scored))
    taken = min(count, len(scored))
    chosen = {}
    for number in range(taken):
        rows = [row for row in scored if row.label == labels[number % len(labels)]]
        row = rows[int((number + 0.5) * len(rows) / taken)]
        chosen[row.clip] = row
    return [Job(paths[row.clip], row.fold, (_note(row),)) for row in chosen.values()]
