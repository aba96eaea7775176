"""Frames come with their true times, and resampled they are the nearest ones."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfer.predict.frames import (
    Source,
    check_frames,
    even_rate,
    open_file,
    read_array,
    read_file,
    read_stream,
    resample,
)
from vfer.video import VideoError, read_frames


def write(path, times, base=1000, codec="ffv1", size=(32, 64)):
    """Write frames that show their number as a grey value, at some times in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, base)
        for number, time in enumerate(times):
            picture = np.full((*size, 3), number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=stream.pix_fmt
            )
            frame.pts, frame.time_base = round(time * base), Fraction(1, base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path, **more):
    source = open_file(path)
    runs = list(read_file(source, **more))
    frames, times = (np.concatenate(part) for part in zip(*runs, strict=True))
    return source, frames, times


def even(times, rate, chunk=7):
    """Resample frames that are their own numbers; return numbers and times."""
    numbers = np.arange(len(times))
    parts = [
        (numbers[at : at + chunk].reshape(-1, 1, 1, 1), np.asarray(times[at : at + chunk]))
        for at in range(0, len(times), chunk)
    ]
    runs = list(resample(parts, rate, chunk=5))
    assert all(1 <= len(run[0]) == len(run[1]) <= 5 for run in runs)
    found = np.concatenate([run[0].ravel() for run in runs])
    return found, np.concatenate([run[1] for run in runs])


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_frames_are_the_decoders_and_at_their_own_times(tmp_path, chunk):
    times = [0.0, 0.04, 0.1, 0.5, 0.52, 0.9]
    path = write(tmp_path / "uneven.mkv", times)
    source, frames, found = read(path, chunk=chunk)
    np.testing.assert_array_equal(frames, read_frames(path)[0])
    np.testing.assert_allclose(found, times, atol=1e-3)
    assert (source.frames, source.width, source.height, source.decoder) == (6, 64, 32, "pyav")
    assert source.end == pytest.approx(0.9 + 1 / source.rate)


def test_times_count_from_where_players_begin(tmp_path):
    path = write(tmp_path / "late.mkv", [2.0, 2.04, 2.08])
    assert read(path)[2] == pytest.approx([0, 0.04, 0.08], abs=1e-3)


def test_an_upright_phone_clip_is_upright(tmp_path, lossless):
    path = write(tmp_path / "plain.mkv", [0, 0.04])
    turned = tmp_path / "turned.mp4"
    with av.open(str(path)) as given, av.open(str(turned), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        for frame in given.decode(video=0):
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    data = turned.read_bytes()
    upright = bytes.fromhex("00010000 00000000 00000000 00000000 00010000".replace(" ", ""))
    sideways = bytes.fromhex("00000000 00010000 00000000 ffff0000 00000000".replace(" ", ""))
    at = data.index(b"tkhd") + 4 + 40
    assert data[at : at + 20] == upright
    turned.write_bytes(data[:at] + sideways + data[at + 20 :])
    source, frames, _ = read(turned)
    assert (source.width, source.height) == (32, 64)
    assert frames.shape == (2, 64, 32, 3)


@pytest.mark.parametrize(
    "content", [b"", b"no video at all", b"ffconcat version 1.0\nfile x.mkv\n"]
)
def test_what_is_no_video_or_only_names_one_is_refused(tmp_path, content):
    write(tmp_path / "x.mkv", [0, 0.04])
    path = tmp_path / "list.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"list\.mp4: cannot be read \(pyav"):
        open_file(path)
    with pytest.raises(VideoError, match="no such file"):
        open_file(tmp_path)


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_file_that_breaks_off_is_kept_and_noted_if_most_of_it_is_there(tmp_path, suffix):
    path = tmp_path / f"whole{suffix}"
    write(path, [k / 25 for k in range(100)], codec="mpeg4", base=25)
    with av.open(str(path)) as container:
        begins = [packet.pos for packet in container.demux(video=0) if packet.size]
    data, broken = path.read_bytes(), tmp_path / f"broken{suffix}"
    # the index of an AVI may be missing; that of an MP4 stays, but there are no pictures
    broken.write_bytes(
        data[: begins[90]]
        if suffix == ".avi"
        else data[: begins[90]] + bytes(begins[99] - begins[90]) + data[begins[99] :]
    )
    source, frames, _ = read(broken)
    assert 85 <= len(frames) <= 99
    assert len(source.notes) >= 1
    assert read(path)[0].notes == []
    if suffix == ".avi":
        broken.write_bytes(data[: begins[40]])
        with pytest.raises(VideoError, match="frames, the header promises 100"):
            read(broken)


def test_a_file_without_a_count_of_frames_that_breaks_off_is_noted(tmp_path):
    path = write(tmp_path / "whole.mkv", [k / 25 for k in range(100)])
    source, _, _ = read(path)
    assert (source.promised, source.notes) == (0, [])
    data, broken = path.read_bytes(), tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) * 6 // 10])
    source, frames, _ = read(broken)
    assert 40 <= len(frames) <= 75
    assert "the header promises 4.00 s" in source.notes[-1]


def test_the_size_of_frames_may_not_change(tmp_path):
    with pytest.raises(ValueError, match=r"a frame of \(8, 9, 3\) follows one of \(8, 8, 3\)"):
        list(read_stream(Source("", 25.0), [np.zeros((8, n, 3), np.uint8) for n in (8, 9)], 4))
    with pytest.raises(ValueError, match="frames are float64"):
        check_frames(np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match="at least one"):
        check_frames(np.zeros((0, 8, 8, 3), np.uint8))


def test_frames_in_memory_and_of_a_stream_come_alike():
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    one, other = Source("", 10.0), Source("", 10.0)
    array, stream = list(read_array(one, frames, 4)), list(read_stream(other, iter(frames), 4))
    for (a, s), (b, t) in zip(array, stream, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(s, t)
    assert [len(run[0]) for run in array] == [4, 4, 2]
    assert one == other
    assert one.end == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rate", "training", "keep", "found"),
    [
        (25.0, 25.0, False, 25.0),
        (24.9, 25.0, False, 24.9),
        (30.0, 25.0, False, 25.0),
        (30.0, 25.0, True, None),
        (30.0, None, False, None),
        (10.0, 25.0, False, 25.0),
    ],
)
def test_rates_that_are_nearly_the_same_are_left(rate, training, keep, found):
    assert even_rate(rate, training, keep) == found


@given(st.integers(1, 60), st.floats(5, 120), st.floats(0, 9))
def test_at_its_own_rate_every_frame_comes_once(count, rate, begin):
    times = begin + np.arange(count) / rate
    numbers, found = even(times, rate)
    np.testing.assert_array_equal(numbers, np.arange(count))
    np.testing.assert_allclose(found, times, atol=1e-6)


def test_fifty_frames_a_second_lose_every_other_and_ten_are_repeated():
    numbers, times = even(np.arange(50) / 50, 25)
    assert numbers.tolist() == list(range(0, 50, 2))
    np.testing.assert_allclose(times, np.arange(25) / 25, atol=1e-9)
    numbers, _ = even(np.arange(10) / 10, 25)
    counts = np.bincount(numbers)
    assert set(counts[:-1].tolist()) <= {2, 3}
    assert len(numbers) in (23, 24)


@given(st.lists(st.floats(0.001, 0.6), min_size=1, max_size=40), st.floats(8, 60))
def test_whatever_the_times_are_the_nearest_frame_is_taken(steps, rate):
    times = np.cumsum([0.5, *steps])
    numbers, found = even(times, rate)
    np.testing.assert_allclose(np.diff(found), 1 / rate, atol=1e-9)
    away = np.abs(times[numbers] - found)
    nearest = np.abs(times[None] - found[:, None]).min(axis=1)
    np.testing.assert_allclose(away, nearest, atol=1e-5)
    assert abs(found[-1] - times[-1]) <= max(1 / rate, 0.1) + 1e-6


def test_a_long_pause_is_filled_in_small_runs_and_a_leap_is_refused(tmp_path):
    numbers, _ = even([0.0, 0.04, 20.0, 20.04], 25)
    assert np.bincount(numbers).tolist()[1] == pytest.approx(250, abs=2)
    path = write(tmp_path / "leap.mkv", [0.0, 0.04, 9000.0])
    with pytest.raises(VideoError, match="its times leap from 0 s to 9000 s"):
        read(path)
