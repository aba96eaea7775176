"""Dense optical flow by Horn and Schunck's equations, for whole batches on any device.

Sources: Horn and Schunck, "Determining optical flow", Artificial Intelligence 17 (1981), for the
equations; Pan et al. 2019, section 3.2, for the flow image; Bruhn, Weickert and Schnörr,
"Lucas/Kanade meets Horn/Schunck", IJCV 61 (2005), for coarse to fine with warping.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SOLVERS = ("chebyshev", "jacobi")

# Eigenvalues of 1 − (Jacobi's matrix): at most 4/3, as the averaging stencil's begin at −1/3, and
# near 0 without texture. Modes below 0.01 converge slowly and are left to the coarser levels.
_SPECTRUM = (0.01, 4 / 3)
_COARSEST = 12  # px, least shorter side of a level that `levels=None` adds
_BLOCK = 40_000  # px of a plane that a CPU thread takes at once: the buffers then stay in its L2

Steps = tuple[tuple[float, float], ...]  # (momentum, step) of each iteration
Edges = list[tuple[Tensor, Tensor]]  # parts of a frame, each with the lines it replicates


def horn_schunck(
    first: Tensor,
    second: Tensor,
    *,
    alpha: float = 15.0,
    rho: float = 0.0,
    levels: int | None = None,
    warps: int = 1,
    solver: str = "chebyshev",
    iterations: int | None = None,
    check: bool = True,
) -> Tensor:
    """Find the optical flow from ``first`` to ``second``: first(x) = second(x + flow).

    One level with one warp is Horn and Schunck's method (1981), as Pan et al. 2019, section 3.2,
    use it. Otherwise each level, coarse to fine, linearises around the second image warped by the
    flow so far and smooths the total flow (Bruhn et al. 2005). A pair's flow is independent of its
    batch, on the CPU to the bit, and differentiable in both images.

    Args:
        first: Images ``(B, 1, H, W)``, floating, grey values 0…255.
        second: The next images, same shape.
        alpha: Weight of smoothness in grey values per pixel, > 0.
        rho: Integration scale of the combined local-global method; only 0 so far.
        levels: Pyramid levels, each half the size of the one before; 1 is the classical method,
            None as many as the size bears.
        warps: Linearisations a level, at least 1.
        solver: ``"chebyshev"`` (semi-iteration, converges fast) or ``"jacobi"`` (the textbook's).
        iterations: Iterations a warp, at least 1. None means 100 for ``"jacobi"``; for
            ``"chebyshev"`` 60 at a single level and 12 a warp coarse to fine.
        check: Refuse NaN and infinity. It waits for the device; False never does.

    Returns:
        Flow ``(B, 2, H, W)`` in pixels per frame, channel 0 to the right, 1 downwards; float64 for
        float64 images, else float32.

    Raises:
        ValueError: An argument is outside its range or not there yet, the images are not
            ``(B, 1, H, W)`` of one shape and floating, or (``check``) not finite.
    """
    shape, other = tuple(first.shape), tuple(second.shape)
    if shape != other:
        raise ValueError(f"the images differ in shape: {shape} and {other}")
    if len(shape) != 4 or shape[1] != 1:
        raise ValueError(f"images must be (B, 1, H, W), not {shape}")
    if not (first.is_floating_point() and second.is_floating_point()):
        raise ValueError(f"images must be floating, not {first.dtype} and {second.dtype}")
    if rho != 0:
        raise ValueError(f"rho={rho} is not implemented yet; only rho=0 is")
    if not (math.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha={alpha} must be a finite number > 0")
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}; legal are {', '.join(SOLVERS)}")
    for name, value in (("levels", levels), ("warps", warps), ("iterations", iterations)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    shorter = min(shape[2:])
    if levels is None:
        levels = max(1, (shorter // _COARSEST).bit_length())
    elif levels > max(1, shorter.bit_length()):
        raise ValueError(f"levels={levels} halves {shape[2:]} images to nothing")
    classical = levels == 1 and warps == 1
    if iterations is None:
        iterations = 100 if solver == "jacobi" else 60 if classical else 12
    steps = _weights(solver, iterations)

    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    pyramid = [(first.to(dtype), second.to(dtype))]
    if first.numel() == 0:
        return torch.cat(pyramid[0], dim=1)
    if (
        check
    ):  # by the extremes, not finite where a value is not: `isfinite` takes four times longer
        extremes = [x for image in pyramid[0] for x in torch.aminmax(image.detach())]
        if not torch.stack(extremes).isfinite().all():
            raise ValueError("images must be finite, but hold NaN or infinity")
    for _ in range(levels - 1):
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    flow = torch.zeros_like(pyramid[-1][0]).repeat(1, 2, 1, 1)
    for level, images in enumerate(reversed(pyramid)):
        if level:
            flow = _double(flow, *images[0].shape[2:])
        pairs = len(flow)
        if flow.device.type == "cpu":
            pairs = max(1, _BLOCK * torch.get_num_threads() // flow[0, 0].numel())
        blocks = zip(*(torch.split(x, pairs) for x in (*images, flow)), strict=True)
        flow = torch.cat([_refine(f, s, w, alpha, warps, steps, classical) for f, s, w in blocks])
    return flow


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
    if flow.ndim != 4 or flow.shape[1] != 2 or not flow.is_floating_point():
        found = f"{flow.dtype} {tuple(flow.shape)}"
        raise ValueError(f"flow must be floating (B, 2, H, W), not {found}")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit={limit} must be > 0")
    image = torch.cat([flow, torch.hypot(flow[:, :1], flow[:, 1:])], dim=1)
    return image if limit is None else ((image / limit).clamp(-1, 1) + 1) / 2


def _refine(
    first: Tensor, second: Tensor, flow: Tensor, alpha: float, warps: int, steps: Steps, cube: bool
) -> Tensor:
    """Solve for the total flow of some pairs at one level, linearised around ``flow``."""
    for _ in range(warps):
        moved, seen = (second, 1.0) if cube else _warp(second, flow)
        gradient, change = (seen * x for x in _derivatives(first, moved, cube))
        # What remains to be explained lies at the flow so far; the unknown is the total flow.
        change = change - (gradient * flow).sum(1, keepdim=True)
        scale = (gradient.square().sum(1, keepdim=True) + alpha**2).rsqrt()
        differentiable = torch.is_grad_enabled() and (gradient.requires_grad or flow.requires_grad)
        iterate = _iterate_plainly if differentiable else _iterate_in_place
        flow = iterate(gradient * scale, change * scale, flow, steps)
    return flow


def _double(flow: Tensor, height: int, width: int) -> Tensor:
    """Take flow to the next finer level, whose odd last row or column pooling left out."""
    flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
    if height > flow.shape[2]:
        flow = torch.cat([flow, flow[:, :, -1:]], 2)
    return torch.cat([flow, flow[..., -1:]], 3) if width > flow.shape[3] else flow


def _warp(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Sample ``image`` at x + flow; the second tensor is 1 where that lies inside the image."""
    height, width = image.shape[-2:]
    x = torch.arange(width, dtype=flow.dtype, device=flow.device)
    y = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None]
    at = flow + torch.stack([x.expand(height, width), y.expand(height, width)])
    most = torch.stack([x[-1], y[-1, 0]])[:, None, None]  # built on the device, without a sync
    seen = ((at >= 0) & (at <= most)).all(1, keepdim=True).to(flow.dtype)
    # torch's bicubic kernel (a = −0.75) samples up to 0.05 px off at quarter pixels: aim beside it.
    t = at - at.detach().floor()
    grid = (2 * at + 1 - t * (1 - t) * (1 - 2 * t)) / (most + 1) - 1
    grid = grid.permute(0, 2, 3, 1)
    origin = image[..., :1, :1]  # off the scale, so that a constant image stays constant exactly
    moved = F.grid_sample(image - origin, grid, "bicubic", "border", align_corners=False)
    return moved + origin, seen


def _derivatives(first: Tensor, second: Tensor, cube: bool) -> tuple[Tensor, Tensor]:
    """Gradient ``(B, 2, H, W)`` and change in time ``(B, 1, H, W)`` over 2×2×2 cubes.

    The classical single ``cube`` lies half a pixel right of and below its pixel. Otherwise the
    four cubes around the pixel are averaged, which removes that shift and much of the noise.
    """
    total, change = _framed(first + second), _framed(second - first)
    if cube:
        total, change = total[..., 1:, 1:], change[..., 1:, 1:]
    else:
        total, change = (_sums(_sums(x, -1), -2) / 4 for x in (total, change))
    rows, columns = _sums(total, -2), _sums(total, -1)
    across = rows[..., 1:] - rows[..., :-1]
    down = columns[..., 1:, :] - columns[..., :-1, :]
    return torch.cat([across, down], dim=1) / 4, _sums(_sums(change, -1), -2) / 4


def _sums(x: Tensor, dim: int) -> Tensor:
    """Sums of neighbours along ``dim``, one fewer than there were elements."""
    return x.narrow(dim, 0, x.shape[dim] - 1) + x.narrow(dim, 1, x.shape[dim] - 1)


def _framed(x: Tensor) -> Tensor:
    """Replicate the border by a pixel (``F.pad`` has no deterministic CUDA backward)."""
    x = torch.cat([x[..., :1, :], x, x[..., -1:, :]], dim=-2)
    return torch.cat([x[..., :1], x, x[..., -1:]], dim=-1)


def _weights(solver: str, iterations: int) -> Steps:
    """Each iteration's weights: x += momentum·(x − x before) + step·(Jacobi(x) − x)."""
    if solver == "jacobi":
        return ((0.0, 1.0),) * iterations
    low, high = _SPECTRUM
    centre, radius = (high + low) / 2, (high - low) / 2
    ratio = radius / centre
    steps = [(0.0, 1 / centre)]
    for _ in range(iterations - 1):
        following = 1 / (2 * centre / radius - ratio)
        steps.append((following * ratio, 2 * following / radius))
        ratio = following
    return tuple(steps)


def _iterate_plainly(gradient: Tensor, change: Tensor, flow: Tensor, steps: Steps) -> Tensor:
    """Iterate u = ū − Eₓ(Eₓū + E_y v̄ + Eₜ)/(α² + Eₓ² + E_y²), and v likewise, from ``flow``.

    Gradient and change come divided by √(α² + Eₓ² + E_y²).
    """
    before = flow
    for momentum, step in steps:
        around = _sums(_sums(_sums(_sums(_framed(flow), -1), -1), -2), -2)
        mean = (around - 4 * flow) / 12  # weights 1/6 beside, above and below, 1/12 diagonally
        jacobi = mean - gradient * ((gradient * mean).sum(1, keepdim=True) + change)
        before, flow = flow, flow + momentum * (flow - before) + step * (jacobi - flow)
    return flow


def _iterate_in_place(gradient: Tensor, change: Tensor, flow: Tensor, steps: Steps) -> Tensor:
    """Do the same without a graph, several times as fast.

    The planes lie framed behind each other, so that a neighbour is an offset into flat memory and
    every operation is one contiguous pass. What an offset fetches from the row or plane next door
    falls on the frame, which is rewritten after each iteration.
    """
    batch, _, height, width = flow.shape
    buffers = flow.new_zeros(6, batch, 2, height + 2, width + 2)
    x, before, vertical, column, total, weight = buffers
    offset = torch.zeros_like(x[:, :1])
    inner = (..., slice(1, -1), slice(1, -1))
    x[inner], weight[inner], offset[inner] = flow, gradient, 12 * change
    product = column[:, :1]  # the column sums are used up by then

    # Making a view costs as much as a small operation: all are made once.
    stride, n = width + 2, x.numel()
    a, b = (p.view(-1)[stride : n - stride] for p in (vertical, column))
    left, right, middle = b[:-2], b[2:], a[1:-1]
    around = total.view(-1)[stride + 1 : n - stride - 1]
    (weight_u, weight_v), (total_u, total_v) = weight.split(1, 1), total.split(1, 1)
    now, then = _views(x), _views(before)
    _copy(now[-1])
    for momentum, step in steps:
        x, above, level, below, _ = now
        before, _, _, _, edges = then
        torch.add(above, below, out=a)
        torch.add(a, level, alpha=2, out=b)
        torch.add(left, right, out=around).add_(middle, alpha=2)
        # `total` is now 12 times the mean, and the offset 12 times the change.
        torch.addcmul(offset, weight_u, total_u, out=product).addcmul_(weight_v, total_v)
        total.addcmul_(weight, product, value=-1)
        before.mul_(-momentum).add_(x, alpha=1 + momentum - step).add_(total, alpha=step / 12)
        _copy(edges)
        now, then = then, now
    return now[0][inner].contiguous()


def _views(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Edges]:
    """A buffer with its flat views a line above, level and below, and its frame's edges."""
    inside, stride, flat = x.shape[-2] - 2, x.shape[-1], x.view(-1)
    rows = x[..., :: inside + 1, :], x[..., 1 : inside + 1 : max(inside - 1, 1), :]
    edges = [rows, (x[..., 0], x[..., 1]), (x[..., -1], x[..., -2])]  # corners come last
    return x, flat[: -2 * stride], flat[stride:-stride], flat[2 * stride :], edges


def _copy(edges: Edges) -> None:
    for edge, line in edges:
        edge.copy_(line)
