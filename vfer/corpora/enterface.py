"""eNTERFACE'05 (Martin et al. 2006): 43 subjects × 6 emotions × 5 sentences, acted, in AVI.

The authors give it to researchers on a signed agreement; ``OBTAIN`` says where.
Layout: ``subject 1/anger/sentence 1/s1_an_1.avi``. Subject, emotion and sentence are those of the
folders: file names lie (all thirty of subject 11 are named ``s12_*``).
"""

import re
from pathlib import Path

from vfer.corpora import EMOTIONS, Clip, Corpus

NAME = "enterface05"
OBTAIN = (
    "the corpus is free for research from its authors, on a signed agreement: "
    "http://www.enterface.net/enterface05/ (Martin et al. 2006)"
)
NOT_SEGMENTED = "not segmented: the sentences of this emotion are one file"
_SUBJECT = re.compile(r"subject\s*(\d+)", re.IGNORECASE)
_SENTENCE = re.compile(r"sentence\s*(\d+)", re.IGNORECASE)
_JUNK = {"thumbs.db", ".ds_store", "desktop.ini"}


def _is_junk(path: Path) -> bool:
    return path.name.lower() in _JUNK or path.name.startswith("._")


def _squeeze(name: str) -> str:
    return " ".join(name.lower().split())


def find_root(root: Path) -> Path:
    """The folder that holds the ``subject N`` folders: ``root``, or one of its sub-folders.

    The archive may unpack into an extra folder.

    Raises:
        FileNotFoundError: Saying what is expected where and how the corpus is obtained.
    """
    candidates = [root, *sorted(p for p in root.iterdir() if p.is_dir())] if root.is_dir() else []
    for folder in candidates:
        if any(_SUBJECT.fullmatch(p.name) and p.is_dir() for p in folder.iterdir()):
            return folder
    raise FileNotFoundError(
        f"no eNTERFACE'05 at {root}: expected folders like "
        f"'{root}/subject 1/anger/sentence 1/s1_an_1.avi'. Give the copy's folder with "
        f"--data.root PATH; {OBTAIN}"
    )


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
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not _is_junk(p)):
        parts = [_squeeze(part) for part in path.relative_to(folder).parts]
        subject = _SUBJECT.fullmatch(parts[0])
        video = path.suffix.lower() == ".avi"
        if subject is None or not video:
            if video and parts[0] != "__macosx":
                unexpected.append((path, "not in a folder 'subject N'"))
            elif subject is not None and path.suffix.lower() != ".npz":  # .npz: rendered truth
                unexpected.append((path, "not an AVI file"))
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if len(parts) not in (3, 4) or parts[1] not in EMOTIONS:
            unexpected.append((path, "not in a folder 'subject N/<emotion>/sentence N'"))
        elif len(parts) == 3:
            clips.append(Clip(name, path, subject[1], parts[1], NOT_SEGMENTED))
        elif _SENTENCE.fullmatch(parts[2]):
            clips.append(Clip(name, path, subject[1], parts[1]))
        else:
            unexpected.append((path, "not in a folder 'sentence N'"))
    if not any(clip.excluded is None for clip in clips):
        raise FileNotFoundError(
            f"no clips below {folder}: expected files like 'subject 1/anger/sentence 1/s1_an_1.avi'"
        )
    return Corpus(NAME, EMOTIONS, tuple(sorted(clips, key=lambda c: c.name)), tuple(unexpected))
