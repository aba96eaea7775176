"""A command that another has started ends when that one is killed."""

import os
import subprocess
import sys
import time

import pytest

CHILD = """
import time
from vfer.runtime.console import run_command

def wait():
    print("there", flush=True)
    time.sleep(60)

raise SystemExit(run_command(wait))
"""
PARENT = """
import subprocess, sys
from vfer.runtime.children import child_environment

env = child_environment() if sys.argv[1] == "told" else None
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], env=env, start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes end otherwise on Windows")
@pytest.mark.parametrize("told", [True, False])
def test_a_child_ends_when_its_parent_is_killed_if_it_was_told_to(told):
    words = [sys.executable, "-c", PARENT, "told" if told else "alone", CHILD]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **said) as parent:
        pid, there = int(parent.stdout.readline()), parent.stdout.readline()
        assert there == "there\n"
        parent.kill()
        if told:  # its error stream, which it shares with the parent, ends when it has
            assert "the same command resumes here" in parent.stderr.read()
            return
    time.sleep(1.5)
    os.kill(pid, 0)  # is there
    os.kill(pid, 9)
