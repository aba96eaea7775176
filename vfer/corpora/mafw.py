"""MAFW (Liu et al. 2022): clips of films and shows, 11 classes, five official folds; nobody named.

Read are the videos of ``clips`` and the lists ``single/no_caption/set_1/train.txt`` and so on, a
clip and its class a row. Clips that no list names have no single label.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vfer.corpora import Corpus, Facts, reading, squeeze
from vfer.corpora._official import Place, read_official

CLASSES = (
    "anger", "anxiety", "contempt", "disappointment", "disgust", "fear", "happiness",
    "helplessness", "neutral", "sadness", "surprise",
)  # fmt: skip
_LISTS = "split/single/no_caption/set_1/train.txt"
FACTS = Facts(
    name="mafw",
    title="MAFW",
    paper="Liu et al. 2022, MAFW: A large-scale, multi-modal, compound affective database for "
    "dynamic facial expression recognition in the wild",
    licence="non-commercial research, signed agreement",
    obtain="ask its authors for the corpus: https://github.com/MAFW-database/MAFW",
    layout="clips/00151.mp4",
    beside={
        ".txt": "tables", ".csv": "tables", ".xlsx": "tables", ".json": "tables", ".wav": "audio",
    },
    clips=9172,
    subjects_known=False,
)  # fmt: skip
_LIST = re.compile(r"single/no_caption/set_([1-5])/(train|test)\.txt")


def _place(path: Path) -> Place | None:
    found = _LIST.fullmatch("/".join(squeeze(part) for part in path.parts[-4:]))
    if found is None:
        return None
    return "train" if found[2] == "train" else "test", int(found[1])


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    with reading(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, words in ((n, line.split()) for n, line in enumerate(lines, 1)):
        if not words:
            continue
        stem = words[0].lower().removesuffix(".mp4")
        if len(words) != 2 or not (stem.isascii() and stem.isdecimal()):
            raise ValueError(
                f"{path}, row {number}: {' '.join(words)!r} is no clip and class such as "
                "'00151.mp4 anger'"
            )
        if words[1].lower() not in CLASSES:
            raise ValueError(
                f"{path}, row {number}: the class {words[1]!r} is none of {', '.join(CLASSES)}"
            )
        yield number, f"{int(stem):05}", words[1].lower()


def read(root: Path) -> Corpus:
    """Read a copy of MAFW: the clips with a single label, each with its official fold.

    Args:
        root: The folder that holds ``clips`` and the lists, at any depth.

    Returns:
        The corpus; each clip's subject is its name, for nobody says who is seen. Listed clips that
        are not on disk are in it.

    Raises:
        FileNotFoundError: If no listed clip, or one of the ten lists, is not there.
        ValueError: If the lists are no five folds, or a row is wrong, named by its number.
    """
    corpus = read_official(FACTS, root, _place, _rows, _LISTS, "clips")
    return replace(corpus, classes=CLASSES)
