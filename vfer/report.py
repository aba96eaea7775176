"""``python -m vfer.report DIR…``: result bundles as one page that needs no network, and as tables.

Reads JSON, CSV and YAML only; nothing from a bundle is executed or unpickled. Exit status: 0 done,
1 the work failed, 2 a folder is no bundle.
"""

import argparse
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vfer import figures
from vfer.bundle import read_folds, seed_folders
from vfer.cli import differing, flatten
from vfer.files import read_json
from vfer.page import Grid, Picture, Section, file_name, write_page
from vfer.published import paper_row, published
from vfer.scoring import (
    MEASURES,
    MIN_SUBJECTS,
    across_seeds,
    bootstrap_interval,
    compare,
    counted,
    results,
    stream_rows,
    tally,
)
from vfer.store import CropStore
from vfer.tables import ClipResult, Tables, read_tables
from vfer.verify import Difference, verify

HARDEST = 8
"""How many of the hardest clips are shown."""
_SEED = "protocol.seed"
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
    """

    path: Path
    results: dict[str, Any]
    tables: Tables
    config: dict[str, Any]
    environment: dict[str, Any]
    wrong: tuple[Difference, ...]


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
        """Those of the first run."""
        return self.runs[0].results

    @property
    def config(self) -> dict[str, Any]:
        """That of the first run."""
        return self.runs[0].config

    def clips(self) -> list[Sequence[ClipResult]]:
        """The clips of each run."""
        return [run.tables.clips for run in self.runs]

    def summary(self) -> dict[str, Any]:
        """What is said over its seeds; of one seed that seed's own figures."""
        found = {str(run.path): run.results for run in self.runs}
        return across_seeds(found, self.clips()) if len(self.runs) > 1 else self.results


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check it.

    Raises:
        FileNotFoundError: If the folder is no bundle.
        ValueError: If it cannot be read.
    """
    try:
        wrong = tuple(verify(path))
        header = next((d for d in wrong if d.file == "results.json" and d.key in _HEADER), None)
        if header is not None:
            raise ValueError(header)
        said = read_json(path / "results.json")
        tables = read_tables(path, said["classes"])
        found = results(
            tables,
            folds=read_folds(path / "folds.json"),
            protocol=said["protocol"]["name"],
            **{name: said[name] for name in ("corpus", "classes", "selection", "seeds")},
        )
        record = path / "config.yaml"
        tree = yaml.safe_load(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if not isinstance(tree, dict):
            raise ValueError(f"{record} holds no settings")
        config = flatten(tree)
        environment = dict(read_json(path / "environment.json"))
    except (KeyError, RecursionError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return Bundle(path, found, tables, config, environment, wrong)


def models(bundles: Sequence[Bundle]) -> list[Model]:
    """Bundles of the same clips and config but for the seed, together.

    Where a seed is there twice, something else tells the runs apart (the code, say): then only
    those of one ``--seeds`` folder are together. A bundle without a config stands alone.
    """
    groups: dict[object, list[Bundle]] = defaultdict(list)
    for bundle in bundles:
        same = {k: bundle.config[k] for k in differing(bundle.config, {}) if k != _SEED}
        clips = frozenset((r.clip, r.subject, r.label) for r in counted(bundle.tables.clips))
        settings = repr(sorted(same.items())) if same else bundle.path
        groups[bundle.results["corpus"], clips, settings].append(bundle)
    parts: list[list[Bundle]] = []
    for runs in groups.values():
        seeds = [seed for run in runs for seed in run.results["seeds"]]
        folders: dict[Path, list[Bundle]] = defaultdict(list)
        for run in runs:
            path = run.path.resolve()
            alone = path.parent if path.name.startswith("seed-") else path
            folders[Path() if len(set(seeds)) == len(seeds) else alone].append(run)
        parts += folders.values()
    found = [
        Model(_name(runs), tuple(sorted(runs, key=lambda run: run.results["seeds"])))
        for runs in parts
    ]
    names = Counter(model.name for model in found)
    return [
        Model(str(model.runs[0].path), model.runs) if names[model.name] > 1 else model
        for model in found
    ]


def _name(runs: Sequence[Bundle]) -> str:
    """That of the bundle's folder; of several what their names are without the seed."""
    paths = [run.path.resolve() for run in runs]
    if len(paths) == 1:
        return paths[0].name
    if all(path.name.startswith("seed-") for path in paths):
        return paths[0].parent.name
    stems = {re.sub(r"[-_. ]+(seed|s)?[-_. ]*\d+$", "", path.name) for path in paths}
    return stems.pop() if len(stems) == 1 else " + ".join(path.name for path in paths)


def percent(value: float | None) -> str:
    """A share as %, one decimal."""
    return "–" if value is None else f"{100 * value:.1f}"


def _pooled(measure: dict[str, Any]) -> str:
    low, high = measure["ci95"]
    return f"{percent(measure['pooled'])} ({percent(low)}–{percent(high)})"


def _spread(measure: dict[str, Any]) -> str:
    return f"{percent(measure['mean'])} ± {percent(measure['std'])}"


def _warnings(bundles: Sequence[Bundle]) -> list[str]:
    said = []
    for bundle in bundles:
        if bundle.wrong:
            first = "; ".join(str(difference)[:200] for difference in bundle.wrong[:3])
            said.append(
                f"{bundle.path.name} does not verify, {len(bundle.wrong)} differences: {first}"
            )
    subjects = min(len({r.subject for r in counted(bundle.tables.clips)}) for bundle in bundles)
    if subjects < MIN_SUBJECTS:
        said.append(
            f"{subjects} subjects: with fewer than {MIN_SUBJECTS} the intervals are too narrow."
        )
    return said


_PUBLISHED = (
    "Published figures come from other subject groups, and some from an iteration chosen on the "
    "test group: they are for orientation. Pan et al. do not say whether their accuracy is of "
    "clips or of segments."
)


def _measures(found: Sequence[Model]) -> Grid:
    """Each model, chance, and what is published."""
    rows = []
    for model in found:
        summary, seeds = model.summary(), len(model.runs)
        rows.append(
            [
                model.name,
                *(
                    f
                    for m in ("accuracy", "uar")
                    for f in (_spread(summary[m]), _pooled(summary[m]))
                ),
                percent(summary["macro_f1"]["pooled"]),
                f"± between {seeds} seeds" if seeds > 1 else "± between folds",
            ]
        )
    results = found[0].results
    chance = percent(results["chance"])
    rows.append(["chance", chance, "", chance, "", "", f"one of {len(results['classes'])} classes"])
    rows.append(["always the largest class", percent(results["majority"]), "", chance, "", "", ""])
    names = {row for model in found if (row := paper_row(model.config)) is not None}
    others = published(results["corpus"], names, len(results["classes"]))
    for one in others:
        uar = "" if one.uar is None else f"{one.uar:g}"  # as printed there
        where = ", ".join(text for text in (one.where, one.note) if text)
        rows.append([one.who, f"{one.accuracy:g}", "", uar, "", "", where])
    return Grid(
        "result",
        "Accuracy is the share of clips recognised (WAR); pooled is over all clips, with a 95 % "
        "interval over subjects",
        (
            "", "accuracy, %", "accuracy, pooled, %", "UAR, %", "UAR, pooled, %",
            "macro-F1, pooled, %", "what it is",
        ),
        rows,
        _PUBLISHED if others else "Nothing is published on this corpus.",
    )  # fmt: skip


def _numbers(found: Sequence[Model]) -> Grid:
    """What `_measures` says of each model, as unrounded fractions."""
    rows = []
    for model in found:
        summary, over = model.summary(), "seeds" if len(model.runs) > 1 else "folds"
        for name in MEASURES:
            one = summary[name]
            low, high = (str(end) for end in one["ci95"])
            mean, std, pooled = (str(one[key]) for key in ("mean", "std", "pooled"))
            rows.append([model.name, name, mean, std, over, pooled, low, high])
    header = ("model", "measure", "mean", "std", "over", "pooled", "ci95_low", "ci95_high")
    return Grid("numbers", "Unrounded", header, rows, shown=False)


def _one(model: Model) -> list[Section]:
    """The sections on one run."""
    run = model.runs[0]
    found, tables = run.results, run.tables
    classes = found["classes"]
    streams = [
        [f"{name} network alone", *_with_interval(stream_rows(tables, name), classes),
         _paired(stream_rows(tables, name), tables.clips, classes)]
        for name in found["streams"]
    ]  # fmt: skip
    sections = [
        Section(
            "Folds",
            parts=[
                Grid(
                    "folds",
                    "Each fold is tested on people that it was not trained on",
                    (
                        "fold", "clips", "segments", "accuracy, %", "UAR, %", "macro-F1, %",
                        "subjects",
                    ),
                    [
                        [
                            str(fold["fold"]), str(fold["clips"]), str(fold["segments"]),
                            *(percent(fold[name]) for name in ("accuracy", "uar", "macro_f1")),
                            ", ".join(fold["subjects"]),
                        ]
                        for fold in found["folds"]
                    ],
                    f"Segments by themselves: accuracy {percent(found['segment_accuracy'])} %.",
                )
            ],
        ),
        Section(
            "Classes",
            text=["Rows of the matrix sum to 100 %. Its classes stand in the paper's order."],
            parts=[
                Picture("confusion", figures.confusion_figure(found), "Confusion, all folds"),
                Grid(
                    "classes",
                    "All folds together",
                    ("class", "clips", "recall, %", "precision, %"),
                    [
                        [name, str(count), percent(found["recall"][name]),
                         percent(found["precision"][name])]
                        for name, count in zip(
                            classes, tally(tables.clips, classes).clips.tolist(), strict=True
                        )
                    ],
                    "Clips without a face and unreadable ones count as wrong: they lower recall.",
                ),
            ],
        ),
    ]  # fmt: skip
    if streams:
        whole = ["the whole model", *_with_interval(tables.clips, classes), ""]
        sections.insert(
            1,
            Section(
                "Streams",
                text=[
                    "The networks of stages 1 and 2 by themselves: the mean softmax over a clip's "
                    "frames. The single streams of the paper's Table 3 go through EmotionalVlan "
                    "and are runs of their own (model.streams)."
                ],
                parts=[
                    Grid(
                        "streams",
                        "Pooled over all clips, with 95 % intervals over subjects",
                        ("", "accuracy, %", "interval", "UAR, %", "whole model − this"),
                        [*streams, whole],
                        "Difference in points of accuracy, with the interval and p of a paired "
                        "bootstrap over subjects.",
                    )
                ],
            ),
        )
    sections += [_curves(run), _subjects(run), _coverage(run), _hardest(run)]
    if len(model.runs) == 1:
        return sections
    seed = run.results["seeds"][0]
    return [replace(one, title=f"{one.title} (seed {seed})") for one in sections]


def _with_interval(rows: Sequence[ClipResult], classes: Sequence[str]) -> list[str]:
    counts = tally(rows, classes)
    low, high = bootstrap_interval(rows, classes)["accuracy"]
    return [
        percent(float(counts.accuracy())),
        f"{percent(low)}–{percent(high)}",
        percent(float(counts.uar())),
    ]


def _paired(
    first: Sequence[ClipResult], second: Sequence[ClipResult], classes: Sequence[str]
) -> str:
    return _difference(compare([first], [second], classes)["accuracy"])


def _difference(found: dict[str, Any]) -> str:
    low, high = (f"{100 * value:+.1f}" for value in found["ci95"])
    return f"{100 * found['difference']:+.1f} ({low} to {high}), p = {found['p']:.3f}"


def _curves(run: Bundle) -> Section:
    folds = [f for f in run.results["folds"] if f["oracle_accuracy"] is not None]
    stages = list(dict.fromkeys(p.stage for p in run.tables.curves if p.accuracy is not None))
    text = ["Nothing was selected by the curve of the test group: it is only recorded."]
    if folds:
        gap = sum(f["oracle_accuracy"] - f["accuracy"] for f in folds) / len(folds)
        text.append(
            f"Optimism gap: had each fold's iteration been chosen on its test group, the mean "
            f"would read {100 * gap:.1f} points more. That would be no result."
        )
    return Section(
        "Training curves",
        text=text if stages else ["No curve was recorded."],
        parts=[
            Picture(
                f"curve-{stage}",
                figures.curves_figure(run.tables.curves, [stage]),
                f"Stage {stage}: thin lines are folds",
            )
            for stage in stages
        ],
    )


def _subjects(run: Bundle) -> Section:
    of_subject: dict[str, list[bool]] = defaultdict(list)
    for row in counted(run.tables.clips):
        right = row.prediction(run.results["classes"]) == row.label
        of_subject[row.subject].append(right)
    accuracy = {name: sum(right) / len(right) for name, right in of_subject.items()}
    fold_of = {row.subject: row.fold for row in run.tables.clips}
    worst = sorted(accuracy, key=lambda name: (accuracy[name], name))
    drawn = figures.subjects_figure(accuracy, run.results["accuracy"]["pooled"])
    return Section(
        "Subjects",
        parts=[
            Picture("subjects", drawn, "Accuracy of each subject"),
            Grid(
                "subjects",
                "From the hardest on",
                ("subject", "fold", "clips", "accuracy, %"),
                [
                    [name, str(fold_of[name]), str(len(of_subject[name])), percent(accuracy[name])]
                    for name in worst
                ],
            ),
        ],
    )


def _coverage(run: Bundle) -> Section:
    coverage = run.results["coverage"]
    missed = [row for row in run.tables.clips if row.status in ("no_face", "unreadable")]
    excluded = Counter(row.reason for row in run.tables.clips if row.status == "excluded")
    parts = [
        Grid(
            "coverage",
            "Every clip of the corpus",
            ("clips", "scored", "without a face", "unreadable", "excluded"),
            [[str(count) for count in coverage.values()]],
            "Clips without a face and unreadable ones count as wrong, excluded ones nowhere.",
        )
    ]
    if missed:
        rows = [[row.clip, row.label, row.status, row.reason] for row in missed]
        parts.append(Grid("missed", "Not scored", ("clip", "class", "status", "why"), rows))
    if excluded:
        rows = [[reason, str(count)] for reason, count in excluded.most_common()]
        parts.append(Grid("excluded", "Excluded", ("why", "clips"), rows))
    return Section("Coverage", parts=parts)


def _hardest(run: Bundle) -> Section:
    """The clips whose true class was given the least probability, with their crops."""
    classes = run.results["classes"]
    scored = [
        (row.probabilities[classes.index(row.label)], row)
        for row in run.tables.clips
        if row.probabilities is not None
    ]
    hardest = sorted(scored, key=lambda pair: (pair[0], pair[1].clip))[:HARDEST]
    rows = [
        [str(k), row.clip, row.subject, row.label, str(row.prediction(classes)), percent(p)]
        for k, (p, row) in enumerate(hardest, 1)
    ]
    parts: list[Grid | Picture] = [
        Grid(
            "hardest",
            "The least probability of the true class",
            ("", "clip", "subject", "class", "taken for", "probability, %"),
            rows,
        )
    ]
    store = CropStore(
        Path(str(run.config.get("data.cache")), "crops", str(run.environment.get("store")))
    )
    shown = []
    for k, (_, row) in enumerate(hardest, 1):
        title = f"{k}. {row.label}, taken for {row.prediction(classes)}"
        try:
            shown.append((title, store.crops(row.clip)))
        except (KeyError, OSError, TypeError, ValueError):
            continue
    if shown:
        caption = "Their crops, from the first frame to the last"
        parts.append(Picture("hardest", figures.clips_figure(shown), caption))
    missing = len(hardest) - len(shown)
    text = [f"The crops of {missing} of them are not at hand: no {store.directory}"]
    return Section("Hardest clips", text=text if missing else (), parts=parts)


def _settings(found: Sequence[Model]) -> list[str]:
    """The config keys in which models differ, seeds and outcomes' places left out."""
    first = found[0].config
    return sorted({k for model in found[1:] for k in differing(first, model.config) if k != _SEED})


def _several(found: Sequence[Model]) -> list[Section]:
    """The sections that compare models of one corpus."""
    classes = found[0].results["classes"]
    keys = _settings(found)
    parts: list[Grid | Picture] = []
    if keys:
        parts.append(
            Grid(
                "settings",
                "In which settings they differ",
                ("", *keys),
                [[model.name, *(str(model.config.get(key)) for key in keys)] for model in found],
            )
        )
    parts += _environments(found)
    # The setting with more values goes along the axis.
    keys.sort(key=lambda key: -len({str(model.config.get(key)) for model in found}))
    parts.append(_swept(found, *(keys if 0 < len(keys) <= 2 else [""])))
    sections = [Section("Settings", parts=parts)]
    rows, refused = [], []
    for model in found[1:]:
        try:
            tested = compare(found[0].clips(), model.clips(), classes)
        except ValueError as error:
            refused.append(f"{model.name}: {error}")
            continue
        rows.append([model.name, _difference(tested["accuracy"]), _difference(tested["uar"])])
    sections.append(
        Section(
            f"Against {found[0].name}",
            text=[
                "A paired bootstrap over subjects: both models are scored on the same resampled "
                "people. The variance between training runs is not in it; give several seeds to "
                "see that. p is for one comparison that was decided on beforehand: of many, some "
                "are small by chance."
            ],
            warnings=refused,
            parts=[
                Grid(
                    "paired",
                    "Difference in points (95 % interval), p",
                    ("", "accuracy", "UAR"),
                    rows,
                )
            ]
            if rows
            else (),
        )
    )
    recall = [
        [model.name, *(percent(model.results["recall"][name]) for name in classes)]
        for model in found
    ]
    coverage = [
        [model.name, *(str(count) for count in model.results["coverage"].values())]
        for model in found
    ]
    columns = ("", "clips", "scored", "without a face", "unreadable", "excluded")
    sections.append(
        Section(
            "Classes and coverage",
            parts=[
                Grid("recall", "Recall of each class, pooled, % (of the first seed)",
                     ("", *classes), recall),
                Grid("coverage", "Clips (of the first seed)", columns, coverage),
            ],
        )
    )  # fmt: skip
    return sections


def _environments(found: Sequence[Model]) -> list[Grid]:
    """In what else than settings models differ: code, device, versions."""
    known = [flatten(model.runs[0].environment) for model in found]
    keys = sorted(
        key
        for key in {key for one in known for key in one}
        if key.startswith(("commit", "device", "python", "packages.", "corpus.fingerprint"))
        and len({str(one.get(key)) for one in known}) > 1
    )
    rows = [
        [model.name, *(str(one.get(key)) for key in keys)]
        for model, one in zip(found, known, strict=True)
    ]
    title = "In what else they differ (of the first seed)"
    return [Grid("environments", title, ("", *keys), rows)] if keys else []


def _swept(found: Sequence[Model], key: str, second: str = "") -> Picture:
    """Accuracy over a setting, with lines of a second one; without a setting, of each model."""
    values = [model.config.get(key) if key else model.name for model in found]
    numbers = all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values
    )
    points = []
    for model, value in zip(found, values, strict=True):
        accuracy = model.summary()["accuracy"]
        points.append(
            figures.Point(
                x=float(str(value)) if numbers else str(value),
                line=str(model.config.get(second)) if second else "",
                pooled=accuracy["pooled"],
                interval=tuple(accuracy["ci95"]),
                seeds=[run.results["accuracy"]["pooled"] for run in model.runs],
            )
        )
    drawn = figures.swept_figure(points, key, second, found[0].results["chance"])
    what = "with 95 % intervals over subjects; small dots are seeds"
    if not key:
        return Picture("models", drawn, f"Accuracy of each model, {what}")
    name = key.rsplit(".", 1)[-1].replace("_", "-")
    return Picture(f"over-{name}", drawn, f"Accuracy over {key}, {what}")


def _seeds(found: Sequence[Model]) -> Section:
    rows = [
        [
            model.name,
            ", ".join(map(str, run.results["seeds"])),
            *(percent(run.results[m]["mean"]) for m in ("accuracy", "uar", "macro_f1")),
        ]
        for model in found
        for run in model.runs
    ]
    return Section(
        "Seeds",
        text=[
            "The ± of a model of several seeds is the spread between its training runs; the "
            "interval over subjects is that between people. Neither holds the other."
        ],
        parts=[
            Grid(
                "seeds",
                "Mean over folds",
                ("", "seed", "accuracy, %", "UAR, %", "macro-F1, %"),
                rows,
            )
        ],
    )


def _listing(run: Bundle) -> list[Section]:
    record = run.path / "config.yaml"
    config = record.read_text(encoding="utf-8") if record.is_file() else ""
    environment = yaml.safe_dump(run.environment, sort_keys=False, allow_unicode=True)
    return [
        Section(f"Config of {run.path.name}", listing=config),
        Section(f"Environment of {run.path.name}", listing=environment),
    ]


def by_corpus(bundles: Sequence[Bundle]) -> list[list[Model]]:
    """The models, those of one corpus and the same classes together."""
    groups: dict[str, list[Model]] = defaultdict(list)
    for model in models(bundles):
        groups[repr((model.results["corpus"], model.results["classes"]))].append(model)
    return list(groups.values())


def sections_of(groups: Sequence[Sequence[Model]]) -> list[Section]:
    """What the page says of models, those of one corpus together."""
    sections: list[Section] = []
    for number, found in enumerate(groups):
        results, runs = found[0].results, [run for model in found for run in model.runs]
        protocol = results["protocol"]
        mine = [
            Section(
                f"Result on {results['corpus']}",
                text=[
                    f"Leave-one-subject-group-out with {protocol['groups']} groups; selection "
                    f"{results['selection']}; {results['coverage']['clips']} clips."
                ],
                warnings=_warnings(runs),
                parts=[_measures(found), _numbers(found)],
            ),
            *([_seeds(found)] if any(len(model.runs) > 1 for model in found) else []),
            *(_several(found) if len(found) > 1 else _one(found[0])),
        ]
        prefix = f"{number}-" if len(groups) > 1 else ""
        sections += [
            replace(s, parts=[replace(p, name=prefix + file_name(p.name)) for p in s.parts])
            for s in mine
        ]
    return [*sections, *(part for found in groups for part in _listing(found[0].runs[0]))]


def expand(paths: Sequence[Path]) -> list[Path]:
    """Bundles as they were named; a folder of several seeds is its bundles, none twice."""
    found = []
    for path in paths:
        seeds = [] if (path / "predictions.csv").is_file() else seed_folders(path)
        found += [path / name for name in seeds] or [path]
    return list(dict.fromkeys(found))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m vfer.report",
        description="Write result bundles as one HTML page, and its tables and figures as files. "
        "Several bundles are compared.",
        epilog="exit status: 0 done, 1 the work failed, 2 a folder is no bundle",
    )
    parser.add_argument("bundles", metavar="DIR", type=Path, nargs="+", help="a bundle's folder")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where report.html and report/ go; default: the one bundle's folder, of several "
        "runs/report",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(argv)
    output: Path = given.output or (
        given.bundles[0] if len(given.bundles) == 1 else Path("runs", "report")
    )
    try:
        groups = by_corpus([read_bundle(path) for path in expand(given.bundles)])
        output.mkdir(parents=True, exist_ok=True)
        names = [path.resolve().name for path in given.bundles]
        title = "vfer: " + (", ".join(names) if len(names) < 4 else f"{len(names)} bundles")
        with mpl.rc_context({"text.parse_math": False}):  # a $ in a name is no formula
            write_page(output / "report.html", output / "report", title, sections_of(groups))
    except (OSError, ValueError) as error:
        if given.debug:
            raise
        print(f"vfer.report: {error}", file=sys.stderr)
        return 1 if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) else 2
    except KeyboardInterrupt:
        return 130
    console = Console(highlight=False)
    for found in groups:
        _show(found, console)
    console.print(
        Text(f"{output / 'report.html'}, and tables and figures in {output / 'report'}"),
        soft_wrap=True,
    )
    return 0


def _show(found: Sequence[Model], console: Console) -> None:
    """The result and what is published, on the terminal."""
    grid = _measures(found)
    corpus = found[0].results["corpus"]
    table = Table(title=Text(f"{corpus}, % (pooled: 95 % interval over subjects)"))
    for name in grid.header[:4]:
        table.add_column(name.removesuffix(", %"), justify="right" if name else "left")
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row[:4]))
    console.print(table)
    for warning in _warnings([run for model in found for run in model.runs]):
        console.print(Text(warning), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
