"""The legal range of every number of the config, both ends, and null where it means nothing.

All are checked here, before any part of the tree is made. The parts check again what would be
wrong for whoever makes one in Python.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, get_type_hints

from jsonargparse import Namespace

from vfer.config.keys import alternatives
from vfer.config.refusals import legal
from vfer.config.tree import PARTS, Config
from vfer.corpora.facs.settings import LIMITS as FACS
from vfer.faces.settings import LIMITS as FACES
from vfer.flow.settings import ALPHAS, RHOS
from vfer.networks.settings import MAX_SIZE, MIN_SIZE
from vfer.runtime.console import UsageError
from vfer.segments.indices import MAX_LENGTH, MIN_LENGTH

SEED = 2**32 - 1
"""The highest seed that everything random takes."""
STEPS = 100_000_000
"""More steps than anybody trains."""


@dataclass(frozen=True)
class Range:
    """Numbers from a lowest to a highest one.

    Attributes:
        low: The lowest.
        high: The highest.
        without: ``low``, ``high`` or nothing: the end that is itself not legal.
    """

    low: float
    high: float
    without: str = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.without == "low" else value >= self.low
        below = value < self.high if self.without == "high" else value <= self.high
        return above and below  # NaN is neither

    def __str__(self) -> str:
        if not self.without:
            return f"between {self.low} and {self.high}"
        low = f"above {self.low}" if self.without == "low" else f"at least {self.low}"
        high = f"below {self.high}" if self.without == "high" else f"at most {self.high}"
        return f"{low} and {high}"


SHARE = Range(0, 1, "high")

RANGES = {
    "data.segment_length": Range(MIN_LENGTH, MAX_LENGTH),
    "data.windows.per_clip": Range(1, 10_000),
    "data.windows.stride": Range(1, 100_000),
    **{f"data.faces.{name}": Range(*limits) for name, limits in FACES.items()},
    **{f"data.facs.{name}": Range(*limits) for name, limits in FACS.items()},
    "data.flow.alpha": Range(*ALPHAS),
    "data.flow.levels": Range(1, 100),
    "data.flow.warps": Range(1, 1000),
    "data.flow.rho": Range(0, RHOS[1]),
    "data.flow.limit": Range(0, 1000, "low"),
    "data.workers": Range(1, 10_000),
    "data.decode_timeout": Range(0, 1e6, "low"),
    "data.loaders": Range(0, 1000),
    "model.width": Range(0, 4, "low"),
    "model.input_size": Range(MIN_SIZE, MAX_SIZE),
    "model.vlan_start": Range(-50, 50),
    "model.dropout": SHARE,
    "stages.*.iterations": Range(0, STEPS),
    "stages.*.batch_size": Range(1, 100_000),
    "stages.*.micro_batch": Range(1, 100_000),
    "stages.*.optimizer.lr": Range(0, 1e30, "low"),
    "stages.*.optimizer.vlan_lr": Range(0, 1e30, "low"),
    "stages.*.optimizer.momentum": SHARE,
    "stages.*.optimizer.weight_decay": Range(0, 1000),
    "stages.*.optimizer.clip_norm": Range(0, 1e9, "low"),
    "stages.*.augmentation.shift": Range(0, 50),
    "stages.*.augmentation.rotation": Range(0, 180),
    "stages.*.augmentation.scale": SHARE,
    "stages.*.augmentation.light": SHARE,
    "stages.*.measure_every": Range(0, STEPS),
    "stages.checkpoint_every": Range(1, STEPS),
    "protocol.folds.groups": Range(2, 100_000),
    "protocol.folds.seed": Range(0, SEED),
    "protocol.seed": Range(0, SEED),
    "logger.held_out_clips": Range(0, 1000),
    "trainer.devices": Range(-1, 10_000),
    "trainer.num_nodes": Range(1, 100_000),
    "trainer.log_every_n_steps": Range(1, STEPS),
}
"""By a key's full name; ``*`` stands for each of the stages."""


def range_of(key: str) -> Range | None:
    """Return the legal range of a key that may be a number; None of any other."""
    first, _, rest = key.partition(".")
    below = rest.partition(".")[2]
    return RANGES.get(key) or (RANGES.get(f"stages.*.{below}") if first == "stages" else None)


def _values(hint: Any, values: Namespace, key: str) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    """Yield the full name, type and value of each key of a part."""
    hints = get_type_hints(next(one for one in alternatives(hint) if is_dataclass(one)))
    for name, value in vars(values).items():
        full = f"{key}.{name.removesuffix('_')}"
        if isinstance(value, Namespace) and any(map(is_dataclass, alternatives(hints[name]))):
            yield from _values(hints[name], value, full)
        else:
            yield full, hints[name], value


def check_values(made: Namespace, parts: Mapping[str, type] = PARTS) -> None:
    """Refuse null where it means nothing, and numbers outside their ranges.

    Args:
        made: The parsed command line.
        parts: Of it the top of the tree.

    Raises:
        UsageError: Naming the key, the value and what is legal.
    """
    for part, kind in parts.items():
        if not isinstance(made[part], Namespace):
            raise UsageError(f"{part} is {_shown(made[part])}; it must have keys below it")
        for key, hint, value in _values(kind, made[part], part):
            wanted = range_of(key)
            if value is not None and all(
                is_dataclass(k) or k is type(None) for k in alternatives(hint)
            ):
                raise UsageError(f"{key} is {_shown(value)}; it must have keys below it")
            if value is None and type(None) not in alternatives(hint):
                bounds = "" if wanted is None else f", {wanted}"
                raise UsageError(f"{key} is null; it must be {legal(hint)}{bounds}")
            if wanted is not None:
                check_number(key, value, wanted)


def check_number(key: str, value: object, wanted: Range) -> None:
    """Refuse a number outside its range; what is no number is somebody else's to judge.

    Raises:
        UsageError: Naming the key, the value and both ends of the range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if value not in wanted:
        raise UsageError(f"{key} is {_shown(value)}; it must be {wanted}")


def _shown(value: object) -> str:
    """Write a value of a config, of a long number the beginning."""
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) > 10**30:
        return f"{'-' * (value < 0)}10^{int(math.log10(abs(value)))}"
    return str(value)


def check_groups(config: Config) -> None:
    """Refuse more groups than the built-in corpus has subjects, before it is rendered.

    Raises:
        UsageError: Naming both.
    """
    folds, subjects = config.protocol.folds, config.data.facs.subjects
    if config.data.corpus != "facs" or isinstance(folds, str) or folds.subjects is not None:
        return
    groups = subjects if folds.groups == "subjects" else folds.groups
    if not 2 <= groups <= subjects:
        raise UsageError(
            f"protocol.folds.groups is {groups}; it must be at least 2 and at most "
            f"data.facs.subjects, {subjects}"
        )
    if config.fold is not None and config.fold >= groups:
        raise UsageError(f"--fold is {config.fold}; there are folds 0 to {groups - 1}")
