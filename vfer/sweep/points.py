"""The points of a W&B sweep file: the file, the values of each point, and a name for it."""

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from vfer.runtime.console import UsageError
from vfer.runtime.files import key_of, read_yaml

_KEYS = {
    "name", "description", "project", "entity", "program", "command", "method", "metric",
    "parameters", "run_cap",
}  # fmt: skip
_DISTRIBUTIONS = ("categorical", "constant", "uniform", "int_uniform", "log_uniform_values")
COMMAND = ("-m", "vfer.fit")


@dataclass(frozen=True)
class Sweep:
    """A sweep file.

    Attributes:
        method: ``grid`` or ``random``.
        parameters: Of each dotted config key its values, or for ``random`` its SciPy distribution.
        run_cap: The most points that are run; None for all of a grid.
        words: What the file's command gives ``vfer.fit`` beside the parameters, without --config.
        configs: The config files that its command names.
    """

    method: str
    parameters: dict[str, Any]
    run_cap: int | None
    words: tuple[str, ...]
    configs: tuple[str, ...]


def _values(key: str, given: Mapping[str, Any], method: str) -> Any:  # noqa: ANN401
    """Return the list of values of a parameter, or its SciPy distribution."""
    kind = given.get("distribution")
    if kind is not None and kind not in _DISTRIBUTIONS:
        raise UsageError(
            f"parameter {key}: the distribution {kind} is W&B's alone; here it is one of "
            f"{', '.join(_DISTRIBUTIONS)}"
        )
    rest = given.keys() - {"distribution"}
    if rest == {"value"} and kind in (None, "constant"):
        return [given["value"]]
    if rest == {"values"} and kind in (None, "categorical"):
        if not isinstance(given["values"], list) or not given["values"]:
            raise UsageError(f"parameter {key}: values is {given['values']}; give a list")
        return given["values"]
    if rest != {"min", "max"} or kind in ("constant", "categorical"):
        raise UsageError(
            f"parameter {key} is {dict(given)}; give value, values, or min and max (with a "
            "distribution), or parameters for keys below it"
        )
    if method == "grid":
        raise UsageError(f"parameter {key} has min and max; method grid needs its values")
    from scipy import stats  # takes a while, and a grid needs none

    low, high = given["min"], given["max"]
    whole = all(isinstance(v, int) for v in (low, high))
    kind = kind or ("int_uniform" if whole else "uniform")
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in (low, high)):
        raise UsageError(f"parameter {key}: min is {low!r} and max {high!r}; give numbers")
    if not low < high or (kind == "log_uniform_values" and low <= 0):
        raise UsageError(
            f"parameter {key}: min is {low} and max {high}; min must be below max, and above 0 "
            "for log_uniform_values"
        )
    if kind == "int_uniform":
        if not whole:
            raise UsageError(f"parameter {key}: min is {low} and max {high}; int_uniform is of int")
        return stats.randint(low, high + 1)
    return stats.uniform(low, high - low) if kind == "uniform" else stats.loguniform(low, high)


def _parameters(given: Any, method: str, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Return the dotted keys of parameters, which may be nested, with what each may be."""
    if not isinstance(given, dict) or not given:
        raise UsageError(f"parameters{prefix and f' of {prefix}'} are {given}; give at least one")
    found: dict[str, Any] = {}
    for name, value in given.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict):
            raise UsageError(f"parameter {key} is {value}; give value, values, or min and max")
        if value.keys() == {"parameters"}:
            found |= _parameters(value["parameters"], method, f"{key}.")
        else:
            found[key] = _values(key, value, method)
    return found


def config_parser(**options: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own
    """Make a parser of ``--config`` alone, which leaves every other word as it is."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, **options)
    parser.add_argument(
        "--config", action="append", default=[], help="in place of the file's; may be repeated"
    )
    return parser


def _command(given: Any) -> tuple[list[str], list[str]]:  # noqa: ANN401 - any YAML value
    """Return the fixed words and the configs of a file's command, which must run ``vfer.fit``."""
    words = [str(word) for word in given] if isinstance(given, list) else []
    at = words.index("-m") if "-m" in words else len(words)
    if words[at : at + 2] != [*COMMAND] or words[-1] != "${args}":
        raise UsageError(
            f"the file's command is {given}; it must be a list that runs python -m vfer.fit and "
            "ends in ${args}, as in configs/sweeps/"
        )
    found, fixed = config_parser().parse_known_args(words[at + 2 : -1])
    return fixed, found.config


def read_sweep(path: Path) -> Sweep:
    """Read a W&B sweep file.

    Raises:
        UsageError: If it is none, or asks for what only W&B's server can do.
    """
    try:
        given = read_yaml(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict) or not {"method", "parameters", "command"} <= given.keys():
        raise UsageError(f"{path} is no sweep file: it needs method, parameters and command")
    try:
        unknown = given.keys() - _KEYS
        if unknown:
            raise UsageError(f"{', '.join(sorted(map(str, unknown)))} is not known here")
        method, cap = given["method"], given.get("run_cap")
        if method not in ("grid", "random"):
            raise UsageError(f"method is {method}; without W&B it must be grid or random")
        if cap is not None and (not isinstance(cap, int) or cap < 1):
            raise UsageError(f"run_cap is {cap}; it must be at least 1")
        words, configs = _command(given["command"])
        parameters = _parameters(given["parameters"], method)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return Sweep(method, parameters, cap, tuple(words), tuple(configs))


def _draw(sweep: Sweep, limit: int, seed: int) -> list[dict[str, Any]]:
    """Draw points of method ``random``, of a finite number none twice."""
    from sklearn.model_selection import ParameterSampler  # takes a second, and a grid needs none

    size = math.inf
    if all(isinstance(values, list) for values in sweep.parameters.values()):
        size = math.prod(len(values) for values in sweep.parameters.values())
    return list(ParameterSampler(sweep.parameters, int(min(limit, size)), random_state=seed))


def choose(sweep: Sweep, points: int | None, seed: int) -> list[dict[str, Any]]:
    """Choose the values of each point.

    Args:
        sweep: The sweep.
        points: The most points, or None: as many as ``run_cap`` says.
        seed: Of ``random``.

    Raises:
        UsageError: If nothing says how many points ``random`` is to draw.
    """
    limit = sweep.run_cap if points is None else points
    if sweep.method == "random":
        if limit is None:
            raise UsageError("method random has no end: give --points N, or run_cap in the file")
        drawn = _draw(sweep, limit, seed)
    else:
        names = sorted(sweep.parameters)
        values = product(*(sweep.parameters[name] for name in names))
        drawn = [dict(zip(names, one, strict=True)) for one in values][:limit]
    plain = [{k: v.item() if hasattr(v, "item") else v for k, v in p.items()} for p in drawn]
    ordered = [{key: point[key] for key in sweep.parameters} for point in plain]
    return list({key_of({k: str(v) for k, v in p.items()}): p for p in ordered}.values())


def names_of(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Make a file name for each point, of the keys in which points differ."""
    keys = [k for k in points[0] if len({str(p[k]) for p in points}) > 1] or list(points[0])
    last = [key.rpartition(".")[2] for key in keys]
    short = {k: name if last.count(name) == 1 else k for k, name in zip(keys, last, strict=True)}

    def safe(value: Any) -> str:  # noqa: ANN401 - any YAML value
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        return re.sub(r"[^\w.+-]+", "_", text).strip("_.") or "none"

    names = ["_".join(f"{safe(short[k])}-{safe(p[k])}" for k in keys) for p in points]
    folded = [name.casefold() for name in names]
    return [
        name if len(name) <= 100 and folded.count(name.casefold()) == 1
        else f"{name[:100]}-{key_of(dict(point))}"
        for name, point in zip(names, points, strict=True)
    ]  # fmt: skip
