"""The result bundles that a report is of, and the models whose runs they are."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vfer.config.keys import differing
from vfer.config.version import settings_of
from vfer.results.bundle import check_regular, read_folds
from vfer.results.clips import ClipFacts, find_clips
from vfer.results.nested import RECORD
from vfer.results.records import read_config
from vfer.results.runs import GROUPS, across_runs, partition, run_folders
from vfer.results.runs import SEED as SEEDS
from vfer.results.schema import read_environment
from vfer.results.scoring import NESTED, Header, results
from vfer.results.tables import ClipResult, Tables, read_tables
from vfer.results.tally import counted
from vfer.runtime.files import read_json
from vfer.verify import Difference, verify

SEED, DEALT = "protocol.seed", "protocol.folds.seed"
VARIED = (SEED, DEALT)
"""The config keys in which the runs of one model may differ."""
_HEADER = ("schema", "corpus", "classes", "protocol", "selection", "seeds")
"""What ``results.json`` must say for anything to be computed."""


@dataclass(frozen=True)
class Bundle:
    """One result bundle as it was read.

    Attributes:
        path: Its folder.
        results: As in ``results.json``, computed again from the tables.
        tables: Its tables.
        config: Its config by dotted keys.
        environment: Of ``environment.json``.
        wrong: What does not agree in it.
        plugs: Config key → class path, arguments and source hash of a class of the user's own.
        nested: Of a nested selection what ``nested.json`` says, or None.
        facts: What is known of each clip; empty of a bundle of an earlier version.
    """

    path: Path
    results: dict[str, Any]
    tables: Tables
    config: dict[str, Any]
    environment: dict[str, Any]
    wrong: tuple[Difference, ...]
    plugs: dict[str, dict[str, Any]]
    nested: dict[str, Any] | None = None
    facts: tuple[ClipFacts, ...] = ()

    @cached_property
    def videos(self) -> dict[str, str]:
        """Return the SHA-256 of each clip's video, as far as it is known."""
        return {one.clip: one.video for one in self.facts if one.video}

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seed of its training."""
        return tuple(self.results["seeds"])

    @cached_property
    def groups(self) -> frozenset[frozenset[str]]:
        """Return who was tested with whom."""
        return partition({one["fold"]: one["subjects"] for one in self.results["folds"]})


@dataclass(frozen=True)
class Model:
    """Bundles that differ in their seed and their group assignment alone.

    Attributes:
        name: Short, and unique on the page.
        runs: At least one, by seed and assignment.
    """

    name: str
    runs: tuple[Bundle, ...]

    @property
    def results(self) -> dict[str, Any]:
        """Return those of the first run."""
        return self.runs[0].results

    @property
    def config(self) -> dict[str, Any]:
        """Return that of the first run."""
        return self.runs[0].config

    def clips(self) -> list[Sequence[ClipResult]]:
        """Return the clips of each run."""
        return [run.tables.clips for run in self.runs]

    @property
    def seeds(self) -> int:
        """Return of how many seeds it has runs."""
        return len({run.seeds for run in self.runs})

    @property
    def assignments(self) -> int:
        """Return of how many group assignments it has runs."""
        return len({run.groups for run in self.runs})

    @property
    def over(self) -> str:
        """Say over what its mean and spread run."""
        if len(self.runs) == 1:
            return "folds"
        if self.assignments == 1:
            return f"{self.seeds} seeds"
        if self.seeds == 1:
            return f"{self.assignments} group assignments"
        return f"{len(self.runs)} runs of {self.seeds} seeds and {self.assignments} assignments"

    def label(self, run: Bundle) -> str:
        """Name one of its runs by what tells it from the others; nothing of a single one."""
        parts = []
        if self.seeds > 1 or len(self.runs) > self.assignments:
            parts.append(f"seed {', '.join(map(str, run.seeds))}")
        if self.assignments > 1:
            parts.append(f"groups {run.config.get(DEALT)}")
        return ", ".join(parts) if len(self.runs) > 1 else ""

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Return the summary over its runs; of one run that run's own figures."""
        by_path = {str(run.path): run.results for run in self.runs}
        return across_runs(by_path, self.clips()) if len(self.runs) > 1 else self.results


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check it.

    Raises:
        FileNotFoundError: If the folder is no bundle.
        ValueError: If it cannot be read.
    """
    try:
        check_regular(path)
        wrong = tuple(verify(path))
        unusable = next((d for d in wrong if d.file == "results.json" and d.key in _HEADER), None)
        if unusable is not None:
            raise ValueError(unusable)
        header = Header.of(read_json(path / "results.json"))
        tables = read_tables(path, header.classes)
        facts = find_clips(path)
        computed = results(tables, header, read_folds(path / "folds.json"), facts)
        record = path / "config.yaml"
        config = settings_of(read_config(record) if record.is_file() else {})
        environment = read_environment(path / "environment.json")
        nested = read_json(path / RECORD) if header.selection == NESTED else None
        plugs = {key: dict(one) for key, one in dict(environment.get("plugs") or {}).items()}
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return Bundle(path, computed, tables, config, environment, wrong, plugs, nested, facts or ())


def source_of(plug: Mapping[str, Any]) -> str:
    """Shorten the hash of a plugged-in class's source file; a dash where there is no file."""
    return str(plug.get("source") or "–")[:12]


def identity(bundle: Bundle) -> tuple[object, ...]:
    """Return what the runs of one model share: clips, config but for seed and groups, and code."""
    same = {k: bundle.config[k] for k in differing(bundle.config, {}) if k not in VARIED}
    clips = frozenset(
        (r.clip, r.subject, r.label, bundle.videos.get(r.clip))
        for r in counted(bundle.tables.clips)
    )
    settings = repr(sorted(same.items())) if same else bundle.path
    task = repr([bundle.plugs, *(bundle.results[k] for k in _HEADER if k != "seeds")])
    return task, clips, settings


def as_models(bundles: Sequence[Bundle]) -> list[Model]:
    """Put together bundles of the same clips, config and plugged-in code but for seed and groups.

    A run that is in a ``--seeds`` and in a ``--regroup`` folder counts once. Where one is there
    twice otherwise, something else tells the two apart (the code, say): then only those of one such
    folder are together. A bundle without a config stands alone.
    """
    groups: dict[object, list[Bundle]] = defaultdict(list)
    for bundle in bundles:
        groups[identity(bundle)].append(bundle)
    parts: list[list[Bundle]] = []
    for runs in groups.values():
        runs = _each_once(runs)
        once = len({(run.seeds, run.groups) for run in runs}) == len(runs)
        folders: dict[Path, list[Bundle]] = defaultdict(list)
        for run in runs:
            path = run.path.resolve()
            alone = path.parent if path.name.startswith((SEEDS, GROUPS)) else path
            folders[Path() if once else alone].append(run)
        parts += folders.values()
    models = [
        Model(
            _name(runs),
            tuple(sorted(runs, key=lambda r: (r.seeds, str(r.config.get(DEALT)).zfill(9)))),
        )
        for runs in parts
    ]
    names = Counter(model.name for model in models)
    return [
        Model(str(model.runs[0].path), model.runs) if names[model.name] > 1 else model
        for model in models
    ]


def _each_once(runs: Sequence[Bundle]) -> list[Bundle]:
    """Leave out of a folder of several groups the run that one of several seeds has too."""
    of_seeds = [run for run in runs if run.path.resolve().name.startswith(SEEDS)]
    return [
        run
        for run in runs
        if not run.path.resolve().name.startswith(GROUPS)
        or not any(
            (run.seeds, run.groups, run.tables.clips) == (one.seeds, one.groups, one.tables.clips)
            for one in of_seeds
        )
    ]


def _name(runs: Sequence[Bundle]) -> str:
    """Name a model by its bundle's folder; of several by what these share without the numbers."""
    paths = [run.path.resolve() for run in runs]
    if len(paths) == 1:
        return paths[0].name
    if all(path.name.startswith((SEEDS, GROUPS)) for path in paths):
        return " + ".join(dict.fromkeys(path.parent.name for path in paths))
    stems = {re.sub(r"[-_. ]+(seed|s|groups)?[-_. ]*\d+$", "", path.name) for path in paths}
    return stems.pop() if len(stems) == 1 else " + ".join(path.name for path in paths)


def by_corpus(bundles: Sequence[Bundle]) -> list[list[Model]]:
    """Make models of bundles, and put those of one corpus and the same classes together."""
    groups: dict[str, list[Model]] = defaultdict(list)
    for model in as_models(bundles):
        groups[repr((model.results["corpus"], model.results["classes"]))].append(model)
    return list(groups.values())


def expand(paths: Sequence[Path]) -> list[Path]:
    """Put its bundles in the place of each folder of several runs; none is there twice."""
    expanded = []
    for path in paths:
        seeds = [] if (path / "predictions.csv").is_file() else run_folders(path)
        expanded += [path / name for name in seeds] or [path]
    return list(dict.fromkeys(expanded))
