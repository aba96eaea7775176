"""Any collection of videos, by a CSV manifest ``path,subject,emotion``.

Optional columns are ``fold`` (the official fold), ``gender`` and ``sentence`` (what is said);
further ones are kept. A label is its text in lower case, without blanks at its ends and with single
ones within; ``joy`` is ``happiness``. No other word is changed: ``happy`` stays ``happy``, a class
of its own.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

from vfer.corpora import Clip, Corpus, Facts, is_video, reading, squeeze

FACTS = Facts(
    name="manifest",
    title="a CSV manifest",
    paper="–",
    licence="the collection's own",
    obtain="write a CSV file with the columns path,subject,emotion and a row for each clip",
    layout="clips.csv",
)
_NEEDED = ("path", "subject", "emotion")
_OPTIONAL = ("fold", "gender", "sentence")
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male", "": None}

_LONGEST = 255  # bytes of a file's name
_DIGITS = 6  # of a fold's number


def _clip(row: dict[str, str], folder: Path) -> Clip:
    for column in _NEEDED:
        if not row[column]:
            raise ValueError(f"{column} is empty")
    given = Path(row["path"])
    if not is_video(given):
        raise ValueError(f"path is {row['path']!r}, which is no video by its suffix")
    # ``x/../a.mp4`` is ``a.mp4``; links stay as they are called.
    path = Path(os.path.abspath(folder / given))  # noqa: PTH100 - ``resolve`` follows links
    if "\0" in row["path"] or len(max(os.fsencode(path).split(b"/"), key=len)) > _LONGEST:
        raise ValueError(f"path is {row['path'][:60]!r} …, as no file can be called")
    below = path.is_relative_to(folder)
    place = path if given.is_absolute() and not below else Path(os.path.relpath(path, folder))
    gender, fold = row.get("gender", "").lower(), row.get("fold", "")
    if gender not in _GENDERS:
        raise ValueError(f"gender is {gender!r}; it must be female, male or empty")
    if fold and not (fold.isascii() and fold.isdecimal() and len(fold) <= _DIGITS):
        raise ValueError(f"fold is {fold!r}; it must be a number from 0 to 999999, or empty")
    emotion = squeeze(row["emotion"])
    named = {"subject": row["subject"], "emotion": emotion, "sentence": row.get("sentence", "")}
    for column, text in named.items():
        if any(category(letter) == "Cc" for letter in text):  # tables and pages show it
            raise ValueError(f"{column} is {text!r}, which has a character that cannot be printed")
    return Clip(
        place.with_suffix("").as_posix(),
        path,
        row["subject"],
        "happiness" if emotion == "joy" else emotion,
        gender=_GENDERS[gender],
        fold=int(fold) if fold else None,
        extra=tuple((k, v) for k, v in row.items() if k not in (*_NEEDED, *_OPTIONAL)),
        sentence=row.get("sentence") or None,
    )


def _rows(root: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row of a manifest with its number, the header being row 1."""
    with root.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
        lacking = [name for name in _NEEDED if name not in columns]
        if lacking or len(set(columns)) != len(columns):
            what = f"lacks {', '.join(lacking)}" if lacking else "names a column twice"
            raise ValueError(f"{root}, row 1: the header {what}; needed are path,subject,emotion")
        reader.fieldnames = columns
        for number, row in enumerate(reader, 2):
            if None in row or None in row.values():
                raise ValueError(
                    f"{root}, row {number}: has not {len(columns)} columns as the header"
                )
            yield number, {name: value.strip() for name, value in row.items()}


def read(root: Path) -> Corpus:
    """Read a manifest.

    Args:
        root: The CSV file, UTF-8, with a header; paths are relative to its folder.

    Returns:
        The corpus, called as the file without suffix, its classes the labels in alphabetical
        order. Each row is a clip, whether its file is there or not.

    Raises:
        FileNotFoundError: If the manifest, or all of its files, are not there.
        ValueError: If a row is wrong, named by its number, the header being row 1.
    """
    if not root.is_file():
        raise FileNotFoundError(
            f"no manifest at {root}: --data.root must name a CSV file with the columns "
            "path,subject,emotion"
        )
    clips: list[Clip] = []
    first: dict[Path, int] = {}  # the row that names a file
    folder = Path(os.path.abspath(root.parent))  # noqa: PTH100 - as above
    with reading(root):
        for number, row in _rows(root):
            try:
                clips.append(_clip(row, folder))
            except ValueError as error:
                raise ValueError(f"{root}, row {number}: {error}") from None
            before = first.setdefault(clips[-1].path, number)
            if before != number:
                raise ValueError(
                    f"{root}, row {number}: {row['path']} is the file of row {before}; give each "
                    "file one row"
                )
    if not any(clip.path.is_file() for clip in clips):
        raise FileNotFoundError(f"none of the files that {root} names is there")
    clips.sort(key=lambda clip: clip.name)
    classes = tuple(sorted({clip.emotion for clip in clips}))
    return Corpus(root.stem, classes, tuple(clips), facts=FACTS)
