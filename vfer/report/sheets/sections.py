"""The two sheets as parts of the page."""

from collections import Counter

from vfer.report.bundles import Model
from vfer.report.parts import Grid, Section
from vfer.report.sheets.leakage import LEAKAGE
from vfer.report.sheets.reforms import REFORMS


def sheet_sections(model: Model) -> list[Section]:
    """Return the leakage sheet and the items of REFORMS, answered from a model's first run."""
    return [_leakage(model), _reforms(model)]


def _leakage(model: Model) -> Section:
    rows = [[number, question, *answer(model)] for number, question, answer in LEAKAGE]
    return Section(
        "Leakage sheet",
        text=[
            "The eight kinds of leakage of Kapoor and Narayanan 2023 (Patterns 4, 100804), asked "
            "of what the bundle holds. It is as true as the bundle is (vfer.verify)."
        ],
        parts=[Grid("leakage", _summary(rows), ("", "question", "finding", "read from"), rows)],
    )


def _reforms(model: Model) -> Section:
    rows = [[number, module, item, *answer(model)] for module, number, item, answer in REFORMS]
    return Section(
        "REFORMS",
        text=[
            "The 32 items of Kapoor et al. 2024 (Science Advances 10, eadk3452), in our words, as "
            "far as the bundle can answer them."
        ],
        parts=[
            Grid("reforms", _summary(rows), ("", "module", "item", "", "from the bundle"), rows)
        ],
        folded=True,
    )


def _summary(rows: list[list[str]]) -> str:
    """Count the findings, such as ``6 kept out, 2 yours``."""
    counts = Counter(row[-2] for row in rows)
    return ", ".join(f"{count} {finding}" for finding, count in counts.most_common())
