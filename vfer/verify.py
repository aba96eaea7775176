"""Score a result bundle's predictions again and check its files: ``python -m vfer.verify DIR``.

Reads JSON and CSV only; nothing from the bundle is executed or unpickled. Exit status: 0 everything
agrees, 1 something differs, 2 the folder is no bundle.
"""

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vfer.results.bundle import fold_directory, read_folds, seed_folders
from vfer.results.scoring import SCHEMA, SELECTIONS, Header, across_seeds, results
from vfer.results.tables import (
    PREDICTIONS,
    SEGMENTS,
    STREAM_SCORES,
    TABLES,
    Tables,
    first_largest,
    flaw,
    read_table,
    read_tables,
)
from vfer.runtime.console import program, run_command
from vfer.runtime.files import read_json, sha256

REQUIRED = ("results.json", "folds.json", "environment.json", "files.json", *TABLES)
TOLERANCE = 1e-12
"""Between a printed number and the recomputed one: the order of additions, nothing else."""
MEAN_TOLERANCE = 1e-9
"""Between a clip's probabilities and the mean over its segments."""


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree: where, what is there, and what it should be."""

    file: str
    key: str
    found: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: found {self.found}, recomputed {self.recomputed}"


def verify(directory: Path) -> list[Difference]:
    """List everything in a bundle that does not agree with the rest of it.

    Of a folder that holds the bundles of several seeds, each of these and their summary.

    Raises:
        FileNotFoundError: The folder is no bundle; the message says what is missing.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a folder")
    missing = [name for name in REQUIRED if not (directory / name).is_file()]
    seeds = seed_folders(directory)
    if missing and seeds:
        return list(_seeds(directory, seeds))
    if missing:
        raise FileNotFoundError(f"{directory} is no result bundle: no {', '.join(missing)}")
    return [*_files(directory), *_contents(directory)]


def _seeds(directory: Path, names: Sequence[str]) -> Iterator[Difference]:
    """Check the bundles of several seeds, and the summary above them, which may leave none out."""
    wrong = False
    for name in names:
        for difference in verify(directory / name):
            wrong = True
            yield replace(difference, file=f"{name}/{difference.file}")
    if wrong:
        return
    bundles = {name: read_json(directory / name / "results.json") for name in names}
    bundles = dict(sorted(bundles.items(), key=lambda item: item[1]["seeds"]))
    try:
        summary = read_json(directory / "results.json")
        tables = [read_tables(directory / name, one["classes"]) for name, one in bundles.items()]
        expected = across_seeds(bundles, [one.clips for one in tables])
    except FileNotFoundError:
        yield Difference("results.json", "(whole file)", "missing", "the summary of the seeds")
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
        corpus = read_json(directory / "environment.json")["corpus"]
        name, count = corpus["name"], corpus["clips"]
    except (KeyError, TypeError) as error:
        yield Difference("environment.json", "corpus", error, "name and clips")
        return
    except ValueError as error:
        yield Difference(str(directory), "(cannot be read)", error, "a well-formed file")
        return
    if header.corpus != name:
        yield Difference("environment.json", "corpus.name", name, header.corpus)
    if count != len(tables.clips):
        yield Difference("environment.json", "corpus.clips", count, len(tables.clips))
    yield from _groups(tables, folds)
    yield from _trained_on(directory, folds)
    yield from _predictions(directory, classes)
    yield from _probabilities(tables)
    yield from _segments(tables)
    yield from _same_clip(tables)
    try:
        expected = results(tables, header, folds)
    except ValueError as error:
        yield Difference("results.json", "(all)", "numbers", f"cannot be recomputed: {error}")
        return
    yield from _json_differences("", printed, expected)


def _header(printed: Any) -> Iterator[Difference]:  # noqa: ANN401 - any JSON value
    """Check the keys of ``results.json`` that are not computed."""

    def strings(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    if not isinstance(printed, dict):
        yield Difference("results.json", "(whole file)", type(printed).__name__, "an object")
        return
    classes: Any = printed.get("classes")
    protocol, seeds = printed.get("protocol"), printed.get("seeds")
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
        ("selection", printed.get("selection") in SELECTIONS, " or ".join(SELECTIONS)),
        (
            "seeds",
            isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds),
            "a list of integers",
        ),
    )
    for key, good, wanted in checks:
        if not good:
            yield Difference("results.json", key, printed.get(key), wanted)


def _groups(tables: Tables, folds: dict[int, tuple[str, ...]]) -> Iterator[Difference]:
    """Check that groups are disjoint, rows in their subject's group, and clips there once."""
    homes = defaultdict(list)
    for fold, subjects in folds.items():
        for subject in subjects:
            homes[subject].append(fold)
    for subject, where in homes.items():
        if len(where) > 1:
            yield Difference("folds.json", f"subject {subject}", f"in folds {where}", "in one fold")
    for row in tables.clips:
        if row.fold is not None and row.fold not in homes[row.subject]:
            key = f"clip {row.clip}: fold of subject {row.subject}"
            yield Difference("predictions.csv", key, row.fold, homes[row.subject] or "in no fold")
    for clip, times in Counter(row.clip for row in tables.clips).items():
        if times > 1:
            yield Difference("predictions.csv", f"clip {clip}", f"{times} rows", "1 row")


def _trained_on(directory: Path, folds: dict[int, tuple[str, ...]]) -> Iterator[Difference]:
    """Check that no stage of a fold was trained on a subject of the fold's test group."""
    for fold, subjects in folds.items():
        for path in sorted(fold_directory(directory, fold).rglob("stage.json")):
            name = path.relative_to(directory).as_posix()
            try:
                both = sorted(set(read_json(path)["trained_on"]) & set(subjects))
            except (KeyError, TypeError, ValueError) as error:
                yield Difference(name, "trained_on", error, "a list of subjects")
                continue
            if both:
                yield Difference(
                    name, "trained_on", f"{', '.join(both)}", "nobody of the test group"
                )


def _predictions(directory: Path, classes: Sequence[str]) -> Iterator[Difference]:
    """Check that each printed prediction is the first largest of the printed probabilities."""
    for layout in (PREDICTIONS, SEGMENTS, STREAM_SCORES):
        for cells in read_table(directory / layout.name, layout.columns(classes)):
            scores = [cells[f"p_{name}"] for name in classes]
            wanted = first_largest([float(p) for p in scores], classes) if all(scores) else ""
            if cells["prediction"] != wanted:
                key = f"clip {cells['clip']}: prediction"
                yield Difference(layout.name, key, repr(cells["prediction"]), repr(wanted))


def _probabilities(tables: Tables) -> Iterator[Difference]:
    """Check that all are finite, in 0…1, and sum to 1."""
    clips = [(PREDICTIONS.name, row.clip, row.probabilities) for row in tables.clips]
    segments = [(SEGMENTS.name, row.clip, row.probabilities) for row in tables.segments]
    streams = [(STREAM_SCORES.name, row.clip, row.probabilities) for row in tables.streams]
    for file, clip, probabilities in (*clips, *segments, *streams):
        wrong = None if probabilities is None else flaw(probabilities)
        if wrong is not None:
            yield Difference(file, f"clip {clip}: probabilities", wrong, "finite, 0…1, sum 1")


def _segments(tables: Tables) -> Iterator[Difference]:
    """Check that a clip's count and probabilities are those of its segments.

    The mean is not taken by `vfer.results.scoring.mean_softmax`, which wrote it: a mistake there
    would not be seen here. The sum is exact, so it depends on no order of additions.
    """
    of_clip = defaultdict(list)
    for row in tables.segments:
        of_clip[row.clip].append(row.probabilities)
    for clip in tables.clips:
        rows = of_clip.pop(clip.clip, [])
        if clip.segments != len(rows):
            key = f"clip {clip.clip}: segments"
            yield Difference("predictions.csv", key, clip.segments, len(rows))
        if clip.probabilities is None or not rows:
            continue
        means = tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
        pairs = zip(clip.probabilities, means, strict=True)
        if not all(abs(p - mean) <= MEAN_TOLERANCE for p, mean in pairs):
            key = f"clip {clip.clip}: probabilities"
            yield Difference("predictions.csv", key, clip.probabilities, means)
    for name, rows in of_clip.items():
        yield Difference("segments.csv", f"clip {name}", f"{len(rows)} rows", "no such clip")


def _same_clip(tables: Tables) -> Iterator[Difference]:
    """Check that segments and streams say of a clip what its row says."""
    clips = {row.clip: row for row in tables.clips}
    for segment in tables.segments:
        clip = clips.get(segment.clip)
        ours = (segment.fold, segment.subject, segment.label)
        if clip is not None and ours != (theirs := (clip.fold, clip.subject, clip.label)):
            yield Difference("segments.csv", f"clip {segment.clip}", ours, theirs)
    for row in tables.streams:
        clip = clips.get(row.clip)
        if clip is None:
            continue
        here, there = ((r.fold, r.subject, r.label, r.status) for r in (row, clip))
        if here != there:
            yield Difference("streams.csv", f"clip {row.clip}", here, there)
    for (stream, name), times in Counter((row.stream, row.clip) for row in tables.streams).items():
        if times > 1:
            yield Difference("streams.csv", f"{stream}, clip {name}", f"{times} rows", "1 row")


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


def _command(directory: Path) -> None:
    """Verify a bundle and print what differs, or how much agrees.

    Raises:
        RuntimeError: Something differs.
    """
    differences = verify(directory)
    for difference in differences:
        print(difference)
    if differences:
        raise RuntimeError(f"{directory}: {len(differences)} differences")
    results = read_json(directory / "results.json")
    bundles = [directory / name for name in results.get("bundles", ["."])]
    clips = sum(read_json(one / "results.json")["coverage"]["clips"] for one in bundles)
    files = sum(len(read_json(one / "files.json")) for one in bundles)
    print(
        f"{directory}: {clips} clips, pooled accuracy {results['accuracy']['pooled']:.4f}, "
        f"{files} files: everything agrees"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog=program("vfer.verify"),
        description="Score a result bundle's predictions again and check its files.",
        epilog="exit status: 0 everything agrees, 1 something differs, 2 not a bundle",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the bundle's folder")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    arguments = parser.parse_args(argv)
    return run_command(lambda: _command(arguments.directory), argv)


if __name__ == "__main__":
    sys.exit(main())
