"""``python -m vfer.report DIR…``: result bundles as one page that needs no network, and as tables.

Reads JSON, CSV and YAML only; nothing from a bundle is executed or unpickled. Exit status: 0 done,
1 the work failed, 2 a folder is no bundle.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vfer import comparison, single
from vfer.models import Bundle, Model, by_corpus, expand, read_bundle
from vfer.page import Grid, Section, file_name, write_page
from vfer.published import paper_row, published
from vfer.scoring import MEASURES, MIN_SUBJECTS, counted
from vfer.summary import percent, pooled, spread


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
        summary, seeds = model.summary, len(model.runs)
        rows.append(
            [
                model.name,
                *(f for m in ("accuracy", "uar") for f in (spread(summary[m]), pooled(summary[m]))),
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
        summary, over = model.summary, "seeds" if len(model.runs) > 1 else "folds"
        for name in MEASURES:
            one = summary[name]
            low, high = (str(end) for end in one["ci95"])
            mean, std, pooled = (str(one[key]) for key in ("mean", "std", "pooled"))
            rows.append([model.name, name, mean, std, over, pooled, low, high])
    header = ("model", "measure", "mean", "std", "over", "pooled", "ci95_low", "ci95_high")
    return Grid("numbers", "Unrounded", header, rows, shown=False)


def _listing(run: Bundle) -> list[Section]:
    record = run.path / "config.yaml"
    config = record.read_text(encoding="utf-8") if record.is_file() else ""
    environment = yaml.safe_dump(run.environment, sort_keys=False, allow_unicode=True)
    return [
        Section(f"Config of {run.path.name}", listing=config),
        Section(f"Environment of {run.path.name}", listing=environment),
    ]


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
            *([comparison.seeds(found)] if any(len(model.runs) > 1 for model in found) else []),
            *(comparison.sections(found) if len(found) > 1 else single.sections(found[0])),
        ]
        prefix = f"{number}-" if len(groups) > 1 else ""
        sections += [
            replace(s, parts=[replace(p, name=prefix + file_name(p.name)) for p in s.parts])
            for s in mine
        ]
    return [*sections, *(part for found in groups for part in _listing(found[0].runs[0]))]


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
