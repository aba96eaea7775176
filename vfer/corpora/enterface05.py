"""eNTERFACE'05 (Martin et al. 2006): 43 subjects × 6 emotions × 5 sentences, acted, in AVI.

Subject, emotion and sentence are those of the folders: file names lie (all thirty of subject 11
are named ``s12_*``). Each emotion has five sentences of its own, thirty in all; ``sentence`` is the
number among the five, because a sentence in full tells its emotion.
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

FACTS = Facts(
    name="enterface05",
    title="eNTERFACE'05",
    paper="Martin et al. 2006, The eNTERFACE'05 audio-visual emotion database",
    licence="scientific research",
    obtain="the corpus is free for scientific research from its authors: "
    "http://www.enterface.net/enterface05/ (Martin et al. 2006)",
    layout="subject 1/anger/sentence 1/s1_an_1.avi",
    per_class=dict.fromkeys(EMOTIONS, 215) | {"happiness": 212},
    subjects=43,
    beside={".npz": "truths of rendered clips", ".json": "settings of a rendered corpus"},
    paper_clips=1290,
    paper_segments=19350,
    paper_accuracy=43.72,
)
NOT_SEGMENTED = "not segmented: the sentences of this emotion are one file"
_SUBJECT = re.compile(r"subject\s*(\d+)")
_SENTENCE = re.compile(r"sentence\s*(\d+)")


def read(root: Path) -> Corpus:
    """Read a copy of eNTERFACE'05, or a rendered corpus of its layout.

    A video directly below an emotion folder holds all its sentences unsegmented (the original
    corpus's subject 6) and is excluded. Files that fit neither place are listed as unexpected.

    Args:
        root: The folder of the copy.

    Returns:
        The corpus, classes in alphabetical order.

    Raises:
        FileNotFoundError: If no ``subject N`` folder is there, or no clip in any of them.
    """
    folder = below(root, _SUBJECT)
    if folder is None:
        raise FACTS.nothing_at(root)
    clips: list[Clip] = []
    unexpected: list[tuple[Path, str]] = []
    for path in files_below(root):
        parts = parts_below(path, folder)
        subject = _SUBJECT.fullmatch(parts[0])
        name = name_below(path, folder) if subject else ""
        if subject is None:
            unexpected.append((path, "not in a folder 'subject N'"))
        elif path.suffix.lower() != ".avi":
            unexpected.append((path, "not an AVI file"))
        elif len(parts) not in (3, 4) or parts[1] not in EMOTIONS:
            unexpected.append((path, "not in a folder 'subject N/<emotion>/sentence N'"))
        elif len(parts) == 3:
            clips.append(Clip(name, path, subject[1], parts[1], NOT_SEGMENTED))
        elif sentence := _SENTENCE.fullmatch(parts[2]):
            clips.append(Clip(name, path, subject[1], parts[1], sentence=sentence[1]))
        else:
            unexpected.append((path, "not in a folder 'sentence N'"))
    return whole(FACTS, root, clips, unexpected)
