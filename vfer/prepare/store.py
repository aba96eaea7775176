"""The crop store: the face crops of every frame of every clip, on disk, one entry a clip.

An entry is ``crops/<id>.npy``, uint8 ``(T, 150, 110, 3)``, and its record ``clips/<id>.json``,
written after it: a record means that the entry is whole. A clip that cannot be used has a record
with the reason, and no crops. Optical flow of neighbouring frames is kept beside the crops,
``flow-<key>/<id>.npy``, float16 ``(T−1, 2, 150, 110)`` in pixels a frame, and its record
``<id>.json``: whose it is, of which crops, and its hash. Arrays are read as memory maps, so what is
not needed stays on disk. ``.records.jsonl`` has all records in one file, so that a million need not
be opened one by one; it counts for as long as no record has been written since.
"""

import csv
import glob
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from hashlib import sha256 as hash_bytes
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from vfer.corpora import Clip, Corpus
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.flow.settings import FlowConfig
from vfer.prepare.sources import hash_video
from vfer.runtime.cells import inert
from vfer.runtime.files import atomic_write, key_of, naming, read_json, sha256, write_json

T = TypeVar("T", bound=np.generic)

_RECORDS = ".records.jsonl"

FORMAT = 4
"""Raised whenever the code changes what the same settings give: pixels, or what a record says."""

Status = Literal["ok", "no_face", "unreadable"]


@dataclass(frozen=True, slots=True)  # there may be a million
class Entry:
    """What preparation made of one clip.

    Attributes:
        clip: The clip's name.
        status: ``ok``, ``no_face`` or ``unreadable``.
        reason: Why it is not usable; empty where it is.
        source: SHA-256 of the video file; empty if it could not be opened.
        size: The video file's bytes.
        modified: Its time of change, nanoseconds since 1970.
        decoder: ``decord`` or ``pyav``; empty if unreadable.
        frames: Frames decoded.
        promised: Frames the container's header promises, 0 where it says nothing.
        fps: Frames a second.
        sampled: Frames on which detection ran.
        detected: Frames on which the face was found.
        confidence: Mean detection probability, 0…1.
        joined: How often the face leapt and was taken for the same by its looks.
        eye_distance: Median distance of the eyes in the video, pixels.
        crops: SHA-256 of the crop array's file; empty where there is none.
        look: A perceptual hash of the crops, see ``looks``; empty where there is none.
        damaged: Which frames are damaged, and how that is seen; empty where none is known to be.
    """

    clip: str
    status: Status
    reason: str = ""
    source: str = ""
    size: int = 0
    modified: int = 0
    decoder: str = ""
    frames: int = 0
    promised: int = 0
    fps: float = 0.0
    sampled: int = 0
    detected: int = 0
    confidence: float = 0.0
    joined: int = 0
    eye_distance: float = 0.0
    crops: str = ""
    look: str = ""
    damaged: str = ""


def store_key(config: FaceConfig) -> str:
    """Return a key of everything that changes a pixel of the crops, beside the video itself."""
    return key_of({"format": FORMAT, "crop": [HEIGHT, WIDTH], "faces": asdict(config)})


def entry_id(clip: str) -> str:
    """Return a clip's name as a file name: readable, and different for different clips."""
    readable = "".join(c if c.isalnum() or c in "-_" else "_" for c in clip)
    return f"{readable[-80:]}-{hash_bytes(clip.encode()).hexdigest()[:8]}"


def array_bytes(array: NDArray[np.generic]) -> bytes:
    """Return the bytes of an ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def store_at(cache: object, name: object) -> "CropStore":
    """Return a crop store in a cache, filled or not.

    Args:
        cache: ``data.cache`` of a config.
        name: Its own, which ``environment.json`` of a bundle has under ``store``.
    """
    return CropStore(Path(str(cache), "crops", str(name)))


class CropStore:
    """A crop store of one corpus under one set of preparation settings.

    Args:
        directory: Where it is, or is to be.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._entries: dict[str, Entry] = {}
        self._checked: set[Path] = set()
        self._read_at = -1  # when the records that were read at once had been written
        # Opening costs more than reading; each open map holds a file handle.
        self._map = lru_cache(maxsize=256)(_map)

    def __reduce__(self) -> tuple[type["CropStore"], tuple[Path]]:
        return CropStore, (self.directory,)  # another process opens its own maps

    def entry(self, clip: str) -> Entry:
        """Return the record of a clip.

        Raises:
            KeyError: If the clip has not been prepared.
            ValueError: If the file is no record, or another clip's; the message names it.
        """
        if clip not in self._entries:
            path = self.directory / "clips" / f"{entry_id(clip)}.json"
            if not path.is_file():
                raise KeyError(f"{clip} is not in the store {self.directory}")
            self._entries[clip] = _read_entry(path, clip)
        return self._entries[clip]

    def read_records(self) -> None:
        """Read all records at once, if ``.records.jsonl`` is as new as they are, and whole."""
        try:
            said, _, records = (self.directory / _RECORDS).read_bytes().partition(b"\n")
            written = self._written()
            if said == _state(written, records):
                found = [_entry(json.loads(line)) for line in records.splitlines()]
                self._entries = {one.clip: one for one in found if one is not None}
                self._read_at = written
        except (OSError, ValueError):  # not there, or broken off: each record by itself
            return

    def write_records(self, corpus: Corpus) -> None:
        """Write the records of a corpus that is prepared into one file for ``read_records``."""
        if not (self.directory / "clips").is_dir():  # there are none
            return
        written = self._written()
        if written == self._read_at:  # it is as new, and whole
            return
        entries = [self.entry(clip.name) for clip in corpus.clips if clip.excluded is None]
        lines = [json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries]
        records = "".join(lines).encode()
        with suppress(OSError):  # a full store may be read-only, and is read without
            atomic_write(self.directory / _RECORDS, _state(written, records) + b"\n" + records)

    def _written(self) -> int:
        """Return when a record was last written or removed."""
        return (self.directory / "clips").stat().st_mtime_ns

    def made_from(self, clip: Clip) -> tuple[str, str, int, float]:
        """Return the video of a clip: SHA-256, decoder, frames and frames a second.

        Nothing was prepared of an excluded clip: empty, and 0.
        """
        entry = Entry(clip.name, "ok") if clip.excluded is not None else self.entry(clip.name)
        return entry.source, entry.decoder, entry.frames, entry.fps

    def missing(self, clips: Iterable[Clip]) -> list[Clip]:
        """Return clips without an entry, or whose video has changed; excluded ones need none."""
        return [clip for clip in clips if clip.excluded is None and not self._holds(clip)]

    def _holds(self, clip: Clip) -> bool:
        try:
            entry = self.entry(clip.name)
        except (KeyError, ValueError):  # not there, or no record: made again
            return False
        try:
            found = clip.path.stat()
            known = (found.st_size, found.st_mtime_ns) == (entry.size, entry.modified)
            if known and entry.source:  # without it could not be opened then, and may be now
                return True
            if hash_video(clip.path) == entry.source:  # copied, or touched: known from here on
                self._entries[clip.name] = replace(
                    entry, size=found.st_size, modified=found.st_mtime_ns
                )
                return True
        except OSError:  # the video is gone or locked away: its crops are all there is
            return True
        self._entries.pop(clip.name)
        return False

    def usable(self, corpus: Corpus) -> Iterator[Clip]:
        """Yield the corpus's clips that take part and have crops."""
        for clip in corpus.clips:
            if clip.excluded is None and self.entry(clip.name).status == "ok":
                yield clip

    def add(self, entry: Entry, crops: NDArray[np.uint8] | None) -> None:
        """Write an entry: the crops first, then the record that says they are whole.

        What an earlier entry of the clip left is removed.
        """
        for folder in ("crops", "clips"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        name = entry_id(entry.clip)
        record = asdict(entry)
        self._entries.pop(entry.clip, None)
        self._forget()
        (self.directory / "clips" / f"{name}.json").unlink(missing_ok=True)
        for flow in self.directory.glob(f"flow-*/{glob.escape(name)}.*"):
            flow.unlink()
        if crops is None:
            (self.directory / "crops" / f"{name}.npy").unlink(missing_ok=True)
        else:
            data = array_bytes(crops)
            atomic_write(self.directory / "crops" / f"{name}.npy", data)
            record["crops"] = hash_bytes(data).hexdigest()
        record["digest"] = key_of(record)
        write_json(self.directory / "clips" / f"{name}.json", record)

    def _forget(self) -> None:
        """Let go of arrays that were read: what is written over would still be found in them."""
        self._map.cache_clear()
        self._checked.clear()

    def write_manifest(self, corpus: Corpus) -> None:
        """Write ``manifest.csv``: a row for each clip of a corpus, with all that is known of it."""
        text = io.StringIO()
        names = [field.name for field in fields(Entry) if field.name not in ("modified", "look")]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["subject", "emotion", *names])
        for clip in corpus.clips:
            if clip.excluded is None:
                entry = self.entry(clip.name)
                row = {name: getattr(entry, name) for name in names}
            else:
                row = {"clip": clip.name, "status": "excluded", "reason": clip.excluded}
            cells = [clip.subject, clip.emotion, *(row.get(name, "") for name in names)]
            writer.writerow(map(inert, cells))
        self.directory.mkdir(parents=True, exist_ok=True)
        path, data = self.directory / "manifest.csv", text.getvalue().encode()
        if not path.is_file() or path.read_bytes() != data:  # a full store may be read-only
            atomic_write(path, data)

    def crops(self, clip: str) -> NDArray[np.uint8]:
        """Return the crops of a usable clip, a read-only memory map ``(T, 150, 110, 3)`` uint8.

        Raises:
            ValueError: If the file is not what its record says.
        """
        entry = self.entry(clip)
        path = self.directory / "crops" / f"{entry_id(clip)}.npy"
        crops = self._map(path, (entry.frames, HEIGHT, WIDTH, 3), np.uint8)
        if path not in self._checked:
            if sha256(path) != entry.crops:
                raise ValueError(f"{path} is not what was written ({clip}); {_REMEDY}")
            self._checked.add(path)
        return crops

    def _flow_path(self, clip: str, key: str) -> Path:
        return self.directory / f"flow-{key}" / f"{entry_id(clip)}.npy"

    def has_flow(self, clip: str, key: str) -> bool:
        """Return whether the flow of a clip under the flow settings ``key`` is there."""
        path = self._flow_path(clip, key)
        return path.is_file() and path.with_suffix(".json").is_file()

    def add_flow(self, clip: str, key: str, flow: NDArray[np.float16]) -> None:
        """Write the flow of a clip, then the record that says whose it is and that it is whole.

        Args:
            clip: A usable clip.
            key: Of the flow settings, see ``flow_key``.
            flow: ``(T−1, 2, 150, 110)`` float16, crop pixels a frame.
        """
        path = self._flow_path(clip, key)
        self._forget()
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        data = array_bytes(flow)
        atomic_write(path, data)
        record = {"clip": clip, "crops": self.entry(clip).crops}
        record["flow"] = hash_bytes(data).hexdigest()
        write_json(path.with_suffix(".json"), record)

    def flow(self, clip: str, key: str) -> NDArray[np.float16]:
        """Return the flow between neighbouring frames, ``(T−1, 2, 150, 110)`` float16, px a frame.

        Raises:
            ValueError: If the file is not what was written for this clip and its crops.
        """
        entry = self.entry(clip)
        path = self._flow_path(clip, key)
        flow = self._map(path, (entry.frames - 1, 2, HEIGHT, WIDTH), np.float16)
        if path not in self._checked:
            said = path.with_suffix(".json")
            found = {"clip": clip, "crops": entry.crops, "flow": sha256(path)}
            if not said.is_file() or read_json(said) != found:
                raise ValueError(f"{path} is not what {said.name} says ({clip}); {_REMEDY}")
            self._checked.add(path)
        return flow

    def fingerprint(self, corpus: Corpus) -> str:
        """Return a key of the corpus as prepared: names, subjects, labels, sources of all clips."""
        return key_of(
            [
                [c.name, c.subject, c.emotion, "" if c.excluded else self.entry(c.name).source]
                for c in corpus.clips
            ]
        )


def _state(written: int, records: bytes) -> bytes:
    """Return the first line of the file of all records: of when they are, and their hash."""
    return json.dumps({"written": written, "sha256": hash_bytes(records).hexdigest()}).encode()


def _read_entry(path: Path, clip: str) -> Entry:
    """Read a clip's record.

    Raises:
        ValueError: If the file is no record, or another clip's; the message names it.
    """
    record = read_json(path)
    # Earlier versions wrote no digest.
    digest = record.pop("digest", None) if isinstance(record, dict) else None
    if digest not in (None, key_of(record)):
        raise ValueError(f"{path} is not what was written; {_REMEDY}")
    entry = _entry(record)
    if entry is None:
        raise ValueError(f"{path} is no record of a clip; {_REMEDY}")
    if entry.clip != clip or entry.status not in get_args(Status):
        said = f"{entry.clip!r}, {entry.status!r}"
        raise ValueError(f"{path} is the record of {said}, not of {clip!r}; {_REMEDY}")
    return entry


_KINDS = {
    name: (int, float) if type(value) is float else (type(value),)
    for name, value in asdict(Entry("", "ok")).items()
}


def _entry(record: Any) -> Entry | None:  # noqa: ANN401 - any JSON value
    """Return a record, or None if a value is none."""
    if not isinstance(record, dict) or record.keys() != _KINDS.keys():
        return None
    if not all(type(record[name]) in kinds for name, kinds in _KINDS.items()):
        return None
    return Entry(**record)


def _map(path: Path, shape: tuple[int, ...], kind: type[T]) -> NDArray[T]:
    try:
        with naming(path):
            array: NDArray[T] = np.load(path, mmap_mode="r" if 0 not in shape else None)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise  # it cannot be read now, which says nothing about what is in it
        raise ValueError(f"{path} cannot be read ({error}); {_REMEDY}") from error
    if array.shape != shape or array.dtype != kind:
        raise ValueError(
            f"{path} holds {array.dtype} {array.shape}, its record says {shape}; {_REMEDY}"
        )
    return array


_REMEDY = "remove it and its record (of crops in clips/, of flow beside it), and prepare again"

_FLOW_FORMAT = 2  # to be raised when the same settings give other flow


def flow_key(config: FlowConfig) -> str:
    """Return a key of everything that changes a value of cached flow, beside the crops."""
    values = {name: getattr(config, name) for name in ("alpha", "levels", "warps", "rho")}
    return key_of({"format": _FLOW_FORMAT, **values})
