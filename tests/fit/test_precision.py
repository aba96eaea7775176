"""What ``trainer.precision: auto`` is for a run."""

from pathlib import Path

import pytest
import torch

from vfer.config.parser import parse
from vfer.fit.precision import precision_of

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "bf16-mixed"),
        (("--model.backbone=experiments.yardsticks.models.ResNet18",), "bf16-mixed"),
        (("--model.network=experiments.yardsticks.models.R2Plus1D18",), "32-true"),
        (
            ("--model.network=experiments.yardsticks.models.R2Plus1D18",
             "--trainer.precision=bf16-mixed"),
            "bf16-mixed",
        ),
        (("--trainer.precision=32-true",), "32-true"),
    ],
)  # fmt: skip
def test_a_network_of_ones_own_computes_in_float32_on_a_cpu_unless_asked(
    words, expected, monkeypatch
):
    able = {"avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    base = ["--config", str(TINY), "--trainer.precision=auto"]
    assert precision_of(parse("vfer.fit", [*base, *words])) == expected
