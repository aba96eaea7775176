import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from vfer import video
from vfer.predict.frames import open_file
from vfer.prepare.main import main as prepare
from vfer.video import (
    DECODERS,
    MARKS,
    VideoError,
    decode,
    iter_frames,
    probe,
    read_frames,
)

needs_decord = pytest.mark.skipif("decord" not in video.DECODERS, reason="no decord here")


@pytest.fixture(params=["all", "pyav"])
def read(request):
    """Read by the first decoder that can, as preparation does: of all, or PyAV alone."""

    def reads(path):
        for decoder in video.DECODERS if request.param == "all" else ["pyav"]:
            try:
                return np.concatenate(list(decode(path, decoder)))
            except VideoError as error:
                last = error
        raise last

    return reads


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
@pytest.mark.parametrize(
    ("t", "height", "width"),
    [(1, 32, 32), (1, 33, 35), (7, 33, 48), (7, 48, 35), (70, 48, 64)],  # decord cannot read all
)
def test_every_frame_is_read_exactly(read, lossless, t, height, width, suffix):
    path, frames = lossless(t, height, width, name=f"clip.{suffix}", fps=30)
    found = read(path)
    assert probe(path)[0] == 30
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, frames)
    np.testing.assert_array_equal(read_frames(path)[0], frames)


@needs_decord
def test_decord_reads_what_it_can(lossless):
    path, frames = lossless(3)
    np.testing.assert_array_equal(np.concatenate(list(decode(path, "decord"))), frames)


def test_frames_and_rate_are_returned_for_names_with_blanks_and_umlauts(lossless):
    path, frames = lossless(3, name="süß  1.mkv", fps=50)
    found, fps = read_frames(str(path))
    assert fps == 50
    np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize("chunk", [1, 2, 5, 11, 12, 64])
def test_runs_of_any_size_join_to_the_whole_clip(lossless, chunk):
    path, frames = lossless(11, 33, 35)
    runs = list(iter_frames(path, chunk))
    assert [len(run) for run in runs[:-1]] == [chunk] * (len(runs) - 1)
    assert 1 <= len(runs[-1]) <= chunk
    np.testing.assert_array_equal(np.concatenate(runs), frames)


def test_a_run_shorter_than_one_frame_is_refused(lossless):
    path, _ = lossless(3)
    with pytest.raises(ValueError, match="chunk"):
        list(iter_frames(path, chunk=0))


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


def encode(path, frames, codec, pixels, pts=None, **options):
    """Write frames by any codec; ``pts`` in sixtieths of a second."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=60)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)
            picture.pts, picture.time_base = i if pts is None else pts[i], Fraction(1, 60)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def counting(t, height, width):
    """Frames that tell their number by their grey, and where up is by one white corner."""
    frames = np.empty((t, height, width, 3), np.uint8)
    frames[:] = (20 + 6 * np.arange(t))[:, None, None, None]
    frames += np.random.default_rng(0).integers(0, 5, frames.shape, np.uint8)
    frames[:, : height // 4, : width // 4] = 255
    return frames


@pytest.mark.parametrize(
    ("codec", "pixels", "name", "height", "width"),
    [
        ("libx264", "yuv420p", "phone.mp4", 48, 64),
        ("libx264", "yuv444p", "odd.mp4", 49, 67),
        ("ffv1", "gray", "grey.mkv", 48, 64),
        ("libx265", "yuv420p10le", "ten-bit.mp4", 48, 64),
        ("mpeg4", "yuv420p", "odd.avi", 49, 67),
        ("flv", "yuv420p", "flash.flv", 48, 64),
    ],
)
def test_each_frame_of_a_compressed_clip_is_itself(
    read, tmp_path, codec, pixels, name, height, width
):
    frames = counting(30, height, width)
    found = read(encode(tmp_path / name, frames, codec, pixels))
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 3  # the next frame is 6 away


def test_frames_at_uneven_times_are_each_read_once(read, tmp_path):
    frames = counting(12, 48, 64)
    pts = np.cumsum([0, 1, 5, 2, 1, 9, 1, 1, 3, 2, 4, 1]).tolist()
    path = encode(tmp_path / "vfr.mp4", frames, "libx264", "yuv420p", pts)
    found = read(path)
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 3
    assert 20 < probe(path)[0] < 26  # 12 frames in about half a second, not the stream's 60


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1)])
def test_a_phone_held_otherwise_gives_upright_frames(read, tmp_path, degrees, turns):
    """The turn stands in the track header as a matrix of 16.16 fixed-point numbers."""
    frames = counting(5, 52, 64)
    path = encode(tmp_path / "held.mp4", frames, "libx264", "yuv420p")
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:at] + matrix + data[at + 36 :])
    upright = np.rot90(frames, turns, axes=(1, 2))
    found = read(path)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 3


def test_of_a_header_that_promises_more_the_true_frames_are_read(read, tmp_path):
    frames = counting(30, 48, 64)
    path = encode(tmp_path / "short.avi", frames, "mpeg4", "yuv420p")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 9 // 10])
    found = read(path)
    assert probe(path)[1] == 30
    assert 5 <= len(found) < 30
    assert np.abs(found.astype(int) - frames[: len(found)]).mean() < 3


@pytest.mark.parametrize("decoder", video.DECODERS)
def test_a_clip_cut_within_a_frame_gives_one_reason(tmp_path, decoder):
    path = encode(
        tmp_path / "cut.mp4", counting(30, 48, 64), "libx264", "yuv420p", movflags="faststart"
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    with pytest.raises(VideoError) as caught:
        list(decode(path, decoder))
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.count(f"{decoder}: ") == 1


def test_no_public_function_uses_a_decoder_that_may_end_the_process(lossless, monkeypatch):
    path, frames = lossless(5)
    others = {name: pytest.fail for name in DECODERS if name != "pyav"}
    monkeypatch.setattr(video, "_BY", {"pyav": video._by_pyav, **others})
    np.testing.assert_array_equal(read_frames(path)[0], frames)
    np.testing.assert_array_equal(np.concatenate(list(iter_frames(path, 2))), frames)


@pytest.mark.parametrize("decoder", video.DECODERS)
def test_one_named_decoder_reads_alone_or_says_why_not(lossless, tmp_path, decoder):
    path, frames = lossless(7)
    np.testing.assert_array_equal(np.concatenate(list(decode(path, decoder, 3))), frames)
    text = tmp_path / "text.avi"
    text.write_text("no video")
    with pytest.raises(VideoError, match=rf"text\.avi: cannot be read \({decoder}: "):
        list(decode(text, decoder))


def test_a_header_is_probed_without_decoding(lossless, tmp_path):
    assert probe(lossless(9, name="clip.avi", fps=30)[0]) == (30, 9)
    text = tmp_path / "text.avi"
    text.write_text("no video")
    assert probe(text) == (0, 0)


LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile other.mkv\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mkv\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
    "<AdaptationSet><Representation><BaseURL>other.mkv</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "m3u8"])
def test_a_list_that_names_another_file_is_no_video(lossless, tmp_path, kind, suffix):
    lossless(5, name="other.mkv")
    path = tmp_path / f"x.{suffix}"
    path.write_text(LISTS[kind])
    for decoder in (*DECODERS, MARKS):
        with pytest.raises(VideoError):
            list(decode(path, decoder))
    with pytest.raises(VideoError, match=f"x.{suffix}"):
        read_frames(path)
    assert probe(path) == (0.0, 0)


@pytest.mark.parametrize("decoder", video.DECODERS)
def test_pictures_beyond_all_measure_are_refused_before_they_are_decoded(
    lossless, monkeypatch, decoder
):
    path, _ = lossless(3, 32, 64)
    monkeypatch.setattr(video, "MAX_PIXELS", 32 * 64 - 1)
    with pytest.raises(VideoError, match=r"frames of 64×32 px; at most 2047 px are read"):
        list(decode(path, decoder))


@pytest.mark.parametrize("decoder", video.DECODERS)
def test_runs_of_large_pictures_are_short(lossless, monkeypatch, decoder):
    path, frames = lossless(7, 32, 64)
    monkeypatch.setattr(video, "RUN_BYTES", 2 * 32 * 64 * 3)
    runs = list(decode(path, decoder, 5))
    assert [len(run) for run in runs] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(runs), frames)
    monkeypatch.setattr(video, "RUN_BYTES", 1)
    assert [len(run) for run in decode(path, decoder)] == [1] * 7


def unknown_codec(path):
    """Make a Matroska file's codec one that nobody knows."""
    data = path.read_bytes()
    assert data.count(b"V_FFV1") == 1
    path.write_bytes(data.replace(b"V_FFV1", b"V_NONE"))
    return path


def test_a_video_of_an_unknown_codec_is_unreadable(lossless):
    path = unknown_codec(lossless(3)[0])
    assert video.codec_of(path) == ""
    assert probe(path) == (0, 0)
    for decoder in (*DECODERS, MARKS):
        with pytest.raises(VideoError, match=r"clip\.mkv"):
            list(decode(path, decoder))
    with pytest.raises(VideoError, match=r"clip\.mkv"):
        open_file(path)
    with pytest.raises(VideoError, match=r"clip\.mkv"):
        read_frames(path)


def test_one_of_an_unknown_codec_does_not_stop_a_preparation(lossless, tmp_path, capsys):
    unknown_codec(lossless(3)[0])
    lossless(3, name="other.mkv", seed=1)
    table = tmp_path / "m.csv"
    table.write_text("path,subject,emotion\nclip.mkv,anna,fear\nother.mkv,bo,fear\n")
    words = [f"--data.root={table}", f"--data.cache={tmp_path / 'cache'}", "--data.workers=1"]
    assert prepare(["--data.corpus=manifest", *words]) == 0
    said = capsys.readouterr().out
    assert "unreadable: 'clip': " in said
    assert "no_face: 'other': " in said
