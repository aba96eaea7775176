"""``python -m experiments.faults``: break commands in every way, and print what they survive.

Each row is a kind of fault: how many trials, how many survived, and of the others what was lost.
All is seeded; a row by itself is given by --only. Linux, as it reads /proc.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.faults import disk, kills, long, together, videos
from experiments.faults.bench import BEFORE, Bench, Row
from experiments.faults.child import warm

Rows = Callable[[Bench, int | None], Iterator[Row]]
GROUPS: dict[str, tuple[Rows, int | None, int]] = {
    "kills": (kills.random_kills, 12, 1),
    "operations": (kills.operation_faults, None, 2),
    "disk": (disk.full_disk, None, 1),
    "damage": (disk.damaged_files, None, 2),
    "videos": (videos.mutated_videos, 1000, 15),
    "together": (together.several, 10, 1),
    "signals": (together.signals, 12, 1),
    "sweepers": (together.sweepers, 3, 0),
    "long": (long.long_runs, None, 0),
}
"""By name what makes the rows; the most trials of one in a full run (None: all), in a quick one."""


def show(rows: list[Row], seconds: float, console: Console) -> None:
    """Print the table, and below it what was lost."""
    table = Table("", "trials", "survived", "lost")
    for row in rows:
        lost = len(row.lost)
        table.add_row(row.name, str(row.trials), str(row.trials - lost), str(lost or ""))
    console.print(table)
    for row in rows:
        for said in row.notes:
            console.print(f"{row.name}: {said}", markup=False, soft_wrap=True)
        for said in row.lost:
            console.print(f"lost: {row.name}: {said}", markup=False, soft_wrap=True)
    console.print(f"{sum(row.trials for row in rows)} trials in {seconds:.0f} s")


def main(argv: list[str] | None = None) -> int:
    """Make the trials; return 1 if something was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few trials of each row")
    parser.add_argument("--trials", type=int, metavar="N", help="the most trials of a row")
    parser.add_argument("--only", choices=GROUPS, action="append", help="this kind of fault alone")
    parser.add_argument(
        "--command", action="append", default=[], choices=(*BEFORE, *kills.PHASES),
        help="of rows that there are for several commands, or phases of fit, those of this one",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of moments and damages; default 0")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the table as JSON, after each row"
    )
    parser.add_argument("--folder", type=Path, help="keep what is made here, an empty folder")
    given = parser.parse_args(argv)
    console = Console(highlight=False)
    began = time.monotonic()
    rows: list[Row] = []
    warm()
    # No TemporaryDirectory: forked processes would remove it when they end.
    folder = given.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        bench = Bench(folder, given.seed, given.quick, given.command)
        for name in given.only or GROUPS:
            make, full, quick = GROUPS[name]
            most = given.trials or (quick if given.quick else full)
            if most == 0:
                continue
            for row in make(bench, most):
                rows.append(row)
                console.print(f"{row.name}: {row.trials - len(row.lost)} of {row.trials} survived")
                if given.json is not None:
                    given.json.write_text(json.dumps([asdict(one) for one in rows], indent=1))
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    show(rows, time.monotonic() - began, console)
    return int(any(row.lost for row in rows))
