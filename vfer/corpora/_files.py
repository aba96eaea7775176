"""The files of a copy: found through links too, and named."""

import csv
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_JUNK = {"thumbs.db", "desktop.ini"}
_VIDEOS = {".avi", ".flv", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wmv"}


@contextmanager
def reading(table: Path) -> Iterator[None]:
    """Name a table in whatever is found wrong while it is read.

    Raises:
        ValueError: It is no table as it should be; the message names it.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is not in UTF-8 (byte {error.start}): save it so") from None
    except csv.Error as error:
        raise ValueError(f"{table} is no CSV file as it should be: {error}") from None
    except ValueError as error:
        if str(table) in str(error):
            raise
        raise ValueError(f"{table}: {error}") from None


def squeeze(name: str) -> str:
    """Return a name in lower case with single blanks, as names are compared."""
    return " ".join(name.lower().split())


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted, without what file managers and git leave.

    Those are hidden files and folders (``.git``, ``._x``), ``Thumbs.db`` and ``__MACOSX``. Links to
    folders are followed, but each folder is read once. What cannot be followed or is no file is in
    the list by itself, and ``not_a_file`` says why.
    """
    found: list[Path] = []
    seen: set[str] = set()
    above = {str(parent) for parent in Path(os.path.realpath(folder)).parents}
    starts = [folder]
    for start in starts:  # grows by the links that are met
        failed: list[OSError] = []
        for where, folders, names in os.walk(start, onerror=failed.append):
            real = os.path.realpath(where)
            if real in seen or real in above:
                found.append(Path(where))
                folders.clear()
                continue
            seen.add(real)
            kept = sorted(n for n in folders if n[0] != "." and n.lower() != "__macosx")
            folders[:] = [n for n in kept if not Path(where, n).is_symlink()]
            starts += [Path(where, n) for n in kept if Path(where, n).is_symlink()]
            found += [Path(where, n) for n in names if n[0] != "." and n.lower() not in _JUNK]
        found += [Path(str(e.filename)) for e in failed if Path(str(e.filename)) != folder]
    return sorted(found)


def not_a_file(path: Path) -> str | None:
    """Return why there is no file at a path that ``files_below`` gives, or None where one is."""
    if path.is_file():
        return None
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            return "a folder that may not be opened"
        return f"it leads to {os.path.realpath(path)}, which is read already or holds the copy"
    if path.is_symlink() and not path.exists():
        return f"a link to nothing: {path.readlink()}"
    return "a pipe or a device, not a file" if path.exists() else os.strerror(errno.ENOENT)


def is_video(path: Path) -> bool:
    """Return whether a file's suffix is that of a video."""
    return path.suffix.lower() in _VIDEOS


def name_below(path: Path, folder: Path) -> str:
    """Return a clip's name: its path below a folder, without suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def parts_below(path: Path, folder: Path) -> list[str]:
    """Return the names below a folder as they are compared; of a path elsewhere one empty name."""
    if not path.is_relative_to(folder):
        return [""]
    return [squeeze(part) for part in path.relative_to(folder).parts]


def below(folder: Path, pattern: re.Pattern[str]) -> Path | None:
    """Find the nearest folder with such a sub-folder: ``folder``, or one at most two levels down.

    Archives unpack into extra folders.
    """
    level = [folder]
    for _ in range(3):
        inside = [sorted(p for p in f.iterdir() if p.is_dir()) for f in level if f.is_dir()]
        for parent, children in zip([f for f in level if f.is_dir()], inside, strict=True):
            if any(pattern.fullmatch(squeeze(child.name)) for child in children):
                return parent
        level = [child for children in inside for child in children]
    return None
