"""Drawn videos through the whole of prediction: the right faces at the right times and places."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.predict.predictor import Predictor

SIZE = {"width": 240, "height": 192}


@pytest.fixture(scope="module")
def people():
    """Clips of two drawn people, ``(24, 192, 240, 3)`` each."""
    config = FacsConfig(frames=24, **SIZE)
    return [draw_clip(config, subject, "happiness", 1)[0] for subject in (1, 2)]


@pytest.fixture(scope="module")
def say(bundle):
    return Predictor.load(bundle, fold=0, step="4f")


def write(path, frames, times=None, rotate=False):
    """Write frames as MPEG-4 at some times, s; turned by 90° with a note to turn them back."""
    shown = np.rot90(frames, 1, (1, 2)) if rotate else frames
    times = np.arange(len(frames)) / 25 if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"qmin": "2", "qmax": "3"})
        stream.height, stream.width = shown.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 600)
        for frame, time in zip(shown, times, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = round(time * 600), Fraction(1, 600)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    if rotate:  # the matrix of the track's header
        data = path.read_bytes()
        at = data.index(b"tkhd") + 44
        sideways = bytes.fromhex("000000000001000000000000ffff000000000000")
        path.write_bytes(data[:at] + sideways + data[at + 20 :])
    return path


def middle(place):
    return (place.left + place.right) / 2, (place.top + place.bottom) / 2


def test_one_face_is_followed_from_the_first_frame_to_the_last(say, people, tmp_path):
    timeline = say.predict(write(tmp_path / "one.mp4", people[0]))
    (track,) = timeline.tracks
    assert (track.start, track.end, track.ended) == (0.0, 0.96, "end")
    assert timeline.no_face == ()
    assert len(track.windows) == 6
    x, y = middle(track.place_at(0.4))
    assert abs(x - 120) < 40
    assert abs(y - 96) < 50


def test_two_faces_are_two_tracks_each_in_its_half(say, people, tmp_path):
    both = np.concatenate(people, axis=2)
    timeline = say.predict(write(tmp_path / "two.mp4", both))
    assert len(timeline.tracks) == 2
    places = sorted(middle(track.place_at(0.4))[0] for track in timeline.tracks)
    assert places[0] < 240 < places[1]
    assert all((track.start, track.end) == (0.0, 0.96) for track in timeline.tracks)
    assert sum(track.main for track in timeline.tracks) == 1


def test_at_a_cut_a_track_ends_and_another_begins(say, people, tmp_path):
    far = np.roll(people[1], 60, axis=2)
    timeline = say.predict(write(tmp_path / "cut.mp4", np.concatenate([people[0], far])))
    assert timeline.cuts == (0.96,)
    assert [(t.start, t.end, t.ended) for t in timeline.tracks] == [
        (0.0, 0.96, "cut"),
        (0.96, 1.92, "end"),
    ]
    assert all(window.end <= 0.961 or window.start >= 0.959 for window in timeline.windows)


def test_without_a_face_there_is_a_span_and_no_guess(say, tmp_path):
    grey = np.full((20, 192, 240, 3), 90, np.uint8)
    timeline = say.predict(write(tmp_path / "nobody.mp4", grey))
    assert timeline.tracks == ()
    assert [(span.start, span.end) for span in timeline.no_face] == [(0.0, 0.8)]


def test_a_face_that_goes_leaves_a_span_without_one(say, people, tmp_path):
    frames = np.concatenate([people[0], np.repeat(people[0][:1] * 0 + 90, 60, axis=0)])
    timeline = say.predict(write(tmp_path / "goes.mp4", frames))
    (track,) = timeline.tracks
    assert track.end == pytest.approx(0.96, abs=0.17)
    assert [(span.start, span.end) for span in timeline.no_face] == [(track.end, 3.36)]


def test_a_phone_held_upright_is_seen_upright(say, people, tmp_path):
    plain = say.predict(write(tmp_path / "plain.mp4", people[0]))
    turned = say.predict(write(tmp_path / "turned.mp4", people[0], rotate=True))
    assert (turned.video.width, turned.video.height) == (240, 192)
    (one,), (other,) = plain.tracks, turned.tracks
    np.testing.assert_allclose(middle(one.place_at(0.4)), middle(other.place_at(0.4)), atol=4)


def test_of_a_variable_rate_windows_stand_at_their_true_times(say, people, tmp_path):
    # the first half at 50 frames a second, the second at 12.5
    times = np.concatenate([np.arange(12) / 50, 0.24 + np.arange(12) / 12.5])
    timeline = say.predict(write(tmp_path / "variable.mp4", people[0], times))
    assert timeline.video.duration == pytest.approx(1.2, abs=0.05)
    assert timeline.video.analysed_rate == pytest.approx(25, rel=0.25)
    (track,) = timeline.tracks
    assert track.end == pytest.approx(1.2, abs=0.1)
    lengths = [window.end - window.start for window in track.windows]
    np.testing.assert_allclose(lengths, 4 / timeline.video.analysed_rate, atol=1e-5)


def test_one_frame_is_one_short_window(say, people, tmp_path):
    timeline = say.predict(write(tmp_path / "frame.mp4", people[0][:1]))
    (track,) = timeline.tracks
    (window,) = track.windows
    assert "short" in window.doubtful
    assert (track.start, track.end) == (0.0, 0.04)


def test_a_stream_says_what_a_file_does(say, people):
    frames = np.concatenate([people[0]] * 3)
    said = list(say.stream(iter(frames), fps=25))
    whole = say.predict(frames, fps=25).windows
    assert [window.start for window in said] == [window.start for window in whole]
    for one, other in zip(said, whole, strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), abs=0.02)
