"""From a batch of segments on the device to the images the streams take (section 3.2)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from kornia.geometry.transform import get_rotation_matrix2d, warp_affine
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from vfer.files import key_of
from vfer.flow import ALPHAS, RHOS, flow_image, horn_schunck

_FLOW_FORMAT = 2  # to be raised when the same settings give other flow


@dataclass(frozen=True)
class FlowConfig:
    """Optical flow.

    Attributes:
        alpha: Weight of smoothness, on grey values 0…255; 0.001 to 10 000.
        levels: Pyramid levels; 1 is the paper's classical form, null as many as the size bears.
        warps: Linearisations a level, at least 1.
        rho: Scale over which the local-global variant gathers its data term, px: 0 (without),
            or 0.1 to 32.
        limit: Motion, in crop pixels a frame, at which a flow image saturates; above 0.
        cache: Compute the flow of a clip once, beside its crops in float16, rather than in every
            batch. Flips and whole-pixel shifts are then applied to the flow.
    """

    alpha: float = 15.0
    levels: int | None = None
    warps: int = 1
    rho: float = 0.0
    limit: float = 5.0
    cache: bool = True

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not ALPHAS[0] <= self.alpha <= ALPHAS[1]:
            raise ValueError(f"flow.alpha is {self.alpha}; it must be {ALPHAS[0]} to {ALPHAS[1]}")
        if self.rho != 0 and not RHOS[0] <= self.rho <= RHOS[1]:
            raise ValueError(f"flow.rho is {self.rho}; it must be 0, or {RHOS[0]} to {RHOS[1]}")
        if not self.limit > 0:
            raise ValueError(f"flow.limit is {self.limit}; it must be above 0")
        for name in ("levels", "warps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"flow.{name} is {value}; it must be at least 1")


def flow_key(config: FlowConfig) -> str:
    """A key of everything that changes a value of cached flow, beside the crops."""
    values = {name: getattr(config, name) for name in ("alpha", "levels", "warps", "rho")}
    return key_of({"format": _FLOW_FORMAT, **values})


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
        warp: ``(B, 3)`` float32: rotation in degrees, enlargement and brightening (both 1 for
            none); or None. Applied after ``augment``; not to be given with ``flow``.
        weight: What the batch's mean loss is multiplied by: 1, but where it is an uneven part of
            a step.
    """

    frames: Tensor
    flow: Tensor | None
    label: Tensor
    clip: Tensor
    start: Tensor
    augment: Tensor | None = None
    warp: Tensor | None = None
    weight: float = 1.0

    def part(self, which: slice) -> "SegmentBatch":
        """Some of the segments."""
        picked = [v[which] if isinstance(v, Tensor) else v for v in self]
        return SegmentBatch(*picked)  # type: ignore[arg-type]


class StreamInputs(NamedTuple):
    """What the networks take.

    Attributes:
        images: Of each stream ``(B, L−1, 3, S, S)`` float32, 0…1; the networks normalise them.
        label: ``(B,)`` int64.
        weight: As in ``SegmentBatch``.
    """

    images: dict[str, Tensor]
    label: Tensor
    weight: float = 1.0


def gray(frames: Tensor) -> Tensor:
    """Grey values ``(…, H, W)`` float32 in 0…255 of RGB frames ``(…, H, W, 3)``."""
    grey: Tensor = rgb_to_grayscale(frames.movedim(-1, -3).float())
    return grey.squeeze(-3)


def pair_flow(frames: Tensor, config: FlowConfig) -> Tensor:
    """Flow between neighbouring frames.

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
    return flow.view(len(frames), -1, *flow.shape[1:])


def move(x: Tensor, augment: Tensor, height_axis: int) -> Tensor:
    """Mirror and shift images by whole pixels, the same way for all frames of a segment.

    Args:
        x: ``(B, …, H, W, …)``.
        augment: As in ``SegmentBatch``. What a shift uncovers repeats the border.
        height_axis: Which axis of x is H; the next one is W.
    """
    mirror, right, down = augment.T[..., None]  # (B, 1) each
    height, width = x.shape[height_axis : height_axis + 2]
    rows = (torch.arange(height, device=x.device) - down).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=x.device) - right).clamp(0, width - 1)  # (B, W)
    columns = torch.where(mirror == 1, width - 1 - columns, columns)
    pixels = x.flatten(height_axis, height_axis + 1)  # (B, …, H·W, …)
    shape = [len(x)] + [1] * (pixels.ndim - 1)
    shape[height_axis] = -1
    source = (rows[:, :, None] * width + columns[:, None, :]).view(shape)
    return pixels.gather(height_axis, source.expand_as(pixels)).view(x.shape)


def turn(frames: Tensor, change: Tensor) -> Tensor:
    """Rotate, scale and light frames, the same way for all frames of a segment.

    Args:
        frames: ``(B, n, H, W, 3)``, 0…255.
        change: ``(B, 3)`` float, as ``warp`` of ``SegmentBatch``; positive rotation is
            counter-clockwise. What comes in from outside repeats the border.

    Returns:
        ``(B, n, H, W, 3)`` float32, 0…255.
    """
    height, width = frames.shape[2:4]
    images = frames.movedim(-1, 2).flatten(1, 2).float()  # (B, n·3, H, W): one grid a segment
    degrees, scale, light = change.float().T
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=frames.device)
    matrix = get_rotation_matrix2d(
        centre.expand(len(frames), 2), degrees, scale[:, None].expand(-1, 2)
    )
    turned: Tensor = warp_affine(images, matrix, (height, width), padding_mode="border")
    turned = (turned * light[:, None, None, None]).clamp(0, 255)
    return turned.view(len(frames), -1, 3, height, width).movedim(2, -1)


def spatial_images(frames: Tensor, size: int) -> Tensor:
    """The spatial network's input.

    Args:
        frames: ``(B, n, 150, 110, 3)`` RGB, uint8 or float 0…255.
        size: Side of the input, pixels.

    Returns:
        ``(B, n, 3, size, size)`` float32, 0…1, resized bilinearly with antialiasing.
    """
    images = resize(frames.flatten(0, 1).movedim(-1, 1), [size, size], antialias=True)
    shown: Tensor = images.float() / 255
    return shown.view(*frames.shape[:2], 3, size, size)


def temporal_images(flow: Tensor, size: int, limit: float) -> Tensor:
    """The temporal network's input: flow images (dx, dy, √(dx² + dy²)).

    Args:
        flow: ``(B, n, 2, 150, 110)`` float, crop pixels a frame; resizing does not rescale it.
        size: Side of the input, pixels.
        limit: Motion at which the image saturates, pixels a frame.

    Returns:
        ``(B, n, 3, size, size)`` float32, 0…1, resized like the spatial images.
    """
    image = flow_image(flow.flatten(0, 1).float(), limit)
    images: Tensor = resize(image, [size, size], antialias=True)
    return images.view(*flow.shape[:2], 3, size, size)


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
    frames, flow, augment = batch.frames, batch.flow, batch.augment
    if augment is not None and ("spatial" in streams or flow is None):
        frames = move(frames, augment, 2)
    if batch.warp is not None:
        frames = turn(frames, batch.warp)
    images = {}
    if "spatial" in streams:
        images["spatial"] = spatial_images(frames[:, :-1], size)
    if "temporal" in streams:
        if flow is None:
            flow = pair_flow(frames, config)
        elif augment is not None:
            turned = 1 - 2 * augment[:, 0]  # mirrored, what moved to the right moves to the left
            signs = torch.stack([turned, torch.ones_like(turned)], dim=1).to(flow.dtype)
            flow = move(flow, augment, 3) * signs[:, None, :, None, None]
        images["temporal"] = temporal_images(flow, size, config.limit)
    return StreamInputs(images, batch.label, batch.weight)
