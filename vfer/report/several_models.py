"""What a report says of several models of one corpus."""

import math
from collections.abc import Sequence

from vfer.config.keys import differing, flatten
from vfer.report import figures
from vfer.report.bundles import SEED, Model
from vfer.report.numbers import difference, percent
from vfer.report.parts import Grid, Picture, Section
from vfer.results.bootstrap import paired_differences


def _settings(found: Sequence[Model]) -> list[str]:
    """The config keys in which models differ, seeds and outcomes' places left out."""
    first = found[0].config
    return sorted({k for model in found[1:] for k in differing(first, model.config) if k != SEED})


def sections(found: Sequence[Model]) -> list[Section]:
    """What the page says of models beside each other, in its order."""
    classes = found[0].results["classes"]
    keys = _settings(found)
    parts: list[Grid | Picture] = []
    if keys:
        parts.append(
            Grid(
                "settings",
                "In which settings they differ",
                ("", *keys),
                [[model.name, *(str(model.config.get(key)) for key in keys)] for model in found],
            )
        )
    parts += _environments(found)
    # The setting with more values goes along the axis.
    keys.sort(key=lambda key: -len({str(model.config.get(key)) for model in found}))
    parts.append(_swept(found, *(keys if 0 < len(keys) <= 2 else [""])))
    made = [Section("Settings", parts=parts)]
    rows, refused = [], []
    for model in found[1:]:
        try:
            tested = paired_differences(found[0].clips(), model.clips(), classes)
        except ValueError as error:
            refused.append(f"{model.name}: {error}")
            continue
        rows.append([model.name, difference(tested["accuracy"]), difference(tested["uar"])])
    made.append(
        Section(
            f"Against {found[0].name}",
            text=[
                "A paired bootstrap over subjects: both models are scored on the same resampled "
                "people. The variance between training runs is not in it; give several seeds to "
                "see that. p is for one comparison that was decided on beforehand: of many, some "
                "are small by chance."
            ],
            warnings=refused,
            parts=[
                Grid(
                    "paired",
                    "Difference in points (95 % interval), p",
                    ("", "accuracy", "UAR"),
                    rows,
                )
            ]
            if rows
            else (),
        )
    )
    recall = [
        [model.name, *(percent(model.results["recall"][name]) for name in classes)]
        for model in found
    ]
    coverage = [
        [model.name, *(str(count) for count in model.results["coverage"].values())]
        for model in found
    ]
    columns = ("", "clips", "scored", "without a face", "unreadable", "excluded")
    made.append(
        Section(
            "Classes and coverage",
            parts=[
                Grid("recall", "Recall of each class, pooled, % (of the first seed)",
                     ("", *classes), recall),
                Grid("coverage", "Clips (of the first seed)", columns, coverage),
            ],
        )
    )  # fmt: skip
    return made


def _environments(found: Sequence[Model]) -> list[Grid]:
    """In what else than settings models differ: code, device, versions."""
    known = [flatten(model.runs[0].environment) for model in found]
    keys = sorted(
        key
        for key in {key for one in known for key in one}
        if key.startswith(("commit", "device", "python", "packages.", "corpus.fingerprint"))
        and len({str(one.get(key)) for one in known}) > 1
    )
    rows = [
        [model.name, *(str(one.get(key)) for key in keys)]
        for model, one in zip(found, known, strict=True)
    ]
    title = "In what else they differ (of the first seed)"
    return [Grid("environments", title, ("", *keys), rows)] if keys else []


def _swept(found: Sequence[Model], key: str, second: str = "") -> Picture:
    """Accuracy over a setting, with lines of a second one; without a setting, of each model."""
    values = [model.config.get(key) if key else model.name for model in found]
    numbers = all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    points = []
    for model, value in zip(found, values, strict=True):
        accuracy = model.summary["accuracy"]
        points.append(
            figures.Point(
                x=float(str(value)) if numbers else str(value),
                line=str(model.config.get(second)) if second else "",
                pooled=accuracy["pooled"],
                interval=tuple(accuracy["ci95"]),
                seeds=[run.results["accuracy"]["pooled"] for run in model.runs],
            )
        )
    drawn = figures.swept_figure(points, key, second, found[0].results["chance"])
    what = "with 95 % intervals over subjects; small dots are seeds"
    if not key:
        return Picture("models", drawn, f"Accuracy of each model, {what}")
    name = key.rsplit(".", 1)[-1].replace("_", "-")
    return Picture(f"over-{name}", drawn, f"Accuracy over {key}, {what}")


def seeds(found: Sequence[Model]) -> Section:
    """Each run of the models, by its seed."""
    rows = [
        [
            model.name,
            ", ".join(map(str, run.results["seeds"])),
            *(percent(run.results[m]["mean"]) for m in ("accuracy", "uar", "macro_f1")),
        ]
        for model in found
        for run in model.runs
    ]
    return Section(
        "Seeds",
        text=[
            "The ± of a model of several seeds is the spread between its training runs; the "
            "interval over subjects is that between people. Neither holds the other."
        ],
        parts=[
            Grid(
                "seeds",
                "Mean over folds",
                ("", "seed", "accuracy, %", "UAR, %", "macro-F1, %"),
                rows,
            )
        ],
    )
