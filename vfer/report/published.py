"""Published figures to stand beside a result, %: Pan et al. 2019 and others on the same corpora."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vfer.corpora import baum1s, enterface05

PAPERS_CLASSES = ("anger", "happiness", "sadness", "fear", "disgust", "surprise")
"""The order of classes in the paper's confusion matrices, Figures 12 and 13."""


def in_papers_order(classes: Sequence[str]) -> list[str]:
    """Return classes in the order in which they are shown: the paper's, then any others."""
    return sorted(classes, key=lambda name: (*PAPERS_CLASSES, name).index(name))


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        who: Authors or method.
        where: Table or paper.
        accuracy: Clip-level accuracy (WAR), %.
        uar: Unweighted average recall, %; None where it is not given.
        note: What to know of its protocol.
    """

    who: str
    where: str
    accuracy: float
    uar: float | None = None
    note: str = ""


_CORPORA = (baum1s.FACTS, enterface05.FACTS)
_MODEL = "spatial-temporal, trained, after fc7"
_Table = dict[str, tuple[str, tuple[float | None, ...]]]
_PAPER: _Table = {  # rows of Pan et al. 2019: where, and the accuracy on each of the two corpora
    _MODEL: ("Tables 1 to 5", tuple(facts.paper_accuracy for facts in _CORPORA)),
    "non-trained schema": ("Table 1", (46.02, 42.97)),
    "EmotionalVlan after fc6": ("Table 2", (45.01, 42.11)),
    "spatial stream alone": ("Table 3", (42.68, 41.03)),
    "temporal stream alone": ("Table 3", (41.09, 39.75)),
}
_CITED: _Table = {  # as the paper cites them
    "HOG 3D": ("Table 4", (43.02, 41.23)),
    "3DCNN": ("Table 4", (42.89, 41.05)),
    "Zhalehpour et al.": ("Table 5", (45.04, 42.16)),
}
_LEADS = [
    ours - max(value for value in others if value is not None)
    for ours, *others in zip(_PAPER[_MODEL][1], *(v for _, v in _CITED.values()), strict=True)
    if ours is not None
]
PAPERS_LEAD = sum(_LEADS) / len(_LEADS)
"""By how many points the paper is ahead of the best it compares itself with, mean over corpora."""
_WILD = "clip level, video only; official folds; pre-trained on VoxCeleb2"
_BLOCKS = "clip level, video only; {} published subject blocks"
_PEERS = {
    "enterface05": (
        Published("Bejani et al.", "Table 5 of Pan et al.", 39.27),
        Published("Mansoorizadeh et al.", "Table 5 of Pan et al.", 37.00),
        Published("MAE-DFER", "ACM Multimedia 2023", 61.64, 61.67, _BLOCKS.format("five")),
    ),
    "baum1s": (Published("Zhang et al.", "2018, visual part", 50.0, None, "about"),),
    "ravdess": (Published("MAE-DFER", "ACM Multimedia 2023", 75.56, None, _BLOCKS.format("six")),),
    "cremad": (Published("MAE-DFER", "ACM Multimedia 2023", 77.38, None, _BLOCKS.format("five")),),
    "dfew": (Published("MAE-DFER", "ACM Multimedia 2023", 74.43, 63.41, _WILD),),
    "mafw": (Published("MAE-DFER", "ACM Multimedia 2023", 54.31, 41.62, _WILD),),
}


def paper_row(config: Mapping[str, Any]) -> str | None:
    """Return the row of the paper's tables that a config is of; None where it is of none.

    Args:
        config: A bundle's config by dotted keys.
    """
    if config.get("stages.schema") == "non_trained":
        return "non-trained schema"
    streams = config.get("model.streams", "both")
    if streams != "both":
        return f"{streams} stream alone"
    if config.get("model.pool", "sum") != "sum":
        return None
    rows = {"fc7": _MODEL, "fc6": "EmotionalVlan after fc6"}
    return rows.get(config.get("model.insert_after", "fc7"))


_CLASSES = {"baum1s": 6, "enterface05": 6, "ravdess": 8, "cremad": 6, "dfew": 7, "mafw": 11}


def published(corpus: str, rows: set[str], classes: int) -> list[Published]:
    """List what is published on a corpus; of the paper's own rows the named ones.

    Args:
        corpus: Its name.
        rows: Names that `paper_row` gives.
        classes: How many the result is of; where the published ones are of others, they say so.
    """
    ours = {f"Pan et al. 2019, {name}": row for name, row in _PAPER.items() if name in rows}
    cited = {name: (f"{where} of Pan et al.", v) for name, (where, v) in _CITED.items()}
    figures = [
        Published(who, where, accuracy)
        for who, (where, accuracies) in (ours | cited).items()
        for facts, accuracy in zip(_CORPORA, accuracies, strict=True)
        if facts.name == corpus and accuracy is not None
    ]
    figures += _PEERS.get(corpus, ())
    if classes == _CLASSES.get(corpus):
        return figures
    other = f"of {_CLASSES.get(corpus)} classes, not of {classes}"
    return [replace(one, note=", ".join(filter(None, (one.note, other)))) for one in figures]
