"""Written videos: every frame at its time, the sound kept, whole or not there."""

import av
import numpy as np
import pytest

from tests.predict import made
from tests.predict.test_videos import write as write_turned
from vfer.predict import movie
from vfer.video import VideoError


def read(path):
    with av.open(str(path)) as container:
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]
        video = container.streams.video[0].codec_context
        return (
            np.array([time for time, _ in frames]),
            np.stack([image for _, image in frames]),
            (video.name, video.pix_fmt),
        )


def heard(path):
    """The codec of the sound, its samples a second, and the samples, mono, with their begin, s."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        return stream.codec_context.name, stream.rate, samples, float(frames[0].time)


def same(frame, time):
    return frame


def test_every_frame_stands_at_its_time_at_a_variable_rate_too(tmp_path):
    times = np.concatenate([np.arange(12) / 50, 0.24 + np.arange(12) / 12.5, [3.0]])
    source = made.write(tmp_path / "in.mp4", made.scene(25), times)
    assert movie.write_movie(source, tmp_path / "out.mp4", same) == []
    found, images, kind = read(tmp_path / "out.mp4")
    assert kind == ("h264", "yuv420p")
    np.testing.assert_allclose(found, times, atol=1e-3)
    level = images.mean((1, 2, 3))
    np.testing.assert_allclose(level, np.linspace(40, 200, 25), atol=8)


def test_the_index_stands_first_so_that_playing_begins_at_once(tmp_path):
    source = made.write(tmp_path / "in.mp4", made.scene(10))
    movie.write_movie(source, tmp_path / "out.mp4", same)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_what_is_drawn_gets_upright_frames_and_their_times(tmp_path):
    seen = []

    def draw(frame, time):
        seen.append((frame.shape, time))
        return frame

    frames = made.scene(6, 64, 96)
    movie.write_movie(
        write_turned(tmp_path / "in.mp4", frames, rotate=True), tmp_path / "out.mp4", draw
    )
    assert {shape for shape, _ in seen} == {(64, 96, 3)}
    np.testing.assert_allclose([time for _, time in seen], np.arange(6) / 25, atol=2e-3)
    assert read(tmp_path / "out.mp4")[1].shape == (6, 64, 96, 3)


@pytest.mark.parametrize(
    ("name", "codec", "becomes"),
    [
        ("in.mp4", "aac", "aac"),
        ("in.mkv", "aac", "aac"),
        ("in.ts", "aac", "aac"),
        ("in.mkv", "mp3", "mp3float"),
        ("in.mov", "pcm_s16le", "aac"),
        ("in.mkv", "flac", "aac"),
    ],
)
def test_sound_is_kept_in_its_place(tmp_path, name, codec, becomes):
    source = made.write(tmp_path / name, made.scene(50), sound=codec)
    assert movie.write_movie(source, tmp_path / "out.mp4", same) == []
    kind, rate, samples, begin = heard(tmp_path / "out.mp4")
    assert (kind, rate) == (becomes, 44_100)
    assert begin + len(samples) / rate == pytest.approx(2.0, abs=0.1)
    power = np.abs(np.fft.rfft(samples.astype(float)))
    assert np.argmax(power) * rate / len(samples) == pytest.approx(440, abs=2)
    was = heard(source)
    if codec == "aac":  # copied: the same samples
        assert np.abs(samples[4096:-8192]).max() == pytest.approx(
            np.abs(was[2][4096:-8192]).max(), rel=1e-3
        )


def test_a_video_without_sound_has_none(tmp_path):
    movie.write_movie(made.write(tmp_path / "in.mp4", made.scene(5)), tmp_path / "out.mp4", same)
    assert heard(tmp_path / "out.mp4") is None


def test_sound_of_an_odd_rate_becomes_one_that_mp4_takes(tmp_path):
    source = made.write(tmp_path / "in.mov", made.scene(25), sound="pcm_s16le", rate=8_000)
    movie.write_movie(source, tmp_path / "out.mp4", same)
    kind, rate, samples, _ = heard(tmp_path / "out.mp4")
    assert (kind, rate) == ("aac", 48_000)
    assert len(samples) / rate == pytest.approx(1.0, abs=0.1)


def test_interrupted_there_is_no_half_file_and_the_one_before_stays(tmp_path):
    source, target = made.write(tmp_path / "in.mp4", made.scene(20)), tmp_path / "out" / "x.mp4"

    def stop(frame, time):
        if time > 0.3:
            raise KeyboardInterrupt
        return frame

    with pytest.raises(KeyboardInterrupt):
        movie.write_movie(source, target, stop)
    assert list(target.parent.iterdir()) == []
    movie.write_movie(source, target, same)
    before = target.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        movie.write_movie(source, target, stop)
    assert target.read_bytes() == before
    assert len(list(target.parent.iterdir())) == 1


def test_what_is_no_video_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        movie.write_movie(tmp_path / "in.mp4", tmp_path / "out" / "x.mp4", same)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((640, 360), (640, 360)),
        ((3840, 2160), (1920, 1080)),
        ((2160, 3840), (1080, 1920)),
        ((641, 361), (640, 360)),
        ((31, 17), (480, 264)),
        ((1, 1), (480, 480)),
        ((10_000, 10), (1920, 2)),
    ],
)
def test_sizes_are_even_and_within_limits(size, fits):
    assert movie.fitting(*size, smallest=480) == fits
