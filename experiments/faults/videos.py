"""Rows of mutated videos, prepared beside whole ones and read by the public functions."""

import csv
import io
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from experiments.faults.bench import Bench, Row, tree
from experiments.faults.child import command, start
from experiments.faults.kills import descendants
from experiments.faults.mutate import encode, mutated
from vfer.prepare.store import entry_id

BATCH = 100
"""Files that one command prepares."""
LIMIT = 20
"""Seconds a file, at most, and for a decoder that hangs."""
VALID = ("valid", "also-valid")


def mutated_videos(bench: Bench, most: int | None) -> Iterator[Row]:
    """Prepare mutated videos beside whole ones, and read each by ``vfer.video.read_frames``."""
    count = most or 1000
    folder = bench.folder / "videos"
    folder.mkdir()
    whole = encode(bench.folder)
    alone = _prepare(bench, folder, [], {}, None)
    prepared = Row("mutated videos, prepared beside whole ones")
    beside = Row("whole videos beside mutated ones: the same bytes, and in time")
    read = Row("mutated videos, by vfer.video.read_frames in this process")
    seen: Counter[str] = Counter()
    peak = 0
    for first in range(0, count, BATCH):
        files = {}
        for number in range(first, min(first + BATCH, count)):
            path, what = mutated(folder, number, whole, bench.rng("video", number))
            files[path] = what
        began = time.monotonic()
        found = _prepare(bench, folder, list(files), files, prepared)
        peak = max(peak, found.peak)
        took = time.monotonic() - began
        lost = "" if found.valid == alone.valid else "other bytes"
        lost = lost or (f"{took:.0f} s" if took > LIMIT * len(files) else "")
        beside.add(f"files {first} to {first + len(files) - 1}", lost)
        seen.update(found.statuses)
        for path, what in files.items():
            read.add(f"{path.name!r} ({what})", _read(bench, path))
            path.unlink()
    said = ", ".join(f"{n} {status}" for status, n in sorted(seen.items()))
    prepared.notes += [said, f"at most {peak / 2**20:.0f} MiB of all processes"]
    yield prepared
    yield beside
    yield read


class _Found:
    """What one command has made of some files."""

    def __init__(self) -> None:
        self.valid: dict[str, str] = {}
        self.statuses: Counter[str] = Counter()
        self.peak = 0


def _prepare(
    bench: Bench, folder: Path, files: list[Path], what: dict[Path, str], row: Row | None
) -> _Found:
    """Prepare files and the valid clips; count each file in a row."""
    found = _Found()
    for name, source in zip(VALID, sorted(bench.corpus.glob("*.avi")), strict=False):
        if not (folder / f"{name}.avi").exists():
            shutil.copy2(source, folder / f"{name}.avi")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "subject", "emotion"])
    for name, emotion in zip(VALID, ("fear", "anger"), strict=True):
        writer.writerow([f"{name}.avi", "anna", emotion])
    writer.writerows([path.name, "bo", "fear"] for path in files)
    (folder / "manifest.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    world = bench.folder / "world"
    shutil.rmtree(world, ignore_errors=True)
    world.mkdir()
    words = bench.words("prepare", **{"data.root": folder / "manifest.csv", "data.workers": 2,
                        "data.decode_timeout": LIMIT, "data.duplicates": "exclude"})  # fmt: skip
    child = start(partial(command, words), world, bench.said / "videos")
    pause = time.monotonic()

    def measured() -> bool:
        nonlocal pause
        if time.monotonic() > pause:
            pause = time.monotonic() + 0.1
            found.peak = max(found.peak, sum(map(_resident, [child.pid, *descendants(child.pid)])))
        return False

    try:
        status = child.wait(LIMIT * (len(files) + 5), until=measured)
    except TimeoutError as error:
        status, said = None, str(error)
    else:
        said = " / ".join(child.errors()[-1:])
    rows = {}
    for path in world.rglob("manifest.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = {one["clip"].removeprefix("'"): one for one in csv.DictReader(file)}
    for path in files:
        one = rows.get(path.stem)
        found.statuses[one["status"] if one else "not listed"] += 1
        lost = "" if status == 0 else f"status {status}: {said}"
        if one is None:
            lost = lost or "not listed"
        elif one["status"] != "ok" and not one["reason"]:
            lost = lost or "listed without a reason"
        if row is not None:
            row.add(f"{path.name!r} ({what[path]})", lost)
    ids = tuple(entry_id(name) for name in VALID)
    found.valid = {path: sha for path, sha in tree(world).items() if Path(path).stem in ids}
    return found


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process has; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def _read(bench: Bench, path: Path) -> str:
    """Read a file in a fork; return what is wrong: another end than frames or a `VideoError`."""
    child = start(partial(read, path), bench.folder, bench.said / "read")
    try:
        status = child.wait(LIMIT)
    except TimeoutError as error:
        return str(error)
    return "" if status == 0 else f"status {status}: {' / '.join(child.errors()[-1:])}"


def read(path: Path) -> int:
    """Read a video by the public function; return 0 for frames as for an error that names it."""
    from vfer.video import VideoError, read_frames

    try:
        return int(read_frames(path)[0].ndim != 4)
    except VideoError as error:
        return int(path.name not in str(error))
