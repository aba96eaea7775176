"""How a run computes: what ``trainer.precision: auto`` is, for its device and its networks."""

from vfer.config.tree import Config
from vfer.runtime.ranks import device, precision


def precision_of(config: Config) -> str:
    """Return ``32-true`` or ``bf16-mixed``.

    By itself a whole network of one's own computes in float32 on a CPU: torch's gradients of the
    weights of a Conv3d in bfloat16 are wrong there for some shapes, NaN and others from one time to
    the next (torch 2.15, AVX512-BF16; two-dimensional ones are right).
    """
    trainer = config.trainer
    by_itself = trainer["precision"] == "auto"
    if by_itself and config.model.network is not None and device(trainer).type == "cpu":
        return "32-true"
    return precision(trainer)
