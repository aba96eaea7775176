"""BAUM-1s (Zhalehpour et al. 2017): spontaneous, 13 codes, in MP4 with one annotation file.

The class is the annotations' code (their text is misspelt in places) and the key the clip's name.
The paper uses the six basic classes: 521 clips.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vfer.corpora import (
    EMOTIONS,
    Clip,
    Corpus,
    Facts,
    files_below,
    is_video,
    name_below,
    reading,
    whole,
)

_CODES = (
    "anger", "boredom", "bothered", "concentrating", "contempt", "disgust", "fear", "happiness",
    "neutral", "sadness", "surprise", "thinking", "unsure",
)  # fmt: skip
FACTS = Facts(
    name="baum1s",
    title="BAUM-1s",
    paper="Zhalehpour et al. 2017, BAUM-1: A spontaneous audio-visual face database of affective "
    "and mental states",
    licence="ask its authors",
    obtain="ask its authors for the corpus (Zhalehpour et al. 2017)",
    layout="BAUM1s_MP4 - All/s001/S001_005.mp4",
    per_class={
        "anger": 56,
        "disgust": 80,
        "fear": 37,
        "happiness": 173,
        "sadness": 134,
        "surprise": 41,
    },
    defaults=EMOTIONS,
    subjects=30,
    beside={".srt": "subtitles"},
    paper_clips=521,
    paper_segments=7000,
    paper_accuracy=46.51,
)
CLASSES = _CODES
_NAME = re.compile(r"(s\d+)_(\d+)(\.mp4)?", re.IGNORECASE)
_ACTED = re.compile("baum-?1a", re.IGNORECASE)
_TABLES = (".xlsx", ".csv", ".xls")
_SUBJECT, _CLIP, _CODE = 1, 3, 5  # columns, from 0


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in _TABLES and path.name.lower().startswith("annotations")


def _table(root: Path, files: list[Path]) -> Path:
    found = [path for path in files if _is_table(path) and path.is_file()]
    if any(_ACTED.search(part) for p in files for part in p.relative_to(root.parent).parts):
        raise ValueError(
            f"{root} holds BAUM-1a, the acted set; its codes are others. Give the folder of the "
            "spontaneous BAUM-1s with --data.root PATH"
        )
    if not found and any(is_video(path) for path in files):
        raise FileNotFoundError(
            f"no annotations at {root}: Annotations_BAUM1s.xlsx or .csv must be in it"
        )
    if not found:
        raise FACTS.nothing_at(root)
    table = min(found, key=lambda path: _TABLES.index(path.suffix.lower()))
    if table.suffix.lower() == ".xls":
        raise ValueError(f"{table} is in the old Excel format; save it as .xlsx or .csv beside it")
    return table


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    if table.suffix.lower() == ".csv":
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            dialect = csv.Sniffer().sniff(file.readline(), ",;\t")
            file.seek(0)
            for number, row in enumerate(csv.reader(file, dialect), 1):
                yield number, [cell.strip() for cell in row]
        return
    from openpyxl import load_workbook  # takes long to import

    try:
        book = load_workbook(table, read_only=True, data_only=True)
    except Exception as error:  # many kinds, of ZIP, XML and openpyxl itself
        raise ValueError(f"{table} cannot be read as a workbook: {error}") from None
    try:
        for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
            yield number, ["" if cell is None else str(cell).strip() for cell in cells]
    finally:
        book.close()


def _annotations(table: Path) -> dict[str, str]:
    """Return the class of each clip, by its name in upper case."""
    with reading(table):
        return _classes(table)


def _classes(table: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, row in _rows(table):
        name = _NAME.fullmatch(row[_CLIP]) if len(row) > _CODE else None
        if name is None:
            if number > 1 and any(row):  # the first row is the header
                raise ValueError(
                    f"{table}, row {number}: column {_CLIP + 1} is no clip name such as S001_005"
                )
            continue
        key, text = f"{name[1]}_{name[2]}".upper(), row[_CODE].removesuffix(".0")
        if not text.isdecimal() or not 1 <= int(text) <= len(_CODES):
            raise ValueError(
                f"{table}, row {number}: the emotion code of {key} is {row[_CODE]!r}; it must be "
                f"in 1…{len(_CODES)}"
            )
        emotion = _CODES[int(text) - 1]
        if found.setdefault(key, emotion) != emotion:
            raise ValueError(f"{table}, row {number}: {key} has another code in an earlier row")
    return found


def read(root: Path) -> Corpus:
    """Read a copy of BAUM-1s, all thirteen classes.

    Args:
        root: The folder that holds the annotations and, in sub-folders, the clips.

    Returns:
        The corpus; clips without a row are unexpected, rows without a clip missing.

    Raises:
        FileNotFoundError: If there are no annotations, or no annotated clip.
        ValueError: If it is BAUM-1a, or a row is wrong, named by its number.
    """
    files = files_below(root)
    annotated = _annotations(_table(root, files))
    clips: dict[str, Clip] = {}
    unexpected: list[tuple[Path, str]] = []
    for path in files:
        if _is_table(path):
            continue
        found, key = _NAME.fullmatch(path.name) if is_video(path) else None, path.stem.upper()
        if found is None:
            unexpected.append((path, "not named as a clip of BAUM-1s"))
        elif path.parent.name.lower() != found[1].lower():
            unexpected.append((path, f"not in the folder {found[1].lower()}"))
        elif key not in annotated:
            unexpected.append((path, "has no row in the annotations"))
        elif key in clips:
            unexpected.append((path, f"the clip is there already: {clips[key].path}"))
        else:
            subject = str(int(found[1][1:]))
            clips[key] = Clip(name_below(path, root), path, subject, annotated[key])
    missing = tuple((key, "annotated, not on disk") for key in sorted(annotated.keys() - clips))
    corpus = whole(FACTS, root, list(clips.values()), unexpected, missing)
    return replace(corpus, classes=CLASSES)
