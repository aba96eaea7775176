"""What a finished run and a report print on the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vfer.report.numbers import percent, pooled, spread
from vfer.report.parts import Grid, Section
from vfer.report.published import in_papers_order
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.scoring import optimism_gap
from vfer.results.tables import CurvePoint
from vfer.results.unit import control_text, protocol_title, unit_of, unknown_text


def print_tables(sections: Sequence[Section], console: Console) -> None:
    """Print those tables and texts of a page that stand on the terminal too, and its warnings."""
    for section in sections:
        for grid in section.parts:
            if not isinstance(grid, Grid) or not grid.terminal:
                continue
            table = Table(title=Text(section.title), caption=Text(grid.title))
            for name in grid.header[: grid.terminal]:
                table.add_column(Text(name), justify="right" if name else "left")
            for row in grid.rows:
                table.add_row(*(Text(cell) for cell in row[: grid.terminal]))
            console.print(table)
        for text in (*(section.text if section.said else ()), *section.warnings):
            console.print(Text(text), soft_wrap=True)


def print_summary(
    results: dict[str, Any], curves: Sequence[CurvePoint], output: Path, console: Console
) -> None:
    """Print the protocol's figures, the streams beside the model, and where the files are."""
    unit, folds = unit_of(results), results["folds"]
    table = Table(title=f"{protocol_title(results)} on {results['corpus']}, {len(folds)} folds")
    for column in ("", "accuracy", "UAR"):
        table.add_column(column, justify="left" if not column else "right")
    both = (results["accuracy"], results["uar"])
    table.add_row("mean ± std over folds, %", *(spread(m) for m in both))
    table.add_row(f"pooled (95 % interval over {unit.plural}), %", *(pooled(m) for m in both))
    for stream, name in (("spatial", "stage 1 alone"), ("temporal", "stage 2 alone")):
        if stream in results["streams"]:
            scores = results["streams"][stream]
            table.add_row(
                f"{name}: {stream}, pooled, %",
                percent(scores["accuracy"]),
                percent(scores["uar"]),
            )
    classes = len(results["classes"])
    table.add_row(f"chance (1 of {classes}), %", percent(results["chance"]), percent(1 / classes))
    table.add_row("always the largest class, %", percent(results["majority"]), percent(1 / classes))
    console.print(table)
    if results["protocol"].get("control") is not None:
        console.print(f"a control, no result of the model: {control_text(results)}")
    if not unit.known:
        console.print(unknown_text(results))
    subjects = sum(len(fold["subjects"]) for fold in folds)
    if subjects < MIN_SUBJECTS:
        console.print(
            f"{subjects} {unit.plural}: with fewer than {MIN_SUBJECTS} the intervals are too narrow"
        )
    gap = optimism_gap(folds, curves)
    if gap is not None:
        console.print(
            "optimism gap: had each fold's iteration been chosen on its test group, the mean would "
            f"read {100 * gap:.1f} points more; that would be no result"
        )
    elif curves:
        console.print("optimism gap: not measured; only one iteration was tested in a fold")
    recall = Table(title="recall of each class, pooled, %")
    order = in_papers_order(results["classes"])
    for name in order:
        recall.add_column(name, justify="right")
    recall.add_row(*(percent(results["recall"][name]) for name in order))
    console.print(recall)
    coverage = results["coverage"]
    console.print(
        f"{coverage['clips']} clips: {coverage['scored']} scored, {coverage['no_face']} without a "
        f"face and {coverage['unreadable']} unreadable (both count as wrong), "
        f"{coverage['excluded']} excluded"
    )
    console.print(f"result bundle: {output}  (results.json, predictions.csv, figures/ …)")


def print_runs(summary: dict[str, Any], output: Path, console: Console) -> None:
    """Print each of several runs, their mean and spread, and the interval over people."""
    by_groups = "assignments" in summary
    what, numbers = "seed", summary["seeds"]
    if by_groups:
        what, numbers = "groups", summary["assignments"]
    many = "group assignments" if by_groups else "seeds"
    title = f"{protocol_title(summary)} on {summary['corpus']}, {len(numbers)} {many}"
    table, over = Table(title=title), unit_of(summary).plural
    for column in ("", "accuracy", "UAR"):
        table.add_column(column, justify="left" if not column else "right")
    both = (summary["accuracy"], summary["uar"])
    for number, value in enumerate(numbers):
        values = (percent(m["values"][number]) for m in both)
        table.add_row(f"{what} {value}, mean over folds, %", *values)
    table.add_section()
    table.add_row(f"mean ± std over {many}, %", *(spread(m) for m in both))
    table.add_row(f"pooled (95 % interval over {over}), %", *(pooled(m) for m in both))
    console.print(table)
    if by_groups:
        console.print(
            "Each assignment is trained anew: its spread holds that between training runs, which "
            "--seeds N shows alone."
        )
    console.print(f"{', '.join(summary['bundles'])} and results.json: {output}")
