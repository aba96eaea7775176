"""Several runs of one model, each a bundle in a folder of its own, and what they say together.

They differ in their seed (``seed-<s>/``) or in who is tested with whom (``groups-<s>/``).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vfer.results.bootstrap import interval_over_runs
from vfer.results.bundle import read_folds
from vfer.results.checks import Difference
from vfer.results.records import read_config, setting
from vfer.results.scoring import SCHEMA, spread_of
from vfer.results.tables import ClipResult, read_tables
from vfer.results.tally import MEASURES
from vfer.runtime.files import read_json

SEED, GROUPS = "seed-", "groups-"
"""How the folders begin of runs that differ in their seed, or in their subject groups."""


def run_folders(output: Path) -> list[str]:
    """Return the names of the bundles of several runs below a folder."""
    found = [path.name for path in output.glob("*") if path.is_dir()]
    return sorted(name for name in found if name.startswith((SEED, GROUPS)))


def partition(folds: Mapping[int, Sequence[str]]) -> frozenset[frozenset[str]]:
    """Return who is tested with whom, whatever the numbers of the folds."""
    return frozenset(frozenset(subjects) for subjects in folds.values())


def across_runs(
    bundles: Mapping[str, Mapping[str, Any]],
    clips: Sequence[Sequence[ClipResult]],
    assignments: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return what ``results.json`` says above the bundles of several runs; fractions, unrounded.

    For each of `MEASURES`: ``values`` the mean over folds of each run, ``mean`` and ``std`` (ddof
    1; 0.0 for one run) over these, ``pooled`` the mean over runs of what all clips give, and
    ``ci95`` a 95 % percentile bootstrap of that over subjects, all runs being scored on the same
    resampled people. ``std`` is between seeds, or between group assignments, ``ci95`` between
    people: neither holds the other.

    Args:
        bundles: Folder name → its `results`, of runs that differ in seed or groups alone.
        clips: The clips of each, in the same order.
        assignments: Where they differ in their groups, ``protocol.folds.seed`` of each.

    Raises:
        ValueError: They are not of the same corpus, classes and clips.
    """
    all_results = list(bundles.values())
    summary: dict[str, Any] = {"schema": SCHEMA}
    for name in ("corpus", "classes", "protocol", "selection"):
        values = [one[name] for one in all_results]
        if any(value != values[0] for value in values):
            raise ValueError(f"the bundles {', '.join(bundles)} differ in {name}: {values}")
        summary[name] = values[0]
    interval = interval_over_runs(clips, summary["classes"])
    seeds = [seed for one in all_results for seed in one["seeds"]]
    if assignments is None:
        summary["seeds"] = seeds
    else:
        summary |= {"seeds": list(dict.fromkeys(seeds)), "assignments": list(assignments)}
    summary["bundles"] = list(bundles)
    for name in MEASURES:
        means = [one[name]["mean"] for one in all_results]
        summary[name] = {
            **spread_of(means),
            "values": means,
            "pooled": float(np.mean([one[name]["pooled"] for one in all_results])),
            "ci95": list(interval[name]),
        }
    return summary | {name: all_results[0][name] for name in ("chance", "majority")}


def summarise_runs(directory: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return `across_runs` of the bundles in a folder, in the order of their seeds.

    Args:
        directory: The folder.
        names: As `run_folders` gives them.

    Raises:
        ValueError: They do not belong together.
    """
    found = {name: read_json(directory / name / "results.json") for name in names}
    if all(name.startswith(SEED) for name in names):
        found = dict(sorted(found.items(), key=lambda item: item[1]["seeds"]))
        assignments = None
    elif all(name.startswith(GROUPS) for name in names):
        dealt = {name: _dealt(directory / name) for name in names}
        found = {name: found[name] for name in sorted(names, key=dealt.__getitem__)}
        assignments = [dealt[name] for name in found]
    else:
        raise ValueError(f"{directory} holds runs of several seeds and of several groups")
    clips = [read_tables(directory / name, one["classes"]).clips for name, one in found.items()]
    return across_runs(found, clips, assignments)


def _dealt(bundle: Path) -> int:
    """Return by which seed a bundle's groups were dealt."""
    seed = setting(read_config(bundle / "config.yaml"), "protocol.folds.seed")
    if not isinstance(seed, int):
        raise ValueError(f"{bundle / 'config.yaml'}: protocol.folds.seed is {seed}")
    return seed


def check_assignments(directory: Path, names: Sequence[str]) -> Iterator[Difference]:
    """Check that runs of several group assignments have different groups, and the same seed."""
    seen: dict[frozenset[frozenset[str]], str] = {}
    seeds: dict[str, Any] = {}
    for name in (name for name in names if name.startswith(GROUPS)):
        groups = partition(read_folds(directory / name / "folds.json"))
        if groups in seen:
            yield Difference(f"{name}/folds.json", "groups", f"those of {seen[groups]}", "others")
        seen.setdefault(groups, name)
        seeds[name] = read_json(directory / name / "results.json")["seeds"]
        first = next(iter(seeds))
        if seeds[name] != seeds[first]:
            yield Difference(
                f"{name}/results.json", "seeds", seeds[name], f"{seeds[first]} as in {first}"
            )
