"""Dense optical flow by Horn and Schunck's equations, for whole batches on any device.

Sources: Horn and Schunck, "Determining optical flow", Artificial Intelligence 17 (1981), for the
equations; Pan et al. 2019, section 3.2, for the flow image; Bruhn, Weickert and Schnörr,
"Lucas/Kanade meets Horn/Schunck", IJCV 61 (2005), for the local-global form and for coarse to fine
with warping.
"""

import math
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import flow_to_image

SOLVERS = ("chebyshev", "jacobi")
ALPHAS = (1e-3, 1e4)  # grey values per pixel
RHOS = (0.1, 32.0)  # px

# Eigenvalues of 1 − (Jacobi's matrix) that the Chebyshev weights damp: at most 4/3, as those of the
# averaging stencil begin at −1/3, and near 0 without texture. What lies below the lower bound is
# left to the coarser levels or grids, which need a lower one as nothing comes before them.
_HIGHEST = 4 / 3
_LOWEST = 0.005
_LOWEST_START = 0.001  # of the grids that a single level starts from
_COARSEST = 12  # px, least shorter side of a level that `levels=None` adds
_COARSEST_GRID = 2  # px, least shorter side of a grid that a single level starts from
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
    use it; by default it is solved to within 2 % of the minimiser. Otherwise each level, coarse to
    fine, linearises around the second image warped by the flow so far and smooths the total flow
    (Bruhn et al. 2005). A pair's flow is independent of its batch, on the CPU to the bit, and
    differentiable in both images.

    Args:
        first: Images ``(B, 1, H, W)``, floating, grey values 0…255.
        second: The next images, same shape.
        alpha: Weight of smoothness in grey values per pixel, 0.001 to 10 000.
        rho: Standard deviation, in pixels of each level, of the Gaussian over which the combined
            local-global method gathers its data term; 0, or 0.1 to 32. 0 is Horn and Schunck's.
        levels: Pyramid levels, each half the size of the one before; 1 is the classical method,
            None as many as the size bears.
        warps: Linearisations a level, at least 1.
        solver: ``"chebyshev"`` (semi-iteration, converges fast; a single level starts from the
            solution on coarser grids) or ``"jacobi"`` (the textbook's, from zero flow).
        iterations: Iterations a warp (and a grid), at least 1. None means 100 for ``"jacobi"``; for
            ``"chebyshev"`` 60 at a single level, else 12 at the finest level and 24 at the others.
        check: Refuse NaN and infinity. It waits for the device; False never does.

    Returns:
        Flow ``(B, 2, H, W)`` in pixels per frame, channel 0 to the right, 1 downwards; float64 for
        float64 images, else float32.

    Raises:
        ValueError: An argument is outside its range, the images are not
            ``(B, 1, H, W)`` of one shape and floating, or (``check``) not finite.
    """
    shape, other = tuple(first.shape), tuple(second.shape)
    if shape != other:
        raise ValueError(f"the images differ in shape: {shape} and {other}")
    if len(shape) != 4 or shape[1] != 1:
        raise ValueError(f"images must be (B, 1, H, W), not {shape}")
    if not (first.is_floating_point() and second.is_floating_point()):
        raise ValueError(f"images must be floating, not {first.dtype} and {second.dtype}")
    if not ALPHAS[0] <= alpha <= ALPHAS[1]:
        raise ValueError(f"alpha={alpha} must be in {ALPHAS[0]} to {ALPHAS[1]} grey values a pixel")
    if rho != 0 and not RHOS[0] <= rho <= RHOS[1]:
        raise ValueError(f"rho={rho} must be 0, or in {RHOS[0]} to {RHOS[1]} pixels")
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

    dtype = torch.promote_types(torch.promote_types(first.dtype, second.dtype), torch.float32)
    first, second = first.to(dtype), second.to(dtype)
    if first.numel() == 0:
        return torch.cat([first, second], dim=1)
    if check:  # by the extremes, not finite where a value is not: `isfinite` takes 4 times longer
        extremes = [x for image in (first, second) for x in torch.aminmax(image.detach())]
        if not torch.stack(extremes).isfinite().all():
            raise ValueError("images must be finite, but hold NaN or infinity")
    if levels == 1:
        return _one_level(first, second, alpha, rho, warps, solver, iterations)
    pyramid = [(first, second)]
    for _ in range(levels - 1):
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    flow = torch.zeros_like(pyramid[-1][0]).repeat(1, 2, 1, 1)
    while pyramid:
        first, second = pyramid.pop()
        steps = _weights(solver, iterations or (24 if pyramid else 12), _LOWEST)

        def refine(first: Tensor, second: Tensor, flow: Tensor, steps: Steps = steps) -> Tensor:
            for _ in range(warps):
                if rho == 0 and _fused(first, second):
                    from vfer import flow_kernels  # Triton is not everywhere

                    system = flow_kernels.equations(first, second, flow, alpha)
                else:
                    tensor = _tensor(first, second, flow, rho, cube=False)
                    system = _coefficients(tensor, alpha, rho == 0)
                flow = _iterate(*system, flow, steps)
            return flow

        flow = _in_blocks(refine, first, second, flow)
        if pyramid:
            flow = 2 * _enlarge(flow, *pyramid[-1][0].shape[2:])
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
    _check_flow(flow, limit)
    image = torch.cat([flow, torch.hypot(flow[:, :1], flow[:, 1:])], dim=1)
    return image if limit is None else ((image / limit).clamp(-1, 1) + 1) / 2


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


def _one_level(
    first: Tensor,
    second: Tensor,
    alpha: float,
    rho: float,
    warps: int,
    solver: str,
    iterations: int | None,
) -> Tensor:
    """Solve at the images' size alone; Chebyshev iteration starts from coarser grids' solution."""
    count = iterations or (100 if solver == "jacobi" else 60)
    start, steps = (_weights(solver, count, low) for low in (_LOWEST_START, _LOWEST))

    def linearise(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
        return _tensor(first, second, flow, rho, cube=warps == 1)

    flow = torch.zeros_like(first).repeat(1, 2, 1, 1)
    for _ in range(warps):
        # The grids hold the same equations, averaged over 2×2, 4×4, … pixels.
        grids = [_in_blocks(linearise, first, second, flow)]
        if solver == "chebyshev":
            while min(grids[-1].shape[2:]) >= 2 * _COARSEST_GRID:
                grids.append(F.avg_pool2d(grids[-1], 2))
            flow = torch.zeros_like(grids[-1][:, :2])
        while grids:
            tensor = grids.pop()
            flow = _enlarge(flow, *tensor.shape[2:])
            weight = alpha / 2 ** len(grids)  # twice as far apart, half as different
            local = rho == 0 and not grids

            def solve(
                tensor: Tensor,
                flow: Tensor,
                weight: float = weight,
                local: bool = local,
                steps: Steps = start if grids else steps,
            ) -> Tensor:
                return _iterate(*_coefficients(tensor, weight, local), flow, steps)

            flow = _in_blocks(solve, tensor, flow)
    return flow


def _in_blocks(work: Callable[..., Tensor], *batch: Tensor) -> Tensor:
    """Do the work on as many pairs at once as keep its buffers in the CPU's cache."""
    pixels = batch[0][0, 0].numel()
    if batch[0].device.type != "cpu":
        return work(*batch)
    pairs = max(1, _BLOCK * torch.get_num_threads() // pixels)
    parts = zip(*(torch.split(x, pairs) for x in batch), strict=True)
    return torch.cat([work(*part) for part in parts])


def _tensor(first: Tensor, second: Tensor, flow: Tensor, rho: float, cube: bool) -> Tensor:
    """The data term of the total flow, linearised around ``flow``.

    Returns:
        ``(B, 5, H, W)``: Eₓ², EₓE_y, E_y², EₓEₜ and E_yEₜ, gathered over a Gaussian of ``rho``.
    """
    moved, seen = (second, 1.0) if cube else _warp(second, flow)
    gradient, change = (seen * x for x in _derivatives(first, moved, cube))
    # What remains to be explained lies at the flow so far; the unknown is the total flow.
    change = change - (gradient * flow).sum(1, keepdim=True)
    x, y = gradient[:, :1], gradient[:, 1:]
    tensor = torch.cat([x * gradient, y * y, gradient * change], dim=1)
    return _blur(tensor, rho) if rho else tensor


def _blur(x: Tensor, rho: float) -> Tensor:
    """Blur by a Gaussian of standard deviation ``rho``, cut at three of them."""
    # By slices: convolution on the CPU depends on the batch.
    radius = math.ceil(3 * rho)
    weights = [math.exp(-0.5 * (k / rho) ** 2) for k in range(-radius, radius + 1)]
    for dim in (-2, -1):
        n = x.shape[dim]
        before, after = x.narrow(dim, 0, 1), x.narrow(dim, n - 1, 1)
        wide = torch.cat([*[before] * radius, x, *[after] * radius], dim)
        x = torch.zeros_like(x)
        for k, weight in enumerate(weights):
            x = x + wide.narrow(dim, k, n) * (weight / sum(weights))
    return x


def _coefficients(tensor: Tensor, alpha: float, local: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Jacobi's iteration (u, v) = α²(α² + J)⁻¹(ū, v̄) − (α² + J)⁻¹(J₁₃, J₂₃), J the data term.

    Args:
        tensor: As `_tensor` makes it.
        alpha: Weight of smoothness.
        local: Each pixel has its own equation alone, so that J's determinant is zero.

    Returns:
        The matrix's diagonal ``(B, 2, H, W)``, its other element ``(B, 1, H, W)``, and what is
        added ``(B, 2, H, W)``.
    """
    xx, xy, yy, xt, yt = (tensor[:, i : i + 1] for i in range(5))
    square = alpha**2
    whole = square + xx + yy
    if not local:
        whole = whole + (xx * yy - xy * xy).clamp(min=0) / square
        xt, yt = xt + (yy * xt - xy * yt) / square, yt + (xx * yt - xy * xt) / square
    shift = -torch.cat([xt, yt], dim=1) / whole
    return torch.cat([square + yy, square + xx], dim=1) / whole, -xy / whole, shift


def _enlarge(flow: Tensor, height: int, width: int) -> Tensor:
    """Interpolate to the next finer level, whose odd last row or column pooling left out."""
    if flow.shape[2:] == (height, width):
        return flow
    flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
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


def _weights(solver: str, iterations: int, low: float) -> Steps:
    """Each iteration's weights: x += momentum·(x − x before) + step·(Jacobi(x) − x)."""
    if solver == "jacobi":
        return ((0.0, 1.0),) * iterations
    centre, radius = (_HIGHEST + low) / 2, (_HIGHEST - low) / 2
    ratio = radius / centre
    steps = [(0.0, 1 / centre)]
    for _ in range(iterations - 1):
        following = 1 / (2 * centre / radius - ratio)
        steps.append((following * ratio, 2 * following / radius))
        ratio = following
    return tuple(steps)


def _fused(*tensors: Tensor) -> bool:
    """Whether kernels of our own can do the work: on CUDA, float32, without a graph."""
    if not all(x.is_cuda and x.dtype == torch.float32 for x in tensors):
        return False
    graph = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    known = torch.cuda.get_device_capability(tensors[0].device) >= (8, 0)  # to Triton
    return known and not graph and find_spec("triton") is not None


def _iterate(own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps) -> Tensor:
    """Iterate from ``flow`` with what `_coefficients` returns."""
    if torch.is_grad_enabled() and (own.requires_grad or flow.requires_grad):
        return _iterate_plainly(own, cross, shift, flow, steps)
    if _fused(own, flow):
        from vfer import flow_kernels

        return flow_kernels.iterate(own, cross, shift, flow, steps)
    return _iterate_in_place(own, cross, shift, flow, steps)


def _iterate_plainly(
    own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps
) -> Tensor:
    """Iterate differentiably."""
    before = flow
    for momentum, step in steps:
        around = _sums(_sums(_sums(_sums(_framed(flow), -1), -1), -2), -2)
        mean = (around - 4 * flow) / 12  # weights 1/6 beside, above and below, 1/12 diagonally
        jacobi = shift + own * mean + cross * mean.flip(1)
        before, flow = flow, flow + momentum * (flow - before) + step * (jacobi - flow)
    return flow


def _iterate_in_place(
    own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps
) -> Tensor:
    """Do the same without a graph, several times as fast.

    The planes lie framed behind each other, so that a neighbour is an offset into flat memory and
    every operation is one contiguous pass. What an offset fetches from the row or plane next door
    falls on the frame, which is rewritten after each iteration.
    """
    batch, _, height, width = flow.shape
    buffers = flow.new_zeros(7, 2, batch, height + 2, width + 2)
    x, before, vertical, column, total, diagonal, offset = buffers
    other = torch.zeros_like(x[0])
    inner = (..., slice(1, -1), slice(1, -1))
    x[inner], offset[inner], other[inner] = flow.movedim(1, 0), shift.movedim(1, 0), cross[:, 0]
    diagonal[inner] = own.movedim(1, 0)
    diagonal /= 12
    other /= 12

    # Making a view costs as much as a small operation: all are made once.
    stride, n = width + 2, x.numel()
    a, b = (p.view(-1)[stride : n - stride] for p in (vertical, column))
    left, right, middle = b[:-2], b[2:], a[1:-1]
    around = total.view(-1)[stride + 1 : n - stride - 1]
    (mean_u, mean_v), (jacobi_u, jacobi_v) = total, column  # the column sums are used up by then
    now, then = _views(x), _views(before)
    _copy(now[-1])
    for momentum, step in steps:
        x, above, level, below, _ = now
        before, _, _, _, edges = then
        torch.add(above, below, out=a)
        torch.add(a, level, alpha=2, out=b)
        torch.add(left, right, out=around).add_(middle, alpha=2)
        # `total` is now 12 times the mean.
        torch.addcmul(offset, diagonal, total, out=column)
        jacobi_u.addcmul_(other, mean_v)
        jacobi_v.addcmul_(other, mean_u)
        before.mul_(-momentum).add_(x, alpha=1 + momentum - step).add_(column, alpha=step)
        _copy(edges)
        now, then = then, now
    return now[0][inner].movedim(0, 1).contiguous()


def _views(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Edges]:
    """A buffer with its flat views a line above, level and below, and its frame's edges."""
    inside, stride, flat = x.shape[-2] - 2, x.shape[-1], x.view(-1)
    rows = x[..., :: inside + 1, :], x[..., 1 : inside + 1 : max(inside - 1, 1), :]
    edges = [rows, (x[..., 0], x[..., 1]), (x[..., -1], x[..., -2])]  # corners come last
    return x, flat[: -2 * stride], flat[stride:-stride], flat[2 * stride :], edges


def _copy(edges: Edges) -> None:
    for edge, line in edges:
        edge.copy_(line)
