"""DFEW (Jiang et al. 2020): clips of films, 7 classes, five official folds; nobody is named.

Read are the videos of ``Clip/original`` and the lists of single labels, which name a clip by its
number, ``2522`` for ``02522.mp4``. Clips that no list names have no single label.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vfer.corpora import Corpus, Facts, reading, squeeze
from vfer.corpora._official import Place, read_official

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_CODES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")  # from 1
_LISTS = "EmoLabel_DataSplit/train(single-labeled)/set_1.csv"
FACTS = Facts(
    name="dfew",
    title="DFEW",
    paper="Jiang et al. 2020, DFEW: A large-scale database for recognizing dynamic facial "
    "expressions in the wild",
    licence="research, on request",
    obtain="ask its authors for the corpus: https://dfew-dataset.github.io/",
    layout="Clip/original/00001.mp4",
    beside={
        ".csv": "tables", ".xlsx": "tables", ".txt": "tables", ".wav": "audio",
    },
    clips=11697,
    subjects_known=False,
)  # fmt: skip
_SIDE = re.compile(r"(train|test) ?\(single-labell?ed\)")
_SET = re.compile(r"set_([1-5])\.csv")


def _place(path: Path) -> Place | None:
    side, number = _SIDE.fullmatch(squeeze(path.parent.name)), _SET.fullmatch(squeeze(path.name))
    if side is None or number is None:
        return None
    return "train" if side[1] == "train" else "test", int(number[1])


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not {"video_name", "label"} <= set(reader.fieldnames):
            raise ValueError(f"{path}, row 1: the header lacks video_name or label")
        for number, row in enumerate(reader, 2):
            name, code = ((row[key] or "").strip() for key in ("video_name", "label"))
            stem = name.lower().removesuffix(".mp4")
            if not (stem.isascii() and stem.isdecimal()):
                raise ValueError(f"{path}, row {number}: video_name is {name!r}, not a number")
            if code not in map(str, range(1, 8)):
                raise ValueError(f"{path}, row {number}: label is {code!r}; it must be in 1…7")
            yield number, f"{int(stem):05}", _CODES[int(code) - 1]


def read(root: Path) -> Corpus:
    """Read a copy of DFEW: the clips with a single label, each with its official fold.

    Args:
        root: The folder that holds ``Clip/original`` and ``EmoLabel_DataSplit``, at any depth.

    Returns:
        The corpus; each clip's subject is its name, for nobody says who is seen. Listed clips that
        are not on disk are in it.

    Raises:
        FileNotFoundError: If no listed clip, or one of the ten lists, is not there.
        ValueError: If the lists are no five folds, or a row is wrong, named by its number.
    """
    corpus = read_official(FACTS, root, _place, _rows, _LISTS, "original")
    return replace(corpus, classes=CLASSES)
