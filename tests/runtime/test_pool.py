import os
import signal
import time

import pytest
import torch

from vfer.runtime.pool import Died, impatient, launched, outcomes


def work(way, item):
    """Runs in a worker process."""
    if item == "odd" and way == "first":
        os._exit(7)
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "leave":
        os._exit(7)
    if item == "hang":
        return sum(1 for _ in impatient(waiting([0, 600]), 0.5))
    if item == "slow":
        return sum(1 for _ in impatient(waiting([0.2] * 5), 0.5))
    if item == "threads":
        return torch.get_num_threads()
    if item == "error":
        raise ZeroDivisionError("mine")
    return item * 2


def waiting(seconds):
    for wait in seconds:
        time.sleep(wait)
        yield wait


@pytest.mark.parametrize("processes", [1, 3])
def test_a_process_that_crashes_or_hangs_costs_its_item_alone(processes):
    items = ["a", "crash", "b", "hang", "c", "leave", "d"]
    found = dict(outcomes(work, items, ["any"], processes))
    assert found == {
        "a": "aa", "b": "bb", "c": "cc", "d": "dd",
        "crash": Died("died (exit status -11) with any"),
        "hang": Died("hung with any"),
        "leave": Died("died (exit status 7) with any"),
    }  # fmt: skip


def test_what_dies_in_one_way_is_tried_in_the_next():
    found = dict(outcomes(work, ["odd", "leave", "a"], ["first", "second"], 1))
    both = "died (exit status 7) with first, died (exit status 7) with second"
    assert found == {"odd": "oddodd", "a": "aa", "leave": Died(both)}


def test_what_is_slow_but_goes_on_does_not_hang():
    assert list(outcomes(work, ["slow"], ["any"], 1)) == [("slow", 5)]


def test_an_exception_of_the_work_is_raised_here():
    with pytest.raises(ZeroDivisionError, match="mine"):
        list(outcomes(work, ["error"], ["any"], 1))


def test_each_process_has_one_thread_so_that_bytes_do_not_depend_on_the_cores():
    assert list(outcomes(work, ["threads"], ["any"], 1)) == [("threads", 1)]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "4"}, (0, 1)),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8"}, (2, 8)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, (0, 1)),  # a batch script before its srun
    ],
)
def test_the_rank_is_the_launchers(environment, expected):
    assert launched(environment) == expected
