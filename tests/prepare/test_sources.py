import csv
import os
import re
import shutil
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from vfer.config.tree import DataConfig
from vfer.fit.main import main as fit
from vfer.prepare.corpus import open_corpus
from vfer.prepare.fill import print_usable
from vfer.prepare.main import main
from vfer.verify import main as verify

QUIET = Console(quiet=True)


def manifest_of(root, rows):
    """A manifest of AVI files: {name: (subject, emotion, content)}; its ``data.root``."""
    for name, (_, _, content) in rows.items():
        root.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        root.joinpath(name).write_bytes(b"RIFF\0\0\0\0AVI " + content)
    table = root / "m.csv"
    lines = [f"{name},{subject},{emotion}" for name, (subject, emotion, _) in rows.items()]
    table.write_text("\n".join(["path,subject,emotion", *lines]) + "\n")
    return table


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_every_row_of_a_manifest_is_a_clip_or_is_listed_with_its_reason(
    facs_root, tmp_path, capsys
):
    shutil.copy(next(facs_root.rglob("*.avi")), tmp_path / "good.avi")
    (tmp_path / "folder.avi").mkdir()
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "link.avi").symlink_to("nothing.avi")
    names = ("good", "absent", "folder", "pipe", "link")
    table = tmp_path / "m.csv"
    rows = "".join(f"{name}.avi,{name},fear\n" for name in names)
    table.write_text(f"path,subject,emotion\n{rows}")
    argv = [f"--data.root={table}", "--data.corpus=manifest", f"--data.cache={tmp_path / 'cache'}",
            "--data.workers=1", "--data.flow.cache=false"]  # fmt: skip
    for _ in range(2):  # with the records that the first time leaves, too
        assert main(argv) == 0
        said = capsys.readouterr().out
        assert "m: 5 clips, 1 usable, 4 unreadable" in said
        for name, why in (
            ("absent", "No such file"), ("folder", "a folder, not a file"),
            ("pipe", "a pipe or a device, not a file"), ("link", "a link to nothing: nothing.avi"),
        ):  # fmt: skip
            assert re.search(f"unreadable: '{name}': .*{name}.avi: cannot be read .*{why}", said)
    os.utime(tmp_path / "pipe.avi", (1, 1))  # changed, as it seems
    assert main(argv) == 0
    assert main([*argv, "--check"]) == 1
    said = capsys.readouterr().out
    assert "missing: 2" in said
    assert "'link': " in said
    assert "link.avi: a link to nothing: nothing.avi" in said
    shutil.copy(tmp_path / "good.avi", tmp_path / "absent.avi")
    table.write_text("path,subject,emotion\nabsent.avi,absent,fear\n")
    assert main(argv) == 0
    assert "m: 1 clips, 1 usable" in capsys.readouterr().out


def test_annotated_clips_that_are_not_on_disk_are_counted_and_named(made_store):
    corpus, store = made_store({("1", "fear"): 4})
    corpus = replace(corpus, missing=(("S001_000", "annotated, not on disk"),))
    console = Console(file=StringIO(), width=200)
    print_usable(corpus, store, DataConfig("rml"), console)
    said = " ".join(console.file.getvalue().split())
    assert "made: 1 clips, 1 usable, 1 missing;" in said
    assert "missing: 'S001_000': annotated, not on disk" in said


TWICE = {
    "a.avi": ("anna", "fear", b"one"), "b.avi": ("bo", "fear", b"one"),
    "c.avi": ("bo", "anger", b"two"), "d.avi": ("bo", "fear", b"two"),
    "e.avi": ("cy", "fear", b"six"), "f.avi": ("cy", "fear", b"six"),
    "g.avi": ("cy", "fear", b"three"), "h.avi": ("cy", "anger", b"four!"),
}  # fmt: skip


def test_a_video_under_two_subjects_or_labels_or_twice_is_refused_by_naming_both(tmp_path, capsys):
    table = manifest_of(tmp_path, TWICE)
    argv = ["--data.corpus=manifest", f"--data.root={table}", f"--data.cache={tmp_path / 'cache'}"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    for part in (
        "'a' of subject anna, fear and 'b' of subject bo, fear are the same video: it would be "
        "trained on and tested",
        "'c' of subject bo, anger and 'd' of subject bo, fear are the same video: it would be "
        "trained on and tested",
        "'e' of subject cy, fear and 'f' of subject cy, fear are the same video: it would be "
        "counted twice",
        "--data.duplicates exclude",
    ):
        assert part in said
    assert "'g'" not in said
    assert not (tmp_path / "cache").exists()
    assert main([*argv, "--data.duplicates=keep"]) == 2
    assert "refuse" in capsys.readouterr().err


def test_every_copy_of_a_video_is_excluded_where_that_is_asked_for(tmp_path):
    table = manifest_of(tmp_path, TWICE)
    config = DataConfig("manifest", root=table, duplicates="exclude")
    clips = {clip.name: clip.excluded for clip in open_corpus(config, QUIET).clips}
    assert [name for name, excluded in clips.items() if excluded is None] == ["g", "h"]
    assert clips["a"] == "the same video as 'b' of subject bo, fear (data.duplicates)"
    assert clips["b"] == "the same video as 'a' of subject anna, fear (data.duplicates)"
    assert clips["e"] == "the same video as 'f' of subject cy, fear (data.duplicates)"


def test_copies_in_classes_that_take_no_part_and_files_that_are_no_videos_are_no_duplicates(
    tmp_path,
):
    rows = {k: v for k, v in TWICE.items() if k in ("c.avi", "d.avi", "g.avi", "h.avi")}
    rows["x.avi"] = ("dee", "anger", b"")
    table = manifest_of(tmp_path, rows | {"i.avi": ("cy", "joy", b"")})
    for name in ("x.avi", "i.avi"):
        (tmp_path / name).write_bytes(b"<html>404")
    config = DataConfig("manifest", root=table, classes=["anger", "happiness"])
    assert [c.name for c in open_corpus(config, QUIET).clips if not c.excluded] == list("chix")


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "anna"), ("s 1", "s1"), ("01", "1"), ("s01b", "S1b"), ("a  b", "a b")],
)
def test_subjects_that_seem_to_be_one_person_are_refused_and_a_check_lists_them(
    tmp_path, capsys, one, other
):
    rows = {
        "a.avi": (one, "fear", b"1"),
        "b.avi": (other, "fear", b"2"),
        "c.avi": ("x", "fear", b"3"),
    }
    argv = ["--data.corpus=manifest", f"--data.root={manifest_of(tmp_path, rows)}"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert f"{one!r} and {other!r}" in said or f"{other!r} and {one!r}" in said
    main([*argv, "--check"])
    assert "by case, blanks or leading zeros alone" in capsys.readouterr().out


def test_other_subjects_are_not_taken_for_one_person(tmp_path):
    names = ("1", "10", "100", "1 0", "s1", "s10", "0", "00 1", "anna", "anna2", "anna 02b", "Änne")
    rows = {f"{k}.avi": (name, "fear", bytes([k])) for k, name in enumerate(names)}
    config = DataConfig("manifest", root=manifest_of(tmp_path, rows))
    assert len(open_corpus(config, QUIET).clips) == len(names)


def test_excluded_copies_stand_in_a_bundle_that_verifies(facs_root, tmp_path, capsys):
    shutil.copytree(facs_root, tmp_path / "copy")
    one = tmp_path / "copy" / "subject 1" / "anger" / "sentence 1" / "s1_an_1.avi"
    other = tmp_path / "copy" / "subject 2" / "fear" / "sentence 2" / "s2_fe_2.avi"
    other.parent.mkdir()
    shutil.copy(one, other)
    argv = ["--config=configs/tiny.yaml", "--data.corpus=enterface05",
            f"--output={tmp_path / 'run'}", f"--data.root={tmp_path / 'copy'}",
            f"--data.cache={tmp_path / 'cache'}"]  # fmt: skip
    assert fit(argv) == 2
    said = capsys.readouterr().err
    assert "of subject 1, anger" in said
    assert "of subject 2, fear are the same video" in said
    assert fit([*argv, "--data.duplicates=exclude"]) == 0
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        left_out = {row["clip"]: row for row in csv.DictReader(file) if row["status"] == "excluded"}
    assert len(left_out) == 2
    names = sorted(left_out)
    for name, partner in zip(names, reversed(names), strict=True):
        assert repr(partner) in left_out[name]["reason"]
    assert verify([str(tmp_path / "run")]) == 0
