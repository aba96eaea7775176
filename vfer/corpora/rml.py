"""RML (Wang and Guan 2008): eight subjects, 6 classes, several languages, in AVI.

Names are a class code and a number, such as ``an1``; the folders of a subject who speaks several
languages have one more level. Which sentence a number is in which language is not known.
"""

import re
from pathlib import Path

from vfer.corpora import (
    EMOTIONS,
    Clip,
    Corpus,
    Facts,
    below,
    files_below,
    name_below,
    parts_below,
    whole,
)

_CODES = {emotion[:2]: emotion for emotion in EMOTIONS}
FACTS = Facts(
    name="rml",
    title="RML",
    paper="Wang and Guan 2008, Recognizing human emotional state from audiovisual signals",
    licence="non-commercial research, on a signed agreement",
    obtain="the corpus is free for research from the Ryerson Multimedia Lab, on a signed "
    "agreement: http://www.rml.ryerson.ca/rml-emotion-database.html",
    layout="s1/an1.avi",
    per_class=dict.fromkeys(EMOTIONS, 120),
    subjects=8,
)
_SUBJECT = re.compile(r"s([1-8])")
_NAME = re.compile(rf"({'|'.join(_CODES)})\d+\.avi")


def read(root: Path) -> Corpus:
    """Read a copy of RML.

    Args:
        root: The folder of the copy.

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
    for path in files_below(root):
        parts = parts_below(path, folder)
        subject, found = _SUBJECT.fullmatch(parts[0]), _NAME.fullmatch(parts[-1])
        if subject and found and len(parts) in (2, 3):
            clips.append(Clip(name_below(path, folder), path, subject[1], _CODES[found[1]]))
        else:
            unexpected.append((path, "not a clip such as 's1/an1.avi' or 's1/<language>/an1.avi'"))
    return whole(FACTS, root, clips, unexpected)
