"""The result bundle on disk: its tables, its JSON files, and how folds become one bundle.

Each fold writes ``fold-<k>/`` by itself, its marker ``fold.json`` last. `assemble` builds the
top-level files from the folds, wherever these were run. Numbers are written so that reading them
gives the same float64 again.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from vfer.results.checks import Difference
from vfer.results.clips import find_clips
from vfer.results.schema import read_marker
from vfer.results.scoring import Header, results
from vfer.results.tables import (
    STREAMS,
    TABLES,
    ClipResult,
    SegmentResult,
    StreamResult,
    Tables,
    flaw,
    read_tables,
    write_tables,
)
from vfer.runtime.files import irregular, read_json, sha256, write_json

MARKER = "fold.json"
FINAL: Final = "final"
"""The folder of the model that was trained on everybody, which no fold tests."""
UNLISTED = ("files.json", "report.html", "report", "watch", "wandb", "tensorboard")
"""Top-level names that ``files.json`` leaves out: itself, what is made later, loggers' files."""


def irregular_files(directory: Path) -> list[Difference]:
    """List links, pipes and the like in a bundle, which is read as files and folders alone.

    What loggers keep there, as W&B its links, is nobody's to read.
    """
    return [
        Difference(path.relative_to(directory).as_posix(), "(whole file)", what, "a file or folder")
        for path, what in irregular(directory, ("wandb", "tensorboard"))
    ]


def check_regular(directory: Path) -> None:
    """Refuse a bundle with links, pipes and the like in it.

    Raises:
        ValueError: Naming the first.
    """
    for one in irregular_files(directory)[:1]:
        raise ValueError(
            f"{directory / one.file} is {one.found}; a bundle is read without following links: "
            "put the file itself there, or remove it"
        )


def write_folds(path: Path, folds: Sequence[Collection[str]]) -> None:
    """Write ``folds.json``: ``{"0": ["subject", …], …}``, each group's subjects sorted."""
    write_json(path, {str(fold): sorted(subjects) for fold, subjects in enumerate(folds)})


def read_folds(path: Path) -> dict[int, tuple[str, ...]]:
    """Read ``folds.json``: fold → subjects.

    Raises:
        ValueError: It is not an object whose keys are 0, 1, 2, … and whose values list subjects.
    """
    value = read_json(path)
    well_formed = (
        isinstance(value, dict)
        and value
        and list(value) == [str(k) for k in range(len(value))]
        and all(isinstance(v, list) and all(isinstance(s, str) for s in v) for v in value.values())
    )
    if not well_formed:
        raise ValueError(f'{path}: not of the form {{"0": ["subject", …], "1": …}}')
    return {int(fold): tuple(subjects) for fold, subjects in value.items()}


def fold_name(fold: int) -> str:
    """Return the name of a fold's folder."""
    return f"fold-{fold}"


def fold_directory(output: Path, fold: int) -> Path:
    """Return where a fold keeps its files: ``output/fold-<k>``."""
    return output / fold_name(fold)


def is_complete(output: Path, fold: int, key: str | None = None) -> bool:
    """Tell whether a fold is written to its end, and (if given) from the inputs of ``key``."""
    marker = fold_directory(output, fold) / MARKER
    return marker.is_file() and (key is None or read_marker(marker)["key"] == key)


def write_fold(
    output: Path,
    fold: int,
    tables: Tables,
    *,
    subjects: Collection[str],
    classes: Sequence[str],
    key: str = "",
) -> None:
    """Write the files of one finished fold into ``output/fold-<k>/``, the marker last.

    Args:
        output: The bundle's folder.
        fold: Counted from 0.
        tables: The fold's rows only.
        subjects: The fold's test group.
        classes: In the order of every probability vector.
        key: Says what the fold was made from (config, corpus); `assemble` refuses to mix keys.

    Raises:
        ValueError: A row belongs to another fold or subject, or has impossible probabilities, as
            those of a network that diverged.
    """
    rows: list[ClipResult | SegmentResult | StreamResult]
    rows = [*tables.clips, *tables.segments, *tables.streams]
    for row in rows:
        where = f"fold {fold}, clip {row.clip!r}"
        if row.fold != fold:
            raise ValueError(f"{where}: the row says fold {row.fold}")
        if row.subject not in subjects:
            raise ValueError(f"{where}: subject {row.subject!r} is not in the fold's test group")
        wrong = None if row.probabilities is None else flaw(row.probabilities)
        if wrong is not None:
            raise ValueError(
                f"{where}: probabilities {wrong}; did the training diverge? "
                "A smaller learning rate helps"
            )
    directory = fold_directory(output, fold)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARKER).unlink(missing_ok=True)
    write_tables(directory, tables, classes)
    marker = {
        "fold": fold,
        "subjects": sorted(subjects),
        "classes": list(classes),
        "key": key,
        "clips": len(tables.clips),
        "segments": len(tables.segments),
        "files": {name: sha256(directory / name) for name in TABLES},
    }
    write_json(directory / MARKER, marker)


def _read_fold(
    output: Path, fold: int, subjects: Collection[str], classes: Sequence[str]
) -> tuple[Tables, str]:
    """Read a finished fold, checked against its marker: its tables and its key."""
    directory = fold_directory(output, fold)
    marker = read_marker(directory / MARKER)
    for name, mine in (("fold", fold), ("subjects", sorted(subjects)), ("classes", list(classes))):
        if marker.get(name) != mine:
            raise ValueError(
                f"{directory / MARKER}: {name} {marker.get(name)}, the bundle has {mine}"
            )
    for name in TABLES:
        if sha256(directory / name) != marker.get("files", {}).get(name):
            raise ValueError(
                f"{directory / name} has changed since the fold was finished, by {MARKER}"
            )
    return read_tables(directory, classes), marker.get("key", "")


def list_files(output: Path) -> dict[str, str]:
    """Hash every file of the bundle, as ``files.json`` has them: POSIX path in it → SHA-256.

    Left out are `UNLISTED`, links, hidden and temporary files and locks.
    """
    return {
        path.relative_to(output).as_posix(): sha256(path)
        for path in sorted(output.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(output).parts[0] not in UNLISTED
        and not any(part.startswith(".") for part in path.relative_to(output).parts)
        and path.suffix not in (".tmp", ".lock")
    }


def assemble(output: Path, header: Header, excluded: Sequence[ClipResult] = ()) -> dict[str, Any]:
    """Build the top-level files from ``folds.json`` and the folds, all of which must be complete.

    Where ``clips.csv`` is there too, the results are told by gender.

    Args:
        output: The bundle's folder. When all that belongs to it is there, `seal` it.
        header: Of the bundle.
        excluded: The rows of clips that are in no fold.

    Returns:
        The content of ``results.json``.

    Raises:
        ValueError: Folds are missing, or do not belong together.
    """
    folds = read_folds(output / "folds.json")
    missing = [str(fold) for fold in folds if not is_complete(output, fold)]
    if missing:
        raise ValueError(
            f"{output}: {len(missing)} of {len(folds)} folds not complete: {', '.join(missing)}; "
            f"run each with --fold K, then assemble again"
        )
    parts = [_read_fold(output, fold, group, header.classes) for fold, group in folds.items()]
    keys = [key for _, key in parts]
    if len(set(keys)) > 1:
        raise ValueError(f"{output}: folds made from different configs or corpora: {keys}")
    tables = joined([part for part, _ in parts], excluded)
    facts = find_clips(output)
    result = results(tables, header, folds, facts)
    write_tables(output, tables, header.classes)
    write_json(output / "results.json", result)
    return result


def joined(folds: Sequence[Tables], excluded: Sequence[ClipResult]) -> Tables:
    """Put the tables of folds one after the other, each in an order of its own."""
    clips, segments, streams = [], [], []
    for fold in folds:
        clips += sorted(fold.clips, key=lambda row: row.clip)
        segments += sorted(fold.segments, key=lambda row: (row.clip, row.start))
        streams += sorted(fold.streams, key=lambda row: (STREAMS.index(row.stream), row.clip))
    clips += sorted(excluded, key=lambda row: row.clip)
    curves = tuple(point for fold in folds for point in fold.curves)
    return Tables(tuple(clips), tuple(segments), tuple(streams), curves)


def check_sealed(output: Path) -> None:
    """Refuse a finished bundle with a fold of which a file has changed since it was sealed.

    Sealed again, nobody would find that. A fold that was made again since is not looked at.

    Raises:
        ValueError: Naming the file.
    """
    listed = output / "files.json"
    if not listed.is_file():
        return
    known = read_json(listed)
    if not isinstance(known, dict):
        raise ValueError(f"{listed}: not an object; remove it to have it written again")
    folds = {
        path.parent.name
        for path in output.glob(f"fold-*/{MARKER}")
        if known.get(path.relative_to(output).as_posix()) == sha256(path)
    }
    for name, sha in known.items():
        path = output / name
        if Path(name).parts[0] in folds and path.is_file() and sha256(path) != sha:
            raise ValueError(
                f"{path} is not what was written, by its hash in {listed.name}; remove "
                f"{output / Path(name).parts[0]}, and the same command makes that fold again"
            )


def seal(output: Path) -> None:
    """Write ``files.json``, the hashes of all that is in the bundle: its last file."""
    write_json(output / "files.json", list_files(output))
