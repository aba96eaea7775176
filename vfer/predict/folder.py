"""A folder of what is made of videos: each has a name there, and is not made again for nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from vfer.predict.document import to_json
from vfer.predict.timeline import Timeline
from vfer.runtime.files import key_of, read_json, write_json

OVERLAYS, PAGE_RECORD = "overlays.json", "page.json"
"""The records of both kinds of folder."""
VIDEOS = "videos"
"""Where in a page's folder its videos are."""


@dataclass(frozen=True)
class Folder:
    """A folder, and a record in it of which video has which name.

    Videos of the same file name get names of their own (``x``, ``x-2``), the same each time. A file
    that is no work of this record is left alone.

    Attributes:
        path: Of the folder.
        record: The record's name.
        files: What there may be of one video, with ``{}`` in place of its name.
        version: Of how it looks; what another version has made is made again.
    """

    path: Path
    record: str
    files: Sequence[str]
    version: int

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return what is recorded of each name.

        Raises:
            ValueError: If the record is broken; the message names the file.
        """
        path = self.path / self.record
        return dict(read_json(path)) if path.is_file() else {}

    def reserve(self, timeline: Timeline) -> str:
        """Return a video's name here, which no other video gets from now on."""
        entries, video = self.entries(), timeline.video
        taken = {name.casefold() for name in entries}
        stem = _safe(Path(video.path).stem)
        for number in count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            if name in entries and entries[name]["video"] == video.sha256:
                return name
            if name.casefold() not in taken and not self._files(name):
                break
        self._write(entries | {name: {"video": video.sha256, "key": None, "files": []}})
        return name

    def is_done(self, name: str, timeline: Timeline) -> bool:
        """Tell whether what is there is of the same timeline."""
        entry = self.entries()[name]
        return (entry["key"], entry["files"]) == (self._key(timeline), self._files(name))

    def finished(self) -> dict[str, dict[str, Any]]:
        """Return the entries of what is made and still whole."""
        return {
            name: entry
            for name, entry in self.entries().items()
            if entry["key"] is not None and self._files(name) == entry["files"]
        }

    def finish(self, name: str, timeline: Timeline, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Record that it is made, and facts about it."""
        known = {"video": timeline.video.sha256, "key": self._key(timeline)}
        entry = {**known, "files": self._files(name), **facts}
        self._write(self.entries() | {name: entry})

    def _key(self, timeline: Timeline) -> str:
        value = to_json(timeline)
        value["video"]["path"] = Path(timeline.video.path).name
        del value["model"]["run"]
        return key_of([self.version, value])

    def _files(self, name: str) -> list[str]:
        """Return what there is of a name."""
        made = [file.format(name) for file in self.files]
        return [file for file in made if (self.path / file).exists()]

    def _write(self, entries: dict[str, dict[str, Any]]) -> None:
        """Write the record by name: one that comes late stands where it would have stood."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / self.record, dict(sorted(entries.items())))


def _safe(stem: str) -> str:
    """Return a name for files on every system: letters, digits, blanks and ``._-``."""
    return re.sub(r"[^\w. -]", "_", stem)[:80].strip(" .") or "video"
