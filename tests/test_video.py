import numpy as np
import pytest

from vfer import video
from vfer.video import VideoError, iter_frames, read_frames, read_video

needs_decord = pytest.mark.skipif("decord" not in video._DECODERS, reason="no decord here")


@pytest.fixture(params=["all", "pyav"])
def decoders(request, monkeypatch):
    """All decoders in their order, then PyAV alone, as on a platform without decord."""
    if request.param == "pyav":
        monkeypatch.setattr(video, "_DECODERS", {"pyav": video._DECODERS["pyav"]})


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
@pytest.mark.parametrize(
    ("t", "height", "width"),
    [(1, 32, 32), (1, 33, 35), (7, 33, 48), (7, 48, 35), (70, 48, 64)],  # decord cannot read all
)
def test_every_frame_is_read_exactly(decoders, lossless, t, height, width, suffix):
    path, frames = lossless(t, height, width, name=f"clip.{suffix}", fps=30)
    found = read_video(path)
    assert found.fps == 30
    assert found.frames.dtype == np.uint8
    np.testing.assert_array_equal(found.frames, frames)


@needs_decord
def test_decord_reads_what_it_can(lossless):
    assert read_video(lossless(3)[0]).decoder == "decord"


def test_frames_and_rate_are_returned_for_names_with_blanks_and_umlauts(lossless):
    path, frames = lossless(3, name="süß  1.mkv", fps=50)
    found, fps = read_frames(str(path))
    assert fps == 50
    np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize("chunk", [1, 2, 5, 11, 12, 64])
def test_runs_of_any_size_join_to_the_whole_clip(decoders, lossless, chunk):
    path, frames = lossless(11, 33, 35)
    runs = list(iter_frames(path, chunk))
    assert [len(run) for run in runs[:-1]] == [chunk] * (len(runs) - 1)
    assert 1 <= len(runs[-1]) <= chunk
    np.testing.assert_array_equal(np.concatenate(runs), frames)


def test_a_run_shorter_than_one_frame_is_refused(decoders, lossless):
    path, _ = lossless(3)
    with pytest.raises(ValueError, match="chunk"):
        list(iter_frames(path, chunk=0))


def test_the_frames_that_the_header_promises_are_reported(lossless):
    assert read_video(lossless(9, name="clip.avi")[0]).promised == 9


def consume(read, path):
    return list(iter_frames(path)) if read == "iter" else read_frames(path)


@pytest.mark.parametrize("read", ["iter", "whole"])
@pytest.mark.parametrize("content", [None, b"", b"not a video\n" * 200, b"version https://git-lfs"])
def test_files_that_are_no_video_raise_an_error_that_names_them(tmp_path, read, content):
    path = tmp_path / "who is it.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"who is it\.avi"):
        consume(read, path)


@pytest.mark.parametrize("read", ["iter", "whole"])
def test_a_folder_raises_an_error_that_names_it(tmp_path, read):
    with pytest.raises(VideoError, match=tmp_path.name):
        consume(read, tmp_path)


@pytest.mark.parametrize("read", ["iter", "whole"])
@pytest.mark.parametrize("left", [0.02, 0.6])
def test_a_truncated_file_that_no_decoder_reads_raises_an_error_that_names_it(lossless, read, left):
    path, _ = lossless(20, 48, 64, name="cut.avi")
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data))])
    with pytest.raises(VideoError, match=r"cut\.avi"):
        consume(read, path)


def test_of_a_file_cut_between_frames_only_true_frames_are_read(lossless):
    path, frames = lossless(20, 48, 64, name="cut.mkv")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    found, _ = read_frames(path)
    assert 5 <= len(found) < 20
    np.testing.assert_array_equal(found, frames[: len(found)])


def broken_after(frames, error):
    """A decoder that yields its first frames and then fails."""

    def decode(path, chunk):
        start = 0
        for run, fps in video._pyav_chunks(path, chunk):
            keep = run[: max(frames - start, 0)]
            if len(keep):
                yield keep, fps
            start += len(run)
            if start >= frames:
                raise error

    return decode


def decord_error():
    from decord import DECORDError

    return DECORDError("cannot send the packet")


FAILURES = [
    pytest.param(lambda: RuntimeError("out of frames"), id="RuntimeError"),
    pytest.param(lambda: RuntimeError(), id="RuntimeError without a message"),
    pytest.param(decord_error, id="DECORDError", marks=needs_decord),
]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("good", "chunk"), [(0, 4), (4, 4), (6, 4), (10, 4), (5, 1), (11, 64)])
def test_where_the_first_decoder_fails_midway_the_next_goes_on_without_gap_or_repetition(
    lossless, monkeypatch, failure, good, chunk
):
    path, frames = lossless(11)
    decoders = {"decord": broken_after(good, failure()), "pyav": video._pyav_chunks}
    monkeypatch.setattr(video, "_DECODERS", decoders)
    runs = list(iter_frames(path, chunk))
    assert all(1 <= len(run) <= chunk for run in runs)
    np.testing.assert_array_equal(np.concatenate(runs), frames)


@pytest.mark.parametrize("failure", FAILURES)
def test_the_decoder_that_read_the_clip_is_recorded(lossless, monkeypatch, failure):
    path, frames = lossless(5)
    decoders = {"decord": broken_after(3, failure()), "pyav": video._pyav_chunks}
    monkeypatch.setattr(video, "_DECODERS", decoders)
    found = read_video(path)
    assert found.decoder == "pyav"
    np.testing.assert_array_equal(found.frames, frames)


def test_where_all_decoders_fail_the_error_gives_each_ones_reason(lossless, monkeypatch):
    path, _ = lossless(5)
    decoders = {
        "one": broken_after(0, RuntimeError("first trouble")),
        "two": broken_after(2, ValueError("second trouble\nstack trace")),
    }
    monkeypatch.setattr(video, "_DECODERS", decoders)
    with pytest.raises(VideoError, match=r"first trouble.*second trouble") as caught:
        read_frames(path)
    assert path.name in str(caught.value)
    assert "stack trace" not in str(caught.value)
