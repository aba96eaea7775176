"""From a video file to its frames: decord, or PyAV where decord cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

try:
    import decord
except ImportError:  # no wheel for this platform
    decord = None

_FORMATS = (
    "avi,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegvideo,mpegts,asf,ogg,gif,nut,ivf,h264,"
    "hevc,m4v,dv,rm,mxf"
)
"""Containers that hold their own streams: no list that names further files."""
CONTAINERS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
"""What libav may open, whatever a file is called."""

Chunk = NDArray[np.uint8]
"""Consecutive frames, ``(t, H, W, 3)`` uint8 RGB, as they are to be seen (rotated upright)."""

Decode = Callable[[Path, str], Iterator[Chunk]]
"""A path's frames by a decoder, as ``decode`` gives them, or libav's marks."""


class VideoError(ValueError):
    """A video that cannot be read; the message names the file.

    Args:
        path: The file.
        reasons: Why, one for each attempt.
    """

    def __init__(self, path: Path, *reasons: str) -> None:
        super().__init__(path, *reasons)
        self.path, self.reasons = path, reasons

    def __str__(self) -> str:
        return f"{self.path}: cannot be read ({'; '.join(self.reasons)})"


def video_stream(container: InputContainer) -> VideoStream:
    """Return a container's first video stream.

    Raises:
        IndexError: If it has none.
        ValueError: If there is no decoder for it, so that it has neither size nor codec.
    """
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ValueError("its codec is not known")
    return stream


def _run_of(chunk: int, frame: Chunk) -> int:
    """Return how many frames of this size are a run."""
    return max(1, min(chunk, RUN_BYTES // max(1, frame.nbytes)))


def _by_decord(path: Path, chunk: int) -> Iterator[Chunk]:
    decord.logging.set_level(decord.logging.FATAL)  # its native log would print a clip's troubles
    reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    count, done = len(reader), 0
    try:
        while done < count:
            # One by one into one array: faster than ``get_batch``.
            first = reader.next().asnumpy()
            if first.shape[2] != 3:  # of narrow frames it takes the rows' padding for pixels
                raise RuntimeError(f"cannot read frames {first.shape[1]} px wide")
            run = np.empty((min(_run_of(chunk, first), count - done), *first.shape), np.uint8)
            run[0] = first
            for i in range(1, len(run)):
                run[i] = reader.next().asnumpy()
            done += len(run)
            yield run
    except StopIteration:
        raise RuntimeError(f"fewer than its {count} frames") from None


def _by_pyav(path: Path, chunk: int) -> Iterator[Chunk]:
    with av.open(str(path), options=CONTAINERS) as container:
        run: list[NDArray[np.uint8]] = []
        for frame in container.decode(video_stream(container)):
            image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            run.append(np.rot90(image, frame.rotation // 90))  # decord does this by itself
            if len(run) == _run_of(chunk, image):
                yield np.stack(run)
                run.clear()
        if run:
            yield np.stack(run)


def _marks(path: Path, chunk: int) -> Iterator[Chunk]:
    with av.open(str(path), options=CONTAINERS) as container:
        stream = video_stream(container)
        stream.thread_type = "NONE"  # with threads libav does not mark frames of H.264
        run: list[bool] = []
        for frame in container.decode(stream):
            run.append(frame.is_corrupt)
            if len(run) == chunk:
                yield np.array(run, np.uint8)
                run.clear()
        if run:
            yield np.array(run, np.uint8)


_BY: dict[str, Callable[[Path, int], Iterator[Chunk]]] = {"pyav": _by_pyav}
_ERRORS: tuple[type[Exception], ...] = (RuntimeError, IndexError, ValueError, av.FFmpegError)
if decord is not None:
    _BY = {"decord": _by_decord} | _BY
    _ERRORS += (decord.DECORDError, decord._ffi.base.DECORDLimitReachedError)

MAX_PIXELS = 2**27
"""A picture has at most so many: 15360×8640 pixels and a little more."""
RUN_BYTES = 2**31
"""Frames of a run take at most so many bytes, or are single ones: huge pictures come one by one."""
MIN_PROMISED = 0.5
"""A clip of fewer frames than this share of what its header promises is unreadable."""

DECODERS = tuple(_BY)
"""The decoders there are on this platform, in the order in which they are tried."""
MARKS = "marks"
"""Instead of a decoder: which frames libav marks as corrupt."""
ATTEMPTS = (DECODERS, DECODERS[-1:])
"""Of a clip over which a process dies: all of them, then the last in a process of its own."""


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise VideoError(path, "no such file")


def _check_size(path: Path, decoder: str) -> None:
    """Refuse pictures beyond all measure by the header, before a decoder asks for their memory."""
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            stream = video_stream(container)
            width, height = stream.width, stream.height
    except (av.FFmpegError, IndexError, ValueError):
        return  # the decoder says what is wrong
    if width * height > MAX_PIXELS:
        raise VideoError(
            path, f"{decoder}: frames of {width}×{height} px; at most {MAX_PIXELS} px are read"
        )


def decode(path: str | Path, decoder: str, chunk: int = 64) -> Iterator[Chunk]:
    """Yield frames of a video in order by one decoder, with bounded memory.

    Args:
        path: The video file.
        decoder: One of ``DECODERS``, or ``MARKS``.
        chunk: Frames a run, at least 1.

    Yields:
        ``(t, H, W, 3)`` uint8 RGB, 1 ≤ t ≤ chunk; of ``MARKS`` ``(t,)``, 1 where libav marks the
        frame as corrupt, else 0.

    Raises:
        VideoError: If it cannot read the file to its end, or there is no frame.
    """
    path = Path(path)
    _check_file(path)
    _check_size(path, decoder)
    some = False
    try:
        for run in (_marks if decoder == MARKS else _BY[decoder])(path, chunk):
            some = True
            yield run
    except _ERRORS as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise VideoError(path, f"{decoder}: {lines[0]}") from error
    if not some:
        raise VideoError(path, f"{decoder}: no frames")


def iter_frames(path: str | Path, chunk: int = 64) -> Iterator[Chunk]:
    """Yield frames of a video in order, in runs of at most ``chunk``, with bounded memory.

    PyAV reads: over some damaged files decord ends the process that calls it. ``vfer.prepare``,
    which has processes to spare, takes decord first.

    Args:
        path: The video file.
        chunk: Frames a run, at least 1.

    Yields:
        ``(t, H, W, 3)`` uint8 RGB, 1 ≤ t ≤ chunk.

    Raises:
        ValueError: If ``chunk`` is below 1.
        VideoError: If the file cannot be read, or holds no frame.
    """
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be at least 1")
    yield from decode(path, DECODERS[-1], chunk)


def read_frames(path: str | Path) -> tuple[NDArray[np.uint8], float]:
    """Return all frames ``(T, H, W, 3)`` uint8 RGB of a video, and its frames a second.

    Raises:
        VideoError: If the file cannot be read, or holds no frame.
    """
    return np.concatenate(list(iter_frames(path))), probe(path)[0]


def probe(path: str | Path) -> tuple[float, int]:
    """Return what a video's header says: frames a second and their number, 0 if unknown.

    A header may promise more frames than there are.
    """
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            stream = video_stream(container)
            return float(stream.average_rate or stream.guessed_rate or 0), int(stream.frames)
    except (av.FFmpegError, IndexError, ValueError):
        return 0.0, 0


def codec_of(path: str | Path) -> str:
    """Return libav's name of what decodes a video, such as ``h264``; empty if unknown."""
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            return str(video_stream(container).codec_context.name)
    except (av.FFmpegError, IndexError, ValueError):
        return ""
