"""A folder that opens in a browser without a network: videos with the curves of their faces."""

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfer.predict.colours import looks
from vfer.predict.document import to_json
from vfer.predict.folder import PAGE_RECORD, VIDEOS, Folder
from vfer.predict.frames import Advance
from vfer.predict.movie import fitting, write_movie
from vfer.predict.timeline import Timeline
from vfer.runtime.files import atomic_write, whole_or_not
from vfer.video import CONTAINERS

VERSION = 1
"""Raised when the same timeline and video make other files."""
PAGE = "index.html"
_FILES = (PAGE, "page.css", "curves.js", "heat.js", "page.js", "videos.js")
_MP4 = ({"h264"}, {"aac", "mp3", "mp3float"})
_WEBM = ({"vp8", "vp9", "av1", "libdav1d", "libvpx", "libvpx-vp9"}, {"opus", "vorbis", "libopus"})


def pages(path: Path) -> Folder:
    """Return a folder with a page."""
    files = ("data/{}.js", f"{VIDEOS}/{{}}.mp4", f"{VIDEOS}/{{}}.webm")
    return Folder(path, PAGE_RECORD, files, VERSION)


def add_to_page(
    folder: Folder, timeline: Timeline, path: Path, advance: Advance | None = None
) -> list[str]:
    """Add a video to a page, or bring what is there of it up to date.

    Args:
        folder: Of the page.
        timeline: What is said of the video.
        path: The video; it is copied if browsers play it, else written anew.
        advance: Told how far it is.

    Returns:
        What a user should know, a sentence each.

    Raises:
        VideoError: If the video cannot be read.
    """
    name, said = folder.reserve(timeline), []
    if not folder.is_done(name, timeline):
        suffix = playable(path)
        file = f"{VIDEOS}/{name}{suffix or '.mp4'}"
        if suffix is not None:
            (folder.path / file).parent.mkdir(exist_ok=True)
            with whole_or_not(folder.path / file) as temporary:
                shutil.copyfile(path, temporary)
        else:
            said = write_movie(path, folder.path / file, _smaller, advance)
            said.append("Browsers do not play it as it is: the page has it as H.264.")
        data = folder.path / "data" / f"{name}.js"
        data.parent.mkdir(exist_ok=True)
        atomic_write(data, _call("show", page_data(timeline, file)))
        folder.finish(name, timeline, title=Path(timeline.video.path).name)
    _write_page(folder)
    return said


def page_data(timeline: Timeline, file: str) -> dict[str, Any]:
    """Return what a page knows of a video: its timeline, its file there, and how classes look."""
    value = to_json(timeline)
    value["video"]["path"] = Path(timeline.video.path).name  # a page may be sent to others
    value["model"]["run"] = Path(timeline.model.run).name
    drawn = looks(timeline.model.classes)
    value["looks"] = [{"name": name, **look._asdict()} for name, look in drawn.items()]
    return {**value, "file": file}


def playable(path: Path) -> str | None:
    """Return the suffix with which browsers play a file as it is; None where not all do.

    All play H.264 of 8 bits with AAC or MP3 in mp4, and VP8, VP9 or AV1 with Opus or Vorbis in
    WebM.
    """
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            formats = container.format.name.split(",")
            video = container.streams.video[0].codec_context
            names = {stream.codec_context.name for stream in container.streams.audio}
            kind, plain = video.name, video.pix_fmt in ("yuv420p", "yuvj420p")
    except (av.FFmpegError, AttributeError, IndexError, ValueError):
        return None
    if not plain:
        return None
    with path.open("rb") as file:
        head = file.read(4096)
    if "mp4" in formats and head[8:12] != b"qt  " and kind in _MP4[0] and names <= _MP4[1]:
        return ".mp4"
    if "webm" in formats and b"webm" in head and kind in _WEBM[0] and names <= _WEBM[1]:
        return ".webm"
    return None


def _smaller(frame: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
    """Make a frame even, and as small as what is written may be."""
    size = fitting(frame.shape[1], frame.shape[0])
    if size == (frame.shape[1], frame.shape[0]):
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def _write_page(folder: Folder) -> None:
    """Write the page itself and its list of videos; one that is not finished is not in it."""
    here = resources.files("vfer.predict").joinpath("page")
    for file in _FILES:
        atomic_write(folder.path / file, here.joinpath(file).read_bytes())
    shown = [{"name": name, "title": entry["title"]} for name, entry in folder.finished().items()]
    atomic_write(folder.path / "list.js", _call("list", shown))


def _call(function: str, value: object) -> str:
    """Return a script, ASCII only, that hands a value to the page: `file://` can fetch nothing."""
    return f"vfer.{function}({json.dumps(value, ensure_ascii=True, allow_nan=False)});\n"
