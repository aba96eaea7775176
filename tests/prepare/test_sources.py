import os
import re
import shutil
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from vfer.config.tree import DataConfig
from vfer.prepare.fill import print_usable
from vfer.prepare.main import main


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
            ("pipe", "a pipe or a device, not a file"), ("link", "No such file"),
        ):  # fmt: skip
            assert re.search(f"unreadable: '{name}': .*{name}.avi: cannot be read .*{why}", said)
    os.utime(tmp_path / "pipe.avi", (1, 1))  # changed, as it seems
    assert main(argv) == 0
    assert main([*argv, "--check"]) == 1
    said = capsys.readouterr().out
    assert "missing: 2" in said
    assert "'link': " in said
    assert "its link leads to nothing.avi" in said
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
