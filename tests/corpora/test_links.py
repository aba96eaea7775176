import os
from collections import Counter

import pytest

from tests.corpora.test_enterface import segmented, touch
from vfer.corpora import cremad, files_below, savee
from vfer.corpora.enterface05 import read
from vfer.prepare.main import main


def of_subject(corpus):
    return Counter(clip.subject for clip in corpus.clips)


def test_linked_folders_and_files_are_read_as_if_they_were_there(tmp_path):
    root, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    touch(root, *segmented(1), *segmented(2, ["fear"]))
    touch(elsewhere, *segmented(3), *segmented(2, ["anger"]))
    (root / "subject 3").symlink_to(elsewhere / "subject 3")
    (root / "subject 2" / "anger").symlink_to(elsewhere / "subject 2" / "anger")
    linked = root / "subject 2" / "fear" / "sentence 1" / "s2_fe_1.avi"
    linked.unlink()
    linked.symlink_to(elsewhere / "subject 3" / "fear" / "sentence 1" / "s3_fe_1.avi")
    corpus = read(root)
    assert of_subject(corpus) == {"1": 30, "2": 10, "3": 30}
    assert corpus.unexpected == ()
    names = [clip.name for clip in corpus.clips]
    assert names == sorted(names)
    assert "subject 3/anger/sentence 1/s3_an_1" in names


def test_links_in_circles_and_to_what_is_read_already_end_and_are_listed(tmp_path):
    root = tmp_path / "copy"
    touch(root, *segmented(1), *segmented(2))
    places = {
        root / "subject 1" / "back": root,
        root / "subject 1" / "anger" / "up": tmp_path,
        root / "subject 10": root / "subject 2",
        root / "turn": root / "turn",
    }
    for link, to in places.items():
        link.symlink_to(to)
    (root / "subject 2" / "one").symlink_to(root / "subject 2" / "two")
    (root / "subject 2" / "two").symlink_to(root / "subject 2" / "one")
    corpus = read(root)
    assert of_subject(corpus) == {"1": 30, "2": 30}
    reasons = dict(corpus.unexpected)
    others = {root / "subject 2" / "one", root / "subject 2" / "two"}
    assert reasons.keys() == places.keys() | others
    assert reasons[root / "subject 1" / "back"] == (
        f"it leads to {root}, which is read already or holds the copy"
    )
    assert str(tmp_path) in reasons[root / "subject 1" / "anger" / "up"]
    assert str(root / "subject 2") in reasons[root / "subject 10"]
    for link in (root / "turn", *others):
        assert "a link to nothing" in reasons[link]


def test_a_folder_that_two_links_lead_to_is_read_once(tmp_path):
    root, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    touch(root, "DC/a1.avi")
    touch(elsewhere, "JE/a1.avi")
    (root / "JE").symlink_to(elsewhere / "JE")
    (root / "more").symlink_to(elsewhere)
    corpus = savee.read(root)
    assert [clip.name for clip in corpus.clips] == ["DC/a1", "JE/a1"]
    assert [path for path, _ in corpus.unexpected] == [root / "more" / "JE"]


def test_a_subject_whose_link_leads_to_nothing_is_listed_with_where_it_led(tmp_path):
    touch(tmp_path, *segmented(1))
    (tmp_path / "subject 2").symlink_to("../gone/subject 2")
    corpus = read(tmp_path)
    assert corpus.unexpected == ((tmp_path / "subject 2", "a link to nothing: ../gone/subject 2"),)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_in_the_list_and_never_opened(tmp_path):
    touch(tmp_path, "VideoFlash/1001_IEO_ANG_HI.flv")
    for name in ("VideoDemographics.csv", "x.txt"):
        os.mkfifo(tmp_path / name)
    corpus = cremad.read(tmp_path)
    assert corpus.unexpected == ((tmp_path / "x.txt", "a pipe or a device, not a file"),)
    assert corpus.aside == (("tables", 1),)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may open every folder")
def test_a_folder_that_may_not_be_opened_is_in_the_list(tmp_path):
    touch(tmp_path, "a/x.avi", "b/y.avi")
    (tmp_path / "b").chmod(0)
    try:
        assert files_below(tmp_path) == [tmp_path / "a" / "x.avi", tmp_path / "b"]
    finally:
        (tmp_path / "b").chmod(0o700)


def test_clips_that_git_annex_has_not_fetched_are_unreadable_and_links_abroad_are_counted(
    tmp_path, facs_root, capsys
):
    root, video = tmp_path / "copy", next(facs_root.rglob("*.avi"))
    touch(root, "DC/h1.avi")
    (root / "DC" / "h1.avi").write_bytes(video.read_bytes())
    (root / "JE").symlink_to(facs_root)
    (root / "DC" / "a1.avi").symlink_to("../.git/annex/objects/X/SHA256E-s1.avi")
    (root / "KL").symlink_to("gone")
    (root / "DC" / "f1.avi").symlink_to(sorted(facs_root.rglob("*.avi"))[-1])
    argv = ["--data.corpus=savee", f"--data.root={root}", f"--data.cache={tmp_path / 'cache'}",
            "--data.workers=1", "--data.flow.cache=false"]  # fmt: skip
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "savee: 3 clips, 2 usable" in said
    assert "1 unreadable, 38 files not read" in said  # the rendered corpus behind JE, too
    assert (
        f"unreadable: 'DC/a1': {root}/DC/a1.avi: cannot be read "
        "(a link to nothing: ../.git/annex/objects/X/SHA256E-s1.avi)"
    ) in said
    assert f"not read: {root}/KL: a link to nothing: gone" in said
    assert f"linked: 1 clips lie outside {root}" in said
    assert main([*argv, "--check"]) == 1
    said = capsys.readouterr().out
    assert "missing: 1" in said
    assert "linked: 1 clips" in said
