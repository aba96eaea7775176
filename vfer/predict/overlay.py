"""A video with what is said of it drawn into it."""

from pathlib import Path

from vfer.predict.folder import OVERLAYS, Folder
from vfer.predict.frames import Advance
from vfer.predict.movie import fitting, write_movie
from vfer.predict.painter import Painter
from vfer.predict.timeline import Timeline
from vfer.runtime.files import whole_or_not

VERSION = 1
"""Raised when the same timeline is drawn otherwise."""
SMALLEST = 640
"""px of a picture's longer side; smaller videos are made larger, so that names can be read."""


def overlays(path: Path) -> Folder:
    """Return a folder of overlays."""
    return Folder(path, OVERLAYS, ("{}.mp4", "{}.png"), VERSION)


def write_overlay(
    folder: Folder, timeline: Timeline, path: Path, advance: Advance | None = None
) -> list[str]:
    """Write a video with boxes, class bars and a timeline, and a PNG beside it: the timeline.

    One that is there of the same timeline is left.

    Args:
        folder: Where to.
        timeline: What is said of the video.
        path: The video.
        advance: Told how far it is.

    Returns:
        What a user should know, a sentence each.

    Raises:
        VideoError: If the video cannot be read.
    """
    name = folder.reserve(timeline)
    if folder.is_done(name, timeline):
        return []
    with whole_or_not(folder.path / f"{name}.png") as temporary:
        timeline.plot().savefig(temporary, dpi=120, format="png")
    painter = Painter(timeline, *fitting(timeline.video.width, timeline.video.height, SMALLEST))
    said = write_movie(path, folder.path / f"{name}.mp4", painter.paint, advance)
    folder.finish(name, timeline)
    return said
