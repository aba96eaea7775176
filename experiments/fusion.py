"""Does the fusion pay? What the two streams know apart, and what of it is found together.

The streams of a trained bundle as stages 1 and 2 have left them describe every pair of frames of
every clip once. Then, on each fold: what their own classifiers say of test clips, alone and
averaged; what logistic regression (its C chosen on training subjects) makes of the features of a
segment summed over frames, of one stream, of both added up as EmotionalVlan does, and of both side
by side; and what the bundle's third stage makes of them. Pooled clip accuracy, with its interval
over subjects.

    python -m experiments.fusion --run runs/demo --crops cache/crops/facs-…
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file

from vfer.baselines.classifier import fit_classifier
from vfer.networks.build import build_frame_network
from vfer.networks.streams import FrameNetwork
from vfer.predict.load import NetworkModel, load_model
from vfer.prepare.store import CropStore
from vfer.results.bootstrap import bootstrap_interval
from vfer.results.tables import STREAMS, ClipResult, read_tables
from vfer.results.tally import tally
from vfer.runtime.console import bar

Array = NDArray[np.float64]


def streams_of(run: Path, model: NetworkModel, fold: int) -> dict[str, FrameNetwork]:
    """Return the networks that stages 1 and 2 of a fold have left."""
    found = {}
    for name in STREAMS:
        network = build_frame_network(model.bundle.model, len(model.classes))
        network.load_state_dict(load_file(run / f"fold-{fold}" / name / "weights.safetensors"))
        found[name] = network.eval()
    return found


@torch.inference_mode()
def describe(
    streams: dict[str, FrameNetwork], model: NetworkModel, crops: NDArray[np.uint8]
) -> tuple[Array, Array]:
    """Return of a clip each stream's features summed over each segment, and its classes.

    Returns:
        ``(streams, S, features)``, and the mean softmax of its images ``(streams, classes)``.
    """
    pairs = np.stack([crops[:-1], crops[1:]], axis=1)
    frames = model.clip_windows(len(crops))
    sums, says = [], []
    images = model.images(pairs)
    for name, network in streams.items():
        features = network.stream(images[name].flatten(0, 1))
        first = np.minimum(frames[:, :-1], len(pairs) - 1)
        sums.append(features[torch.from_numpy(first)].double().sum(dim=1).numpy())
        says.append(network.classifier(features).double().softmax(dim=1).mean(dim=0).numpy())
    return np.stack(sums), np.stack(says)


def _regress(
    train: Array, labels: NDArray[np.int64], people: list[str], tests: list[Array], classes: int
) -> list[Array]:
    """Fit a regression on training segments; return each test clip's mean softmax."""
    weight, bias, _ = fit_classifier(train.astype(np.float32), labels, people, classes)
    logits = [one @ weight.T + bias for one in tests]
    return [torch.from_numpy(one).softmax(dim=1).mean(dim=0).numpy() for one in logits]


def one_fold(
    run: Path, fold: int, rows: Sequence[ClipResult], store: CropStore, console: Console
) -> dict[str, list[ClipResult]]:
    """Return the rows of a fold's test clips by each way to put the streams together."""
    model = load_model(run, fold=fold, device="cpu")
    assert isinstance(model, NetworkModel)
    streams, classes = streams_of(run, model, fold), list(model.classes)
    found = {}
    with bar(console) as progress:
        task = progress.add_task(f"fold {fold}: describing clips", total=len(rows))
        for row in rows:
            found[row.clip] = describe(streams, model, np.array(store.crops(row.clip)))
            progress.advance(task)
    train, test = ([r for r in rows if (r.fold == fold) == held] for held in (False, True))
    labels = np.concatenate(
        [np.full(found[r.clip][0].shape[1], classes.index(r.label)) for r in train]
    )
    people = [r.subject for r in train for _ in range(found[r.clip][0].shape[1])]
    says = {r.clip: found[r.clip][1] for r in test}
    said = {
        **{f"{name}, its own classifier": [says[r.clip][i] for r in test]
           for i, name in enumerate(STREAMS)},
        "both classifiers' mean": [says[r.clip].mean(axis=0) for r in test],
    }  # fmt: skip
    ways: dict[str, Callable[[Array], Array]] = {
        **{f"{name}, regression": itemgetter(i) for i, name in enumerate(STREAMS)},
        "added up (V), regression": lambda sums: sums.sum(axis=0),
        "side by side, regression": lambda sums: np.hstack(list(sums)),
    }
    for name, way in ways.items():
        features = np.concatenate([way(found[r.clip][0]) for r in train])
        tests = [way(found[r.clip][0]) for r in test]
        said[name] = _regress(features, labels, people, tests, len(classes))
    scored = {
        name: [
            replace(row, probabilities=tuple(one.tolist()))
            for row, one in zip(test, of_clips, strict=True)
        ]
        for name, of_clips in said.items()
    }
    return scored | {"the trained third stage": test}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a bundle of the paper's model")
    parser.add_argument("--crops", type=Path, required=True, help="the crop store of its corpus")
    given = parser.parse_args(argv)
    console = Console(highlight=False)
    store = CropStore(given.crops)
    first = load_model(given.run, device="cpu")
    rows = [r for r in read_tables(given.run, first.classes).clips if r.status == "scored"]
    pooled: dict[str, list[ClipResult]] = defaultdict(list)
    for fold in sorted({r.fold for r in rows if r.fold is not None}):
        for name, scored in one_fold(given.run, fold, rows, store, console).items():
            pooled[name] += scored
    table = Table("what", "clips right, %", "95 % over subjects")
    for name, scored in pooled.items():
        low, high = bootstrap_interval(scored, first.classes)["accuracy"]
        share = float(tally(scored, first.classes).accuracy())
        table.add_row(name, f"{100 * share:.1f}", f"{100 * low:.1f} to {100 * high:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
