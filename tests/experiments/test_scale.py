"""The benchmarks of scale run; how fast they are is for a quiet machine to say."""

import os
import re
import subprocess
import sys

import pytest

from experiments.benchmarks import disk, scale


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def numbers(text):
    """Of each row of a printed table what stands in front, and the numbers behind it."""
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    return {head.strip(): [float(cell) for cell in cells] for head, *cells in rows}


def test_scale_goes_from_a_manifest_to_batches(tmp_path, capsys):
    scale.main(["--clips", "200", "--folder", str(tmp_path)])
    found = numbers(capsys.readouterr().out)
    assert len(found) == 15
    assert all(value >= 0 for row in found.values() for value in row)
    (store,) = (tmp_path / "200" / "crops").iterdir()
    assert len(list((store / "crops").iterdir())) == 200 + 64


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="nothing makes the system forget")
def test_disk_reads_the_same_batches_warm_and_cold(tmp_path, capsys):
    disk.main(["--clips", "3", "--frames", "20", "--folder", str(tmp_path)])
    found = numbers(capsys.readouterr().out)
    assert [len(row) for row in found.values()] == [4, 4, 4]
    assert all(value > 0 for row in found.values() for value in row)


def test_exchange_measures_two_processes():
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
               "--master-port", "29611", "-m", "experiments.benchmarks.exchange",
               "--widths", "0.0625", "--size", "63", "--rounds", "1"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (row,) = numbers(done.stdout).values()
    *_, alone, _, least, most = row
    assert least <= most
    assert re.search("2 processes, 1 segments each", done.stdout)
    assert alone > 0
