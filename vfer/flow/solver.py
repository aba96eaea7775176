"""Dense optical flow by Horn and Schunck's equations, for whole batches on any device.

Sources: Horn and Schunck, "Determining optical flow", Artificial Intelligence 17 (1981), for the
equations; Bruhn, Weickert and Schnörr,
"Lucas/Kanade meets Horn/Schunck", IJCV 61 (2005), for the local-global form and for coarse to fine
with warping.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vfer.flow.iterate import Steps, framed, fused, iterate, sums, weights
from vfer.flow.settings import ALPHAS, RHOS

SOLVERS = ("chebyshev", "jacobi")
_LOWEST = 0.005
_LOWEST_START = 0.001  # of the grids that a single level starts from
_COARSEST = 12  # px, least shorter side of a level that `levels=None` adds
_COARSEST_GRID = 2  # px, least shorter side of a grid that a single level starts from
_BLOCK = 40_000  # px of a plane that a CPU thread takes at once: the buffers then stay in its L2


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
        steps = weights(solver, iterations or (24 if pyramid else 12), _LOWEST)

        def refine(first: Tensor, second: Tensor, flow: Tensor, steps: Steps = steps) -> Tensor:
            for _ in range(warps):
                if rho == 0 and fused(first, second):
                    from vfer.flow import kernels

                    system = kernels.equations(first, second, flow, alpha)
                else:
                    tensor = _tensor(first, second, flow, rho, cube=False)
                    system = _coefficients(tensor, alpha, rho == 0)
                flow = iterate(*system, flow, steps)
            return flow

        flow = _in_blocks(refine, first, second, flow)
        if pyramid:
            flow = 2 * _enlarge(flow, *pyramid[-1][0].shape[2:])
    return flow


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
    start, steps = (weights(solver, count, low) for low in (_LOWEST_START, _LOWEST))

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
                return iterate(*_coefficients(tensor, weight, local), flow, steps)

            flow = _in_blocks(solve, tensor, flow)
    return flow


def _in_blocks(work: Callable[..., Tensor], *batch: Tensor) -> Tensor:
    """Do the work on as many pairs at once as keep its buffers in the CPU's cache."""
    pixels = batch[0][0, 0].numel()
    if batch[0].device.type != "cpu" or torch.compiler.is_exporting():  # there any batch is legal
        return work(*batch)
    pairs = max(1, _BLOCK * torch.get_num_threads() // pixels)
    parts = zip(*(torch.split(x, pairs) for x in batch), strict=True)
    return torch.cat([work(*part) for part in parts])


def _tensor(first: Tensor, second: Tensor, flow: Tensor, rho: float, cube: bool) -> Tensor:
    """Return the data term of the total flow, linearised around ``flow``.

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
    """Return Jacobi's iteration (u, v) = α²(α² + J)⁻¹(ū, v̄) − (α² + J)⁻¹(J₁₃, J₂₃), J the data.

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
    total, change = framed(first + second), framed(second - first)
    if cube:
        total, change = total[..., 1:, 1:], change[..., 1:, 1:]
    else:
        total, change = (sums(sums(x, -1), -2) / 4 for x in (total, change))
    rows, columns = sums(total, -2), sums(total, -1)
    across = rows[..., 1:] - rows[..., :-1]
    down = columns[..., 1:, :] - columns[..., :-1, :]
    return torch.cat([across, down], dim=1) / 4, sums(sums(change, -1), -2) / 4
