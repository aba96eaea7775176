"""The result bundles that a report is of, and the models whose runs they are."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from vfer.config.keys import differing
from vfer.config.version import settings_of
from vfer.results.bundle import read_folds, seed_folders
from vfer.results.nested import RECORD
from vfer.results.scoring import NESTED, Header, across_seeds, results
from vfer.results.tables import ClipResult, Tables, read_tables
from vfer.results.tally import counted
from vfer.runtime.files import read_json
from vfer.verify import Difference, verify

SEED = "protocol.seed"
"""The config key in which the runs of one model may differ."""
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
    """

    path: Path
    results: dict[str, Any]
    tables: Tables
    config: dict[str, Any]
    environment: dict[str, Any]
    wrong: tuple[Difference, ...]
    plugs: dict[str, dict[str, Any]]
    nested: dict[str, Any] | None = None


@dataclass(frozen=True)
class Model:
    """Bundles that differ in their seed alone.

    Attributes:
        name: Short, and unique on the page.
        runs: At least one, by seed.
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

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Return the summary over its seeds; of one seed that seed's own figures."""
        by_path = {str(run.path): run.results for run in self.runs}
        return across_seeds(by_path, self.clips()) if len(self.runs) > 1 else self.results


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check it.

    Raises:
        FileNotFoundError: If the folder is no bundle.
        ValueError: If it cannot be read.
    """
    try:
        wrong = tuple(verify(path))
        unusable = next((d for d in wrong if d.file == "results.json" and d.key in _HEADER), None)
        if unusable is not None:
            raise ValueError(unusable)
        header = Header.of(read_json(path / "results.json"))
        tables = read_tables(path, header.classes)
        computed = results(tables, header, read_folds(path / "folds.json"))
        record = path / "config.yaml"
        tree = yaml.safe_load(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if not isinstance(tree, dict):
            raise ValueError(f"{record} holds no settings")
        config = settings_of(tree)
        environment = dict(read_json(path / "environment.json"))
        nested = read_json(path / RECORD) if header.selection == NESTED else None
        plugs = {key: dict(one) for key, one in dict(environment.get("plugs") or {}).items()}
    except (KeyError, RecursionError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return Bundle(path, computed, tables, config, environment, wrong, plugs, nested)


def source_of(plug: Mapping[str, Any]) -> str:
    """Shorten the hash of a plugged-in class's source file; a dash where there is no file."""
    return str(plug.get("source") or "–")[:12]


def as_models(bundles: Sequence[Bundle]) -> list[Model]:
    """Put together bundles of the same clips, config and plugged-in code but for the seed.

    Where a seed is there twice, something else tells the runs apart (the code, say): then only
    those of one ``--seeds`` folder are together. A bundle without a config stands alone.
    """
    groups: dict[object, list[Bundle]] = defaultdict(list)
    for bundle in bundles:
        same = {k: bundle.config[k] for k in differing(bundle.config, {}) if k != SEED}
        clips = frozenset((r.clip, r.subject, r.label) for r in counted(bundle.tables.clips))
        settings = repr(sorted(same.items())) if same else bundle.path
        task = repr([bundle.plugs, *(bundle.results[k] for k in _HEADER if k != "seeds")])
        groups[task, clips, settings].append(bundle)
    parts: list[list[Bundle]] = []
    for runs in groups.values():
        seeds = [seed for run in runs for seed in run.results["seeds"]]
        folders: dict[Path, list[Bundle]] = defaultdict(list)
        for run in runs:
            path = run.path.resolve()
            alone = path.parent if path.name.startswith("seed-") else path
            folders[Path() if len(set(seeds)) == len(seeds) else alone].append(run)
        parts += folders.values()
    models = [
        Model(_name(runs), tuple(sorted(runs, key=lambda run: run.results["seeds"])))
        for runs in parts
    ]
    names = Counter(model.name for model in models)
    return [
        Model(str(model.runs[0].path), model.runs) if names[model.name] > 1 else model
        for model in models
    ]


def _name(runs: Sequence[Bundle]) -> str:
    """Name a model by its bundle's folder; of several by what they share without the seed."""
    paths = [run.path.resolve() for run in runs]
    if len(paths) == 1:
        return paths[0].name
    if all(path.name.startswith("seed-") for path in paths):
        return paths[0].parent.name
    stems = {re.sub(r"[-_. ]+(seed|s)?[-_. ]*\d+$", "", path.name) for path in paths}
    return stems.pop() if len(stems) == 1 else " + ".join(path.name for path in paths)


def by_corpus(bundles: Sequence[Bundle]) -> list[list[Model]]:
    """Make models of bundles, and put those of one corpus and the same classes together."""
    groups: dict[str, list[Model]] = defaultdict(list)
    for model in as_models(bundles):
        groups[repr((model.results["corpus"], model.results["classes"]))].append(model)
    return list(groups.values())


def expand(paths: Sequence[Path]) -> list[Path]:
    """Put its bundles in the place of each folder of several seeds; none is there twice."""
    expanded = []
    for path in paths:
        seeds = [] if (path / "predictions.csv").is_file() else seed_folders(path)
        expanded += [path / name for name in seeds] or [path]
    return list(dict.fromkeys(expanded))
