import os
import time

import pytest

from vfer.runtime.files import atomic_write, remove_leftovers


def test_what_killed_processes_left_is_removed_after_an_hour(tmp_path):
    inner = tmp_path / "fold-0"
    (inner / ".stage.0a.tmp").mkdir(parents=True)
    names = (".a.json.0a.tmp", "fold-0/.b.json.0a.tmp", "fold-0/.stage.0a.tmp/weights")
    kept = ("a.tmp", ".lock", "fold-0/b.json", ".young.json.0a.tmp")
    for name in (*names, *kept):
        (tmp_path / name).write_text("x")
    old = (time.time() - 3700,) * 2
    for path in tmp_path.rglob("*"):
        if "young" not in path.name:
            os.utime(path, old)
    remove_leftovers(tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(kept)
    remove_leftovers(tmp_path / "nowhere")


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x"
    atomic_write(path, "before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match=r"No space left on device.*x'"):
        atomic_write(path, "after")
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "before"
