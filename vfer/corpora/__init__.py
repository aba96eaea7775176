"""What is on disk, as records: one file a corpus, found by being there.

Each has ``FACTS`` and ``read`` and is named as its corpus; nothing else lists them.
"""

import difflib
import pkgutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from vfer.corpora._files import (
    below,
    files_below,
    is_video,
    name_below,
    not_a_file,
    parts_below,
    reading,
    squeeze,
)

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The paper's six classes; its "joy" is ``happiness`` here, in every corpus."""

__all__ = [
    "EMOTIONS", "Adapter", "Clip", "Corpus", "Facts", "below", "check_name", "files_below",
    "is_video", "name_below", "named", "names", "not_a_file", "parts_below", "reading", "squeeze",
    "whole",
]  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """One video of one person showing one emotion.

    Attributes:
        name: Unique in its corpus: the path below the root without suffix, ``/`` between parts.
        path: The video file.
        subject: Who is seen, as a string; the unit that folds keep together.
        emotion: The class, one of the corpus's classes.
        excluded: Why the clip takes no part, or None where it does.
        gender: ``female`` or ``male``, or None where the corpus does not say.
        fold: The official fold, from 0, or None where there is none.
        extra: Further columns of a manifest, as (column, value).
        sentence: What is said, or None where the corpus does not say: clips of one value may move
            their lips alike. It is the corpus's own code or number. Where each emotion has
            sentences of its own, it is the number alone, so that each value is found in every
            emotion and apart from the others.
    """

    name: str
    path: Path
    subject: str
    emotion: str
    excluded: str | None = None
    gender: str | None = None
    fold: int | None = None
    extra: tuple[tuple[str, str], ...] = ()
    sentence: str | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a corpus, whatever copy of it there is.

    Attributes:
        name: As in ``data.corpus``.
        title: As in print.
        paper: Who described it.
        licence: On what terms it may be used.
        obtain: Where it is to be had.
        layout: A clip's path below the root, as an example.
        per_class: Clips of each class in a whole copy, those left out for good not counted.
        subjects: Subjects of a whole copy, likewise.
        defaults: The classes taken where ``data.classes`` is null; empty for all.
        broken: Names of clips known not to be usable, without folder and suffix.
        beside: What the files of a suffix are that come with the clips and are only counted.
        clips: Clips of a whole copy, where those of each class are not known.
        subjects_known: Whether a copy tells who is seen. Where not, each clip's subject is its
            name, the folds must be the corpus's own, and results speak of clips, not of people.
        paper_clips: Clips that Pan et al. 2019 count, or None where they do not use it.
        paper_segments: Segments that they take of them, or None.
        paper_accuracy: Their accuracy, %, or None.
    """

    name: str
    title: str
    paper: str
    licence: str
    obtain: str
    layout: str
    per_class: Mapping[str, int] = field(default_factory=dict)
    subjects: int | None = None
    defaults: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    clips: int | None = None
    subjects_known: bool = True
    paper_clips: int | None = None
    paper_segments: int | None = None
    paper_accuracy: float | None = None

    def nothing_at(self, root: Path) -> FileNotFoundError:
        """Return the error of a root that holds nothing of the corpus: what to do, and whence."""
        return FileNotFoundError(
            f"no clips of {self.title} at {root}: expected files like '{root}/{self.layout}'. "
            f"Give the copy's folder with --data.root PATH; {self.obtain}"
        )


@dataclass(frozen=True)
class Corpus:
    """All clips of one copy of a corpus.

    Attributes:
        name: What it is called in results, for instance ``enterface05``.
        classes: The class names, in the order of every probability vector and confusion matrix.
        clips: Ordered by name.
        unexpected: Files that do not fit the layout, each with the reason.
        missing: Clips that are annotated and not on disk, each with the reason.
        aside: Files that belong to the corpus and are not read, as (what, how many).
        facts: What is known of it, or of the part that was read; None where nothing is.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    unexpected: tuple[tuple[Path, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    aside: tuple[tuple[str, int], ...] = ()
    facts: Facts | None = None

    @property
    def subjects_known(self) -> bool:
        """Whether it is told who is seen in a clip; else each clip is a subject of its own."""
        return self.facts is None or self.facts.subjects_known


class Adapter(Protocol):
    """What reads a corpus: a file of this folder, or an object of a class of one's own.

    Attributes:
        FACTS: What is known of the corpus.
        read: ``read(root: Path, …) -> Corpus``. Further parameters that are named as a key of
            ``data``, such as ``channel``, are given its value.
    """

    FACTS: Facts
    read: Callable[..., Corpus]


def names() -> tuple[str, ...]:
    """Return the names of the corpora that have a file here; none is imported."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_"))


def check_name(name: str) -> None:
    """Refuse a name that no file here has.

    Raises:
        ValueError: With the legal names, and the one that was meant perhaps.
    """
    if name not in names():
        near = difflib.get_close_matches(name.lower(), names(), 1)
        raise ValueError(
            f"data.corpus is {name!r}{f' (did you mean {near[0]}?)' if near else ''}; it must be "
            f"one of {', '.join(names())}, or a class of your own by its import path, such as "
            "mymodule.MyCorpus"
        )


def named(name: str) -> Adapter:
    """Import the adapter of a corpus that has a file here.

    Raises:
        ValueError: If there is none.
    """
    check_name(name)
    return cast(Adapter, import_module(f"{__name__}.{name}"))


def whole(
    facts: Facts,
    root: Path,
    clips: list[Clip],
    others: list[tuple[Path, str]],
    missing: tuple[tuple[str, str], ...] = (),
    aside: Mapping[str, int] | None = None,
) -> Corpus:
    """Return the corpus of these clips, ordered by name.

    Args:
        facts: Of the corpus.
        root: Of the copy.
        clips: In any order.
        others: Every other file and why it is no clip; those in ``facts.beside`` are counted and
            not unexpected. Of one that is no file, such as a link to nothing, that is the reason.
        missing: As in ``Corpus``.
        aside: Further files to count.

    Raises:
        FileNotFoundError: If no clip takes part.
    """
    if not any(clip.excluded is None for clip in clips):
        raise facts.nothing_at(root)
    counted = Counter(aside)
    unexpected = []
    for path, reason in others:
        what = facts.beside.get(path.suffix.lower())
        if what is None:
            unexpected.append((path, not_a_file(path) or reason))
        else:
            counted[what] += 1
    return Corpus(
        facts.name,
        tuple(facts.per_class),
        tuple(sorted(clips, key=lambda clip: clip.name)),
        tuple(unexpected),
        missing,
        tuple(sorted((+counted).items())),  # without zeros
        facts,
    )
