"""What a report says of how settings and iterations were selected, and on whom."""

from collections.abc import Sequence
from typing import Any

from vfer.report.bundles import Bundle, Model
from vfer.report.numbers import percent
from vfer.report.parts import Grid, Section
from vfer.results.scoring import NESTED
from vfer.results.unit import unit_of

_SAID = {
    "last": "Each stage ends with its last iteration: none was selected.",
    "validation": "The iteration of each stage was chosen on a training group that was held out "
    "for this, not on the test group.",
    NESTED: "In each fold the settings and the iteration were chosen on a training group that was "
    "held out for this: nothing was selected on a test group.",
}
_BEST = (
    "Whoever takes the best of them has chosen on the test groups: its figure flatters, and is no "
    "result. vfer.sweep --nested chooses without the test groups."
)


def how_selected(models: Sequence[Model]) -> list[str]:
    """Say by what iterations and settings were selected; of models that differ, of each kind."""
    names: dict[str, list[str]] = {}
    for model in models:
        names.setdefault(model.results["selection"], []).append(model.name)
    if len(names) == 1:
        said = [_SAID[kind] for kind in names]
    else:
        said = [f"{', '.join(of)}: {_SAID[kind]}" for kind, of in names.items()]
    if len(models) > 1 and not _swept(models):
        people = unit_of(models[0].results).people
        said.append(f"These {len(models)} models were tested on the same {people}. {_BEST}")
    return said


def selection_warnings(models: Sequence[Model]) -> list[str]:
    """Say where a figure may have been chosen on its own test groups."""
    swept = _swept(models)
    if not swept:
        return []
    told, people = swept[0].environment["sweep"], unit_of(models[0].results).people
    if len(models) > 1:
        return [
            f"{len(swept)} of these models are points of a sweep{_over(told)}, tested on the same "
            f"{people}. {_BEST}"
        ]
    count = "one point" if told.get("points") is None else f"one of {told['points']} points"
    return [
        f"{models[0].name} is {count} of a sweep{_over(told)}, all tested on the same {people}. "
        "If it was taken because it did best there, it was chosen on its own test groups: its "
        "figure flatters, and is no result. vfer.sweep --nested chooses without the test groups."
    ]


def _swept(models: Sequence[Model]) -> list[Bundle]:
    """Return the first run of each model that is a point of a sweep, and not chosen by nesting."""
    runs = [model.runs[0] for model in models]
    return [
        run
        for run in runs
        if run.results["selection"] != NESTED and isinstance(run.environment.get("sweep"), dict)
    ]


def _over(told: dict[str, Any]) -> str:
    return f" over {', '.join(map(str, told['keys']))}" if told.get("keys") else ""


def nested_section(run: Bundle) -> Section | None:
    """Show which point each fold took, and how good every point was on its validation group."""
    if run.nested is None:
        return None
    folds, points = run.nested["folds"], run.nested["points"]
    tested = {one["fold"]: one["accuracy"] for one in run.results["folds"]}
    taken = [
        [
            str(one["fold"]),
            str(one["validation_group"]),
            one["point"],
            percent(one["scores"][one["point"]]["accuracy"]),
            str(one["scores"][one["point"]]["iteration"]),
            percent(tested[one["fold"]]),
        ]
        for one in folds
    ]
    scores = [
        [
            name,
            *(
                percent(one["scores"][name]["accuracy"]) + " ←" * (one["point"] == name)
                for one in folds
            ),
        ]
        for name in points
    ]
    different = len({one["point"] for one in folds})
    return Section(
        "Nested selection",
        text=[
            f"Of {len(points)} points over {', '.join(run.nested['keys'])} each fold took the one "
            f"that was best on its validation group, which is a training group: {different} "
            f"different in {len(folds)} folds. Of equal accuracies the smaller loss there decides, "
            "and then the order of the sweep."
        ],
        parts=[
            Grid(
                "nested",
                "Taken in each fold",
                (
                    "fold", "validation group", "point taken", "accuracy there, %", "iteration",
                    "accuracy on the test group, %",
                ),
                taken,
                "The accuracy on the validation group was chosen for and is too good; that on the "
                "test group is the result.",
            ),
            Grid(
                "nested-scores",
                "Accuracy of every point on each fold's validation group, %; the arrow is the one "
                "taken",
                ("point", *(f"fold {one['fold']}" for one in folds)),
                scores,
            ),
        ],
    )  # fmt: skip
