"""CREMA-D (Cao et al. 2014): 91 actors, 6 classes, in FLV.

Names are ``subject_sentence_emotion_level``, such as ``1001_IEO_ANG_HI``.
"""

import re
from pathlib import Path

from vfer.corpora import Clip, Corpus, Facts, files_below, is_video, name_below, whole

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
)
_NAME = re.compile(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z]{2}\.flv", re.IGNORECASE)


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
    for path in files_below(root):
        found = _NAME.fullmatch(path.name)
        emotion = _CODES.get(found[2].upper()) if found else None
        if found and emotion and 1001 <= int(found[1]) <= 1091:
            clips.append(Clip(name_below(path, root), path, found[1], emotion))
        elif is_video(path):
            unexpected.append((path, "not named as a clip of CREMA-D"))
    if not clips:
        raise FACTS.nothing_at(root)
    return whole(FACTS, clips, unexpected)
