import json
import shutil

import av
import pytest

from tests.corpora.test_corpora import savee_clips
from tests.corpora.test_enterface import touch
from vfer.prepare.main import main

HEADS = {"avi": b"RIFF\0\0\0\0AVI ", "flv": b"FLV\1", "mp4": b"\0\0\0\x18ftyp"}


def write(root, names, kind):
    """Files that begin as this kind of video does, no two alike."""
    touch(root, *names)
    for number, name in enumerate(names):
        (root / name).write_bytes(HEADS[kind] + number.to_bytes(4, "big"))


def checked(capsys, corpus, root, *options):
    """Exit status and what ``--check --json`` found: nothing else is printed."""
    argv = ["--data.corpus", corpus, "--data.root", str(root), "--data.workers", "1"]
    status = main([*argv, "--check", "--json", *options])
    return status, json.loads(capsys.readouterr().out)


def test_a_whole_copy_fits_with_status_0_and_one_that_lacks_a_clip_does_not(tmp_path, capsys):
    write(tmp_path, savee_clips(), "avi")
    status, found = checked(capsys, "savee", tmp_path)
    assert (status, found["fits"]) == (0, True)
    assert all(row["found"] == row["expected"] for row in found["counts"])
    assert not found["unreadable"] + found["doubtful"] + found["unexpected"] + found["missing"]
    (tmp_path / "KL/sa07.avi").unlink()
    status, found = checked(capsys, "savee", tmp_path)
    assert (status, found["fits"]) == (1, False)
    assert {row["what"]: row["expected"] - row["found"] for row in found["counts"]} == {
        "subjects": 0, "clips": 1, "anger": 0, "disgust": 0, "fear": 0, "happiness": 0,
        "neutral": 0, "sadness": 1, "surprise": 0,
    }  # fmt: skip


def test_an_annotated_clip_that_is_not_there_is_missing_and_the_status_1(tmp_path, capsys):
    write(tmp_path, ["a.mp4"], "mp4")
    table = tmp_path / "m.csv"
    table.write_text("path,subject,emotion\na.mp4,x,fear\n")
    assert checked(capsys, "manifest", table)[0] == 0
    table.write_text("path,subject,emotion\na.mp4,x,fear\nb.mp4,y,fear\n")
    status, found = checked(capsys, "manifest", table)
    assert (status, found["missing"][0][0]) == (1, "b")


def test_clips_of_cremad_that_are_known_to_be_broken_are_doubtful(tmp_path, capsys):
    broken = ["1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX"]
    names = [f"VideoFlash/{stem}.flv" for stem in (*broken, "1076_MTI_FEA_XX")]
    write(tmp_path, names, "flv")
    found = checked(capsys, "cremad", tmp_path)[1]
    assert found["doubtful"] == [
        [f"VideoFlash/{stem}", "known to be broken in the corpus"] for stem in broken
    ]


@pytest.mark.parametrize(
    ("kind", "doubtful"),
    [("mp4", [["s1/an1", "the content is MP4, not AVI"]]), ("avi", [])],
)
def test_a_file_whose_container_is_not_what_its_suffix_says_is_doubtful(
    tmp_path, capsys, kind, doubtful
):
    write(tmp_path, ["s1/an1.avi"], kind)
    found = checked(capsys, "rml", tmp_path)[1]
    assert found["doubtful"] == doubtful
    (tmp_path / "s1/an1.avi").write_bytes(b"<html>not here")
    found = checked(capsys, "rml", tmp_path)[1]
    assert found["unreadable"] == [["s1/an1", "the content is not AVI"]]


def test_a_check_lists_what_was_passed_over_by_count_and_the_rest_by_name(tmp_path, capsys):
    write(tmp_path, ["Actor_01/02-01-01-01-01-01-01.mp4"], "mp4")
    touch(tmp_path, "Actor_01/03-01-01-01-01-01-01.wav", "Actor_01/02-02-01-01-01-01-01.mp4")
    touch(tmp_path, "readme.txt")
    found = checked(capsys, "ravdess", tmp_path)[1]
    assert found["aside"] == [["audio only", 1], ["not speech", 1]]
    assert found["unexpected"] == [
        [str(tmp_path / "readme.txt"), "not named as a video of RAVDESS"]
    ]
    assert main(["--data.corpus", "ravdess", "--data.root", str(tmp_path), "--check"]) == 1
    assert "passed over: not speech: 1" in capsys.readouterr().out


def test_a_deep_check_finds_pointers_empty_equal_and_truncated_clips(tmp_path, facs_root, capsys):
    video = next(facs_root.rglob("*.avi"))
    touch(tmp_path, "s1/fe1.avi", "s1/an1.avi", "s2/an1.avi")
    for name in ("s1/an1.avi", "s2/an1.avi"):
        shutil.copy(video, tmp_path / name)
    with av.open(str(video)) as container:
        starts = [packet.pos for packet in container.demux(video=0) if packet.size]
    for name, frames in (("su1", 7), ("su2", 3)):
        (tmp_path / f"s1/{name}.avi").write_bytes(video.read_bytes()[: starts[frames]])
    (tmp_path / "s1/sa1.avi").write_text("version https://git-lfs.github.com/spec/v1\n")
    status, found = checked(capsys, "rml", tmp_path, "--deep")
    assert status == 1
    assert [name for name, _ in found["unreadable"]] == ["s1/fe1", "s1/sa1", "s1/su2"]
    assert "git-lfs" in found["unreadable"][1][1]
    doubtful = dict(found["doubtful"])
    assert doubtful["s1/an1"] == "the same content as 's2/an1'"
    assert doubtful["s1/su1"] == "7 frames, the file's header promises 10"
    assert "3 frames, the file's header promises 10" in found["unreadable"][2][1]
