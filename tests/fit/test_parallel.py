"""Folds at the same time leave the bundle that they leave one after the other."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vfer.fit.main import main
from vfer.runtime.files import lock
from vfer.verify import main as verify

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
NAMES = ("predictions.csv", "segments.csv", "streams.csv", "curves.csv", "results.json",
         "fold-1/vlan/weights.safetensors")  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory, facs_words):
    return [
        "--config",
        str(TINY),
        "--data.cache",
        str(tmp_path_factory.mktemp("cache")),
        *facs_words,
    ]


@pytest.fixture(scope="module")
def serial(words, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "serial"
    assert main([*words, "--output", str(output)]) == 0
    return output


def bytes_of(output):
    return [(output / name).read_bytes() for name in NAMES]


def test_folds_in_parallel_give_the_bundle_of_folds_in_turn(serial, words, tmp_path, capsys):
    output = tmp_path / "run"
    given = [*words, "--output", str(output), "--folds-in-parallel", "2"]
    with lock(output, "fold 0 of", part=1):  # of a process that is at it already
        assert main(given) == 1
    said = capsys.readouterr()
    assert re.search(r"^fold 1 \| .* 18 usable", said.out, re.MULTILINE)
    assert re.search(r"^fold 1 \| fold 1: accuracy", said.out, re.MULTILINE)
    assert re.search(r"error: fold 0: exit status 1 \(another process .* is using", said.err)
    assert not (output / "results.json").exists()
    assert main([*given, "--final"]) == 0
    said = capsys.readouterr().out
    assert "fold 1 | fold 1: done before" in said
    assert said.rindex("the final model:") > said.rindex("fold 0 |")  # by the command itself
    assert verify([str(output)]) == 0
    assert bytes_of(output) == bytes_of(serial)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_sigterm_ends_all_folds_and_they_resume(serial, words, tmp_path):
    output = tmp_path / "run"
    given = [*words, "--output", str(output), "--folds-in-parallel", "2"]
    process = subprocess.Popen([sys.executable, "-m", "vfer.fit", *given], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    begun = set()
    while len(begun) < 2:
        line = process.stdout.readline()
        assert line, process.communicate()
        if "clips to train on" in line:
            begun.add(line.split(" | ")[0])
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130, out + error
    assert "the same command resumes here" in error
    for part in (1, 2):
        with lock(output, "a fold of", part=part):  # nobody holds it any more
            pass
    assert not (output / "results.json").exists()
    assert main([*words, "--output", str(output)]) == 0
    assert bytes_of(output) == bytes_of(serial)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fold", "1"), "--folds-in-parallel is 2 and --fold 1: leave one of the two out"),
        (("--trainer.devices", "2"), "gives each fold one device of this machine"),
        (("--folds-in-parallel", "0"), "--folds-in-parallel is 0; it must be between 1 and 1000"),
    ],
)
def test_what_does_not_go_with_it_is_refused(more, said, words, tmp_path, capsys):
    output = tmp_path / "run"
    assert main([*words, "--output", str(output), "--folds-in-parallel", "2", *more]) == 2
    assert said in capsys.readouterr().err
    assert not output.exists()
