"""From a video file to its frames: decord, or PyAV where decord cannot."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

try:
    import decord
except ImportError:  # no wheel for this platform
    decord = None


class VideoError(ValueError):
    """A video that cannot be read; the message names the file."""


@dataclass(frozen=True)
class Video:
    """A decoded clip.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8 RGB, T ≥ 1.
        fps: Mean frames a second, as the container says.
        decoder: ``decord`` or ``pyav``.
        promised: Frames the container's header promises; 0 where it says nothing.
    """

    frames: NDArray[np.uint8]
    fps: float
    decoder: str
    promised: int


def _decord_chunks(path: Path, chunk: int) -> Iterator[tuple[NDArray[np.uint8], float]]:
    decord.logging.set_level(decord.logging.FATAL)  # its native log would print a clip's troubles
    reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    for start in range(0, len(reader), chunk):
        indices = range(start, min(start + chunk, len(reader)))
        yield reader.get_batch(indices).asnumpy(), float(reader.get_avg_fps())


def _pyav_chunks(path: Path, chunk: int) -> Iterator[tuple[NDArray[np.uint8], float]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        frames: list[NDArray[np.uint8]] = []
        for frame in container.decode(stream):
            frames.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(frames) == chunk:
                yield np.stack(frames), fps
                frames.clear()
        if frames:
            yield np.stack(frames), fps


_DECODERS = (
    {"pyav": _pyav_chunks}
    if decord is None
    else {
        "decord": _decord_chunks,
        "pyav": _pyav_chunks,
    }
)
_ERRORS: tuple[type[Exception], ...] = (RuntimeError, IndexError, ValueError, av.FFmpegError)
if decord is not None:
    _ERRORS += (decord.DECORDError, decord._ffi.base.DECORDLimitReachedError)


def _reason(decoder: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{decoder}: {lines[0]}"


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise VideoError(f"{path}: no such file")


def iter_frames(path: str | Path, chunk: int = 64) -> Iterator[NDArray[np.uint8]]:
    """Frames of a video in order, in runs of at most ``chunk``, with bounded memory.

    Args:
        path: The video file.
        chunk: Frames a run, at least 1.

    Yields:
        ``(t, H, W, 3)`` uint8 RGB, 1 ≤ t ≤ chunk.

    Raises:
        ValueError: If ``chunk`` is below 1.
        VideoError: If no decoder can read the file, or it holds no frame.
    """
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    path = Path(path)
    _check_file(path)
    done, reasons = 0, []
    for name, decode in _DECODERS.items():
        seen = 0
        try:
            for frames, _ in decode(path, chunk):
                fresh = frames[max(done - seen, 0) :]  # what an earlier decoder has not yielded
                seen += len(frames)
                if len(fresh):
                    done = seen
                    yield fresh
            if done:
                return
            reasons.append(f"{name}: no frames")
        except _ERRORS as error:
            reasons.append(_reason(name, error))
    raise VideoError(f"{path}: cannot be read ({'; '.join(reasons)})")


def read_video(path: str | Path) -> Video:
    """Decode a whole clip, each frame once and in order.

    Raises:
        VideoError: If no decoder can read the file, or it holds no frame.
    """
    path = Path(path)
    _check_file(path)
    reasons = []
    for name, decode in _DECODERS.items():
        try:
            chunks = list(decode(path, 64))
            if chunks:
                frames = np.concatenate([frames for frames, _ in chunks])
                return Video(frames, chunks[0][1], name, _promised(path))
            reasons.append(f"{name}: no frames")
        except _ERRORS as error:
            reasons.append(_reason(name, error))
    raise VideoError(f"{path}: cannot be read ({'; '.join(reasons)})")


def read_frames(path: str | Path) -> tuple[NDArray[np.uint8], float]:
    """All frames ``(T, H, W, 3)`` uint8 RGB of a video, and its frames a second.

    Raises:
        VideoError: If no decoder can read the file, or it holds no frame.
    """
    video = read_video(path)
    return video.frames, video.fps


def _promised(path: Path) -> int:
    try:
        with av.open(str(path)) as container:
            return int(container.streams.video[0].frames)
    except (av.FFmpegError, IndexError):
        return 0
