"""The table of a sweep's points."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vfer.runtime.cells import inert
from vfer.runtime.files import atomic_write, read_json
from vfer.sweep.plan import Point, is_done


def _row(point: Point, failed: Mapping[str, str]) -> dict[str, Any]:
    """Return what is known of a point: its values, whether it is done, and its accuracy and UAR."""
    row = {"point": point.name, **point.values}
    if not is_done(point):
        return row | {"status": "failed" if point.name in failed else "waiting"}
    results = read_json(point.config.output / "results.json")
    row["status"] = "done"
    for name in ("accuracy", "uar"):
        low, high = results[name]["ci95"]
        row |= {f"{name}_{key}": results[name][key] for key in ("mean", "std", "pooled")}
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def show(points: Sequence[Point], failed: Mapping[str, str], console: Console) -> None:
    """Print a line of each point; of a failed one, that it has."""
    table = Table(title="points of the sweep")
    for column in (
        "",
        "accuracy, mean ± std, %",
        "pooled (95 % interval), %",
        "UAR, mean ± std, %",
    ):
        table.add_column(column, justify="right" if column else "left")
    for row in (_row(point, failed) for point in points):
        cells = [row["status"]]
        if row["status"] == "done":
            share = {k: f"{100 * v:.1f}" for k, v in row.items() if k.startswith(("acc", "uar"))}
            cells = [
                f"{share['accuracy_mean']} ± {share['accuracy_std']}",
                f"{share['accuracy_pooled']} ({share['accuracy_low']}–{share['accuracy_high']})",
                f"{share['uar_mean']} ± {share['uar_std']}",
            ]
        table.add_row(row["point"], *cells)
    console.print(table)


def write(points: Sequence[Point], failed: Mapping[str, str], path: Path) -> None:
    """Write ``sweep.csv``: a row a point; what a point has not reached is empty."""
    rows = [_row(point, failed) for point in points]
    columns = max(rows, key=len)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: inert(value) for key, value in row.items()} for row in rows)
    atomic_write(path, text.getvalue())
