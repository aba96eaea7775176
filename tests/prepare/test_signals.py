"""A preparation that is asked to end by a signal."""

import os
import signal
import subprocess
import sys
import time

import pytest


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_prepare_ends_in_one_line_and_leaves_no_process(facs_words, tmp_path, number):
    cache = tmp_path / "cache"
    words = [sys.executable, "-m", "vfer.prepare", "--data.corpus=facs", *map(str, facs_words),
             f"--data.cache={cache}", "--data.workers=2"]  # fmt: skip
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while process.poll() is None and not any(cache.rglob("clips/*.json")):
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said == "interrupted; the same command resumes here\n"
    end = time.monotonic() + 10
    while alive(process.pid) and time.monotonic() < end:
        time.sleep(0.1)  # servers of multiprocessing end with it, each for itself
    assert not alive(process.pid)
