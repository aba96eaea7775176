"""The fault trials run, and find what is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.faults.shim import RECORD, Fault, install, operations

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="the trials read /proc")


@linux
def test_the_quick_trials_lose_nothing(tmp_path):
    table = tmp_path / "table.json"
    words = [sys.executable, "-m", "experiments.faults", "--quick", f"--json={table}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    rows = json.loads(table.read_text())
    assert [row for row in rows if row["lost"]] == []
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    names = " ".join(row["name"] for row in rows)
    for word in ("kill -9", "N-th of", "no room", "damaged", "mutated", "at once", "SIGTERM"):
        assert word in names
    assert all(row["trials"] for row in rows)


def in_a_fork(folder, log, fault, work):
    """Do something in a process whose operations are counted; return its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 9
        try:
            os.setsid()
            install([folder], log, fault)
            work()
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@linux
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_each_operation_is_counted_and_each_may_fail(tmp_path):
    folder, log = tmp_path / "here", tmp_path / "log"

    def work():
        (folder / "x").write_text("abcd")
        (folder / "x").replace(folder / "y")
        (folder / "y").read_text()
        (folder / "d").mkdir()
        (folder / "y").unlink()
        (tmp_path / "elsewhere").write_text("not counted")

    def fresh():
        for path in [*folder.glob("*"), log]:
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)

    fresh()
    assert in_a_fork(folder, log, Fault(), work) == 0
    assert log.stat().st_size % RECORD == 0
    assert [line.split()[0] for line in operations(log)] == [
        "open", "write", "rename", "read", "mkdir", "remove",
    ]  # fmt: skip
    left = []
    for number in range(1, 8):
        fresh()
        status = in_a_fork(folder, log, Fault(number, 28), work)
        assert status == {4: 5, 7: 0}.get(number, 28)  # EIO where it reads
        left.append({p.name: p.read_text() if p.is_file() else None for p in folder.glob("*")})
    whole = {"y": "abcd"}
    assert left == [{}, {"x": "ab"}, {"x": "abcd"}, whole, whole, whole | {"d": None}, {"d": None}]
    fresh()
    assert in_a_fork(folder, log, Fault(3), work) == -9
    fresh()
    assert in_a_fork(folder, log, Fault(3, 30, lasting=True), work) == 30
