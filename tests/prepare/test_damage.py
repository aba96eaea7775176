import csv
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import save_lossless
from vfer import video
from vfer.config.tree import DataConfig
from vfer.prepare.corpus import open_corpus
from vfer.prepare.damage import Damage, watch
from vfer.prepare.main import main
from vfer.runtime.console import make_console
from vfer.video import DECODERS, MARKS, VideoError, decode

needs_decord = pytest.mark.skipif("decord" not in DECODERS, reason="no decord here")
BOTH = ("one", "two")


def picture(t, value=0, noise=0):
    """Frames of noise that move, each with its own pixels."""
    frames = np.random.default_rng(noise).integers(0, 200, (t, 16, 16, 3), dtype=np.uint8)
    return frames + np.uint8(value)


def found_in(frames, twins=None, marks=None, chunks=(3, 64)):
    """What is found where the decoders give these frames, and libav these marks."""
    given = {"one": frames, "two": frames if twins is None else twins, MARKS: marks}
    if marks is None:
        given[MARKS] = np.zeros(len(frames), np.uint8)

    def reads(path, decoder):
        for start in range(0, len(given[decoder]), chunks[decoder == "two"]):
            yield given[decoder][start : start + chunks[decoder == "two"]]
        if decoder == "two" and len(given["two"]) < len(frames):
            raise VideoError(path, "two: broken off")

    damage = Damage()
    seen = np.concatenate(list(watch(Path("x.avi"), BOTH, reads, damage)))
    np.testing.assert_array_equal(seen, frames)
    return damage


def test_a_sound_video_has_no_damage_and_its_frames_are_passed_on():
    assert str(found_in(picture(10))) == ""


def test_frames_in_which_the_decoders_differ_are_told_and_rounding_is_not():
    frames = picture(20)
    twins = frames + np.uint8(12)
    twins[4:7, 3, 5, 1] += 1
    twins[11, 0, 0, 0] -= 40
    damage = found_in(frames, twins)
    assert damage.apart == [4, 5, 6, 11]
    assert str(damage) == "frames 4–6, 11 (decoders differ)"


def test_frames_that_libav_marks_are_told():
    marks = np.zeros(9, np.uint8)
    marks[[2, 8]] = 1
    assert str(found_in(picture(9), marks=marks)) == "frames 2, 8 (marked as corrupt by libav)"


@pytest.mark.parametrize(("length", "told"), [(3, []), (4, [5, 6, 7, 8]), (6, [5, 6, 7, 8, 9, 10])])
def test_a_picture_that_stands_still_in_a_moving_video_is_told(length, told):
    frames = picture(20)
    frames[5 : 5 + length] = frames[5]
    assert found_in(frames).still == told


def test_a_video_that_does_not_move_and_one_brought_to_more_frames_are_not_damaged():
    assert str(found_in(picture(1).repeat(20, 0))) == ""
    assert str(found_in(picture(10).repeat(2, 0))) == ""
    assert str(found_in(picture(10).repeat(3, 0))) == ""


def test_where_the_second_decoder_ends_is_told():
    frames = picture(8)
    said = str(found_in(frames, frames[:5]))
    assert said == "from frame 5 on two reads nothing (two: broken off)"


def test_many_places_are_shortened():
    marks = np.tile(np.array([1, 0], np.uint8), 15)
    assert str(found_in(picture(30), marks=marks)).startswith("frames 0, 2, 4, 6, 8, 10, 12, 14")
    assert "18, … (marked" in str(found_in(picture(30), marks=marks))


def flip(path, to, count=3, seed=0):
    """A copy in which single bits of the pictures' packets are flipped."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    rng = np.random.default_rng(seed)
    for _ in range(count):
        start, size = packets[rng.integers(2, len(packets))]
        data[start + int(rng.integers(min(40, size // 2), size))] ^= 1 << int(rng.integers(8))
    to.write_bytes(data)


def encoded(frames, path, codec):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [pytest.param("libx264", "mp4", marks=needs_decord), ("mpeg4", "avi"), ("flv1", "flv")],
)
def test_flipped_bits_in_a_video_of_all_its_frames_are_found(facs_root, tmp_path, codec, suffix):
    frames = video.read_frames(next(facs_root.rglob("*.avi")))[0].repeat(2, 0)
    whole, broken = tmp_path / f"whole.{suffix}", tmp_path / f"broken.{suffix}"
    encoded(frames, whole, codec)
    damage = Damage()
    list(watch(whole, DECODERS, decode, damage))
    assert str(damage) == ""
    told = []
    for seed in range(6):
        flip(whole, broken, seed=seed)
        damage = Damage()
        try:
            list(watch(broken, DECODERS, decode, damage))
        except VideoError:
            continue  # which is told by itself
        told.append(str(damage))
    assert len(told) >= 3
    assert all(told)


def test_a_damaged_clip_is_doubtful_or_excluded_as_the_config_says(facs_root, tmp_path, capsys):
    one, other, *_ = sorted(facs_root.rglob("*.avi"))
    (tmp_path / "sound.avi").write_bytes(other.read_bytes())
    flip(one, tmp_path / "broken.avi", seed=1)
    table = tmp_path / "m.csv"
    table.write_text("path,subject,emotion\nsound.avi,anna,fear\nbroken.avi,bo,fear\n")
    argv = ["--data.corpus=manifest", f"--data.root={table}", f"--data.cache={tmp_path / 'cache'}",
            "--data.workers=1", "--data.flow.cache=false"]  # fmt: skip
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "2 clips, 2 usable" in said
    assert "doubtful: 'broken': damaged: frames " in said
    assert "'sound'" not in said
    assert main([*argv, "--data.damaged=exclude"]) == 0
    said = capsys.readouterr().out
    assert "2 clips, 1 usable, 1 excluded" in said
    assert "excluded: 'broken': damaged: frames " in said
    (manifest,) = tmp_path.rglob("manifest.csv")
    with manifest.open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["excluded", "ok"]
    config = DataConfig(
        "manifest", root=table, cache=tmp_path / "new", workers=1, damaged="exclude"
    )
    corpus = open_corpus(config, make_console(stderr=True))  # prepares what is not there yet
    assert [bool(clip.excluded) for clip in corpus.clips] == [True, False]
    main([*argv, "--check", "--deep"])
    assert "'broken': damaged: frames " in capsys.readouterr().out


def test_lossless_clips_are_not_marked(tmp_path):
    path = save_lossless(tmp_path / "x.mkv", picture(5))
    (marks,) = decode(path, MARKS)
    assert marks.tolist() == [0] * 5
