"""Videos that every browser plays: H.264 in mp4, frames at their true times, the sound kept."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vfer.predict.frames import Advance, Source, open_file, read_file
from vfer.runtime.files import whole_or_not
from vfer.video import CONTAINERS

Draw = Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]
"""From an upright frame ``(H, W, 3)`` uint8 RGB and its time, s, to the one that is written."""


LARGEST = 1920
"""px: the longer side of what is written; larger videos are made smaller."""
CLOCK = 90_000
"""Ticks a second in which frames' times are written."""
_VIDEO = {"preset": "veryfast", "crf": "20"}  # of x264: about what phones record
_KEPT = ("aac", "mp3")
"""Sound that every browser plays in mp4; other sound becomes AAC."""
_RATES = (48_000, 44_100)
"""Samples a second of what becomes AAC: the video's own if it is one of these."""


def fitting(width: int, height: int, smallest: int = 2, largest: int = LARGEST) -> tuple[int, int]:
    """Return the even size nearest to a size whose longer side is within limits.

    Args:
        width: px, at least 1.
        height: px, at least 1.
        smallest: px of the longer side.
        largest: px of the longer side.
    """
    side = max(width, height)
    scale = min(max(side, smallest), largest) / side
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def write_movie(path: Path, target: Path, draw: Draw, advance: Advance | None = None) -> list[str]:
    """Write a video anew, frame by frame, with bounded memory; it is there whole or not at all.

    Args:
        path: The video.
        target: The mp4 to write; one that is there is replaced at the end.
        draw: Makes the frames; all of one even size.
        advance: Told how far it is.

    Returns:
        What a user should know, a sentence each.

    Raises:
        VideoError: If the video cannot be read.
    """
    source = open_file(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_or_not(target) as temporary, ExitStack() as stack:
        out = stack.enter_context(
            av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"})
        )
        picture = _Picture(out, source)
        sound = _Sound.open(path, out, stack)
        for (frame,), (time,) in read_file(source, chunk=1):
            picture.add(draw(frame, float(time)), float(time))
            sound.until(float(time) + 1.0)
            if advance is not None:
                advance(float(time), source.expected)
        picture.end()
        sound.until(None)
    return [*source.notes, *sound.notes]


class _Picture:
    """The stream of pictures of a file that is written."""

    def __init__(self, out: Any, source: Source) -> None:  # noqa: ANN401 - PyAV's container
        self.out = out
        rate = Fraction(source.rate).limit_denominator(1001)
        self.stream = out.add_stream("libx264", rate=rate, options=_VIDEO)
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = Fraction(1, CLOCK)
        self.last = -1

    def add(self, image: NDArray[np.uint8], time: float) -> None:
        if self.last < 0:
            self.stream.height, self.stream.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self.last = max(self.last + 1, round(time * CLOCK))
        frame.pts, frame.time_base = self.last, Fraction(1, CLOCK)
        self.out.mux(self.stream.encode(frame))

    def end(self) -> None:
        self.out.mux(self.stream.encode())


class _Sound:
    """The sound of a video on its way into another file: copied where mp4 takes it, else AAC."""

    def __init__(self, out: Any, container: Any, stream: Any) -> None:  # noqa: ANN401 - PyAV's
        self.notes: list[str] = []
        self._out, self._held = out, None
        self._begin = (container.start_time or 0) / av.time_base
        self._packets: Iterator[Any] = iter(())
        if stream is None:
            return
        self._copied = stream.codec_context.name.startswith(_KEPT)
        if self._copied:
            self._to = out.add_stream_from_template(stream)
        else:
            rate = stream.rate if stream.rate in _RATES else _RATES[0]
            layout = "mono" if stream.channels == 1 else "stereo"
            self._to = out.add_stream("aac", rate=rate, layout=layout)
        self._packets = container.demux(stream)

    @classmethod
    def open(cls, path: Path, out: Any, stack: ExitStack) -> "_Sound":  # noqa: ANN401 - PyAV's
        """Open the first sound of a video by a reader of its own; there may be none."""
        container = stack.enter_context(av.open(str(path), options=CONTAINERS))
        stream = next(iter(container.streams.audio), None)
        if stream is not None and stream.codec_context is None:
            none = cls(out, container, None)
            none.notes.append("The sound is left out: its codec is not known.")
            return none
        return cls(out, container, stream)

    def until(self, time: float | None) -> None:
        """Write the sound up to a time, s; None: to its end."""
        try:
            while (packet := self._held or next(self._packets, None)) is not None:
                self._held = packet
                at = packet.pts and float(packet.pts * packet.time_base) - self._begin
                if time is not None and at is not None and at > time:
                    return
                self._held = None
                self._write(packet)
        except (av.FFmpegError, ValueError) as error:
            self._packets, self._held = iter(()), None
            self.notes.append(f"The sound breaks off: {error}.")

    def _write(self, packet: Any) -> None:  # noqa: ANN401 - PyAV's
        """Copy a packet, or decode and encode it; the last one, without data, ends the sound."""
        if not self._copied:
            for frame in packet.decode():
                if frame.pts is not None:
                    frame.pts -= round(self._begin / frame.time_base)
                self._out.mux(self._to.encode(frame))
            if packet.dts is None:
                self._out.mux(self._to.encode())
        elif packet.dts is not None:
            shift = round(self._begin / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._to
            self._out.mux(packet)
