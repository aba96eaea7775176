import pytest
import torch

from vfer.runtime.ranks import device, first, gather, launch, precision, rank, world

ONE = {"accelerator": "cpu", "devices": 1, "num_nodes": 1}


def test_one_process_is_the_first_and_does_all_the_work():
    launch(ONE)
    assert (rank(), world()) == (0, 1)
    assert first(lambda: 7) == 7
    assert gather("mine") == ["mine"]
    assert device(ONE).type == "cpu"


def test_processes_that_the_options_do_not_ask_for_are_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"started 4 processes.* is 1: set --trainer.devices"):
        launch(ONE)


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="do not fit this machine"):
        launch(ONE | {"accelerator": "cuda", "devices": 64})
    with pytest.raises(ValueError, match="devices is 9999, which on a CPU are processes"):
        launch(ONE | {"devices": 9999})


@pytest.mark.parametrize(
    ("asked", "able", "taken"),
    [
        ("auto", {"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ("auto", {"avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ("auto", {"sve_bf16": True}, "bf16-mixed"),
        (None, {"avx512_bf16": True}, "32-true"),
        ("32", {"avx512_bf16": True}, "32-true"),
        ("bf16-mixed", {}, "bf16-mixed"),
    ],
)
def test_bfloat16_is_taken_by_itself_where_the_processor_has_it(monkeypatch, asked, able, taken):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "precision": asked}
    assert precision(trainer) == taken
