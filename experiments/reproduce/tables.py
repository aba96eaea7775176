"""The paper's tables: our figures with their spread and interval beside the paper's."""

from typing import NamedTuple

from experiments.reproduce.expected import PAPERS, beside_paper, paper
from experiments.reproduce.found import Found, Rows
from experiments.reproduce.rows import PARTS, WHOLE
from vfer.report.bundles import Model
from vfer.report.numbers import difference, percent, pooled, spread
from vfer.report.parts import Grid, Section
from vfer.results.paired import paired_differences
from vfer.runtime.files import sha256


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        label: As in the paper.
        row: Whose figures are ours; None of what is quoted only.
        printed: Whose figures are the paper's, a name of ``expected.yaml``.
        why: Of what is quoted only, why.
    """

    label: str
    row: str | None
    printed: str
    why: str = ""


def _ours(label: str, row: str) -> Line:
    return Line(label, row, row)


_NO_DESCRIPTION = "no description to build it from"
TABLES: dict[str, tuple[Line, ...]] = {
    "table1": (
        _ours("trained schema", WHOLE),
        _ours("non-trained schema", "non_trained"),
    ),
    "table2": (_ours("after fc7", WHOLE), _ours("after fc6", "fc6")),
    "table3": (
        _ours("spatial-temporal streams", WHOLE),
        _ours("spatial streams", "spatial"),
        _ours("temporal streams", "temporal"),
    ),
    "table4": (
        _ours("the paper's method", WHOLE),
        _ours("HOG 3D (Kläser et al. 2008)", "hog3d"),
        _ours("3DCNN (Ji et al. 2013)", "3dcnn"),
    ),
    "table5": (
        _ours("the paper's method", WHOLE),
        Line("closest to Zhalehpour et al. 2017, visual part", "lpq_peaks", "zhalehpour"),
        Line("Mansoorizadeh et al. (quoted)", None, "mansoorizadeh", _NO_DESCRIPTION),
        Line("Bejani et al. (quoted)", None, "bejani", _NO_DESCRIPTION),
        Line("LPQ-TOP and a linear SVM (ours, not in the paper)", "lpq_top", ""),
    ),
    "yardsticks": (
        _ours("the paper's method, AlexNet", WHOLE),
        Line("ResNet-18 in AlexNet's place", "resnet18", ""),
        Line("R(2+1)D-18, frames alone", "r2plus1d_18", ""),
        Line("Swin3D-T, frames alone", "swin3d_t", ""),
    ),
    "frozen": (
        _ours("aₖ trained (the paper's)", WHOLE),
        _ours("aₖ frozen at their start", "frozen_vlan"),
    ),
}
"""The lines of each table; the first is what the others are compared with."""
NOTES = {
    "table2": "After fc6, fc7 is dropped; after fc7, both are kept (docs/reading.md).",
    "table4": "Both under the same folds, crops and scoring; what is adapted: docs/baselines.md.",
    "table5": "Of Zhalehpour et al. static LPQ of frames chosen by MAXDIST and a linear SVM are "
    "documented and built here; crop, window, grid, number of peak frames and C are ours "
    "(docs/baselines.md).",
    "yardsticks": "Not in the paper. Where no file of weights was given (--weights) they start at "
    "random, and so few clips teach them little; on facs they are at their smallest "
    "(experiments/yardsticks/smallest.yaml).",
    "frozen": "The paper has no such row. Behind EmotionalVlan stands a linear layer, so that e^a "
    "adds another parametrisation and no expressive power.",
}


def compare(first: Model, second: Model) -> str:
    """Return by how much the second is better in accuracy, with interval and p, or why not."""
    try:
        tested = paired_differences(first.clips(), second.clips(), first.results["classes"])
    except ValueError as error:
        return str(error)
    return difference(tested["accuracy"])


def _cells(line: Line, found: Found | None, against: Model | None, corpus: str) -> list[str]:
    """Return a line's cells: ours, the difference from the first line, and the paper's."""
    printed = ["–" if (p := paper(line.printed, one)) is None else f"{p:.2f}" for one in PAPERS]
    model = None if found is None else found.model
    if model is None:
        said = f"quoted, not run: {line.why}" if found is None else found.state
        return [line.label, said, "", "", "", *printed, ""]
    mine, state = model.summary, found.state if found is not None else ""
    label = f"{line.label} ({state})" if state else line.label
    apart = "" if against is None or against is model else compare(against, model)
    told = beside_paper(mine["accuracy"]["pooled"], line.printed, corpus)
    ours = (f"{spread(mine['accuracy'])} ({model.over})", pooled(mine["accuracy"]))
    return [label, *ours, percent(mine["uar"]["pooled"]), apart, *printed, told]


def table(part: str, rows: Rows, corpus: str) -> Section:
    """Return one of the tables beside the paper's figures."""
    lines = TABLES[part]
    against = rows[WHOLE].model
    cells = [_cells(one, rows[one.row] if one.row else None, against, corpus) for one in lines]
    if against is not None:
        results = against.results
        for name, share in (("chance", "chance"), ("always the largest class", "majority")):
            cells.append([name, "", percent(results[share]), "", "", "", "", ""])
    header = (
        "", "accuracy, %", "pooled, %", "UAR, %", "against the first, points",
        *(f"{title}, %" for title in PAPERS.values()), "ours − paper's",
    )  # fmt: skip
    if corpus not in PAPERS:  # the last column has nothing to say
        header, cells = header[:-1], [line[:-1] for line in cells]
    note = (
        "accuracy: mean ± std between folds or seeds; pooled: of all clips, with a 95 % interval "
        "over people; against the first: with its 95 % interval and p; columns of corpora: the "
        "paper's."
    )
    if corpus not in PAPERS:
        note += f" It has no figures for {corpus}: they are for orientation."
    text = [NOTES[part]] if part in NOTES else []
    title = "Accuracy over clips, beside the paper's"
    return Section(PARTS[part], text=text, parts=[Grid(part, title, header, cells, note)])


def state_section(rows: Rows) -> Section:
    """List the rows with what is there of them."""
    cells = [
        [
            one.row.name,
            one.row.title,
            ", ".join(one.row.parts),
            one.state or "done",
            _seeds(one.model),
            _hashes(one.model),
            " ".join(one.row.over_shown()),
        ]
        for one in rows.values()
    ]
    header = ("run", "what", "for", "state", "seeds", "bundle", "laid over the corpus's config")
    note = (
        "bundle: the SHA-256 of files.json, which has those of all its files, from its beginning."
    )
    return Section("Runs", parts=[Grid("runs", "What this page is made of", header, cells, note)])


def _seeds(model: Model | None) -> str:
    return "" if model is None else ", ".join(str(s) for run in model.runs for s in run.seeds)


def _hashes(model: Model | None) -> str:
    """Return what tells the bundles of a model from all others."""
    runs = () if model is None else model.runs
    return ", ".join(sha256(run.path / "files.json")[:16] for run in runs)
