"""The planning table of every config of a corpus, and of the demo, as docs/planning.md has it.

Whole copies as they are known, 80 frames a clip; what a piece of work costs is measured once for
the paper's settings, which all but the demo share, on this machine.

    python -m experiments.planning
"""

import logging
import multiprocessing
import platform
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from vfer.config.parser import parse
from vfer.fit.budget import Costs, lines
from vfer.fit.extent import extent_of
from vfer.fit.planning import amount
from vfer.fit.timing import costs_of

CONFIGS = Path(__file__).parents[1] / "configs"
PAPER = ("enterface", "baum1s", "ravdess", "cremad", "savee", "rml", "dfew", "mafw")
COLUMNS = (
    *(("corpus", what) for what in ("clips", "segments")),
    *(("disk", what) for what in ("crops", "flow", "the bundle", "checkpoints")),
    *(("memory", what) for what in ("preparing", "training")),
    ("time", "prepare what is missing"),
    ("time", "flow that is missing"),
    *(("time", f"{stage}: the stage") for stage in ("spatial", "temporal", "vlan")),
    ("time", "a fold"),
    ("time", "the whole command"),
)


def measured(name: str) -> Costs:
    """Measure what a config's work costs; in a process of its own, for the memory."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec", FutureWarning)
    config = parse("vfer.fit", ["--config", str(CONFIGS / f"{name}.yaml")])
    return costs_of(config, *extent_of(config))


def row(name: str, costs: Costs) -> list[str]:
    """Return the cells of a config."""
    config = parse("vfer.fit", ["--config", str(CONFIGS / f"{name}.yaml")])
    extent, _ = extent_of(config)
    found = {(line.part, line.what): amount(line) for line in lines(config, extent, costs)}
    return [name, *(found[column] for column in COLUMNS)]


def main() -> None:
    """Print the table, a row a figure."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        demo, paper = pool.map(measured, ("demo", PAPER[0]))
    rows = [row("demo", demo), *(row(name, paper) for name in PAPER)]
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
    print(demo, paper, sep="\n")
    heads = ["", *(what for _, what in COLUMNS)]
    for k, (head, *cells) in enumerate(zip(heads, *rows, strict=True)):
        print("|", " | ".join([head, *cells]), "|")
        if k == 0:
            print("|" + "---|" * (len(rows) + 1))


if __name__ == "__main__":
    main()
