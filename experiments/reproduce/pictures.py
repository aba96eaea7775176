"""The paper's figures: curves, accuracy over L, face crops, confusion matrix."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.reproduce.expected import PAPERS
from experiments.reproduce.found import Rows, whole
from experiments.reproduce.rows import PARTS, WHOLE
from vfer.prepare.store import store_at
from vfer.report import figures
from vfer.report.bundles import Bundle, Model
from vfer.report.numbers import percent, pooled, spread
from vfer.report.parts import Grid, Picture, Section
from vfer.report.published import in_papers_order

LENGTH = "data.segment_length"


def curves(rows: Rows) -> Section:
    """Draw accuracy over iterations of the three stages, as Figures 2 to 7."""
    model = whole(rows)
    text = [
        "Figures 2 and 4 are the fine-tuning of the spatial, 3 and 5 of the temporal network, 6 "
        "and 7 the training with EmotionalVlan. The paper prints curves without numbers, and calls "
        "them validation without a validation set: ours show the test group, and nothing is "
        "chosen by them."
    ]
    if model is None:
        return Section(PARTS["fig2"], text=[*text, f"{WHOLE}: {rows[WHOLE].state}."])
    run = model.runs[0]
    stages = figures.measured_stages(run.tables.curves)
    drawn = figures.curves_figure(run.tables.curves, stages)
    caption = "Thin: folds; bold: their mean (of the first seed)"
    return Section(PARTS["fig2"], text=text, parts=[Picture("curves", drawn, caption)])


def lengths(rows: Rows) -> dict[int, Model]:
    """Return the models that are there by the frames of their segments, which alone differ."""
    models = [one.model for one in rows.values() if one.model is not None]
    mine = [m for m in models if m is whole(rows) or m.name.startswith("L = ")]
    return dict(sorted((int(m.config[LENGTH]), m) for m in mine))


def over_length(rows: Rows) -> Section:
    """Draw accuracy over L, as Figure 9."""
    text = [
        "The paper finds L = 16 best of 2 to 20, and prints no numbers of its figure. All lengths "
        "were tested on the same people: our best is no result but a reading of the curve."
    ]
    missing = [o.row.title for o in rows.values() if "fig9" in o.row.parts and o.model is None]
    if missing:
        text.append(f"Not run: {', '.join(missing)}.")
    found = lengths(rows)
    if not found:
        return Section(PARTS["fig9"], text=text)
    placed = [
        figures.SweptModel(
            float(length), "", one.summary["accuracy"]["pooled"],
            tuple(one.summary["accuracy"]["ci95"]),
            [run.results["accuracy"]["pooled"] for run in one.runs],
        )
        for length, one in found.items()
    ]  # fmt: skip
    chance = next(iter(found.values())).results["chance"]
    drawn = figures.swept_figure(placed, "L, frames", "", chance)
    header = ("L", "accuracy, mean ± std, %", "pooled (95 % interval over people), %")
    cells = [
        [str(length), spread(one.summary["accuracy"]), pooled(one.summary["accuracy"])]
        for length, one in found.items()
    ]
    caption = "Accuracy of all clips, with 95 % intervals over people"
    parts: list[Grid | Picture] = [
        Grid("fig9", "Accuracy over L", header, cells),
        Picture("lengths", drawn, caption),
    ]
    return Section(PARTS["fig9"], text=text, parts=parts)


def crops(rows: Rows) -> Section:
    """Show face crops of a clip a class, as Figures 10 and 11."""
    model = whole(rows)
    if model is None:
        return Section(PARTS["fig10"], text=[f"{WHOLE}: {rows[WHOLE].state}."])
    drawn, missing = _sheet(model.runs[0])
    text = [f"Not at hand: {', '.join(missing)}."] if missing else []
    if drawn is None:
        return Section(PARTS["fig10"], text=text)
    caption = "A clip of each class, each of another person where there is one; 150×110 px"
    return Section(PARTS["fig10"], text=text, parts=[Picture("crops", drawn, caption)])


def _sheet(run: Bundle) -> tuple[Figure | None, list[str]]:
    """Return the crops of a clip a class, and the classes of which there are none."""
    store = store_at(run.config.get("data.cache"), run.environment.get("store"))
    shown, missing, seen = [], [], set[str]()
    for emotion in in_papers_order(run.results["classes"]):
        clips = [r for r in run.tables.clips if r.label == emotion and r.status == "scored"]
        clips.sort(key=lambda row: (row.subject in seen, row.clip))
        try:
            row = clips[0]
            shown.append((f"{emotion}, subject {row.subject}", store.crops(row.clip)))
            seen.add(row.subject)
        except (IndexError, KeyError, OSError, TypeError, ValueError):
            missing.append(emotion)
    return (figures.clips_figure(shown) if shown else None), missing


def confusion(rows: Rows) -> Section:
    """Draw the confusion matrix of all folds, as Figures 12 and 13."""
    model = whole(rows)
    text = [
        "Of all folds, of the first seed. The matrices of the paper's figures have diagonal "
        "means of 71.6 and 68.7 % and cannot belong to its accuracies of 46.51 and 43.72 %: they "
        "are of an unexplained part, and are not quoted."
    ]
    if model is None:
        return Section(PARTS["fig12"], text=[*text, f"{WHOLE}: {rows[WHOLE].state}."])
    run = model.runs[0]
    drawn = figures.confusion_figure(run.results, run.tables.clips)
    recall = run.results["recall"]
    classes = in_papers_order(run.results["classes"])
    cells = [[percent(recall[name]) for name in classes]]
    parts: list[Grid | Picture] = [
        Grid("recall", "Recall of each class, %", classes, cells),
        Picture("confusion", drawn, "Rows to 100 %"),
    ]
    return Section(PARTS["fig12"], text=text, parts=parts)


def not_drawn(corpus: str) -> Sequence[str]:
    """Say which of the paper's figures do not apply here."""
    lines = ["Figures 1 and 8 are drawings of the method and hold no results."]
    others = [title for name, title in PAPERS.items() if name != corpus]
    lines.append(f"The paper's figures of {' and '.join(others)} have no runs on this corpus.")
    return lines
