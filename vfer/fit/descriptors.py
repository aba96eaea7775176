"""Descriptors of clips in the place of networks, and a scikit-learn classifier behind them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vfer.config.tree import Config
from vfer.fit.datasets import Frames, Part
from vfer.fit.environment import made_with
from vfer.fit.run import Fold, Run, frames_of, seen_in
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.plugs import PlugError, make, plug
from vfer.prepare.store import CropStore, array_bytes, entry_id
from vfer.runtime.console import bar
from vfer.runtime.files import atomic_write, key_of, write_json
from vfer.runtime.pool import Died, cores, outcomes

Values = NDArray[np.floating[Any]]


class Descriptor(Protocol):
    """Describes whole clips: the contract of ``model.descriptor``.

    Two attributes may say more. With ``needs_flow = True``, ``describe`` gets the clip's optical
    flow as its second argument, ``(T−1, 2, 150, 110)`` float32 in crop pixels a frame. With
    ``deterministic = True`` nothing in it is random, and all seeds share its descriptors; without,
    the global generators of NumPy and torch are seeded before each clip.
    """

    def describe(self, crops: NDArray[np.uint8]) -> Values:
        """Describe a clip.

        Args:
            crops: ``(T, 150, 110, 3)`` uint8 RGB.

        Returns:
            ``(D,)``, or ``(N, D)`` local descriptors: the classifier then gets a list of these and
            its first step makes one row a clip.
        """


@lru_cache(maxsize=1)
def _make(named: str) -> Any:  # noqa: ANN401 - a `Descriptor`, or what shall be one
    """Make the descriptor, once a process; ``named`` is its entry in the config as JSON."""
    own = plug("model.descriptor", json.loads(named))
    assert own is not None
    found = make(own)
    if not callable(getattr(found, "describe", None)):
        raise PlugError(f"{own} has no method describe(crops)")
    return found


def _seed_of(seed: int, what: str | int) -> int:
    """Return a seed of 32 bits for one clip or fold of a run."""
    return int(key_of([seed, what]), 16) % 2**32


def _describe(frames: Frames, named: str, flow: FlowConfig, seed: int, clip: str) -> Values:
    """Describe one clip, and see that it is a description.

    Raises:
        PlugError: If the descriptor fails, or returns something else.
    """
    descriptor = _make(named)
    own = plug("model.descriptor", json.loads(named))
    crops = frames.clip(clip)
    given: list[NDArray[Any]] = [crops]
    if getattr(descriptor, "needs_flow", False):
        given.append(pair_flow(torch.from_numpy(crops)[None], flow)[0].numpy())
    drawn = _seed_of(seed, clip)
    np.random.seed(drawn)  # noqa: NPY002 - the user's may use it
    torch.manual_seed(drawn)
    try:
        found = np.asarray(descriptor.describe(*given))
    except (Exception, SystemExit) as error:  # whatever the user's class raises
        raise PlugError(f"{own} fails on {clip!r}: {type(error).__name__}: {error}") from error
    if found.ndim not in (1, 2) or not found.size or not np.issubdtype(found.dtype, np.number):
        raise PlugError(
            f"{own} returns {found.dtype} {found.shape} for {clip!r}; it must return numbers, "
            "(D,) or (N, D)"
        )
    if not np.isfinite(found).all():
        raise PlugError(f"{own} returns NaN or infinity for {clip!r}")
    return found


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
    deterministic = getattr(_make(named), "deterministic", False)
    return named, 0 if deterministic else run.config.protocol.seed


def check_descriptor(config: Config) -> None:
    """See that a descriptor and its classifier can be made, before any work.

    Raises:
        PlugError: If not.
    """
    if config.model.descriptor is not None:
        _make(json.dumps(config.model.descriptor, sort_keys=True))
        make_classifier(config, 0)


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


def make_classifier(config: Config, seed: int) -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """Make the classifier; what is random in it and has no seed of its own gets this one.

    Raises:
        PlugError: If it cannot be used.
    """
    own = plug("model.classifier", config.model.classifier)
    if own is None:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    found = make(own)
    lacking = [name for name in ("fit", "predict_proba", "get_params") if not hasattr(found, name)]
    if lacking:
        raise PlugError(
            f"{own} has no {', '.join(lacking)}; it must be a scikit-learn classifier that gives "
            "probabilities (around another, CalibratedClassifierCV gives them)"
        )
    seeds = [
        name for name, value in found.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]  # fmt: skip
    return found.set_params(**dict.fromkeys(seeds, seed))


def _rows(folder: Path, run: Run, part: Part) -> Sequence[Values] | Values:
    """Return a part's descriptors: ``(clips, D)``, or a list of local ones ``(N, D)`` a clip."""
    found = [np.load(folder / _file(run.store, clip.name)) for clip in part.clips]
    kinds = {(one.ndim, one.shape[-1]) for one in found}
    if len(kinds) > 1:
        own = run.plugs["model.descriptor"]["class_path"]
        raise ValueError(f"model.descriptor: {own} gives clips descriptors of different lengths D")
    return np.stack(found) if found[0].ndim == 1 else found


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
    classes = run.corpus.classes
    seed = _seed_of(run.config.protocol.seed, fold.number)
    classifier = make_classifier(run.config, seed)
    labels = [classes.index(clip.emotion) for clip in fold.train.clips]
    rows = _rows(folder, run, fold.train)
    classifier.fit(rows, labels)
    found = classifier.predict_proba(_rows(folder, run, fold.test))
    scores: NDArray[np.float64] = np.zeros((len(fold.test.clips), len(classes)))
    scores[:, classifier.classes_] = found
    directory.mkdir(parents=True, exist_ok=True)
    seen = seen_in(run, fold.train)
    write_json(directory / "environment.json", made_with())
    write_json(
        directory / "stage.json",
        {
            "stage": "classifier",
            "fold": fold.number,
            "corpus": run.corpus.name,
            "classes": list(classes),
            "plugs": run.plugs,
            "classifier": repr(classifier),
            "descriptor": list(np.shape(rows[0])),
            "trained_on": sorted(seen.subjects),
            "videos": sorted(seen.videos),
        },
    )
    shown = " ".join(repr(classifier).split())
    console.print(f"fold {fold.number}: fitted to {len(labels)} clips: {shown}", markup=False)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
