"""From the words of a command line to videos, and to what may be written."""

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vfer.corpora import files_below, is_video, not_a_file
from vfer.predict.folder import OVERLAYS, PAGE_RECORD, VIDEOS
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_json

_MORE = {".3gp", ".m2ts", ".m4v", ".mpeg", ".mts", ".mxf", ".ogv", ".ts"}
"""Suffixes of videos besides those that corpora have."""


def real(path: Path) -> Path:
    """Return a path without links; of one that leads in a circle, as far as it can be followed."""
    return Path(os.path.realpath(path))


def find_videos(names: Sequence[str]) -> list[Path]:
    """Return the videos that words name, in their order, each once.

    Args:
        names: Files, whatever their suffix; folders, of which all videos below are taken; patterns
            with ``*``, ``?``, ``[…]`` or ``**``. Of folders and patterns, what `vfer.predict`
            itself has made of videos is left out.

    Raises:
        UsageError: If one names nothing, or a folder holds no video.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for path in _named(name):
            found.setdefault(real(path), path)
    return list(found.values())


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path.is_file():
        return [path]
    if path.is_dir():
        below = [one for one in files_below(path) if _is_wanted(one)]
        if not below:
            raise UsageError(f"{name} is a folder without videos (.mp4, .mov, .avi, .mkv …)")
        return below
    if os.path.lexists(path):
        raise UsageError(f"{name} cannot be read: {not_a_file(path)}")
    matches = sorted(Path(one) for one in glob.glob(name, recursive=True))  # noqa: PTH207 - absolute too
    if not matches:
        said = "matches nothing" if glob.has_magic(name) else "is no file and no folder"
        raise UsageError(f"{name} {said}; give videos, folders or patterns such as '*.mp4'")
    videos = [v for one in matches for v in (files_below(one) if one.is_dir() else [one])]
    videos = [one for one in videos if _is_wanted(one)]
    if not videos:
        raise UsageError(f"{name} matches no video (.mp4, .mov, .avi, .mkv …)")
    return videos


def _is_video(path: Path) -> bool:
    return is_video(path) or path.suffix.lower() in _MORE


def _is_wanted(path: Path) -> bool:
    """Tell whether a file is a video, and no overlay or copy of a page of one."""
    if not _is_video(path):
        return False
    records = [path.parent / OVERLAYS]
    if path.parent.name == VIDEOS:
        records.append(path.parent.parent / PAGE_RECORD)
    for record in records:
        try:
            if path.stem in read_json(record):
                return False
        except (OSError, TypeError, ValueError):  # not there, or not ours
            continue
    return True


def check_outputs(
    files: Mapping[str, Path], folders: Mapping[str, Path], videos: Sequence[Path]
) -> None:
    """Refuse to write where a video, a folder or a device is, or where nothing can be written.

    Args:
        files: Of each option the file that is to be written.
        folders: Of each option the folder that is to be filled.
        videos: That are read.

    Raises:
        UsageError: If one may not be written; the message names its option.
    """
    read = {real(path) for path in videos}
    for option, path in files.items():
        if path.is_dir():
            raise UsageError(f"{option} is {path}, which is a folder; give a file")
        if path.exists() and (_is_video(path) or real(path) in read):
            raise UsageError(f"{option} is {path}, which is a video; give another file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{option} is {path}, which is no ordinary file; give another one")
    for option, path in folders.items():
        if path.is_file():
            raise UsageError(f"{option} is {path}, which is a file; give a folder")
    if len({real(path) for path in files.values()}) < len(files):
        both = " and ".join(files)
        raise UsageError(f"{both} are both {next(iter(files.values()))}; give a file for each")
    for option, path in {**files, **folders}.items():
        above = next(one for one in path.absolute().parents if os.path.lexists(one))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise UsageError(f"{option} is {path}, and {above} is no folder that can be written to")
