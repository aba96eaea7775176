"""What can be said of videos before they are decoded: heads, equal content, and whose they are."""

import errno
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from vfer.corpora import Clip, Corpus, not_a_file
from vfer.runtime.files import sha256

_CONTAINER = {
    ".avi": "AVI", ".flv": "FLV", ".mkv": "Matroska", ".webm": "Matroska", ".mp4": "MP4",
    ".mov": "MP4",
}  # fmt: skip
_MP4 = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")


def hash_video(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits.

    Raises:
        OSError: If it cannot be opened, or is no regular file: opening a pipe would wait for ever.
    """
    if path.is_dir():
        raise OSError(errno.EISDIR, "a folder, not a file")
    why = not_a_file(path)
    if why is not None:
        raise OSError(errno.EINVAL, why)
    return sha256(path)


def content_duplicates(hashes: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return names of equal content: ``hashes`` gives each name's; groups and names in order."""
    names = defaultdict(list)
    for name, found in sorted(hashes.items()):
        names[found].append(name)
    return sorted(tuple(group) for group in names.values() if len(group) > 1)


def _container(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    if head[:3] == b"FLV":
        return "FLV"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "Matroska"
    return "MP4" if head[4:8] in _MP4 else None


def wrong_head(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with a video by its first bytes, and why; None where nothing is seen.

    The first is ``missing`` where no file is there, ``unreadable`` or ``doubtful``.
    """
    try:
        if not path.exists():
            return "missing", f"{path}: {not_a_file(path)}"
        if not path.is_file():
            return "unreadable", "not a file"
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        return "unreadable", str(error.strerror)
    if not head:
        return "unreadable", "the file is empty"
    if head.startswith(b"version https://git-lfs"):
        return "unreadable", "a git-lfs pointer, not the video: run git lfs pull in the copy"
    promised, found = _CONTAINER.get(path.suffix.lower()), _container(head)
    if promised in (None, found):
        return None
    if found is None:
        return "unreadable", f"the content is not {promised}"
    return "doubtful", f"the content is {found}, not {promised}"


def same_content(clips: Iterable[Clip]) -> list[tuple[Clip, ...]]:
    """Return groups of clips whose files are videos of the same content, in the clips' order.

    Only files of equal size are read.
    """
    sizes = defaultdict(list)
    for clip in clips:
        if clip.path.is_file():
            sizes[clip.path.stat().st_size].append(clip)
    contents = defaultdict(list)
    for group in sizes.values():
        for clip in group if len(group) > 1 else ():
            if (wrong_head(clip.path) or ("", ""))[0] != "unreadable":
                contents[hash_video(clip.path)].append(clip)
    return [tuple(group) for group in contents.values() if len(group) > 1]


def part_duplicates(corpus: Corpus, rule: Literal["refuse", "exclude"]) -> Corpus:
    """Refuse clips that are the same video, or exclude every one of them.

    A video under two subjects or labels would be trained on and tested; twice under the same, it
    would be counted twice. Clips that are excluded already do not count.

    Args:
        corpus: The corpus.
        rule: ``data.duplicates``.

    Returns:
        The corpus; each clip that is left out names the others in its reason.

    Raises:
        ValueError: By ``refuse``, naming the clips of each such video.
    """
    found = same_content(clip for clip in corpus.clips if clip.excluded is None)
    if found and rule == "refuse":
        told = "; ".join(_told(group) for group in found[:10])
        more = f"; and {len(found) - 10} more videos" if len(found) > 10 else ""
        raise ValueError(
            f"{told}{more}. Remove the wrong ones, or leave every copy out with "
            "--data.duplicates exclude"
        )
    reasons = {}
    for group in found:
        for clip in group:
            others = " and ".join(called(other) for other in group if other is not clip)
            reasons[clip.name] = f"the same video as {others} (data.duplicates)"
    clips = [replace(c, excluded=reasons.get(c.name, c.excluded)) for c in corpus.clips]
    return replace(corpus, clips=tuple(clips))


def called(clip: Clip) -> str:
    """Return a clip's name, subject and label, for messages."""
    return f"{clip.name!r} of subject {clip.subject}, {clip.emotion}"


def _told(group: Sequence[Clip]) -> str:
    one = len({(clip.subject, clip.emotion) for clip in group}) == 1
    why = "it would be counted twice" if one else "it would be trained on and tested"
    return f"{' and '.join(map(called, group))} are the same video: {why}"


def outside(clips: Iterable[Clip], root: Path | None) -> int:
    """Count clips that links in a copy's folder lead to and that lie elsewhere; 0 of a manifest."""
    if root is None or not root.is_dir():
        return 0
    home = os.path.realpath(root)
    return sum(not Path(os.path.realpath(clip.path)).is_relative_to(home) for clip in clips)


def similar_subjects(clips: Iterable[Clip]) -> list[tuple[str, ...]]:
    """Return groups of subjects that differ by case, blanks or leading zeros alone.

    Clips that are excluded do not count.
    """
    alike = defaultdict(set)
    for clip in clips:
        if clip.excluded is None:
            one = " ".join(re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", clip.subject).casefold().split())
            alike[re.sub(r"(?<!\d)0+(?=\d)", "", one)].add(clip.subject)
    return sorted(tuple(sorted(group)) for group in alike.values() if len(group) > 1)


def check_subjects(corpus: Corpus) -> None:
    """Refuse subjects that are one person by all appearances.

    Raises:
        ValueError: Naming them.
    """
    found = similar_subjects(corpus.clips)
    if found:
        told = "; ".join(" and ".join(map(repr, group)) for group in found)
        raise ValueError(
            f"subjects differ by case, blanks or leading zeros alone: {told}. As two people, one "
            "person would be trained on and tested: write each in one way, and different people "
            "so that they differ by more"
        )
