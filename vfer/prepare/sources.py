"""What can be said of video files before anything is decoded: their heads and their content."""

import errno
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

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
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file")
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
            to = f": its link leads to {path.readlink()}" if path.is_symlink() else ""
            return "missing", f"{path} is not there{to}"
        if not path.is_file():
            return "unreadable", "it is not a file"
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
