"""What is on disk, as records: one module a corpus, each with a ``read(root) -> Corpus``."""

from dataclasses import dataclass
from pathlib import Path

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The paper's six classes; its "joy" is ``happiness`` here, in every corpus."""


@dataclass(frozen=True)
class Clip:
    """One video of one person showing one emotion.

    Attributes:
        name: Unique in its corpus: the path below the root without suffix, ``/`` between parts.
        path: The video file.
        subject: Who is seen, as a string; the unit that folds keep together.
        emotion: The class, one of the corpus's classes.
        excluded: Why the clip takes no part, or None where it does.
    """

    name: str
    path: Path
    subject: str
    emotion: str
    excluded: str | None = None


@dataclass(frozen=True)
class Corpus:
    """All clips of one copy of a corpus.

    Attributes:
        name: For instance ``enterface05``.
        classes: The class names, in the order of every probability vector and confusion matrix.
        clips: Ordered by name.
        unexpected: Files that do not fit the layout, each with the reason.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    unexpected: tuple[tuple[Path, str], ...] = ()
