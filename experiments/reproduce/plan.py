"""Which runs a reproduction is made of, each checked before the first is begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from experiments.reproduce.rows import WHOLE, Row, rows_of
from vfer.config.parser import parse
from vfer.config.tree import Config
from vfer.corpora import names
from vfer.fit.output import check_output
from vfer.runtime.console import UsageError
from vfer.sweep.plan import Point, is_done

CONFIGS = Path(__file__).parents[2] / "configs"
_NAMED = {"enterface05": "enterface", "facs": "demo"}
"""The configs that do not bear their corpus's name."""
LENGTHS = {
    "tiny": (2, 4),
    "demo": (2, 4, 8, 16),  # the built-in clips have 24 frames
    "full": (2, 4, 6, 8, 10, 12, 14, 16, 18, 20),  # configs/sweeps/segment_length.yaml
}
"""L of Figure 9 at each size."""


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        corpus: Its name.
        tiny: Whether the runs are of the size of ``configs/tiny.yaml``.
        output: The folder of all runs and the page.
        seeds: How many runs there are of each row, from 1.
        only: The parts whose runs are wanted; empty for all.
        more: Options of ``vfer.fit`` for all runs; what a row is about wins over them.
        weights: Files of weights of yardsticks, by the names of their rows.
    """

    corpus: str
    tiny: bool
    output: Path
    seeds: int = 1
    only: frozenset[str] = frozenset()
    more: tuple[str, ...] = ()
    weights: tuple[tuple[str, Path], ...] = ()

    @property
    def size(self) -> str:
        """Return ``tiny``, ``demo`` for the built-in corpus, else ``full``."""
        return "tiny" if self.tiny else "demo" if self.corpus == "facs" else "full"


@dataclass(frozen=True)
class Planned:
    """A row and its runs, one a seed.

    Attributes:
        row: The row.
        points: As ``vfer.sweep`` runs them.
        wanted: Whether they are to be run now; else they are shown where they are there.
    """

    row: Row
    points: tuple[Point, ...]
    wanted: bool

    @property
    def done(self) -> tuple[Point, ...]:
        """Return the runs whose bundles are whole."""
        return tuple(point for point in self.points if is_done(point))


def corpora() -> list[str]:
    """List the corpora that have a config."""
    return [name for name in names() if (CONFIGS / f"{_NAMED.get(name, name)}.yaml").is_file()]


def base_words(request: Request) -> list[str]:
    """Return the corpus's config and what is given for all runs, as options of ``vfer.fit``."""
    name = "tiny" if request.tiny else _NAMED.get(request.corpus, request.corpus)
    words = [f"--config={CONFIGS / name}.yaml"]
    if request.tiny:
        words.append(f"--data.corpus={request.corpus}")
    return [*words, "--logger.held_out_clips=0", *request.more]


def _base(request: Request) -> Config:
    config = parse("vfer.fit", [*base_words(request), f"--output={request.output}"])
    if config.fold is not None or config.seeds != 1 or config.regroup != 1 or config.final:
        raise UsageError(
            "--fold, --regroup and --final are not for a reproduction: each of its runs is a whole "
            "bundle"
        )
    return config


def plan(request: Request) -> list[Planned]:
    """List all rows with their runs; of those that are not wanted too, as the page shows them.

    Raises:
        UsageError: If the config refuses an option, or a run's folder holds another run.
    """
    base = _base(request)
    rows = rows_of(request.size, LENGTHS[request.size], base)
    seeds = range(base.protocol.seed, base.protocol.seed + request.seeds)
    return [
        Planned(
            row,
            tuple(_point(request, base, row, seed) for seed in seeds),
            not request.only or bool(request.only & set(row.parts)),
        )
        for row in rows
    ]


def _point(request: Request, base: Config, row: Row, seed: int) -> Point:
    name = f"{row.name}-seed-{seed}"
    words = [*base_words(request), *row.over(), f"--protocol.seed={seed}"]
    part = "backbone" if row.name == "resnet18" else "network"
    given = dict(request.weights).get(row.name)
    words += [] if given is None else [f"--model.{part}.init_args.weights={given}"]
    words += [f"--output={request.output / name}", f"--notes={request.output / 'notes.txt'}"]
    if base.stages.cache is None:
        words.append(f"--stages.cache={request.output / 'stages'}")
    try:
        config = parse("vfer.fit", words)
        check_output(config.output, config)
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{name}: {error}") from error
    return Point(name, {}, tuple(words), config)


def chosen(planned: Sequence[Planned]) -> list[Point]:
    """Return the runs that are wanted, the first seed of every row before the second."""
    wanted = [one.points for one in planned if one.wanted]
    return [point for of_seed in zip(*wanted, strict=True) for point in of_seed]


def whole_of(planned: Sequence[Planned]) -> Planned:
    """Return the row of the paper's own method."""
    return next(one for one in planned if one.row.name == WHOLE)
