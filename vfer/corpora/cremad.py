"""CREMA-D (Cao et al. 2014): 91 actors, 6 classes, in FLV.

Names are ``subject_sentence_emotion_level``, such as ``1001_IEO_ANG_HI``. The actors' gender is
that of ``VideoDemographics.csv``, where it is there.
"""

import csv
import re
from pathlib import Path

from vfer.corpora import Clip, Corpus, Facts, files_below, name_below, reading, whole

_CODES = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
FACTS = Facts(
    name="cremad",
    title="CREMA-D",
    paper="Cao et al. 2014, CREMA-D: Crowd-sourced emotional multimodal actors dataset",
    licence="Open Database License",
    obtain="the corpus is open, by git-lfs: https://github.com/CheyneyComputerScience/CREMA-D",
    layout="VideoFlash/1001_IEO_ANG_HI.flv",
    per_class=dict.fromkeys(_CODES.values(), 1271) | {"neutral": 1087},
    subjects=91,
    broken=("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"),
    beside={".wav": "audio", ".mp3": "audio", ".csv": "tables"},
)
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_[A-Z]{2}\.flv", re.IGNORECASE)


def _genders(files: list[Path]) -> dict[str, str]:
    """Return each actor's gender; of none where the table is not there."""
    for path in files:
        if path.name.lower() == "videodemographics.csv" and path.is_file():
            with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
            if rows and {"ActorID", "Sex"} <= rows[0].keys():  # not what git-lfs may have left
                return {row["ActorID"]: (row["Sex"] or "").lower() for row in rows}
    return {}


def read(root: Path) -> Corpus:
    """Read a copy of CREMA-D; pointers that git-lfs left are clips here, which a check tells.

    Args:
        root: The folder of the copy, or its ``VideoFlash``.

    Returns:
        The corpus.

    Raises:
        FileNotFoundError: If no clip is there.
    """
    clips: list[Clip] = []
    unexpected: list[tuple[Path, str]] = []
    files = files_below(root)
    genders = _genders(files)
    for path in files:
        found = _NAME.fullmatch(path.name)
        emotion = _CODES.get(found[3].upper()) if found else None
        if found and emotion and 1001 <= int(found[1]) <= 1091:
            name, gender = name_below(path, root), genders.get(found[1])
            said = found[2].upper()
            clips.append(Clip(name, path, found[1], emotion, gender=gender, sentence=said))
        else:
            unexpected.append((path, "not named as a clip of CREMA-D"))
    return whole(FACTS, root, clips, unexpected)
