"""Rows of disks that are full or may not be written, and of files that are damaged."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from experiments.faults.bench import Bench, Row, spread, tree
from experiments.faults.child import Child
from experiments.faults.shim import Fault


def full_disk(bench: Bench, most: int | None) -> Iterator[Row]:
    """Let no file grow beyond a size, of each that a command writes a byte less than it needs."""
    for command in bench.some("fit", "prepare", "predict"):
        world = bench.world(command)
        before = tree(world)
        bench.left(command)
        made = bench.folder / f"left-{command}"
        sizes = sorted({
            path.stat().st_size
            for path in made.rglob("*")
            if path.is_file() and path.relative_to(made).as_posix() not in before
            and path.stat().st_size > 100
        })  # fmt: skip
        row = Row(f"no room for a file in {command} (by a limit on the size of files)")
        for number in spread(len(sizes), most):
            size = sizes[number - 1]
            world = bench.world(command)
            child = bench.start(command, world, file_size=size - 1)
            row.add(f"{size - 1} bytes", _told(bench, command, world, child))
        yield row
    yield from _lasting(bench, most)


def _lasting(bench: Bench, most: int | None) -> Iterator[Row]:
    """Let everything but reading fail from some operation on, as where a quota is used up."""
    reasons = (("a quota is used up", errno.EDQUOT), ("the folder becomes read-only", errno.EROFS))
    for said, code in reasons:
        for command in bench.some("prepare", "fit"):
            done = bench.left(command).operations
            row = Row(f"{said} in {command}")
            for number in spread(len(done), min(most or 12, 12)):
                world = bench.world(command)
                child = bench.start(command, world, fault=Fault(number, code, lasting=True))
                lost = _told(bench, command, world, child)
                row.add(f"from operation {number} on", lost)
            yield row
    row = Row("a store that is full and whole, in a read-only folder")
    world = bench.world("fit")  # all is prepared
    child = bench.start("prepare", world, fault=Fault(1, errno.EROFS, lasting=True))
    row.add("prepare", "" if child.wait() == 0 else " / ".join(child.errors()[-1:]))
    yield row


def _told(bench: Bench, command: str, world: Path, child: Child) -> str:
    """Return what is lost where a command could not write; it must name a file and fail with 1."""
    status, said = child.wait(), child.errors()
    last = said[-1] if said else ""
    said.append(child.said.with_suffix(".out").read_text(encoding="utf-8"))
    if status == 0:
        lost = bench.difference(command, world)
        return f"status 0, but {lost}" if lost else ""
    if status != 1:
        return f"status {status}: {last}"
    if "Traceback" in " ".join(said):
        return f"a traceback: {last}"
    if not any(word in " ".join(said) for word in (str(world), *_tops(world), "cache/", "run/")):
        return f"no file is named: {last}"
    return bench.again(command, world)


def _tops(world: Path) -> list[str]:
    return [f"{path.name}/" for path in world.iterdir()]


DAMAGES = ("a flipped bit", "half of it", "empty")


def damaged_files(bench: Bench, most: int | None) -> Iterator[Row]:
    """Damage each file of a finished run and its store; then verify, and run again."""
    bench.left("fit")
    made = bench.folder / "left-fit"
    files = sorted(tree(made))
    rows = {
        "store": Row("a damaged file of the store, then fit"),
        "run": Row("a damaged file of a finished bundle, then verify and fit"),
        "stage": Row("a damaged file of a stage, then the unfinished run again"),
    }
    trials = [(kind, path, how) for kind in rows for path in files for how in DAMAGES
              if _belongs(kind, path)]  # fmt: skip
    for kind, row in rows.items():
        mine = [one for one in trials if one[0] == kind]
        for number in spread(len(mine), most):
            _, path, how = mine[number - 1]
            world = bench.world("fit" if kind == "store" else "report")  # prepared, or all done
            if kind == "stage":
                _unfinish(world)
            damage(world / path, how, int(bench.rng(path, how).integers(2**31)))
            row.add(f"{how}, {path}", _found(bench, kind, world, path))
        yield row


def _belongs(kind: str, path: str) -> bool:
    if kind == "store":
        return path.startswith("cache/")
    if kind == "run":
        return path.startswith("run/") and "report" not in path
    return path.startswith("run/fold-0/") and path.count("/") == 3


def _unfinish(world: Path) -> None:
    """Make of a finished run one that was killed after the stages of its first fold."""
    for path in (world / "run").rglob("*"):
        if path.name in ("fold.json", "files.json", "results.json"):
            path.unlink()


def damage(path: Path, how: str, seed: int) -> None:
    """Flip a bit of a file, or cut it; its time of change stays."""
    about, data = path.stat(), bytearray(path.read_bytes())
    if how == "a flipped bit" and data:
        data[seed % len(data)] ^= 1 << (seed % 8)
    else:
        data = data[: len(data) // 2] if how == "half of it" else bytearray()
    path.write_bytes(data)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _found(bench: Bench, kind: str, world: Path, path: str) -> str:
    """Return what is wrong about how a damaged file is met: it must be told, or made again."""
    hurt = tree(world)[path]
    if kind == "run":
        verify = bench.run(["verify", "run"], world)
        if verify.status == 0:
            return "verify finds nothing"
        name = path.removeprefix("run/")
        if name not in verify.said.with_suffix(".out").read_text() + " ".join(verify.errors()):
            return "verify does not name it"
    child = bench.run(bench.words("fit"), world)
    said = " ".join(child.errors())
    if child.status != 0:
        if "Traceback" in said or child.status not in (1, 2):
            return f"status {child.status}: {said[-200:]}"
        return "" if Path(path).name in said else f"not named: {said[-200:]}"
    return _after(bench, world, path, hurt)


def _after(bench: Bench, world: Path, path: str, hurt: str) -> str:
    """Return what is wrong where fit went through beside a damaged file."""
    wanted = bench.left("fit").files
    now = tree(world)
    if now.get(path) == hurt and wanted[path] not in (None, hurt):
        if bench.run(["verify", "run"], world).status == 0:
            return "goes through, stays damaged, and is sealed"
        return ""  # it has no part in what was asked for, and verify still tells
    return bench.difference("fit", world)
