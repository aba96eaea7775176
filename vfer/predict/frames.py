"""Frames of a video with their times, and the same video at an even rate."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vfer.faces.tracks import Timed
from vfer.video import CONTAINERS, MIN_PROMISED, VideoError, video_stream

Advance = Callable[[float, float], None]
"""Told how far a video is, s, and how long it is thought to be, s."""
CHUNK = 16
"""Frames that are decoded at a time."""
SAME = 0.02
"""Rates that differ by no more than this share count as the same."""
LONGEST_PAUSE = 3600.0
"""Seconds between two frames beyond which a file's times are taken to be wrong."""
_LONG = 0.2
"""Seconds beyond which the last frame is not repeated."""


@dataclass
class Source:
    """A video that is read once, in order.

    Attributes:
        path: As it was given; empty for frames in memory.
        rate: Mean frames a second, as the header says; 25 where it says nothing.
        promised: Frames that the header promises; 0 where it says nothing.
        decoder: ``pyav``, or empty for frames in memory.
        frames: Decoded so far.
        width: px, upright from the first frame on; 0 if it is not known before.
        height: px.
        end: Of the last frame so far, s.
        lasting: Seconds that the header promises where it counts no frames; 0 where it does not.
        notes: What was odd in the file, a sentence each.
    """

    path: str
    rate: float
    promised: int = 0
    decoder: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    end: float = 0.0
    lasting: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def expected(self) -> float:
        """How long it is thought to be by now, s."""
        return max(self.promised / self.rate, self.end)

    def count(self, run: Timed) -> Timed:
        """Take note of frames on their way."""
        frames, times = run
        self.frames += len(frames)
        self.height, self.width = frames.shape[1:3]
        self.end = float(times[-1]) + 1 / self.rate
        return run


def open_file(path: Path) -> Source:
    """Read a video's header.

    Raises:
        VideoError: If it is no video.
    """
    if not path.is_file():
        raise VideoError(path, "no such file")
    try:
        with av.open(str(path), options=CONTAINERS) as container:
            stream = video_stream(container)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            promised, size = int(stream.frames), (stream.width, stream.height)
            alone = len(container.streams) == 1
            lasting = (container.duration or 0) / av.time_base if alone and not promised else 0.0
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise VideoError(path, _reason(error)) from error
    rate = rate if 1 <= rate <= 1000 else 25.0
    return Source(str(path), rate, promised, "pyav", 0, *size, lasting=lasting)


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "pyav: no video stream"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"pyav: {lines[0]}"


def read_file(source: Source, chunk: int = CHUNK) -> Iterator[Timed]:
    """Decode a file from its first frame to its last, with bounded memory.

    Where it breaks off after at least half of what it promises, what was read is kept and noted.

    Args:
        source: As ``open_file`` returned it; counts on.
        chunk: Frames a run, at least 1.

    Yields:
        Upright frames ``(t, H, W, 3)`` uint8 RGB and their times ``(t,)``, ascending, seconds from
        the beginning as players show it.

    Raises:
        VideoError: If it cannot be read, or breaks off earlier.
    """
    path = Path(source.path)
    images: list[NDArray[np.uint8]] = []
    times: list[float] = []
    try:
        with av.open(source.path, options=CONTAINERS) as container:
            stream = video_stream(container)
            stream.thread_type = "AUTO"
            begin = (container.start_time or 0) / av.time_base
            last = -1 / source.rate
            for frame in container.decode(stream):
                last = _time(frame, begin, last, source)
                times.append(last)
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                images.append(np.rot90(image, frame.rotation // 90))
                if images[-1].shape != images[0].shape or (
                    source.frames and images[-1].shape[:2] != (source.height, source.width)
                ):
                    raise VideoError(path, f"the size changes at {last:.2f} s")
                if len(images) == chunk:
                    yield source.count((np.stack(images), np.array(times)))
                    images, times = [], []
    except (av.FFmpegError, ValueError, IndexError) as error:
        if isinstance(error, VideoError):
            raise
        if not source.frames + len(images) > MIN_PROMISED * source.promised:
            raise VideoError(path, _reason(error)) from error
        source.notes.append(f"The file breaks off at {max(0.0, last):.2f} s ({_reason(error)}).")
    if images:
        yield source.count((np.stack(images), np.array(times)))
    if not source.frames:
        raise VideoError(path, "pyav: no frames")
    if source.frames < source.promised:
        said = f"{source.frames} frames, the header promises {source.promised}"
        if source.frames < MIN_PROMISED * source.promised:
            raise VideoError(path, f"pyav: {said}")
        source.notes.append(f"The file is not whole: {said}.")
    if source.end < (1 - SAME) * source.lasting - _LONG:
        source.notes.append(
            f"The file is not whole: pictures end at {source.end:.2f} s, the header promises "
            f"{source.lasting:.2f} s."
        )


def _time(frame: Any, begin: float, last: float, source: Source) -> float:  # noqa: ANN401 - PyAV's
    """Return a frame's time; where the file gives none after the last one, the rate's next."""
    time = frame.time
    following = last + 1 / source.rate
    if time is None or not time - begin > last + 1e-4:
        return following
    if time - begin > max(0.0, last) + LONGEST_PAUSE:
        raise VideoError(Path(source.path), f"its times leap from {last:.0f} s to {time:.0f} s")
    return float(time - begin)


def read_array(source: Source, frames: NDArray[np.uint8], chunk: int = CHUNK) -> Iterator[Timed]:
    """Yield frames in memory ``(T, H, W, 3)`` uint8 RGB as a file's; see ``read_file``."""
    for at in range(0, len(frames), chunk):
        run = frames[at : at + chunk]
        yield source.count((run, (at + np.arange(len(run))) / source.rate))


def read_stream(source: Source, frames: Iterable[NDArray[np.uint8]], chunk: int) -> Iterator[Timed]:
    """Yield single frames ``(H, W, 3)`` uint8 RGB in runs; see ``read_file``.

    Raises:
        ValueError: If one has another shape or type, or another size than the first.
    """
    held: list[NDArray[np.uint8]] = []
    shape: tuple[int, ...] | None = None
    for frame in frames:
        check_frames(frame[None], shape)
        shape = frame.shape
        held.append(frame)
        if len(held) == chunk:
            yield _joined(source, held)
            held = []
    if held:
        yield _joined(source, held)


def _joined(source: Source, held: list[NDArray[np.uint8]]) -> Timed:
    times = (source.frames + np.arange(len(held))) / source.rate
    return source.count((np.stack(held), times))


def check_frames(frames: NDArray[np.uint8], shape: tuple[int, ...] | None = None) -> None:
    """Refuse what are no frames, or not of the shape ``(H, W, 3)``.

    Raises:
        ValueError: Saying what they are.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(
            f"frames are {frames.dtype} {frames.shape}; they must be uint8 RGB, (H, W, 3) each, "
            "at least one"
        )
    if shape is not None and frames.shape[1:] != shape:
        raise ValueError(f"a frame of {frames.shape[1:]} follows one of {shape}; all must be alike")


def even_rate(rate: float, training: float | None, keep: bool) -> float | None:
    """Return the even rate to which a video is resampled; None where its frames are kept.

    A video of the training videos' rate gets its own mean rate, so that a variable one is even.

    Args:
        rate: Of the video, frames a second.
        training: Of the training videos; None if it is not known.
        keep: Whether frames are kept whatever their rate is.
    """
    if keep or training is None:
        return None
    return rate if abs(rate / training - 1) <= SAME else training


def resample(runs: Iterable[Timed], rate: float, chunk: int = CHUNK) -> Iterator[Timed]:
    """Yield a video at an even rate: at each time the nearest frame; some are dropped or repeated.

    Motion from one frame to the next is then as large as in a video of that rate.

    Args:
        runs: Frames and ascending times.
        rate: Frames a second.
        chunk: The most frames a run.

    Yields:
        Frames, and the even times from the first frame's on.
    """
    done, first, frames, times = 0, 0.0, None, np.empty(0)
    for more, at in runs:
        if frames is None:
            first, frames, times = float(at[0]), more, at
        else:  # the last frame of the run before may still be the nearest
            frames, times = np.concatenate([frames[-1:], more]), np.append(times[-1], at)
        middles = (times[:-1] + times[1:]) / 2
        if len(middles):
            yield from _taken(frames, middles, first, done, float(middles[-1]), rate, chunk)
            done = _count(first, float(middles[-1]), rate)
    if frames is not None:  # the last frame stands for half a period more
        period = float(times[-1] - times[-2]) if len(times) > 1 else 1 / rate
        end = float(times[-1]) + min(period, _LONG) / 2
        yield from _taken(frames[-1:], np.empty(0), first, done, end, rate, chunk)


def _count(first: float, until: float, rate: float) -> int:
    """Return how many even times there are up to a time."""
    return int(np.floor((until - first) * rate + 1e-6)) + 1


def _taken(
    frames: NDArray[np.uint8], middles: NDArray[np.float64], first: float, done: int,
    until: float, rate: float, chunk: int,
) -> Iterator[Timed]:  # fmt: skip
    """Yield the nearest frames of the even times after those done, up to a time."""
    for at in range(done, _count(first, until, rate), chunk):
        numbers = np.arange(at, min(at + chunk, _count(first, until, rate)))
        times = first + numbers / rate
        yield frames[np.searchsorted(middles, times - 1e-6 / rate)], times
