"""The page of a reproduction."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

from experiments.reproduce import claims, future, pictures
from experiments.reproduce.cost import kept
from experiments.reproduce.expected import pins
from experiments.reproduce.found import Rows, find
from experiments.reproduce.plan import Planned, Request
from experiments.reproduce.tables import state_section, table
from vfer.report.page import write_page
from vfer.report.parts import Section
from vfer.report.result import warnings_of


def _head(request: Request, rows: Rows) -> Section:
    """Say what the page is, and what is to be known before it is believed."""
    found = [one.model for one in rows.values() if one.model is not None]
    warnings = []
    if request.tiny:
        warnings.append(
            "Runs of --size tiny: they show that the command works; figures mean nothing."
        )
    if found:
        warnings += warnings_of([run for model in found for run in model.runs])
    text = [
        "Pan et al. 2019, Deep Temporal–Spatial Aggregation for Video-Based Facial Expression "
        f"Recognition, on {request.corpus}. mean ± std is over folds, or over seeds where there "
        "are several; intervals are over people. Where the paper is silent or contradicts itself, "
        "docs/reading.md says how it is read.",
        *pictures.not_drawn(request.corpus),
        *(
            f"Pinned: {said}: {'met' if met else 'NOT met'}."
            for said, met in _pinned(request, rows)
        ),
    ]
    return Section("What this is", text=text, warnings=list(dict.fromkeys(warnings)))


def _pinned(request: Request, rows: Rows) -> list[tuple[str, bool]]:
    """Say of each pinned figure whether it is met, if no option changes what they are of."""
    found = []
    for pin in [] if request.more else pins(request.corpus, request.size):
        model = rows[pin.row].model
        runs = [run for run in model.runs if run.seeds == (0,)] if model else []
        for run in runs:
            mine = run.results["accuracy"]["pooled"]
            told = f"{pin.row} {pin.accuracy:g} ± {pin.tolerance:g} %; {100 * mine:.1f} %"
            found.append((told, pin.met(mine)))
    return found


def sections(request: Request, rows: Rows) -> list[Section]:
    """Return the page's parts."""
    corpus = request.corpus
    return [
        _head(request, rows),
        claims.section(rows),
        table("table1", rows, corpus),
        table("table2", rows, corpus),
        table("table3", rows, corpus),
        table("table4", rows, corpus),
        table("table5", rows, corpus),
        table("frozen", rows, corpus),
        pictures.curves(rows),
        pictures.over_length(rows),
        pictures.crops(rows),
        pictures.confusion(rows),
        table("yardsticks", rows, corpus),
        future.section(rows, kept(request)),
        state_section(rows),
    ]


def write(
    request: Request, planned: Sequence[Planned], failed: Mapping[str, str]
) -> tuple[Path, list[str]]:
    """Write ``reproduce.html``, and its tables and figures as files beside it.

    Returns:
        The page, and which pinned figures are not met.
    """
    rows = find(planned, failed)
    page = request.output / "reproduce.html"
    title = f"The tables and figures of Pan et al. 2019 on {request.corpus}"
    with mpl.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
        write_page(page, request.output / "page", title, sections(request, rows))
    return page, [said for said, met in _pinned(request, rows) if not met]
