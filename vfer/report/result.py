"""What a report says of the results: every model, chance, and what is published."""

from collections.abc import Sequence
from dataclasses import replace

import yaml

from vfer.config.keys import flatten
from vfer.report.bundles import Bundle, Model, source_of
from vfer.report.noise import noise_section
from vfer.report.numbers import percent, pooled, spread
from vfer.report.one_model import sections_of_one
from vfer.report.parts import Grid, Section, file_name
from vfer.report.published import paper_row, published
from vfer.report.runs import section_of_runs
from vfer.report.selection import how_selected, selection_warnings
from vfer.report.several_models import sections_of_several
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.scoring import CROSS_CORPUS, OFFICIAL
from vfer.results.tally import MEASURES, counted
from vfer.results.unit import control_text, unit_of, unknown_text


def warnings_of(bundles: Sequence[Bundle]) -> list[str]:
    """List what is to be known before a result is believed."""
    warnings = []
    for bundle in bundles:
        if bundle.results["protocol"].get("control") is not None:
            told = control_text(bundle.results)
            warnings.append(f"{bundle.path.name} is a control, no result of the model: {told}.")
        if bundle.wrong:
            first = "; ".join(str(difference)[:200] for difference in bundle.wrong[:3])
            warnings.append(
                f"{bundle.path.name} does not verify, {len(bundle.wrong)} differences: {first}"
            )
        made = [flatten(one) for one in bundle.environment.get("made_with") or ()]
        keys = {key for one in made for key in one if key != "stages"}
        unlike = sorted(key for key in keys if len({str(one.get(key)) for one in made}) > 1)
        if unlike:
            warnings.append(
                f"{bundle.path.name}: not all stages were made alike, they differ in "
                f"{', '.join(unlike)} (made_with in its environment.json)."
            )
    subjects = min(len({r.subject for r in counted(bundle.tables.clips)}) for bundle in bundles)
    unit = unit_of(bundles[0].results)
    if not unit.known:
        warnings.append(unknown_text(bundles[0].results))
    if subjects < MIN_SUBJECTS:
        few = f"with fewer than {MIN_SUBJECTS} the intervals are too narrow."
        warnings.append(f"{subjects} {unit.plural}: {few}")
    return warnings


_ORIENTATION = "some from an iteration chosen on the test group: they are for orientation."
_PUBLISHED = (
    f"Published figures come from other subject groups, and {_ORIENTATION} Pan et al. do not say "
    "whether their accuracy is of clips or of segments."
)
_PUBLISHED_OF_CLIPS = f"Published figures are of the same official folds, {_ORIENTATION}"


def _result_table(models: Sequence[Model]) -> Grid:
    """Put each model beside chance and what is published."""
    rows = []
    for model in models:
        summary = model.summary
        rows.append(
            [
                model.name,
                *(f for m in ("accuracy", "uar") for f in (spread(summary[m]), pooled(summary[m]))),
                percent(summary["macro_f1"]["pooled"]),
                f"± between {model.over}",
            ]
        )
    results = models[0].results
    chance = percent(results["chance"])
    rows.append(["chance", chance, "", chance, "", "", f"one of {len(results['classes'])} classes"])
    rows.append(["always the largest class", percent(results["majority"]), "", chance, "", "", ""])
    names = {row for model in models if (row := paper_row(model.config)) is not None}
    cross = results["protocol"]["name"] == CROSS_CORPUS  # what is published is within a corpus
    others = [] if cross else published(results["corpus"], names, len(results["classes"]))
    for one in others:
        uar = "" if one.uar is None else f"{one.uar:g}"  # as printed there
        where = ", ".join(text for text in (one.where, one.note) if text)
        rows.append([one.who, f"{one.accuracy:g}", "", uar, "", "", where])
    note = _PUBLISHED if unit_of(results).known else _PUBLISHED_OF_CLIPS
    return Grid(
        "result",
        "Accuracy is the share of clips recognised (WAR); pooled is over all clips, with a 95 % "
        f"interval over {unit_of(results).plural}",
        (
            "", "accuracy, %", "accuracy, pooled, %", "UAR, %", "UAR, pooled, %",
            "macro-F1, pooled, %", "what it is",
        ),
        rows,
        note if others else "Nothing is published on this corpus.",
        terminal=4,
    )  # fmt: skip


def _numbers(models: Sequence[Model]) -> Grid:
    """List each model's measures as unrounded fractions."""
    rows = []
    for model in models:
        summary = model.summary
        for name in MEASURES:
            one = summary[name]
            low, high = (str(end) for end in one["ci95"])
            mean, std, pooled = (str(one[key]) for key in ("mean", "std", "pooled"))
            rows.append([model.name, name, mean, std, model.over, pooled, low, high])
    header = ("model", "measure", "mean", "std", "over", "pooled", "ci95_low", "ci95_high")
    return Grid("numbers", "Unrounded", header, rows, shown=False)


def _plugs(models: Sequence[Model]) -> list[Grid]:
    """Show the classes of the user's own that models are made with."""
    rows = [
        [
            model.name,
            key,
            str(plug.get("class_path")),
            ", ".join(f"{k}={v!r}" for k, v in dict(plug.get("init_args") or {}).items()),
            source_of(plug),
        ]
        for model in models
        for key, plug in model.runs[0].plugs.items()
    ]
    header = ("", "key", "class", "arguments", "source file, SHA-256")
    return [Grid("plugs", "Plugged in", header, rows)] if rows else []


def _listing(run: Bundle) -> list[Section]:
    record = run.path / "config.yaml"
    config = record.read_text(encoding="utf-8") if record.is_file() else ""
    environment = yaml.safe_dump(run.environment, sort_keys=False, allow_unicode=True)
    return [
        Section(f"Config of {run.path.name}", listing=config),
        Section(f"Environment of {run.path.name}", listing=environment),
    ]


def report_sections(groups: Sequence[Sequence[Model]]) -> list[Section]:
    """Return what the page says of models, those of one corpus together."""
    sections: list[Section] = []
    for number, models in enumerate(groups):
        prefix = f"{number}-" if len(groups) > 1 else ""
        sections += [
            replace(s, parts=[replace(p, name=prefix + file_name(p.name)) for p in s.parts])
            for s in (
                noise_section(models),
                result_section(models),
                *([section_of_runs(models)] if any(len(m.runs) > 1 for m in models) else []),
                *(sections_of_several(models) if len(models) > 1 else sections_of_one(models[0])),
            )
        ]
    return [*sections, *(part for models in groups for part in _listing(models[0].runs[0]))]


def result_section(models: Sequence[Model]) -> Section:
    """Show models of one corpus beside chance and what is published."""
    results = models[0].results
    how = f"Leave-one-subject-group-out with {results['protocol']['groups']} groups"
    if results["protocol"]["name"] == OFFICIAL:
        how = f"The corpus's {results['protocol']['groups']} official folds, of clips"
    if results["protocol"]["name"] == CROSS_CORPUS:
        how = "Models of another corpus, which have seen none of these videos (models.json)"
    return Section(
        f"Result on {results['corpus']}",
        text=[f"{how}; {results['coverage']['clips']} clips. {' '.join(how_selected(models))}"],
        warnings=[
            *warnings_of([run for model in models for run in model.runs]),
            *selection_warnings(models),
        ],
        parts=[_result_table(models), _numbers(models), *_plugs(models)],
    )
