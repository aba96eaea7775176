"""Progress and headings on a terminal and without one, and what an error's line is."""

import subprocess
import sys
import time
from io import StringIO

import pytest
from rich.console import Console

from vfer.runtime.console import bar, heading, make_console, run_command


def lines(console):
    return console.file.getvalue().splitlines()


def plain():
    return Console(file=StringIO(), width=200)


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_without_a_terminal_long_work_prints_a_line_now_and_then():
    console = plain()
    with bar(console, every=0.01) as progress:
        task = progress.add_task("preparing clips", total=40)
        wait_for(lambda: lines(console))
        assert lines(console)[0] == "preparing clips: 0 of 40"
        progress.advance(task)
        time.sleep(0.01)
        progress.advance(task, 9)
        wait_for(lambda: any("10 of 40" in line for line in lines(console)))
        seen = len(lines(console))
        wait_for(lambda: len(lines(console)) > seen + 2)
        assert lines(console)[-1].startswith("preparing clips: 10 of 40, 0:00:0")
        assert lines(console)[-1].endswith(" left")
        progress.update(task, completed=40, description="preparing accuracy 0.50")
    assert lines(console)[-1].startswith("preparing accuracy 0.50: 40 of 40")


def test_short_work_prints_its_end_alone_and_work_without_end_nothing():
    console = plain()
    with bar(console) as progress:
        progress.add_task("rendering clips", total=None)
        progress.advance(progress.add_task("computing flow", total=1))
    assert lines(console) == ["computing flow: 1 of 1, in 0:00:00"]


def test_an_error_ends_the_lines_and_a_bar_that_never_began_may_be_stopped():
    console = plain()

    def work():
        with bar(console, every=0.01) as progress:
            progress.add_task("preparing clips", total=2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    seen = lines(console)
    assert seen[-1].startswith("preparing clips: 0 of 2")
    time.sleep(0.05)
    assert lines(console) == seen
    bar(console).stop()


def test_a_quiet_console_stays_quiet():
    console = Console(file=StringIO(), quiet=True)
    with bar(console, every=0.001) as progress:
        progress.add_task("preparing clips", total=2)
        time.sleep(0.02)
    assert lines(console) == []


def test_on_a_terminal_it_is_a_bar():
    console = Console(file=StringIO(), width=100, force_terminal=True, force_interactive=True)
    with bar(console) as progress:
        progress.advance(progress.add_task("preparing clips", total=2))
    assert "1/2" in console.file.getvalue()


def test_without_a_terminal_no_line_is_wrapped_and_names_stay_as_they_are(capsys):
    console = make_console()
    console.print("clip [bold] :smile: " + 500 * "x")
    heading("point 1 of 2", console)
    make_console(stderr=True).print("aside")
    said = capsys.readouterr()
    assert said.out == "clip [bold] :smile: " + 500 * "x" + "\npoint 1 of 2\n"
    assert said.err == "aside\n"


def test_on_a_terminal_a_heading_goes_across():
    console = Console(file=StringIO(), width=60, force_terminal=True)
    heading("point 1 of 2", console)
    assert "──" in console.file.getvalue()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("x is 3"), 2, "error: x is 3\n"),
        (FileNotFoundError("no file x"), 2, "error: no file x\n"),
        (RuntimeError("died"), 1, "error: died\n"),
        (ZeroDivisionError("by 0"), 1, "error: ZeroDivisionError: by 0\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command resumes here\n"),
    ],
)
def test_an_error_is_one_line_and_a_status(error, status, said, capsys):
    def fail():
        raise error

    assert run_command(fail, []) == status
    assert capsys.readouterr().err == said


TAKEN_DOWN = """
import os, signal, sys, time
from vfer.runtime.console import run_command

class Thing:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)

def command():
    Thing()
    time.sleep(20)

sys.exit(run_command(command, []))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_while_an_object_is_taken_down_is_not_lost(name):
    """Python ignores what is raised there."""
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{TAKEN_DOWN}"
    code = code.replace("{name}", name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "interrupted; the same command resumes here\n"
    assert done.returncode == 130
