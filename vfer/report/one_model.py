"""What a report says of one run."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vfer.prepare.store import store_at
from vfer.report import figures
from vfer.report.bundles import Bundle, Model
from vfer.report.numbers import difference, percent
from vfer.report.parts import Grid, Picture, Section
from vfer.report.people import people_section
from vfer.report.published import in_papers_order
from vfer.report.selection import nested_section
from vfer.report.sheets.sections import sheet_sections
from vfer.results.bootstrap import bootstrap_interval
from vfer.results.paired import paired_differences
from vfer.results.probabilities import BINS, score_probabilities
from vfer.results.scoring import optimism_gap, stream_rows
from vfer.results.tables import ClipResult
from vfer.results.tally import tally
from vfer.results.unit import unit_of

HARDEST = 8
"""How many of the hardest clips are shown."""


def sections_of_one(model: Model) -> list[Section]:
    """Return what the page says of one run, in its order."""
    run = model.runs[0]
    makers = (
        nested_section,
        _folds,
        _streams,
        class_section,
        probability_section,
        _curves,
        people_section,
        coverage_section,
        _hardest,
    )
    parts = [section for make in makers if (section := make(run)) is not None]
    if len(model.runs) > 1:
        parts = [replace(one, title=f"{one.title} ({model.label(run)})") for one in parts]
    return [*parts, *sheet_sections(model)]


def _folds(run: Bundle) -> Section:
    unit = unit_of(run.results)
    rows = [
        [
            *(str(fold[name]) for name in ("fold", "clips", "segments")),
            *(percent(fold[name]) for name in ("accuracy", "uar", "macro_f1")),
            *([", ".join(fold["subjects"])] if unit.known else []),
        ]
        for fold in run.results["folds"]
    ]
    columns: tuple[str, ...] = ("fold", "clips", "segments", "accuracy, %", "UAR, %", "macro-F1, %")
    columns += ("subjects",) if unit.known else ()
    title = f"Each fold is tested on {unit.people} that it was not trained on"
    segments = percent(run.results["segment_accuracy"])
    note = (
        f"Segments of scored clips by themselves: accuracy {segments} %. Clips without a face and "
        "unreadable ones, which are wrong in every other figure, have no segments."
    )
    return Section("Folds", parts=[Grid("folds", title, columns, rows, note)])


def _streams(run: Bundle) -> Section | None:
    """Compare the whole model with its streams; None where it has none."""
    classes, clips = run.results["classes"], run.tables.clips
    rows, over = [], unit_of(run.results).plural
    for name in run.results["streams"]:
        alone = stream_rows(run.tables, name)
        paired = difference(paired_differences([alone], [clips], classes)["accuracy"])
        rows.append([f"{name} network alone", *_with_interval(alone, classes), paired])
    if not rows:
        return None
    return Section(
        "Streams",
        text=[
            "The networks of stages 1 and 2 by themselves: the mean softmax over a clip's "
            "frames. The single streams of the paper's Table 3 go through EmotionalVlan "
            "and are runs of their own (model.streams)."
        ],
        parts=[
            Grid(
                "streams",
                f"Pooled over all clips, with 95 % intervals over {over}",
                ("", "accuracy, %", "interval", "UAR, %", "whole model − this"),
                [*rows, ["the whole model", *_with_interval(clips, classes), ""]],
                "Difference in points of accuracy, with the interval and p of a sign-flip test "
                f"over {over}.",
            )
        ],
    )


def _with_interval(rows: Sequence[ClipResult], classes: Sequence[str]) -> list[str]:
    """Return the cells accuracy, its interval, and UAR."""
    counts = tally(rows, classes)
    low, high = bootstrap_interval(rows, classes)["accuracy"]
    return [
        percent(float(counts.accuracy())),
        f"{percent(low)}–{percent(high)}",
        percent(float(counts.uar())),
    ]


def class_section(run: Bundle) -> Section:
    """Show how each class is recognised."""
    results, clips = run.results, run.tables.clips
    counts = tally(clips, results["classes"]).clips.tolist()
    count_of = dict(zip(results["classes"], counts, strict=True))
    rows = [
        [c, str(count_of[c]), percent(results["recall"][c]), percent(results["precision"][c])]
        for c in in_papers_order(results["classes"])
    ]
    return Section(
        "Classes",
        text=["Rows of the matrix sum to 100 %. Classes stand in the paper's order."],
        parts=[
            Picture("confusion", figures.confusion_figure(results, clips), "Confusion, all folds"),
            Grid(
                "classes",
                "All folds together",
                ("class", "clips", "recall, %", "precision, %"),
                rows,
                "Clips without a face and unreadable ones count as wrong: they lower recall.",
            ),
        ],
    )


def probability_section(run: Bundle) -> Section | None:
    """Say how good the probabilities are; None where no clip is scored."""
    scored = score_probabilities(run.tables.clips, run.results["classes"])
    rows = [
        [name, *("–" if math.isnan(value) else f"{value:.3f}" for value in values)]
        for name, values in scored.items()
    ]
    if not rows:
        return None
    unit = unit_of(run.results)
    return Section(
        "Probabilities",
        parts=[
            Grid(
                "probabilities",
                f"Of scored clips, with 95 % intervals over {unit.plural}",
                ("", "value", "low", "high"),
                rows,
                "Macro AUC: each class against the rest, 0.5 is chance and 1 the best. Brier "
                "score: squared distance from the truth summed over classes, 0 is the best and 2 "
                "the worst. Expected calibration error: of the answer's probability in "
                f"{BINS} bins, 0 is the best; with few clips it is too large, and so is its "
                f"interval, which with fewer than 40 {unit.people} often leaves the true value "
                "out.",
            )
        ],
    )


def _curves(run: Bundle) -> Section:
    gap = optimism_gap(run.results["folds"], run.tables.curves)
    stages = figures.measured_stages(run.tables.curves)
    text = ["Nothing was selected by the curve of the test group: it is only recorded."]
    if gap is None:
        text.append(
            "Optimism gap: not measured. Each fold's test group would have to be measured at more "
            "than one iteration."
        )
    else:
        text.append(
            f"Optimism gap: had each fold's iteration been chosen on its test group, the mean "
            f"would read {100 * gap:.1f} points more. That would be no result."
        )
    return Section(
        "Training curves",
        text=text if stages else ["No curve was recorded."],
        parts=[
            Picture(
                f"curve-{stage}",
                figures.curves_figure(run.tables.curves, [stage]),
                f"Stage {stage}: thin lines are folds",
            )
            for stage in stages
        ],
    )


def coverage_section(run: Bundle) -> Section:
    """Show what has become of every clip."""
    coverage = run.results["coverage"]
    missed = [row for row in run.tables.clips if row.status in ("no_face", "unreadable")]
    excluded = Counter(row.reason for row in run.tables.clips if row.status == "excluded")
    parts = [
        Grid(
            "coverage",
            "Every clip of the corpus",
            ("clips", "scored", "without a face", "unreadable", "excluded"),
            [[str(count) for count in coverage.values()]],
            "Clips without a face and unreadable ones count as wrong, excluded ones nowhere.",
        )
    ]
    if missed:
        rows = [[row.clip, row.label, row.status, row.reason] for row in missed]
        parts.append(Grid("missed", "Not scored", ("clip", "class", "status", "why"), rows))
    if excluded:
        rows = [[reason, str(count)] for reason, count in excluded.most_common()]
        parts.append(Grid("excluded", "Excluded", ("why", "clips"), rows))
    return Section("Coverage", parts=parts)


def _hardest(run: Bundle) -> Section:
    """Show the clips whose true class was given the least probability, with their crops."""
    classes = run.results["classes"]
    scored = [
        (row.probabilities[classes.index(row.label)], row)
        for row in run.tables.clips
        if row.probabilities is not None
    ]
    hardest = sorted(scored, key=lambda pair: (pair[0], pair[1].clip))[:HARDEST]
    known = unit_of(run.results).known
    rows = [
        [
            str(k),
            row.clip,
            *([row.subject] if known else []),
            row.label,
            str(row.prediction(classes)),
            percent(p),
        ]
        for k, (p, row) in enumerate(hardest, 1)
    ]
    parts: list[Grid | Picture] = [
        Grid(
            "hardest",
            "The least probability of the true class",
            ("", "clip", *(["subject"] if known else []), "class", "taken for", "probability, %"),
            rows,
        )
    ]
    store = store_at(run.config.get("data.cache"), run.environment.get("store"))
    shown, missing = [], []
    for k, (_, row) in enumerate(hardest, 1):
        title = f"{k}. {row.label}, taken for {row.prediction(classes)}"
        try:
            shown.append((title, store.crops(row.clip)))
        except KeyError:
            missing.append(f"no {store.directory}, or nothing of {row.clip} in it")
        except (FileNotFoundError, PermissionError, ValueError) as error:
            missing.append(str(error))
    if shown:
        caption = "Their crops, from the first frame to the last"
        parts.append(Picture("hardest", figures.clips_figure(shown), caption))
    text = [f"The crops of {len(missing)} of them are not at hand: {why}" for why in missing[:1]]
    return Section("Hardest clips", text=text, parts=parts)
