"""What a report says of several runs of one model: by their seeds and their group assignments."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vfer.report.bundles import DEALT, Model
from vfer.report.numbers import percent
from vfer.report.parts import Grid, Section
from vfer.results.unit import unit_of

Groups = frozenset[frozenset[str]]


def section_of_runs(models: Sequence[Model]) -> Section:
    """List each run of the models, by its seed and its groups."""
    dealt = any(model.assignments > 1 for model in models)
    rows = [
        [
            model.name,
            ", ".join(map(str, run.seeds)),
            *([str(run.config.get(DEALT))] if dealt else []),
            *(percent(run.results[m]["mean"]) for m in ("accuracy", "uar", "macro_f1")),
        ]
        for model in models
        for run in model.runs
    ]
    unit = unit_of(models[0].results)
    text = (
        f"The ± of a model of several runs is the spread between these; the interval over "
        f"{unit.plural} is that between {unit.people}. Neither holds the other."
    )
    if dealt:
        text += (
            " Each group assignment is trained anew, so that its spread holds that between seeds."
        )
    columns = ("", "seed", *(["groups"] if dealt else []), "accuracy, %", "UAR, %", "macro-F1, %")
    return Section("Runs", text=[text], parts=[Grid("runs", "Mean over folds", columns, rows)])


def _by_assignment(first: Model, other: Model) -> dict[Groups, tuple[float, float]]:
    """Return the pooled accuracy of two models in each group assignment that both have.

    In each assignment it is the mean over the seeds that both have.
    """
    pairs: dict[Groups, list[tuple[float, float]]] = defaultdict(list)
    theirs = {(run.seeds, run.groups): run for run in other.runs}
    for run in first.runs:
        match = theirs.get((run.seeds, run.groups))
        if match is not None:
            both = (one.results["accuracy"]["pooled"] for one in (run, match))
            pairs[run.groups].append(tuple(both))
    return {groups: tuple(np.mean(found, axis=0).tolist()) for groups, found in pairs.items()}


def _order(name: str, other: str, gaps: Sequence[float]) -> str:
    """Say in how many assignments a model is ahead of another, from their differences."""
    ahead, behind = (sum(sign * gap > 0 for gap in gaps) for sign in (1, -1))
    said = f"{name} is ahead of {other} in {ahead} of {len(gaps)} group assignments, behind in"
    said += f" {behind}"
    if ahead and behind:
        return f"{said}: their order depends on who is tested with whom."
    if len(gaps) in (ahead, behind):
        return f"{said}: their order holds in each."
    return f"{said}, level in {len(gaps) - ahead - behind}."


def section_of_order(models: Sequence[Model]) -> Section | None:
    """Say whether the order of two models holds in each assignment; None without several."""
    first, *others = models
    label = {run.groups: str(run.config.get(DEALT)) for run in first.runs}
    text, rows = [], []
    for model in others:
        found = _by_assignment(first, model)
        if len(found) < 2:
            continue
        text.append(_order(model.name, first.name, [b - a for a, b in found.values()]))
        rows += [
            [model.name, label[groups], percent(a), percent(b), f"{100 * (b - a):+.1f}"]
            for groups, (a, b) in found.items()
        ]
    if not rows:
        return None
    columns = ("", "groups", f"{first.name}, %", "this model, %", "difference, points")
    return Section(
        "In each group assignment",
        text=[
            *text,
            "The assignments share people and most of their training clips: that an order holds in "
            "each is no test.",
        ],
        parts=[Grid("order", "Accuracy over all clips", columns, rows, terminal=len(columns))],
        said=True,
    )
