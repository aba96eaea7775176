"""Score a result bundle's predictions again and check its files: ``python -m vfer.verify DIR``.

Reads JSON, CSV and YAML only; nothing from the bundle is executed or unpickled. Exit status: 0
everything agrees, 1 something differs (with --strict, or is doubtful), 2 the folder is no bundle.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vfer.results.apart import check_apart
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.bundle import MARKER, fold_directory, irregular_files, list_files, read_folds
from vfer.results.checks import Difference, check_tables
from vfer.results.clips import CLIPS, check_clips, find_clips
from vfer.results.cross import MODELS, check_models
from vfer.results.faces import read_faces
from vfer.results.final import check_final
from vfer.results.nested import POINTS, RECORD, check_nested, fold_configs
from vfer.results.records import (
    check_config,
    check_excluded,
    check_folds,
    check_networks,
    check_stages,
    read_config,
    setting,
    stage_folders,
)
from vfer.results.runs import check_assignments, run_folders, summarise_runs
from vfer.results.schema import SEEDS, read_environment
from vfer.results.scoring import (
    CONTROLS,
    CROSS_CORPUS,
    NESTED,
    SCHEMA,
    SELECTIONS,
    UNITS,
    Header,
    optimism_gap,
    results,
)
from vfer.results.tables import TABLES, read_tables
from vfer.results.tally import counted
from vfer.results.unit import check_unit, unit_of, unknown_text
from vfer.runtime.console import printable, program, run_command
from vfer.runtime.files import read_json, sha256

__all__ = ["Difference", "doubts", "main", "verify"]

REQUIRED = ("results.json", "folds.json", "environment.json", "files.json", *TABLES)
LATER = ("config.yaml", CLIPS.name)
"""Files that every bundle must have, too, though a folder without them is taken for one."""
TOLERANCE = 1e-12
"""Between a printed number and the recomputed one: the order of additions, nothing else."""


def verify(directory: Path) -> list[Difference]:
    """List everything in a bundle that does not agree with the rest of it.

    Of a folder that holds the bundles of several runs, each of these and their summary.

    Raises:
        FileNotFoundError: The folder is no bundle; the message says what is missing.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder")
    missing = [name for name in REQUIRED if not (directory / name).is_file()]
    runs = run_folders(directory)
    if missing and runs:
        return irregular_files(directory) or list(_runs(directory, runs))
    if missing:
        raise FileNotFoundError(f"{directory} is no result bundle: no {', '.join(missing)}")
    wrong = irregular_files(directory)
    return [*wrong, *_files(directory), *([] if wrong else _contents(directory))]


def _runs(directory: Path, names: Sequence[str]) -> Iterator[Difference]:
    """Check the bundles of several runs, and the summary above them, which may leave none out."""
    wrong = False
    for name in names:
        for difference in verify(directory / name):
            wrong = True
            yield replace(difference, file=f"{name}/{difference.file}")
    if wrong:
        return
    yield from check_assignments(directory, names)
    try:
        summary = read_json(directory / "results.json")
        expected = summarise_runs(directory, names)
    except FileNotFoundError:
        yield Difference("results.json", "(whole file)", "missing", "the summary of the runs")
    except ValueError as error:
        yield Difference("results.json", "(all)", "numbers", f"cannot be recomputed: {error}")
    else:
        yield from _json_differences("", summary, expected)


def _files(directory: Path) -> Iterator[Difference]:
    """Check the hashes of ``files.json``; a path that leads out of the folder is not opened."""
    try:
        listed = read_json(directory / "files.json")
    except ValueError as error:
        yield Difference("files.json", "(whole file)", error, "JSON")
        return
    if not isinstance(listed, dict):
        yield Difference("files.json", "(whole file)", type(listed).__name__, "an object")
        return
    for name in REQUIRED:
        if name != "files.json" and name not in listed:
            yield Difference("files.json", name, "not listed", "a SHA-256")
    root = directory.resolve()
    for name, digest in listed.items():
        path = directory / name
        outside = (
            "\0" in name
            or PurePosixPath(name).is_absolute()
            or PureWindowsPath(name).anchor
            or ".." in PurePosixPath(name).parts
            or ".." in PureWindowsPath(name).parts
            or not path.resolve().is_relative_to(root)
        )
        if outside:
            yield Difference("files.json", name, "a path out of the bundle", "a path inside it")
        elif not path.is_file():
            yield Difference("files.json", name, digest, "missing")
        elif (actual := sha256(path)) != digest:
            yield Difference("files.json", name, digest, actual)


def _contents(directory: Path) -> Iterator[Difference]:
    """Check the tables against each other and against ``results.json``."""
    try:
        printed = read_json(directory / "results.json")
        wrong = list(_header(printed))
        yield from wrong
        if wrong:
            return
        header = Header.of(printed)
        classes = header.classes
        folds = read_folds(directory / "folds.json")
        tables = read_tables(directory, classes)
        record = directory / "config.yaml"
        config = read_config(record) if record.is_file() else None
        read_faces(directory)
        configs = fold_configs(directory, config or {}, header.selection, folds)
        facts = find_clips(directory)
        environment = read_environment(directory / "environment.json")
        name, count = (environment["corpus"][key] for key in ("name", "clips"))
    except ValueError as error:
        yield Difference(str(directory), "(cannot be read)", error, "a well-formed file")
        return
    if header.corpus != name:
        yield Difference("environment.json", "corpus.name", name, header.corpus)
    if count != len(tables.clips):
        yield Difference("environment.json", "corpus.clips", count, len(tables.clips))
    yield from check_tables(directory, tables, classes, folds)
    yield from check_folds(directory, tables, header, folds)
    yield from check_excluded(tables, classes, environment)
    cross = header.protocol == CROSS_CORPUS
    trained = {} if cross or config is None else configs
    yield from _listed(directory, trained, folds, [*LATER, *([MODELS] if cross else [])])
    if facts is None:
        yield Difference(CLIPS.name, "(whole file)", "missing", "the video of every clip")
    else:
        yield from check_clips(facts, tables)
        yield from check_apart(tables, facts, folds, header.apart)
    if config is None:
        yield Difference("config.yaml", "(whole file)", "missing", "the config of the run")
    else:
        yield from check_config(config, header, folds, environment)
        yield from check_unit(tables, header, config, environment)
        if not cross:
            yield from check_stages(directory, configs, tables, folds, facts or ())
            yield from check_networks(directory, configs, environment["corpus"])
            yield from check_final(directory, config, header, tables, facts or ())
        if header.selection == NESTED:
            yield from check_nested(directory, config, tables, folds, facts or ())
    if cross:
        yield from check_models(directory, header, facts or ())
    try:
        expected = results(tables, header, folds, facts)
    except ValueError as error:
        yield Difference("results.json", "(all)", "numbers", f"cannot be recomputed: {error}")
        return
    yield from _json_differences("", printed, expected)


def _listed(
    directory: Path, configs: Mapping[int, Mapping[str, Any]],
    folds: Mapping[int, Sequence[str]], always: Sequence[str],
) -> Iterator[Difference]:  # fmt: skip
    """Check that ``files.json`` names what is always there, and the records of folds and stages."""
    stages = {
        fold: [f"{stage}/stage.json" for stage in stage_folders(config)]
        for fold, config in configs.items()
    }
    needed = [
        f"{fold_directory(directory, fold).name}/{name}"
        for fold in folds
        for name in (MARKER, *TABLES, *stages.get(fold, ()))
    ]
    points = directory / POINTS
    records = [path for path in points.rglob("*") if path.is_file()]
    needed += [path.relative_to(directory).as_posix() for path in sorted(records)]
    needed += [RECORD] if (directory / RECORD).is_file() else []
    try:
        listed = read_json(directory / "files.json")
    except ValueError:  # told by `_files`
        return
    for name in (*always, *needed):
        if isinstance(listed, dict) and name not in listed:
            yield Difference("files.json", name, "not listed", "a SHA-256")


def _header(printed: Any) -> Iterator[Difference]:  # noqa: ANN401 - any JSON value
    """Check the keys of ``results.json`` that are not computed."""

    def strings(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    if not isinstance(printed, dict):
        yield Difference("results.json", "(whole file)", type(printed).__name__, "an object")
        return
    classes: Any = printed.get("classes")
    protocol, seeds = printed.get("protocol"), printed.get("seeds")
    said = protocol if isinstance(protocol, dict) else {}
    control, apart = said.get("control"), said.get("apart", ["subject", "sentence"])
    checks = (
        ("schema", printed.get("schema") == SCHEMA, SCHEMA),
        ("corpus", isinstance(printed.get("corpus"), str), "a string"),
        (
            "classes",
            strings(classes) and 0 < len(set(classes)) == len(classes),
            "a list of different names",
        ),
        (
            "protocol",
            isinstance(protocol, dict) and isinstance(protocol.get("name"), str),
            "name and groups",
        ),
        (
            "protocol.control",
            control is None or control in list(CONTROLS),
            f"nothing, {', '.join(CONTROLS)}",
        ),
        ("protocol.apart", apart == ["subject", "sentence"], "nothing, or subject and sentence"),
        ("protocol.unit", said.get("unit", UNITS[1]) == UNITS[1], f"nothing, or {UNITS[1]}"),
        ("selection", printed.get("selection") in SELECTIONS, " or ".join(SELECTIONS)),
        (
            "seeds",
            SEEDS.fits(seeds),
            SEEDS.said,
        ),
    )
    for key, good, wanted in checks:
        if not good:
            found = setting(printed, key)
            yield Difference("results.json", key, found, wanted)


def _json_differences(key: str, printed: Any, expected: Any) -> Iterator[Difference]:  # noqa: ANN401
    """Walk two JSON values; keys, lengths and types count, floats up to `TOLERANCE`."""
    if isinstance(expected, dict) and isinstance(printed, dict):
        for name in {**expected, **printed}:
            inner = f"{key}.{name}" if key else name
            if name not in printed:
                yield Difference("results.json", inner, "nothing", expected[name])
            elif name not in expected:
                yield Difference("results.json", inner, printed[name], "nothing")
            else:
                yield from _json_differences(inner, printed[name], expected[name])
    elif isinstance(expected, list) and isinstance(printed, list) and len(printed) == len(expected):
        for index, (one, other) in enumerate(zip(printed, expected, strict=True)):
            yield from _json_differences(f"{key}[{index}]", one, other)
    elif isinstance(expected, float):
        number = isinstance(printed, int | float) and not isinstance(printed, bool)
        if not number or not abs(printed - expected) <= TOLERANCE:
            yield Difference("results.json", key, printed, expected)
    elif type(printed) is not type(expected) or printed != expected:
        yield Difference("results.json", key, printed, expected)


def doubts(directory: Path) -> list[str]:
    """List what is no contradiction and yet a reason to doubt the result of a bundle that agrees.

    Of a folder that holds the bundles of several runs, of each of these.
    """
    if not (directory / "predictions.csv").is_file():
        return [f"{n}: {doubt}" for n in run_folders(directory) for doubt in doubts(directory / n)]
    printed, environment = (
        read_json(directory / name) for name in ("results.json", "environment.json")
    )
    tables = read_tables(directory, printed["classes"])
    found, unit = [], unit_of(printed)
    rows = counted(tables.clips)
    subjects = len({row.subject for row in rows})
    if subjects < MIN_SUBJECTS:
        few = f"with fewer than {MIN_SUBJECTS} ci95 is too narrow"
        found.append(f"{subjects} {unit.plural}: {few}")
    if not unit.known:
        found.append(unknown_text(printed))
    elif all(row.subject == row.clip for row in rows):
        found.append("each clip is its own subject: whether a person is in two folds nobody knows")
    if tables.curves and optimism_gap(printed["folds"], tables.curves) is None:
        found.append("the optimism gap was not measured: only one iteration of a fold was tested")
    commit = environment.get("commit")
    if commit is None or str(commit).endswith("+"):
        found.append(f"commit {commit} of environment.json: the code is in no commit")
    unlisted = sorted(set(list_files(directory)) - set(read_json(directory / "files.json")))
    if unlisted:
        found.append(f"files that files.json does not name: {', '.join(unlisted)}")
    return found


def _command(directory: Path, strict: bool, as_json: bool) -> None:
    """Verify a bundle and print what differs, or how much agrees.

    Raises:
        RuntimeError: Something differs, or, if strict, is doubtful.
    """
    differences = verify(directory)
    doubtful = [] if differences else doubts(directory)
    wrong = bool(differences or (strict and doubtful))
    if as_json:
        verdict = "differs" if differences else "doubtful" if doubtful else "agrees"
        texts = [{k: _plain(v) for k, v in asdict(one).items()} for one in differences]
        value = {
            "bundle": str(directory), "verdict": verdict, "passed": not wrong,
            "differences": texts, "doubts": doubtful,
        }  # fmt: skip
        print(json.dumps(value, indent=1, ensure_ascii=False))
    else:
        for difference in differences:
            print(printable(str(difference)))
        for doubt in doubtful:
            print(printable(f"doubtful: {doubt}"))
    if differences:
        raise RuntimeError(f"{directory}: {len(differences)} differences")
    if wrong:
        raise RuntimeError(f"{directory}: {len(doubtful)} doubtful things (--strict)")
    if as_json:
        return
    results = read_json(directory / "results.json")
    bundles = [directory / name for name in results.get("bundles", ["."])]
    clips = sum(read_json(one / "results.json")["coverage"]["clips"] for one in bundles)
    files = sum(len(read_json(one / "files.json")) for one in bundles)
    print(
        f"{directory}: {clips} clips, pooled accuracy {results['accuracy']['pooled']:.4f}, "
        f"{files} files: everything agrees"
    )


def _plain(value: object) -> object:
    """Return a value as JSON can hold it: what it cannot, as text."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog=program("vfer.verify"),
        description="Score a result bundle's predictions again and check its files.",
        epilog="exit status: 0 everything agrees, 1 something differs (with --strict, or is "
        "doubtful), 2 not a bundle",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the bundle's folder")
    parser.add_argument("--json", action="store_true", help="print verdict and differences as JSON")
    parser.add_argument(
        "--strict", action="store_true", help="fail on doubtful things too, such as few subjects"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(argv)
    return run_command(lambda: _command(given.directory, given.strict, given.json), argv)


if __name__ == "__main__":
    sys.exit(main())
