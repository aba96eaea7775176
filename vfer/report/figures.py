"""The bundle's figures, drawn from its tables and crops."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vfer.corpora import Corpus
from vfer.faces.settings import HEIGHT, WIDTH
from vfer.flow.images import flow_to_rgb
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.prepare.store import CropStore
from vfer.report.published import in_papers_order
from vfer.results.tables import STAGES, ClipResult, CurvePoint, Tables
from vfer.results.tally import tally


def confusion_figure(results: dict[str, Any], clips: Sequence[ClipResult]) -> Figure:
    """Draw the confusion matrix of all folds, rows to 100 %, like Figures 12 and 13.

    Clips without a face and unreadable ones, which the accuracy counts as wrong, have a column of
    their own where there are any.
    """
    classes = results["classes"]
    order = in_papers_order(classes)
    where = [classes.index(c) for c in order]
    answers = np.array(results["confusion_matrix"])[np.ix_(where, where)]
    clips_of = tally(clips, classes).clips[where]
    missed = clips_of - answers.sum(axis=1)
    columns, counts = list(order), answers
    if missed.any():
        columns, counts = [*order, "no answer"], np.column_stack([answers, missed])
    share = 100 * counts / np.maximum(clips_of[:, None], 1)
    width, height = 0.5 * len(columns), 0.5 * len(order)
    figure = Figure(figsize=(2.2 + width, 1.6 + height), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(*share.shape):
        colour = "white" if share[i, j] > 55 else "black"
        axes.text(j, i, f"{share[i, j]:.1f}", ha="center", va="center", color=colour, fontsize=9)
    if missed.any():
        axes.axvline(len(order) - 0.5, color="gray", lw=1)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(order)), [f"{c} ({n})" for c, n in zip(order, clips_of, strict=True)])
    axes.set_xlabel("predicted")
    axes.set_ylabel("shown (clips)")
    accuracy = results["accuracy"]["pooled"]
    axes.set_title(f"{results['corpus']}: all folds, accuracy {accuracy:.1%}", fontsize=10)
    return figure


_SPLITS = {
    "train": ("tab:gray", "training batches"),
    "validation": ("tab:orange", "validation group, clips"),
    "test": ("tab:blue", "test group, clips"),
}


def measured_stages(curves: Sequence[CurvePoint]) -> list[str]:
    """Return the stages of which an accuracy was measured, in their order."""
    stages = dict.fromkeys(point.stage for point in curves if point.accuracy is not None)
    return sorted(stages, key=lambda stage: (*STAGES, stage).index(stage))  # unknown ones last


def curves_figure(curves: Sequence[CurvePoint], stages: Sequence[str]) -> Figure:
    """Draw accuracy over iterations, like Figures 2 to 7: thin folds, bold mean.

    Args:
        curves: Of all folds.
        stages: Which to draw, at least one.
    """
    figure = Figure(figsize=(3.4 * len(stages), 3.0), layout="constrained")
    for column, stage in enumerate(stages):
        axes = figure.add_subplot(1, len(stages), column + 1)
        for split, (colour, label) in _SPLITS.items():
            points = [
                (p.fold, p.iteration, p.accuracy)
                for p in curves
                if (p.stage, p.split) == (stage, split) and p.accuracy is not None
            ]
            if not points:
                continue
            for fold in sorted({fold for fold, _, _ in points}):
                mine = [(step, value) for number, step, value in points if number == fold]
                axes.plot(*np.array(mine, float).T, color=colour, lw=0.6, alpha=0.5)
            steps = sorted({step for _, step, _ in points})
            mean = [np.mean([v for _, step, v in points if step == s]) for s in steps]
            axes.plot(steps, mean, color=colour, lw=2, marker=".", label=label)
        axes.set(title=stage, xlabel="iteration", ylim=(0, 1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("accuracy")
    figure.axes[0].legend(fontsize=7, loc="best")
    return figure


def subjects_figure(accuracy: Mapping[str, float], mean: float) -> Figure:
    """Draw the accuracy of each subject, 0…1, sorted, with the mean over all clips."""
    names = sorted(accuracy, key=lambda name: (accuracy[name], name))
    figure = Figure(figsize=(4.6, 1.0 + 0.19 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.hlines(range(len(names)), 0, [accuracy[n] for n in names], color="tab:blue", lw=1)
    axes.plot([accuracy[n] for n in names], range(len(names)), "o", color="tab:blue", ms=4)
    axes.axvline(mean, color="black", lw=1, ls="--", label=f"all clips: {mean:.1%}")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlim=(0, 1.02), ylim=(-0.7, len(names) - 0.3), xlabel="accuracy", ylabel="subject")
    axes.legend(fontsize=8, loc="lower right")
    return figure


def clips_figure(clips: Sequence[tuple[str, NDArray[np.uint8]]], columns: int = 6) -> Figure:
    """Draw crops over time of some clips, each with its title, one a row.

    Args:
        clips: Title and crops ``(T, 150, 110, 3)`` uint8.
        columns: Frames of each.
    """
    figure = Figure(figsize=(0.9 * columns, 1.5 * len(clips)), layout="constrained")
    parts = figure.subfigures(len(clips), 1, squeeze=False)[:, 0]
    for part, (title, crops) in zip(parts, clips, strict=True):
        part.suptitle(title, fontsize=10, x=0.01, ha="left")
        picked = np.linspace(0, len(crops) - 1, columns).round().astype(int)
        for axes, frame in zip(part.subplots(1, columns), picked.tolist(), strict=True):
            axes.axis("off")
            axes.imshow(crops[frame])
    return figure


@dataclass(frozen=True)
class SweptModel:
    """One model of a comparison over a setting.

    Attributes:
        x: The setting's value.
        line: The value of a second setting; empty without one.
        pooled: Accuracy over all clips, 0…1.
        interval: Its 95 % interval.
        seeds: The pooled accuracy of each seed.
    """

    x: float | str
    line: str
    pooled: float
    interval: tuple[float, float]
    seeds: Sequence[float]


def swept_figure(models: Sequence[SweptModel], x: str, line: str, chance: float) -> Figure:
    """Draw accuracy over a setting with intervals over subjects, like Figure 9.

    Args:
        models: The models.
        x: Name of the setting on the axis, or nothing; numbers stand at their place, on a
            logarithmic axis where they span a factor of 50, words side by side in the order of
            the models.
        line: Name of a second setting, a line each; empty without one.
        chance: 0…1.
    """
    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    axes = figure.add_subplot()
    values = list(dict.fromkeys(m.x for m in models))
    numbers = all(not isinstance(value, str) for value in values)
    if numbers:
        values.sort()
    numbered = [float(v) for v in values if not isinstance(v, str)]
    wide = numbers and numbered[0] > 0 and numbered[-1] >= 50 * numbered[0]  # such as step sizes
    places = {
        v: float(k) if isinstance(v, str) else math.log10(v) if wide else v
        for k, v in enumerate(values)
    }
    lines = sorted({m.line for m in models})
    gap = min(np.diff(sorted(places.values())), default=1.0)
    for number, name in enumerate(lines):
        mine = sorted((m for m in models if m.line == name), key=lambda m: places[m.x])
        shift = 0.08 * gap * (number - (len(lines) - 1) / 2)  # intervals side by side
        at = [places[m.x] + shift for m in mine]
        pooled = np.array([m.pooled for m in mine])
        ends = np.abs(np.array([m.interval for m in mine]).T - pooled)
        style = "-o" if numbers and len(set(at)) == len(at) else "o"
        drawn = axes.errorbar(at, pooled, ends, fmt=style, capsize=3, label=f"{line} {name}")
        for place, model in zip(at, mine, strict=True):
            if len(model.seeds) > 1:
                axes.plot([place] * len(model.seeds), model.seeds, ".", ms=4,
                          color=drawn.lines[0].get_color(), alpha=0.5)  # fmt: skip
    axes.axhline(chance, color="gray", lw=1, ls=":")
    axes.annotate("chance", (0.01, chance), xycoords=("axes fraction", "data"), fontsize=7,
                  color="gray", va="bottom")  # fmt: skip
    if numbers and (wide or len(values) <= 12):
        axes.set_xticks([places[v] for v in values], [f"{v:g}" for v in values])
    elif not numbers:
        names = [str(v) for v in values]
        axes.set_xticks([places[v] for v in values], names)
        if sum(map(len, names)) > 40:
            for label in axes.get_xticklabels():
                label.set(rotation=35, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set(xlabel=x, ylabel="accuracy, all clips")
    axes.grid(alpha=0.3)
    if line:
        axes.legend(fontsize=8)
    return figure


def crops_figure(corpus: Corpus, store: CropStore, config: FlowConfig, columns: int = 6) -> Figure:
    """Draw crops and flow over time of a clip a class, each of another subject if there is one.

    Flow is coloured by direction, full colour at the flow images' limit.
    """
    usable = list(store.usable(corpus))
    subjects = sorted({clip.subject for clip in usable})
    rows = []
    for number, emotion in enumerate(in_papers_order(corpus.classes)):
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
        who = f"\nsubject {clip.subject}" if corpus.subjects_known else ""
        grid[2 * row, 0].set_ylabel(f"{clip.emotion}{who}", fontsize=7)
        grid[2 * row + 1, 0].set_ylabel("flow", fontsize=7)
    return figure


def draw_scores(folder: Path, results: dict[str, Any], tables: Tables) -> None:
    """Write ``confusion.png`` and, if there are curves, ``curves.png``."""
    stages = measured_stages(tables.curves)
    with mpl.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
        figures = {"confusion": confusion_figure(results, tables.clips)}
        if stages:
            figures["curves"] = curves_figure(tables.curves, stages)
        _save(folder, figures)


def draw_figures(
    folder: Path,
    results: dict[str, Any],
    tables: Tables,
    corpus: Corpus,
    store: CropStore,
    config: FlowConfig,
) -> None:
    """Write ``crops.png`` and those of `draw_scores`."""
    draw_scores(folder, results, tables)
    with mpl.rc_context({"text.parse_math": False}):
        _save(folder, {"crops": crops_figure(corpus, store, config)})


def _save(folder: Path, figures: Mapping[str, Figure]) -> None:
    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
