"""SAVEE (Haq and Jackson 2009): four male subjects, 7 classes, in AVI.

Names are a class code and the number of a sentence, such as ``sa01``. Some sentences are common to
all classes. Neutral has 30, among them sentences of the other classes; which is which, names do not
say.
"""

import re
from pathlib import Path

from vfer.corpora import Clip, Corpus, Facts, files_below, name_below, squeeze, whole

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
    beside={".wav": "audio"},
)
_SUBJECT = re.compile("dc|je|jk|kl")
_NAME = re.compile(rf"({'|'.join(_CODES)})(\d+)\.avi")


def read(root: Path) -> Corpus:
    """Read a copy of SAVEE.

    Args:
        root: The folder of the copy, with or without its other parts, or its ``AudioVisualClip``.

    Returns:
        The corpus.

    Raises:
        FileNotFoundError: If no clip is there.
    """
    clips: list[Clip] = []
    unexpected: list[tuple[Path, str]] = []
    for path in files_below(root):
        found = _NAME.fullmatch(squeeze(path.name))
        subject = _SUBJECT.fullmatch(squeeze(path.parent.name))
        if found and subject:
            name, emotion = name_below(path, root), _CODES[found[1]]
            who, said = subject[0].upper(), str(int(found[2]))
            clips.append(Clip(name, path, who, emotion, gender="male", sentence=said))
        else:
            unexpected.append((path, "not a clip such as 'DC/a1.avi'"))
    return whole(FACTS, root, clips, unexpected)
