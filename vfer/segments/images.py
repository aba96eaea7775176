"""From a batch of segments on the device to the images the streams take (section 3.2)."""

from collections.abc import Collection

import torch
from kornia.geometry.transform import get_rotation_matrix2d, warp_affine
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from vfer.flow.images import flow_image
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.segments.batch import SegmentBatch, StreamInputs


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
    images = frames.movedim(-1, 2).float()  # (B, n, 3, H, W)
    turned = _turned(images, _matrix(change, images)) * change[:, 2].view(-1, 1, 1, 1, 1)
    return turned.clamp_(0, 255).movedim(2, -1)


def turn_flow(flow: Tensor, change: Tensor) -> Tensor:
    """Rotate and scale flow as `turn` does its frames: where it lies, and where it points.

    Beside the flow of turned frames it has the smoothness of the frames as they were: scaled and
    lit frames count for more or less against it (α of Horn–Schunck), and borders lie elsewhere.

    Args:
        flow: ``(B, n, 2, H, W)`` float, crop pixels a frame.
        change: As of `turn`; light does nothing.

    Returns:
        ``(B, n, 2, H, W)`` float32.
    """
    flow = flow.float()
    matrix = _matrix(change, flow)
    return torch.einsum("bij,bnjhw->bnihw", matrix[:, :, :2], _turned(flow, matrix))


def _matrix(change: Tensor, images: Tensor) -> Tensor:
    """Return the affine maps ``(B, 2, 3)`` of pixels (x, y) of images ``(…, H, W)``."""
    height, width = images.shape[-2:]
    degrees, scale, _ = change.float().T
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=images.device)
    matrix: Tensor = get_rotation_matrix2d(
        centre.expand(len(change), 2), degrees, scale[:, None].expand(-1, 2)
    )
    return matrix


def _turned(images: Tensor, matrix: Tensor) -> Tensor:
    """Move the pixels of images ``(B, n, c, H, W)`` float, by one grid a segment."""
    size = images.shape[-2], images.shape[-1]
    turned: Tensor = warp_affine(images.flatten(1, 2), matrix, size, padding_mode="border")
    return turned.view(images.shape)


def spatial_images(frames: Tensor, size: int) -> Tensor:
    """Return the spatial network's input.

    Args:
        frames: ``(B, n, 150, 110, 3)`` RGB, uint8 or float 0…255.
        size: Side of the input, pixels.

    Returns:
        ``(B, n, 3, size, size)`` float32, 0…1, resized bilinearly with antialiasing.
    """
    images = resize(frames.flatten(0, 1).movedim(-1, 1), [size, size], antialias=True)
    shown: Tensor = images.float().div_(255)
    return shown.view(*frames.shape[:2], 3, size, size)


def temporal_images(flow: Tensor, size: int, limit: float) -> Tensor:
    """Return the temporal network's input: flow images (dx, dy, √(dx² + dy²)).

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
    if batch.warp is not None and ("spatial" in streams or flow is None):
        frames = turn(frames, batch.warp)
    images = {}
    if "spatial" in streams:
        images["spatial"] = spatial_images(frames[:, :-1], size)
    if "temporal" in streams:
        if flow is None:
            flow = pair_flow(frames, config)
        elif augment is not None:
            turned = 1 - 2 * augment[:, 0]  # mirrored, what moved to the right moves to the left
            signs = torch.stack([turned, torch.ones_like(turned)], dim=1)
            how = augment.clone()
            if config.levels == config.warps == 1:  # what lay half a pixel to the right is now left
                how[:, 1] -= augment[:, 0]
            # float16 products are slow on a CPU
            flow = move(flow, how, 3).float().mul_(signs[:, None, :, None, None])
        if batch.flow is not None and batch.warp is not None:
            flow = turn_flow(flow, batch.warp)
        images["temporal"] = temporal_images(flow, size, config.limit)
    return StreamInputs(images, batch.label, batch.weight)
