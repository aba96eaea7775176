"""A run by descriptors: every clip is described once, and each fold fits its classifier to them."""

import json
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from safetensors.numpy import save

from vfer.baselines.descriptor import (
    Descriptor,
    class_scores,
    classifier_input,
    describe_clip,
    make_classifier,
    make_descriptor,
)
from vfer.baselines.table import Values, packed
from vfer.config.tree import Config
from vfer.fit.datasets import Part
from vfer.fit.frames import Frames
from vfer.fit.run import Fold, Run, frames_of, seen_in
from vfer.flow.settings import FlowConfig
from vfer.plugs import Plug, plug
from vfer.prepare.store import CropStore, array_bytes, entry_id
from vfer.results.schema import STAGE_RECORD, TABLE
from vfer.runtime.console import bar
from vfer.runtime.environment import made_with
from vfer.runtime.files import atomic_write, key_of, write_json
from vfer.runtime.pool import Died, cores, outcomes


@lru_cache(maxsize=1)
def _make(named: str) -> tuple[Descriptor, Plug]:
    """Make the descriptor, once a process; ``named`` is its entry in the config as JSON."""
    own = plug("model.descriptor", json.loads(named))
    assert own is not None
    return make_descriptor(own), own


def _seed_of(seed: int, what: str | int) -> int:
    """Return a seed of 32 bits for one clip or fold of a run."""
    return int(key_of([seed, what]), 16) % 2**32


def _describe(frames: Frames, named: str, flow: FlowConfig, seed: int, clip: str) -> Values:
    """Describe one clip, and see that it is a description.

    Raises:
        PlugError: If the descriptor fails, or returns something else.
    """
    descriptor, own = _make(named)
    drawn = _seed_of(seed, clip)
    return describe_clip(descriptor, own, frames.clip(clip), flow, drawn, clip)


def _describe_into(
    folder: Path, frames: Frames, named: str, flow: FlowConfig, seed: int, _: str, clip: str
) -> None:
    """Describe a clip, in a worker process, and keep that."""
    found = _describe(frames, named, flow, seed, clip)
    atomic_write(folder / _file(frames.store, clip), array_bytes(found))


def _file(store: CropStore, clip: str) -> str:
    """Return the name of a clip's file, which follows its crops."""
    return f"{entry_id(clip)}-{store.entry(clip).crops[:12]}.npy"


def _settings(run: Run) -> tuple[str, int]:
    """Return the descriptor's entry in the config as JSON, and the seed that it depends on."""
    named = json.dumps(run.config.model.descriptor, sort_keys=True)
    deterministic = getattr(_make(named)[0], "deterministic", False)
    return named, 0 if deterministic else run.config.protocol.seed


def check_descriptor(config: Config) -> None:
    """See that a descriptor and its classifier can be made, before any work.

    Raises:
        PlugError: If not.
    """
    if config.model.descriptor is not None:
        _make(json.dumps(config.model.descriptor, sort_keys=True))
        make_classifier(config.model.classifier, 0)


def try_descriptor(run: Run) -> None:
    """Describe one clip, before all of them are.

    Raises:
        PlugError: If that fails, or gives something else than a description.
    """
    named, seed = _settings(run)
    clip = next(run.store.usable(run.corpus))
    _describe(frames_of(run), named, run.config.data.flow, seed, clip.name)


def describe_clips(run: Run, console: Console) -> Path:
    """Describe every usable clip that is not described yet.

    Returns:
        The folder of the descriptors, in the crop store: all folds, and all runs with the same
        class, arguments and source, share them.
    """
    named, seed = _settings(run)
    data, store = run.config.data, run.store
    frames = frames_of(run)
    seen = [] if frames.control is None else [frames.control, frames.seed]
    key = key_of([run.plugs["model.descriptor"], seed, asdict(data.flow), *seen])
    folder = store.directory / f"descriptors-{key}"
    folder.mkdir(exist_ok=True)
    names = [clip.name for clip in store.usable(run.corpus)]
    missing = [name for name in names if not (folder / _file(store, name)).is_file()]
    work = partial(_describe_into, folder, frames, named, data.flow, seed)
    if not missing:
        return folder
    workers = min(data.workers or cores(), len(missing))
    with bar(console) as progress:
        task = progress.add_task("describing clips", total=len(missing))
        if workers <= 1:
            for name in missing:
                work("", name)
                progress.advance(task)
            return folder
        for name, outcome in outcomes(work, missing, ("one core",), workers, [__name__]):
            if isinstance(outcome, Died):
                raise RuntimeError(f"the process that described {name!r} {outcome.reason}")
            progress.advance(task)
    return folder


def _descriptors(folder: Path, run: Run, part: Part) -> list[Values]:
    """Return a part's descriptors: of each clip ``(D,)``, or local ones ``(N, D)``."""
    found = [np.load(folder / _file(run.store, clip.name)) for clip in part.clips]
    kinds = {(one.ndim, one.shape[-1]) for one in found}
    if len(kinds) > 1:
        own = run.plugs["model.descriptor"]["class_path"]
        raise ValueError(f"model.descriptor: {own} gives clips descriptors of different lengths D")
    return found


def score_by_descriptors(
    run: Run, fold: Fold, directory: Path, console: Console
) -> NDArray[np.float64]:
    """Fit the classifier on a fold's training clips, and score its test clips.

    Args:
        run: What all folds share.
        fold: The fold.
        directory: Where the record of what was fitted is left.
        console: Where progress is shown.

    Returns:
        Probabilities ``(clips, classes)`` of the test clips, 0…1. A class that no training clip
        shows has 0.
    """
    folder = describe_clips(run, console)
    classifier = fit_to_descriptors(run, fold, directory, console)
    return class_scores(classifier, _descriptors(folder, run, fold.test), len(run.corpus.classes))


def fit_to_descriptors(  # a scikit-learn estimator
    run: Run, fold: Fold, directory: Path, console: Console
) -> Any:  # noqa: ANN401
    """Fit the classifier on a fold's training clips; as ``score_by_descriptors``."""
    folder = describe_clips(run, console)
    classes = run.corpus.classes
    seed = _seed_of(run.config.protocol.seed, fold.number)
    classifier = make_classifier(run.config.model.classifier, seed)
    labels = [classes.index(clip.emotion) for clip in fold.train.clips]
    described = _descriptors(folder, run, fold.train)
    classifier.fit(classifier_input(described), labels)
    directory.mkdir(parents=True, exist_ok=True)
    seen = seen_in(run, fold.train)
    # A fitted estimator can only be pickled, which whoever reads it would run: it is fitted again.
    atomic_write(directory / TABLE, save(packed(described, labels)))
    write_json(directory / "environment.json", made_with())
    write_json(
        directory / STAGE_RECORD,
        {
            "stage": "classifier",
            "fold": None if fold.final else fold.number,
            "corpus": run.corpus.name,
            "classes": list(classes),
            "plugs": run.plugs,
            "classifier": repr(classifier),
            "descriptor": list(np.shape(described[0])),
            "seed": seed,
            "trained_on": sorted(seen.subjects),
            "videos": sorted(seen.videos),
        },
    )
    shown = " ".join(repr(classifier).split())
    console.print(f"{fold.title}: fitted to {len(labels)} clips: {shown}", markup=False)
    return classifier
