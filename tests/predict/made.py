"""Timelines with known answers, and videos that fit them."""

from fractions import Fraction

import av
import numpy as np

from vfer.predict.timeline import (
    Coverage,
    FaceTrack,
    ModelInfo,
    Place,
    Quality,
    Span,
    Timeline,
    VideoInfo,
    Window,
    mean_probabilities,
    most_probable,
)

CLASSES = ("anger", "happiness", "sadness")
QUALITY = Quality(0.99, 50.0, 0.1, 300.0, 120.0, 0.0)


def window(track, start, best, p=0.8, doubtful=(), abstained=None):
    """A window of 0.4 s in which one class has a probability and the others share the rest."""
    rest = (1 - p) / (len(CLASSES) - 1)
    probabilities = {name: p if name == best else rest for name in CLASSES}
    prediction = None if abstained else best
    return Window(
        track, start, start + 0.4, probabilities, prediction, abstained, QUALITY, doubtful
    )


def track(number, start, end, windows, box=(20, 10, 60, 50), main=True):
    means = mean_probabilities([one.probabilities for one in windows])
    eyes = (box[0] + 10, box[1] + 15, box[2] - 10, box[1] + 15)
    places = (Place(start, *box, *eyes), Place(end - 0.04, *box, *eyes))
    return FaceTrack(
        number, start, end, "gone", main, means, most_probable(means), None, tuple(windows), places
    )


def timeline(
    path="clip.mp4", tracks=(), duration=4.0, size=(160, 120), cuts=(), sha="0" * 64, notes=(),
    classes=CLASSES,
):  # fmt: skip
    """A timeline of a video at 25 frames a second."""
    end = max((one.end for one in tracks), default=0.0)
    windows = [w for one in tracks for w in one.windows]
    gone = sum(w.abstained is not None for w in windows)
    doubtful = sum(bool(w.doubtful) for w in windows)
    frames = round(25 * duration)
    return Timeline(
        VideoInfo(str(path), sha, duration, frames, frames, 25.0, *size, "pyav", 25.0),
        ModelInfo("runs/x", "k", "facs", tuple(classes), (0,), 10, 25.0, 1.0, True),
        0.5,
        tuple(tracks),
        () if end >= duration else (Span(end, duration),),
        tuple(cuts),
        Coverage(end / duration, len(windows), gone, doubtful),
        None,
        tuple(notes),
    )


def tone(rate=44_100, seconds=1.0, pitch=440):
    at = np.arange(round(rate * seconds)) / rate
    return (0.3 * np.sin(2 * np.pi * pitch * at)).astype(np.float32)


def write(
    path, frames, times=None, codec="mpeg4", pix_fmt="yuv420p", sound=None, rate=44_100,
    options=None,
):  # fmt: skip
    """Write frames ``(t, H, W, 3)`` at times, s, with a tone as long as they last."""
    times = np.arange(len(frames)) / 25 if times is None else times
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 600)
        audio = out.add_stream(sound, rate=rate, layout="mono") if sound else None
        for frame, time in zip(frames, times, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = round(time * 600), Fraction(1, 600)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
        if audio is not None:
            samples = tone(rate, float(times[-1]) + 0.04)[None]
            heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = rate, 0, Fraction(1, rate)
            out.mux(audio.encode(heard))
            out.mux(audio.encode())
    return path


def scene(t, height=120, width=160):
    """Frames of one grey whose brightness says which frame it is: 40 to 200."""
    level = np.linspace(40, 200, t).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (t, height, width, 3)).copy()
