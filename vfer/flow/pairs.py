"""Flow between the neighbouring frames of segments."""

from kornia.color import rgb_to_grayscale
from torch import Tensor

from vfer.flow.settings import FlowConfig
from vfer.flow.solver import horn_schunck


def gray(frames: Tensor) -> Tensor:
    """Grey values ``(…, H, W)`` float32 in 0…255 of RGB frames ``(…, H, W, 3)``."""
    grey: Tensor = rgb_to_grayscale(frames.movedim(-1, -3).float())
    return grey.squeeze(-3)


def pair_flow(frames: Tensor, config: FlowConfig) -> Tensor:
    """Return flow between neighbouring frames.

    Args:
        frames: ``(B, L, H, W, 3)`` RGB, uint8 or float 0…255.
        config: See ``FlowConfig``.

    Returns:
        ``(B, L−1, 2, H, W)`` float32, pixels a frame.
    """
    images = gray(frames)  # (B, L, H, W)
    flow = horn_schunck(
        images[:, :-1].reshape(-1, 1, *images.shape[2:]),
        images[:, 1:].reshape(-1, 1, *images.shape[2:]),
        alpha=config.alpha,
        levels=config.levels,
        warps=config.warps,
        rho=config.rho,
        check=False,
    )
    return flow.view(frames.shape[0], -1, *flow.shape[1:])  # len() would fix it in an export
