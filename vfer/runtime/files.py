"""Files that are whole or not there, their hashes, and who may write a folder."""

import hashlib
import json
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all; text as UTF-8, newlines as they are."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(temporary, path)  # noqa: PTH105 - the name says that it overwrites
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON atomically, keys in their order.

    Raises:
        ValueError: A number is not finite.
    """
    atomic_write(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON.

    Raises:
        ValueError: It is not JSON, or a number is not finite; the message names the file.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
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
