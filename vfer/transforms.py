"""From a batch of segments on the device to the images the streams take (section 3.2)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor
from torch.nn import functional as F

from vfer.files import key_of
from vfer.flow import flow_image, horn_schunck

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, as torchvision's weights expect them."""


@dataclass(frozen=True)
class FlowConfig:
    """Optical flow.

    Attributes:
        alpha: Weight of smoothness, on grey values 0…255; above 0.
        levels: Pyramid levels; 1 is the paper's classical form, null as many as the size bears.
        warps: Linearisations a level, at least 1.
        limit: Motion, in crop pixels a frame, at which a flow image saturates; above 0.
        cache: Compute the flow of a clip once, beside its crops in float16, rather than in every
            batch. Flips and whole-pixel shifts are then applied to the flow.
    """

    alpha: float = 15.0
    levels: int | None = None
    warps: int = 1
    limit: float = 5.0
    cache: bool = True

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("alpha", "limit"):
            if not getattr(self, name) > 0:
                raise ValueError(f"flow.{name} is {getattr(self, name)}; it must be above 0")
        for name in ("levels", "warps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"flow.{name} is {value}; it must be at least 1")


def flow_key(config: FlowConfig) -> str:
    """A key of everything that changes a value of cached flow, beside the crops."""
    return key_of({name: getattr(config, name) for name in ("alpha", "levels", "warps")})


class SegmentBatch(NamedTuple):
    """Segments as they come from the crop store.

    Attributes:
        frames: ``(B, L, 150, 110, 3)`` uint8 RGB.
        flow: ``(B, L−1, 2, 150, 110)`` float16, crop pixels a frame, or None: compute it.
        label: ``(B,)`` int64, class indices.
        clip: ``(B,)`` int64, indices of the corpus's clips.
        start: ``(B,)`` int64, first frame of the segment in its clip.
        augment: ``(B, 3)`` int64: mirror (0 or 1), shift to the right and down in whole pixels;
            or None. One draw a segment, the same for all its frames.
    """

    frames: Tensor
    flow: Tensor | None
    label: Tensor
    clip: Tensor
    start: Tensor
    augment: Tensor | None = None


class StreamInputs(NamedTuple):
    """What the networks take.

    Attributes:
        images: Of each stream ``(B, L−1, 3, S, S)`` float32, normalised.
        label: ``(B,)`` int64.
    """

    images: dict[str, Tensor]
    label: Tensor


def gray(frames: Tensor) -> Tensor:
    """Grey values ``(…, H, W)`` float32 in 0…255 of frames ``(…, H, W, 3)`` uint8 RGB."""
    grey: Tensor = rgb_to_grayscale(frames.movedim(-1, -3).float())
    return grey.squeeze(-3)


def pair_flow(frames: Tensor, config: FlowConfig) -> Tensor:
    """Flow between neighbouring frames.

    Args:
        frames: ``(B, L, H, W, 3)`` uint8 RGB.
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
        check=False,
    )
    return flow.view(len(frames), -1, *flow.shape[1:])


def move(x: Tensor, augment: Tensor) -> Tensor:
    """Mirror and shift images, the same way for all frames of a segment.

    Args:
        x: ``(B, L, C, H, W)``.
        augment: As in ``SegmentBatch``. What a shift uncovers repeats the border.
    """
    mirror, right, down = augment.T[..., None]  # (B, 1) each
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device) - down).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=x.device) - right).clamp(0, width - 1)  # (B, W)
    columns = torch.where(mirror == 1, width - 1 - columns, columns)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    moved = x[batch, :, :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, L, C)
    return moved.permute(0, 3, 4, 1, 2)


def prepare_image(images: Tensor, size: int) -> Tensor:
    """Resize images in 0…1 to the networks' input and normalise them.

    Args:
        images: ``(B, L, 3, H, W)`` float.
        size: Side of the network's input, pixels.

    Returns:
        ``(B, L, 3, size, size)``.
    """
    resized = F.interpolate(
        images.flatten(0, 1), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (MEAN, STD))
    return ((resized - mean) / std).view(*images.shape[:3], size, size)


def stream_inputs(
    batch: SegmentBatch, streams: Collection[str], size: int, config: FlowConfig
) -> StreamInputs:
    """Augment, compute flow, and make the images of each stream.

    Spatial image i is frame i of the segment, i = 0…L−2; temporal image i is the motion from
    frame i to i+1. Flow is that of the augmented frames, before anything is resized.

    Args:
        batch: On the device.
        streams: Which streams' images are wanted.
        size: Side of the networks' input, pixels.
        config: See ``FlowConfig``.
    """
    frames, flow = batch.frames, batch.flow
    if batch.augment is not None:
        frames = move(frames.movedim(-1, 2), batch.augment).movedim(2, -1)
        if flow is not None:
            mirrored = 1 - 2 * batch.augment[:, 0]  # −1 where mirrored: motion to the right turns
            turn = torch.stack([mirrored, torch.ones_like(mirrored)], dim=1).to(flow.dtype)
            flow = move(flow, batch.augment) * turn[:, None, :, None, None]
    images = {}
    if "spatial" in streams:
        images["spatial"] = prepare_image(frames[:, :-1].movedim(-1, 2).float() / 255, size)
    if "temporal" in streams:
        flow = pair_flow(frames, config) if flow is None else flow.float()
        pictures = flow_image(flow.flatten(0, 1), config.limit)
        images["temporal"] = prepare_image(
            pictures.view(*flow.shape[:2], *pictures.shape[1:]), size
        )
    return StreamInputs(images, batch.label)
