"""From the words of a command line to videos."""

import glob
from collections.abc import Sequence
from pathlib import Path

from vfer.corpora import files_below, is_video
from vfer.runtime.console import UsageError


def find_videos(names: Sequence[str]) -> list[Path]:
    """Return the videos that words name, in their order, each once.

    Args:
        names: Files, whatever their suffix; folders, of which all videos below are taken; patterns
            with ``*``, ``?``, ``[…]`` or ``**``.

    Raises:
        UsageError: If one names nothing, or a folder holds no video.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for path in _named(name):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _named(name: str) -> list[Path]:
    path = Path(name)
    if path.is_file():
        return [path]
    if path.is_dir():
        below = [one for one in files_below(path) if is_video(one)]
        if not below:
            raise UsageError(f"{name} is a folder without videos (.mp4, .mov, .avi, .mkv …)")
        return below
    matches = sorted(Path(one) for one in glob.glob(name, recursive=True))  # noqa: PTH207 - absolute too
    if not matches:
        said = "matches nothing" if glob.has_magic(name) else "is no file and no folder"
        raise UsageError(f"{name} {said}; give videos, folders or patterns such as '*.mp4'")
    videos = [v for one in matches for v in (files_below(one) if one.is_dir() else [one])]
    videos = [one for one in videos if is_video(one)]
    if not videos:
        raise UsageError(f"{name} matches no video (.mp4, .mov, .avi, .mkv …)")
    return videos
