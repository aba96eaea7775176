"""The built-in corpus: talking heads drawn from facial action units, in eNTERFACE'05's layout.

`files` renders it; here it is only read.
"""

from dataclasses import replace
from pathlib import Path

from vfer.corpora import EMOTIONS, Corpus, Facts, enterface05
from vfer.corpora.facs.settings import FacsConfig

FACTS = Facts(
    name="facs",
    title="the built-in corpus",
    paper="–",
    licence="the project's own",
    obtain="it is drawn where it is missing",
    layout=enterface05.FACTS.layout,
)


def read(root: Path, facs: FacsConfig) -> Corpus:
    """Read a rendered corpus.

    Args:
        root: Its folder.
        facs: What it is like.

    Returns:
        The corpus.

    Raises:
        FileNotFoundError: If no clip is there.
    """
    per_class = dict.fromkeys(EMOTIONS, facs.subjects * facs.clips_per_emotion)
    known = replace(FACTS, per_class=per_class, subjects=facs.subjects)
    corpus = enterface05.read(root)
    clips = tuple(replace(clip, sentence=None) for clip in corpus.clips)  # speech is random
    return replace(corpus, name=FACTS.name, facts=known, clips=clips)
