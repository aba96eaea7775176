"""A bundle as prediction needs it: where its models are and what they were trained on.

Only YAML, JSON, CSV and safetensors are read. A class that the bundle names is somebody else's
code: it is not imported unless that was allowed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vfer.config.recorded import recorded_parts, recorded_plugs
from vfer.config.tree import DataConfig
from vfer.networks.settings import ModelConfig
from vfer.results.bundle import FINAL, check_regular, fold_directory
from vfer.results.faces import FaceFacts, read_faces
from vfer.results.records import read_config, setting, stage_folders
from vfer.results.runs import run_folders
from vfer.results.schema import STAGE_RECORD, TABLE, WEIGHTS, read_stage
from vfer.runtime.console import UsageError
from vfer.runtime.files import key_of, read_json, sha256

Fold = int | Literal["final"]
"""Which model of a bundle: that of a fold, from 0, or the final one, trained on all subjects."""


_NOT_MEASURED = (
    "This is the final model, trained on everything: cross-validation measured the models of the "
    "folds, not this one. The temperature, and what abstaining does, are theirs."
)


@dataclass(frozen=True)
class Bundle:
    """A bundle, and which of its models are used.

    Attributes:
        run: Its folder.
        data: Of its config.
        model: Of its config.
        corpus: The corpus's name.
        classes: In the order of every probability vector.
        stages: Fold → the folder of its finished model, at least one. The final model is alone.
        seen: Fold → SHA-256 of the videos that its model was trained on.
        faces: What the corpus's clips look like; None in a bundle that does not say it.
        notes: What whoever predicts with it should know.
    """

    run: Path
    data: DataConfig
    model: ModelConfig
    corpus: str
    classes: tuple[str, ...]
    stages: Mapping[Fold, Path]
    seen: Mapping[Fold, frozenset[str]]
    faces: FaceFacts | None
    notes: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of the file that holds what a stage has learnt."""
        return _learnt(self.model)

    @property
    def frame_rate(self) -> float | None:
        """Median frames a second of the corpus's clips; None where it is not recorded."""
        return None if self.faces is None else self.faces.frame_rate

    def key(self) -> str:
        """Return a key of all that a prediction depends on, weights read for it."""
        data = asdict(self.data)
        seen = {name: data[name] for name in ("segment_length", "faces", "flow")}
        learnt = {str(fold): sha256(path / self.file) for fold, path in self.stages.items()}
        return key_of([asdict(self.model), seen, learnt, self.classes])


def read_bundle(run: Path, fold: Fold | None, device: str, trust_code: bool) -> Bundle:
    """Read what is known of a bundle's models; no weights yet.

    Args:
        run: The bundle's folder.
        fold: Which model; None for those of all folds that are finished, and for the final one
            where there is no other.
        device: ``cpu`` or ``cuda``: where faces are looked for.
        trust_code: Whether classes that the bundle names may be imported.

    Raises:
        FileNotFoundError: If it is no bundle.
        UsageError: If it has no such model, or one that is made of a class of somebody's own.
        ValueError: If a file is not as it should be; the message names it.
    """
    path = run / "config.yaml"
    if not path.is_file():
        runs = run_folders(run)
        if runs:
            raise UsageError(f"{run} holds several bundles: give --run {run / runs[0]}")
        raise FileNotFoundError(f"{run} is no result bundle: no config.yaml; vfer fit makes one")
    check_regular(run)
    tree = read_config(path)
    data, model = recorded_parts(_on(tree, device), path)
    own = recorded_plugs(model)
    if own and not trust_code:
        named = ", ".join(map(str, own))
        raise UsageError(
            f"{run} names classes of its author's own ({named}); to import them runs their code. "
            "Look at it, and if you trust it give --trust-code"
        )
    folder = stage_folders(tree)[-1]
    found = _finished(run, folder, _learnt(model))
    stages = _chosen(run, found, fold)
    records = {number: read_stage(stage / STAGE_RECORD) for number, stage in stages.items()}
    first = next(iter(records.values()))
    for number, record in records.items():
        if record["classes"] != first["classes"]:
            raise ValueError(
                f"{stages[number] / STAGE_RECORD}: other classes than those of other folds"
            )
    return Bundle(
        run,
        data,
        model,
        first["corpus"],
        tuple(first["classes"]),
        stages,
        {number: frozenset(record.get("videos", ())) for number, record in records.items()},
        read_faces(run),
        tuple(_notes(tree, fold, stages, run)),
    )


def _learnt(model: ModelConfig) -> str:
    return WEIGHTS if model.descriptor is None else TABLE


def _on(tree: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return a config whose faces are looked for on another device."""
    if not isinstance(tree.get("data"), dict):
        return dict(tree)
    faces = tree["data"].get("faces") or {}
    return {**tree, "data": {**tree["data"], "faces": {**faces, "device": device}}}


def _finished(run: Path, folder: str, file: str) -> dict[Fold, Path]:
    """Return the folders of the finished models, by fold; the final one last."""
    numbers = [path.name[5:] for path in run.glob("fold-*") if path.name[5:].isdecimal()]
    places: dict[Fold, Path] = {k: fold_directory(run, k) for k in sorted(map(int, numbers))}
    places[FINAL] = run / FINAL
    found = {}
    for name, place in places.items():
        stage = place / folder
        if (stage / STAGE_RECORD).is_file() and (stage / file).is_file():
            found[name] = stage
    if not found:
        raise UsageError(
            f"{run} holds no finished model: there is no fold-<k>/{folder}/{file}. Run vfer fit on "
            "it again; it resumes where it stopped"
        )
    return found


def _chosen(run: Path, found: Mapping[Fold, Path], fold: Fold | None) -> dict[Fold, Path]:
    """Return which of the finished models are used.

    Raises:
        UsageError: If the one that was asked for is not there.
    """
    if fold is None:
        folds: dict[Fold, Path] = {k: stage for k, stage in found.items() if k != FINAL}
        return folds or dict(found)
    if fold not in found:
        there = ", ".join(str(name) for name in found if name != FINAL)
        final = "; it has a final model" if FINAL in found else ""
        made = "; vfer.fit --final trains it" if fold == FINAL else final
        raise UsageError(f"--fold is {fold}; {run} has finished models of the folds {there}{made}")
    return {fold: found[fold]}


def _notes(
    tree: Mapping[str, Any], fold: Fold | None, stages: Mapping[Fold, Path], run: Path
) -> list[str]:
    """Say what whoever predicts with a bundle should know of it."""
    notes = []
    control = setting(tree, "protocol.control")
    if control is not None:
        notes.append(f"The model was trained under the control {control}: it is a yardstick only.")
    if FINAL in stages:
        return [*notes, _NOT_MEASURED]
    path = run / "folds.json"
    groups: Sequence[str] = list(read_json(path)) if path.is_file() else []
    waiting = [name for name in groups if name not in map(str, stages)]
    if fold is None and waiting:
        notes.append(f"The folds {', '.join(waiting)} are not finished and take no part.")
    return notes
