"""eNTERFACE'05 (Martin et al. 2006): 43 subjects × 6 emotions × 5 sentences, acted, in AVI.

Subject, emotion and sentence are those of the folders: file names lie (all thirty of subject 11
are named ``s12_*``).
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
    is_video,
    name_below,
    squeeze,
    whole,
)

OBTAIN = (
    "the corpus is free for research from its authors, on a signed agreement: "
    "http://www.enterface.net/enterface05/ (Martin et al. 2006)"
)
FACTS = Facts(
    name="enterface05",
    title="eNTERFACE'05",
    paper="Martin et al. 2006, The eNTERFACE'05 audio-visual emotion database",
    licence="research, on a signed agreement",
    obtain=OBTAIN,
    layout="subject 1/anger/sentence 1/s1_an_1.avi",
    per_class=dict.fromkeys(EMOTIONS, 215) | {"happiness": 212},
    subjects=43,
    paper_clips=1290,
    paper_accuracy=43.72,
)
NOT_SEGMENTED = "not segmented: the sentences of this emotion are one file"
_SUBJECT = re.compile(r"subject\s*(\d+)")
_SENTENCE = re.compile(r"sentence\s*(\d+)")


def find_root(root: Path) -> Path:
    """The folder that holds the ``subject N`` folders: ``root``, or one in it.

    Raises:
        FileNotFoundError: Saying what is expected where and how the corpus is obtained.
    """
    folder = below(root, _SUBJECT)
    if folder is None:
        raise FACTS.nothing_at(root)
    return folder


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
    folder = find_root(root)
    clips: list[Clip] = []
    unexpected: list[tuple[Path, str]] = []
    for path in files_below(folder):
        parts = [squeeze(part) for part in path.relative_to(folder).parts]
        subject = _SUBJECT.fullmatch(parts[0])
        if subject is None:
            if is_video(path):
                unexpected.append((path, "not in a folder 'subject N'"))
            continue
        if path.suffix.lower() != ".avi":
            if path.suffix.lower() != ".npz":  # the truth beside a rendered clip
                unexpected.append((path, "not an AVI file"))
            continue
        name = name_below(path, folder)
        if len(parts) not in (3, 4) or parts[1] not in EMOTIONS:
            unexpected.append((path, "not in a folder 'subject N/<emotion>/sentence N'"))
        elif len(parts) == 3:
            clips.append(Clip(name, path, subject[1], parts[1], NOT_SEGMENTED))
        elif _SENTENCE.fullmatch(parts[2]):
            clips.append(Clip(name, path, subject[1], parts[1]))
        else:
            unexpected.append((path, "not in a folder 'sentence N'"))
    if not any(clip.excluded is None for clip in clips):
        raise FACTS.nothing_at(root)
    return whole(FACTS, clips, unexpected)
