"""SAVEE (Haq and Jackson 2009): four male subjects, 7 classes, in AVI.

Names are a class code and a number, such as ``sa01``.
"""

import re
from pathlib import Path

from vfer.corpora import (
    Clip,
    Corpus,
    Facts,
    below,
    files_below,
    is_video,
    name_below,
    squeeze,
    whole,
)

_CODES = {
    "sa": "sadness",  # the codes of two letters first: s and a alone would take anger for sadness
    "su": "surprise",
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
}
FACTS = Facts(
    name="savee",
    title="SAVEE",
    paper="Haq and Jackson 2009, Speaker-dependent audio-visual emotion recognition",
    licence="research, on registration",
    obtain="the corpus is free for research on registration: http://kahlan.eps.surrey.ac.uk/savee/",
    layout="AudioVisualClip/DC/a1.avi",
    per_class=dict.fromkeys(sorted(_CODES.values()), 60) | {"neutral": 120},
    subjects=4,
)
_SUBJECT = re.compile("dc|je|jk|kl")
_NAME = re.compile(rf"({'|'.join(_CODES)})(\d+)\.avi")


def read(root: Path) -> Corpus:
    """Read a copy of SAVEE.

    Args:
        root: The folder of the copy, or its ``AudioVisualClip``.

    Returns:
        The corpus.

    Raises:
        FileNotFoundError: If no clip is there.
    """
    folder = below(root, _SUBJECT)
    if folder is None:
        raise FACTS.nothing_at(root)
    clips: list[Clip] = []
    unexpected: list[tuple[Path, str]] = []
    for path in files_below(folder):
        parts = [squeeze(part) for part in path.relative_to(folder).parts]
        found = _NAME.fullmatch(parts[-1])
        if found and len(parts) == 2 and _SUBJECT.fullmatch(parts[0]):
            name, subject = name_below(path, folder), parts[0].upper()
            clips.append(Clip(name, path, subject, _CODES[found[1]], gender="male"))
        elif is_video(path):
            unexpected.append((path, "not a clip such as 'DC/a1.avi'"))
    if not clips:
        raise FACTS.nothing_at(root)
    return whole(FACTS, clips, unexpected)
