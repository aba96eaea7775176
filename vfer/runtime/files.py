"""Files that are whole or not there, their hashes, and who may write a folder."""

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from rich.console import Console

_OLD = 3600
"""Seconds after which nobody can still be at a file under a temporary name."""


def remove_leftovers(folder: Path, pattern: str = "**/.*.tmp") -> None:
    """Remove what killed processes have left under temporary names, an hour ago or longer."""
    for left in folder.glob(pattern):
        try:
            if time.time() - left.lstat().st_mtime < _OLD:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        except OSError:  # somebody else was faster, or it is not ours to remove
            continue


@contextmanager
def whole_or_not(path: Path) -> Iterator[Path]:
    """Give a temporary name beside a file; it gets its own name when all has gone well."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - the name says that it overwrites
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name a file: of a full disk or a failed read it names none."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all; text as UTF-8, newlines as they are.

    Raises:
        OSError: It cannot be written (a full disk, say); the error names the file.
    """
    with naming(path), whole_or_not(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON atomically, keys in their order.

    Raises:
        ValueError: A number is not finite.
    """
    atomic_write(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON.

    Raises:
        ValueError: It is not JSON, a number is not finite or has more than 64 bits, or a text is
            none; the message names the file.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a JSON number")

    def whole(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise ValueError(f"{digits[:20]}… is a number of more than 64 bits")
        return int(digits)

    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, parse_constant=refuse, parse_int=whole)
        if re.search(r"\\u(d[89a-f]|0000)", text, re.IGNORECASE):  # half a character, or NUL
            if "\0" in "".join(_texts(value)):
                raise ValueError("a text holds NUL")
            "".join(_texts(value)).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: a text holds half a character (a lone surrogate)") from error
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return value


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield all texts in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one)


MAX_YAML, MAX_NODES, MAX_DEPTH = 1_000_000, 100_000, 100
"""Bytes of a YAML file, values when its aliases are written out, and how deep they may lie."""


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - any YAML value
    """Read YAML of a bounded size; nothing in it is executed.

    Raises:
        ValueError: It is not YAML, or longer, deeper or (by its aliases) larger than any config;
            the message names the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_YAML + 1)
        if len(data) > MAX_YAML:
            raise ValueError(f"more than {MAX_YAML} bytes")
        text = data.decode()
        _check_yaml(text)
        return yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error


def _check_yaml(text: str) -> None:
    """Refuse what would grow or nest beyond all measure when it is read.

    Raises:
        ValueError: Saying which.
    """
    sizes: dict[str, int] = {}  # of each anchor, all aliases below it written out
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"*{event.anchor} names nothing before it, or itself (recursion)")
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        above, so_far = open_nodes[-1]
        open_nodes[-1] = above, so_far + size
        if so_far + size > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values (aliases written out)")


def irregular(folder: Path, leave: Collection[str] = ()) -> Iterator[tuple[Path, str]]:
    """Yield what in a folder is neither a file nor a folder, and what it is; no link is followed.

    Args:
        folder: May be a link itself.
        leave: Names of folders that are not looked into.
    """
    for root, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            path = Path(root, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield path, "a link"
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                yield path, "a pipe, socket or device"
        folders[:] = sorted(name for name in folders if name not in leave)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: It cannot be read; the error names the file.
    """
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a key of some inputs: 16 hexadecimal digits that change with any value in them.

    Args:
        value: Anything that JSON can hold; the order of keys does not matter.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class BusyError(RuntimeError):
    """A folder that another process holds."""


@contextmanager
def lock(folder: Path, what: str, part: int = 0, console: Console | None = None) -> Iterator[None]:
    """Hold a folder, or one of the parts into which several writers divide it, for this process.

    Args:
        folder: Made where it is missing.
        what: It is, for messages.
        part: From 0.
        console: Wait for a process that holds it, and say so here; None: do not wait.

    Raises:
        BusyError: If another process holds it; the message says which. The system lets go of what a
            process held when it ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".lock{part or ''}"
    holder = path.with_name(f"{path.name}.by")
    held = FileLock(path, timeout=0)
    try:
        held.acquire()
    except Timeout as error:
        said = f"another process{_holder(holder)} is using {what} {folder}"
        if console is None:
            raise BusyError(f"{said}; wait for it, or choose another folder") from error
        console.print(f"{said}; waiting for it", markup=False)
        held.acquire(timeout=-1)
    try:
        now = datetime.now(UTC).isoformat(" ", "seconds")
        atomic_write(holder, f"process {os.getpid()} on {platform.node()} since {now}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        held.release()


def _holder(path: Path) -> str:
    """Return who holds a lock, in brackets, as far as that process has said it yet."""
    try:
        return f" ({path.read_text(encoding='utf-8', errors='replace')[:200]})"
    except OSError:
        return ""
