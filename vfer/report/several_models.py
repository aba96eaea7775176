"""What a report says of several models of one corpus."""

import math
from collections.abc import Sequence

from vfer.config.keys import differing, flatten
from vfer.report import figures
from vfer.report.bundles import VARIED, Model, source_of
from vfer.report.numbers import difference, percent
from vfer.report.parts import Grid, Picture, Section
from vfer.report.published import in_papers_order
from vfer.report.runs import section_of_order
from vfer.results.paired import MIN_FOR_INTERVAL, paired_differences
from vfer.results.unit import unit_of


def sections_of_several(models: Sequence[Model]) -> list[Section]:
    """Return what the page says of models beside each other, in its order."""
    order = section_of_order(models)
    return [
        _settings(models),
        _against_first(models),
        *([order] if order is not None else []),
        _classes_and_coverage(models),
    ]


def _settings(models: Sequence[Model]) -> Section:
    """Show in what models differ, and accuracy over it."""
    config = models[0].config
    keys = sorted({k for m in models[1:] for k in differing(config, m.config) if k not in VARIED})
    parts: list[Grid | Picture] = []
    if keys:
        rows = [[model.name, *(str(model.config.get(key)) for key in keys)] for model in models]
        parts.append(Grid("settings", "In which settings they differ", ("", *keys), rows))
    parts += _environments(models)
    # The setting with more values goes along the axis.
    keys.sort(key=lambda key: -len({str(model.config.get(key)) for model in models}))
    parts.append(_swept(models, *(keys if 0 < len(keys) <= 2 else [""])))
    return Section("Settings", parts=parts)


def _against_first(models: Sequence[Model]) -> Section:
    """Test each model against the first."""
    first, rows, refused = models[0], [], []
    for model in models[1:]:
        ours, theirs = first.runs[0].videos, model.runs[0].videos
        other = [name for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]]
        if other:  # as of two rendered corpora, whose names are the same
            refused.append(
                f"{model.name}: not compared with {first.name}: of other videos, such as {other[0]}"
            )
            continue
        try:
            tested = paired_differences(first.clips(), model.clips(), first.results["classes"])
        except ValueError as error:
            refused.append(f"{model.name}: {error}")
            continue
        rows.append([model.name, difference(tested["accuracy"]), difference(tested["uar"])])
    title, unit = "Difference in points (95 % interval), p", unit_of(first.results)
    anybody = "any person" if unit.known else "any clip"
    header = ("", "accuracy", "UAR")
    return Section(
        f"Against {first.name}",
        text=[
            f"A sign-flip test over {unit.plural}: were two models equal, their answers of "
            f"{anybody} could change places. The interval holds the differences that the test "
            "does not reject at 0.05; with fewer than "
            f"{MIN_FOR_INTERVAL} {unit.plural} it can reject none, and there is no interval. "
            "The variance between training runs is not in it; give several "
            "seeds to see that. p is for one comparison that was decided on beforehand: of many, "
            "some are small by chance."
        ],
        warnings=refused,
        parts=[Grid("paired", title, header, rows, terminal=len(header))] if rows else (),
    )


def _classes_and_coverage(models: Sequence[Model]) -> Section:
    classes = in_papers_order(models[0].results["classes"])
    recall = [[m.name, *(percent(m.results["recall"][name]) for name in classes)] for m in models]
    coverage = [[m.name, *(str(n) for n in m.results["coverage"].values())] for m in models]
    columns = ("", "clips", "scored", "without a face", "unreadable", "excluded")
    title = "Recall of each class, pooled, % (of the first run)"
    return Section(
        "Classes and coverage",
        parts=[
            Grid("recall", title, ("", *classes), recall),
            Grid("coverage", "Clips (of the first run)", columns, coverage),
        ],
    )


def _environments(models: Sequence[Model]) -> list[Grid]:
    """Show in what else than settings models differ: code, device, versions."""
    of_model = []
    for model in models:
        run = model.runs[0]
        code = {f"plugs.{key}": source_of(one) for key, one in run.plugs.items()}
        of_model.append(flatten(run.environment) | code)
    named = {f"plugs.{key}" for model in models for key in model.runs[0].plugs}
    starts = ("commit", "device", "python", "packages.", "corpus.fingerprint")
    keys = sorted(
        key
        for key in {key for one in of_model for key in one}
        if (key.startswith(starts) or key in named)
        and len({str(one.get(key)) for one in of_model}) > 1
    )
    rows = [
        [model.name, *(str(one.get(key)) for key in keys)]
        for model, one in zip(models, of_model, strict=True)
    ]
    title = "In what else they differ (of the first run)"
    return [Grid("environments", title, ("", *keys), rows)] if keys else []


def _swept(models: Sequence[Model], key: str, second: str = "") -> Picture:
    """Draw accuracy over a setting, a line each of a second one; without any, of each model."""
    values = [model.config.get(key) if key else model.name for model in models]
    numbers = all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    placed = []
    for model, value in zip(models, values, strict=True):
        accuracy = model.summary["accuracy"]
        placed.append(
            figures.SweptModel(
                x=float(str(value)) if numbers else str(value),
                line=str(model.config.get(second)) if second else "",
                pooled=accuracy["pooled"],
                interval=tuple(accuracy["ci95"]),
                seeds=[run.results["accuracy"]["pooled"] for run in model.runs],
            )
        )
    drawn = figures.swept_figure(placed, key, second, models[0].results["chance"])
    over = unit_of(models[0].results).plural
    what = f"with 95 % intervals over {over}; small dots are single runs"
    if not key:
        return Picture("models", drawn, f"Accuracy of each model, {what}")
    name = key.rsplit(".", 1)[-1].replace("_", "-")
    return Picture(f"over-{name}", drawn, f"Accuracy over {key}, {what}")
