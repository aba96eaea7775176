"""Flow as images: what the temporal network sees (section 3.2), and colours for people."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import flow_to_image


def flow_image(flow: Tensor, limit: float | None = None) -> Tensor:
    """Make the flow image (dx, dy, dz), dz = √(dx² + dy²), of Pan et al. 2019, section 3.2.

    Args:
        flow: ``(B, 2, H, W)``, floating, pixels per frame.
        limit: Pixels per frame that saturate, > 0; None leaves pixels.

    Returns:
        ``(B, 3, H, W)`` in flow's dtype: in pixels without ``limit``, else divided by it, clipped
        to [−1, 1] and mapped to [0, 1] by (x + 1)/2. No motion is then 0.5 in every channel.

    Raises:
        ValueError: ``flow`` is not ``(B, 2, H, W)`` and floating, or ``limit`` not > 0.
    """
    _check_flow(flow, limit)
    image = torch.cat([flow, torch.hypot(flow[:, :1], flow[:, 1:])], dim=1)
    return image if limit is None else image.div_(limit).clamp_(-1, 1).add_(1).div_(2)


def flow_to_rgb(flow: Tensor, limit: float) -> Tensor:
    """Colour flow for people: hue is the direction, saturation the length.

    The wheel is that of Baker et al., "A database and evaluation methodology for optical flow",
    IJCV 92 (2011).

    Args:
        flow: ``(B, 2, H, W)``, floating, pixels per frame.
        limit: Pixels per frame of full colour, > 0; longer motion looks the same.

    Returns:
        ``(B, 3, H, W)`` uint8 RGB: no motion is white, to the right red, down yellow, to the left
        blue-green, up violet.

    Raises:
        ValueError: ``flow`` is not ``(B, 2, H, W)`` and floating, or ``limit`` not > 0.
    """
    _check_flow(flow, limit)
    scaled = flow.float() / limit
    scaled = scaled / torch.hypot(scaled[:, :1], scaled[:, 1:]).clamp(min=1)
    # torchvision scales by the longest motion it sees: one column of full length is that.
    colours: Tensor = flow_to_image(F.pad(scaled, (0, 1), value=math.sqrt(0.5)))
    return colours[..., :-1]


def _check_flow(flow: Tensor, limit: float | None) -> None:
    if flow.ndim != 4 or flow.shape[1] != 2 or not flow.is_floating_point():
        found = f"{flow.dtype} {tuple(flow.shape)}"
        raise ValueError(f"flow must be floating (B, 2, H, W), not {found}")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit={limit} must be > 0")
