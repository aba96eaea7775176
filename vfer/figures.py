"""The bundle's figures, drawn from its tables and crops."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from vfer.corpora import Corpus
from vfer.faces import HEIGHT, WIDTH
from vfer.flow import flow_to_rgb
from vfer.store import CropStore
from vfer.tables import CurvePoint
from vfer.transforms import FlowConfig, pair_flow

# The paper's order of classes in its confusion matrices, Figures 12 and 13.
_ORDER = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")


def confusion_figure(results: dict[str, Any]) -> Figure:
    """The confusion matrix of all folds, rows to 100 %, like Figures 12 and 13."""
    classes = results["classes"]
    order = [c for c in _ORDER if c in classes] + [c for c in classes if c not in _ORDER]
    where = [classes.index(c) for c in order]
    counts = np.array(results["confusion_matrix"])[np.ix_(where, where)]
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(*share.shape):
        colour = "white" if share[i, j] > 55 else "black"
        axes.text(j, i, f"{share[i, j]:.1f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(order)), order, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(order)), [f"{c} ({n})" for c, n in zip(order, counts.sum(1), strict=True)]
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("shown (scored clips)")
    accuracy = results["accuracy"]["pooled"]
    axes.set_title(f"{results['corpus']}: all folds, accuracy {accuracy:.1%}", fontsize=10)
    return figure


def curves_figure(curves: Sequence[CurvePoint]) -> Figure:
    """Accuracy over iterations of each stage, like Figures 2 to 7: thin folds, bold mean."""
    stages = list(dict.fromkeys(point.stage for point in curves))
    figure = Figure(figsize=(3.4 * len(stages), 3.0), layout="constrained")
    for column, stage in enumerate(stages):
        axes = figure.add_subplot(1, len(stages), column + 1)
        for split, colour, label in (
            ("train", "tab:gray", "training batches"),
            ("test", "tab:blue", "test group, clips"),
        ):
            points = [p for p in curves if (p.stage, p.split) == (stage, split)]
            steps = sorted({p.iteration for p in points})
            for fold in sorted({p.fold for p in points}):
                mine = [(p.iteration, p.accuracy) for p in points if p.fold == fold]
                axes.plot(*np.array(mine, float).T, color=colour, lw=0.6, alpha=0.5)
            mean = [np.mean([p.accuracy for p in points if p.iteration == s]) for s in steps]
            axes.plot(steps, mean, color=colour, lw=2, marker=".", label=label)
        axes.set(title=stage, xlabel="iteration", ylim=(0, 1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("accuracy")
    figure.axes[0].legend(fontsize=7, loc="best")
    return figure


def crops_figure(corpus: Corpus, store: CropStore, config: FlowConfig, columns: int = 6) -> Figure:
    """Crops and flow over time of one clip a class, each of another subject where there is one.

    Flow is coloured by direction, full colour at the flow images' limit.
    """
    usable = list(store.usable(corpus))
    subjects = sorted({clip.subject for clip in usable})
    rows = []
    for number, emotion in enumerate(corpus.classes):
        clips = [c for c in usable if c.emotion == emotion]
        wanted = subjects[number % len(subjects)]
        if clips:
            rows.append(next((c for c in clips if c.subject == wanted), clips[0]))
    figure = Figure(figsize=(columns * 1.1, len(rows) * 2 * 1.5 / 1.1), layout="constrained")
    grid = figure.subplots(2 * len(rows), columns, squeeze=False)
    for row, clip in enumerate(rows):
        crops = store.crops(clip.name)
        picked = np.linspace(0, max(len(crops) - 2, 0), columns).round().astype(int)
        for column, frame in enumerate(picked.tolist()):
            pair = crops[[frame, min(frame + 1, len(crops) - 1)]]
            flow = pair_flow(torch.from_numpy(pair)[None], config)[0]
            colours = flow_to_rgb(flow, config.limit)[0].permute(1, 2, 0)
            images = (pair[0], colours.numpy())
            places = grid[2 * row : 2 * row + 2, column]
            for image, axes in zip(images, places, strict=True):
                axes.imshow(image, extent=(0, WIDTH, HEIGHT, 0))
                axes.set(xticks=[], yticks=[])
        grid[2 * row, 0].set_ylabel(f"{clip.emotion}\nsubject {clip.subject}", fontsize=7)
        grid[2 * row + 1, 0].set_ylabel("flow", fontsize=7)
    return figure


def draw(
    folder: Path,
    results: dict[str, Any],
    curves: Sequence[CurvePoint],
    corpus: Corpus,
    store: CropStore,
    config: FlowConfig,
) -> None:
    """Write ``confusion.png``, ``curves.png`` and ``crops.png`` into a folder."""
    folder.mkdir(exist_ok=True)
    figures = {
        "confusion": confusion_figure(results),
        "curves": curves_figure(curves),
        "crops": crops_figure(corpus, store, config),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
