"""The official folds of a corpus by its lists: of each fold who is trained on and who is tested."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from vfer.corpora import (
    Clip,
    Corpus,
    Facts,
    files_below,
    is_video,
    name_below,
    parts_below,
    squeeze,
    whole,
)

Side = Literal["train", "test"]
Place = tuple[Side, int]
"""A list: its side, and its fold counted from 1 as in the files' names."""
SETS = range(1, 6)
_CUT = re.compile(r"clip_\d+x\d+.*")
"""Folders of faces that the corpus's authors have cut out, as videos or images."""
_IMAGES = (
    ". There are frames as images, which are not read: faces are found, aligned and timed here, "
    "which takes the videos"
)


class Listed(NamedTuple):
    """What the lists say of a clip: its class, and the fold that tests it, from 0."""

    emotion: str
    fold: int


def find_lists(
    files: Iterable[Path], place: Callable[[Path], Place | None], title: str, layout: str
) -> dict[Place, Path]:
    """Find the ten lists of five folds.

    Args:
        files: Of the copy.
        place: Says which list a file is, or None.
        title: Of the corpus.
        layout: A list's path, as an example.

    Raises:
        FileNotFoundError: If some are missing; naming which.
        ValueError: If one is there twice.
    """
    found: dict[Place, Path] = {}
    for path in files:
        where = place(path)
        if where is None:
            continue
        if where in found:
            raise ValueError(
                f"{found[where]} and {path} are both the list {where[0]} of set {where[1]} of "
                f"{title}: remove one of them from the copy"
            )
        found[where] = path
    wanted: list[Place] = [(side, k) for k in SETS for side in ("train", "test")]
    lacking = [f"{side} of set {k}" for side, k in wanted if (side, k) not in found]
    if lacking:
        raise FileNotFoundError(
            f"lists of the official folds of {title} are missing: {', '.join(lacking)}. All ten "
            f"must be below data.root, as {layout}"
        )
    return {where: found[where] for where in wanted}


def official_lists(
    lists: Mapping[Place, Path], parse: Callable[[Path], Iterable[tuple[int, str, str]]]
) -> dict[str, Listed]:
    """Read lists that are five official folds: each clip is tested by one and trains the others.

    Args:
        lists: As `find_lists` gives them.
        parse: Yields row number, clip and class of each row of a list.

    Returns:
        Clip → class and fold.

    Raises:
        ValueError: If a clip is in a list twice, has two classes, is trained on and tested in one
            fold, is tested in two or in none, or is left out of training; naming the file.
    """
    emotions: dict[str, tuple[str, Path]] = {}
    named: dict[Place, set[str]] = {}
    for where, path in lists.items():
        clips = named.setdefault(where, set())
        for number, clip, emotion in parse(path):
            if clip in clips:
                raise ValueError(f"{path}, row {number}: {clip} is in an earlier row")
            clips.add(clip)
            before, first = emotions.setdefault(clip, (emotion, path))
            if before != emotion:
                raise ValueError(
                    f"{path}, row {number}: {clip} is {emotion}, and {before} in {first}"
                )
    home: dict[str, int] = {}
    for k in SETS:
        _refuse(
            named["train", k] & named["test", k],
            lists["train", k],
            "it trains on what its set tests:",
        )
        _refuse(named["test", k] & home.keys(), lists["test", k], "an earlier set tests too:")
        home |= dict.fromkeys(named["test", k], k - 1)
    for k in SETS:
        _refuse(named["train", k] - home.keys(), lists["train", k], "no set tests")
        _refuse(
            home.keys() - named["test", k] - named["train", k], lists["train", k], "it leaves out"
        )
    return {clip: Listed(emotions[clip][0], fold) for clip, fold in home.items()}


def _refuse(clips: set[str], path: Path, what: str) -> None:
    """Refuse lists that are no folds, by the clips that are in the wrong place."""
    if clips:
        few = ", ".join(sorted(clips)[:3]) + (f" and {len(clips) - 3} more" * (len(clips) > 3))
        raise ValueError(
            f"{path}: {what} {few}; in official folds each clip is tested by one set and trained "
            "on by all others. Take the lists as the corpus's authors give them"
        )


def read_official(
    facts: Facts,
    root: Path,
    place: Callable[[Path], Place | None],
    parse: Callable[[Path], Iterable[tuple[int, str, str]]],
    layout: str,
    folder: str,
) -> Corpus:
    """Read a copy of clips and ten lists; the arguments are those of the functions above and below.

    Raises:
        FileNotFoundError: If no listed clip, or one of the ten lists, is not there.
        ValueError: If the lists are no five folds, or a row is wrong.
    """
    files = files_below(root)
    lists = find_lists(files, place, facts.title, layout)
    others = [path for path in files if path not in lists.values()]
    return read_clips(facts, root, others, official_lists(lists, parse), folder)


def read_clips(
    facts: Facts, root: Path, files: Iterable[Path], listed: Mapping[str, Listed], folder: str
) -> Corpus:
    """Return the corpus of the listed clips, each a subject of its own.

    A listed clip that is not on disk is in it nevertheless, unreadable: the folds are of all clips.

    Args:
        facts: Of the corpus.
        root: Of the copy.
        files: All of it.
        listed: As `official_lists` gives it, by numbers of five digits.
        folder: What the folder of the videos is called, in lower case.

    Raises:
        FileNotFoundError: If no listed clip is there.
    """
    found: dict[str, Path] = {}
    others: list[tuple[Path, str]] = []
    aside: Counter[str] = Counter()
    for path in files:
        number = f"{int(path.stem):05}" if path.stem.isascii() and path.stem.isdecimal() else ""
        if path.suffix.lower() in (".jpg", ".png"):
            aside["frames as images"] += 1
        elif is_video(path) and any(_CUT.fullmatch(part) for part in parts_below(path, root)):
            aside["videos of faces that are cut already"] += 1
        elif not (number and is_video(path) and squeeze(path.parent.name) == folder):
            others.append((path, f"not a clip such as '{facts.layout}'"))
        elif number not in listed:
            aside["clips that no list of single labels names"] += 1
        elif number in found:
            others.append((path, f"the clip is there already: {found[number]}"))
        else:
            found[number] = path
    if not found:
        images = _IMAGES if aside["frames as images"] else ""
        raise FileNotFoundError(f"{facts.nothing_at(root)}{images}")
    place = min(found.values()).parent
    clips = []
    for number, (emotion, fold) in listed.items():
        path = found.get(number, place / f"{number}.mp4")
        name = name_below(path, root)
        clips.append(Clip(name, path, name, emotion, fold=fold))
    return whole(facts, root, clips, others, aside=aside)
