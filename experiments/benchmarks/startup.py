"""How long the commands take to begin, beside the import of torch.

Fresh processes run in turn, several rounds; a row is the median of a command's times over that of
`import torch` in the same run. Help, a wrong command line and a missing corpus load no torch; the
targets are at most 1.5 × its import, for `vfer` and `vfer verify` 0.3 ×.

    python -m experiments.benchmarks.startup
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

ENTERFACE = str(Path(__file__).parents[2] / "configs" / "enterface.yaml")
BASE = "import torch"
CASES: dict[str, tuple[int, tuple[str, ...]]] = {  # each with its exit status
    BASE: (0, ("-c", "import torch")),
    "import torch, pytorch_lightning": (0, ("-c", "import torch, pytorch_lightning")),
    "vfer": (0, ("-m", "vfer")),
    "vfer verify --help": (0, ("-m", "vfer.verify", "--help")),
    "vfer fit --help": (0, ("-m", "vfer.fit", "--help")),
    "vfer fit --help=all": (0, ("-m", "vfer.fit", "--help=all")),
    "vfer fit, a misspelt key": (2, ("-m", "vfer.fit", "--config", ENTERFACE, "--data.rot=x")),
    "vfer fit, a missing corpus": (2, ("-m", "vfer.fit", "--config", ENTERFACE)),
    "vfer prepare, a missing corpus": (2, ("-m", "vfer.prepare", "--config", ENTERFACE)),
    "vfer sweep --help": (0, ("-m", "vfer.sweep", "--help")),
}


def seconds(status: int, words: tuple[str, ...]) -> float:
    """Run Python with some words in a fresh process; return how long it took.

    Raises:
        RuntimeError: If its exit status is another.
    """
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode != status:
        raise RuntimeError(f"{words}: exit status {done.returncode}: {done.stderr}")
    return time.perf_counter() - begun


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="after one that is not counted")
    parser.add_argument("--match", default="", help="only commands with this in their names")
    args = parser.parse_args(argv)
    cases = {name: case for name, case in CASES.items() if args.match in name or name == BASE}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(args.rounds + 1):
        for name, case in cases.items():
            took = seconds(*case)
            if number:  # the first round fills caches
                times[name].append(took)
    base = median(times[BASE])
    table = Table(title=f"time to begin, medians of {args.rounds} fresh processes each")
    for column in ("", "s", "least to most", "× import torch"):
        table.add_column(column, justify="right" if column else "left")
    for name, each in times.items():
        spread = f"{min(each):.2f}–{max(each):.2f}"
        table.add_row(name, f"{median(each):.2f}", spread, f"{median(each) / base:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
