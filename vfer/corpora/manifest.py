"""Any collection of videos, by a CSV manifest ``path,subject,emotion``.

Optional columns are ``fold`` (the official fold), ``gender`` and ``sentence`` (what is said);
further ones are kept. A label is its text in lower case, without blanks at its ends and with single
ones within; ``joy`` is ``happiness``. No other word is changed: ``happy`` stays ``happy``, a class
of its own.
"""

import csv
from pathlib import Path

from vfer.corpora import Clip, Corpus, Facts, is_video, squeeze

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


def _clip(row: dict[str, str], folder: Path) -> Clip:
    for column in _NEEDED:
        if not row[column]:
            raise ValueError(f"{column} is empty")
    path = folder / row["path"]
    if not is_video(path):
        raise ValueError(f"path is {row['path']!r}, which is no video by its suffix")
    gender, fold = row.get("gender", "").lower(), row.get("fold", "")
    if gender not in _GENDERS:
        raise ValueError(f"gender is {gender!r}; it must be female, male or empty")
    if fold and not (fold.isascii() and fold.isdecimal()):
        raise ValueError(f"fold is {fold!r}; it must be a number from 0, or empty")
    emotion = squeeze(row["emotion"])
    return Clip(
        Path(row["path"]).with_suffix("").as_posix(),
        path,
        row["subject"],
        "happiness" if emotion == "joy" else emotion,
        gender=_GENDERS[gender],
        fold=int(fold) if fold else None,
        extra=tuple((k, v) for k, v in row.items() if k not in (*_NEEDED, *_OPTIONAL)),
        sentence=row.get("sentence") or None,
    )


def read(root: Path) -> Corpus:
    """Read a manifest.

    Args:
        root: The CSV file, UTF-8, with a header; paths are relative to its folder.

    Returns:
        The corpus, called as the file without suffix, its classes the labels in alphabetical
        order. Files that are not there are listed as missing.

    Raises:
        FileNotFoundError: If the manifest, or all of its files, are not there.
        ValueError: If a row is wrong, named by its number, the header being row 1.
    """
    if not root.is_file():
        raise FileNotFoundError(
            f"no manifest at {root}: --data.root must name a CSV file with the columns "
            "path,subject,emotion"
        )
    clips: dict[Path, Clip] = {}
    missing: list[tuple[str, str]] = []
    with root.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
        lacking = [name for name in _NEEDED if name not in columns]
        if lacking or len(set(columns)) != len(columns):
            what = f"lacks {', '.join(lacking)}" if lacking else "names a column twice"
            raise ValueError(f"{root}, row 1: the header {what}; needed are path,subject,emotion")
        reader.fieldnames = columns
        for number, row in enumerate(reader, 2):
            try:
                if None in row or None in row.values():
                    raise ValueError(f"has not {len(columns)} columns as the header")
                clip = _clip({k: v.strip() for k, v in row.items()}, root.parent)
                if clip.path in clips or clip.name in dict(missing):
                    raise ValueError(f"{row['path']} is there twice")
            except ValueError as error:
                raise ValueError(f"{root}, row {number}: {error}") from None
            if clip.path.is_file():
                clips[clip.path] = clip
            else:
                missing.append((clip.name, f"row {number}: {clip.path} is not there"))
    if not clips:
        raise FileNotFoundError(f"none of the files that {root} names is there")
    ordered = tuple(sorted(clips.values(), key=lambda clip: clip.name))
    classes = tuple(sorted({clip.emotion for clip in ordered}))
    return Corpus(root.stem, classes, ordered, missing=tuple(missing), facts=FACTS)
