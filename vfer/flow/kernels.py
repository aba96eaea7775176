"""The steps of `vfer.flow` that cost most, each as one Triton kernel for CUDA devices.

They compute what the plain operations there do, in float32, a pixel a lane and a pair a row of the
grid, with no sum over pixels or pairs: the result depends neither on the batch nor on the order in
which blocks run. Triton comes with torch where there is CUDA.
"""


# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
# Device code has no Python types.

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 512  # pixels a program
_LAUNCH = {"BLOCK": _BLOCK, "enable_fp_fusion": True}  # Triton's versions differ in the default


@triton.jit
def _around(plane, row, column, height, width, inside):
    """Return the 3×3 neighbours of pixels (beyond the border the nearest): three sums, the middle.

    Returns:
        The corners' sum, that of the four neighbours beside, above and below, and the pixel; then
        what right less left and below less above are, once beside it and twice in the middle.
    """
    above = tl.maximum(row - 1, 0) * width
    below = tl.minimum(row + 1, height - 1) * width
    level = row * width
    left = tl.maximum(column - 1, 0)
    right = tl.minimum(column + 1, width - 1)
    nw = tl.load(plane + above + left, inside, 0.0)
    n = tl.load(plane + above + column, inside, 0.0)
    ne = tl.load(plane + above + right, inside, 0.0)
    w = tl.load(plane + level + left, inside, 0.0)
    middle = tl.load(plane + level + column, inside, 0.0)
    e = tl.load(plane + level + right, inside, 0.0)
    sw = tl.load(plane + below + left, inside, 0.0)
    s = tl.load(plane + below + column, inside, 0.0)
    se = tl.load(plane + below + right, inside, 0.0)
    across = (ne - nw) + 2 * (e - w) + (se - sw)
    down = (sw - nw) + 2 * (s - n) + (se - ne)
    return nw + ne + sw + se, n + w + e + s, middle, across, down


@triton.jit
def _step(
    x, before, own, cross, shift, momentum, step, height, width, BLOCK: tl.constexpr
):  # fmt: skip
    """Do one iteration: ``before`` becomes the flow that follows ``x``."""
    plane = height * width
    pair = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < plane
    row, column = at // width, at % width
    u, v = pair * 2 * plane, pair * 2 * plane + plane
    corners, beside, x_u, _, _ = _around(x + u, row, column, height, width, inside)
    mean_u = (corners + 2 * beside) / 12
    corners, beside, x_v, _, _ = _around(x + v, row, column, height, width, inside)
    mean_v = (corners + 2 * beside) / 12
    other = tl.load(cross + pair * plane + at, inside, 0.0)
    jacobi_u = tl.load(shift + u + at, inside, 0.0) + other * mean_v
    jacobi_v = tl.load(shift + v + at, inside, 0.0) + other * mean_u
    jacobi_u += tl.load(own + u + at, inside, 0.0) * mean_u
    jacobi_v += tl.load(own + v + at, inside, 0.0) * mean_v
    old_u, old_v = tl.load(before + u + at, inside, 0.0), tl.load(before + v + at, inside, 0.0)
    new_u = x_u + momentum * (x_u - old_u) + step * (jacobi_u - x_u)
    new_v = x_v + momentum * (x_v - old_v) + step * (jacobi_v - x_v)
    tl.store(before + u + at, new_u, inside)
    tl.store(before + v + at, new_v, inside)


@triton.jit
def _cubic(t):
    """Weights of torch's bicubic kernel, a = −0.75, for the pixels at −1, 0, 1 and 2."""
    far, near = t + 1, 2 - t
    a = ((-0.75 * far + 3.75) * far - 6) * far + 3
    b = (1.25 * t - 2.25) * t * t + 1
    rest = 1 - t
    c = (1.25 * rest - 2.25) * rest * rest + 1
    d = ((-0.75 * near + 3.75) * near - 6) * near + 3
    return a, b, c, d


@triton.jit
def _row(image, origin, y, x0, x1, x2, x3, a, b, c, d, width, inside):
    line = image + y * width
    return (
        a * (tl.load(line + x0, inside, 0.0) - origin)
        + b * (tl.load(line + x1, inside, 0.0) - origin)
        + c * (tl.load(line + x2, inside, 0.0) - origin)
        + d * (tl.load(line + x3, inside, 0.0) - origin)
    )


@triton.jit
def _warp(
    second, flow, moved, seen, height, width, BLOCK: tl.constexpr
):  # fmt: skip
    """Sample the second image at x + flow, and say whether that is inside the image."""
    plane = height * width
    pair = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < plane
    x = at % width + tl.load(flow + pair * 2 * plane + at, inside, 0.0)
    y = at // width + tl.load(flow + pair * 2 * plane + plane + at, inside, 0.0)
    there = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    # As in `vfer.flow`, beside the point that is meant; far outside every pixel is the border's.
    t = x - tl.floor(x)
    x = tl.minimum(tl.maximum(x - t * (1 - t) * (1 - 2 * t) / 2, -3.0), width + 2.0)
    t = y - tl.floor(y)
    y = tl.minimum(tl.maximum(y - t * (1 - t) * (1 - 2 * t) / 2, -3.0), height + 2.0)
    left, top = tl.floor(x), tl.floor(y)
    a, b, c, d = _cubic(x - left)
    e, f, g, h = _cubic(y - top)
    i, j = left.to(tl.int32), top.to(tl.int32)
    x0 = tl.minimum(tl.maximum(i - 1, 0), width - 1)
    x1 = tl.minimum(tl.maximum(i, 0), width - 1)
    x2 = tl.minimum(tl.maximum(i + 1, 0), width - 1)
    x3 = tl.minimum(tl.maximum(i + 2, 0), width - 1)
    y0 = tl.minimum(tl.maximum(j - 1, 0), height - 1)
    y1 = tl.minimum(tl.maximum(j, 0), height - 1)
    y2 = tl.minimum(tl.maximum(j + 1, 0), height - 1)
    y3 = tl.minimum(tl.maximum(j + 2, 0), height - 1)
    image = second + pair * plane
    origin = tl.load(image)  # off the scale, so that a constant image stays constant exactly
    value = origin + (
        e * _row(image, origin, y0, x0, x1, x2, x3, a, b, c, d, width, inside)
        + f * _row(image, origin, y1, x0, x1, x2, x3, a, b, c, d, width, inside)
        + g * _row(image, origin, y2, x0, x1, x2, x3, a, b, c, d, width, inside)
        + h * _row(image, origin, y3, x0, x1, x2, x3, a, b, c, d, width, inside)
    )
    tl.store(moved + pair * plane + at, value, inside)
    tl.store(seen + pair * plane + at, there.to(tl.float32), inside)


@triton.jit
def _system(
    first, moved, seen, flow, own, cross, shift, square, height, width, BLOCK: tl.constexpr
):  # fmt: skip
    """Return the equations of the total flow, linearised around ``flow``."""
    plane = height * width
    pair = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < plane
    row, column = at // width, at % width
    one, u = pair * plane, pair * 2 * plane
    corners, beside, middle, across, down = _around(first + one, row, column, height, width, inside)
    before = corners + 2 * beside + 4 * middle
    x, y = across, down
    corners, beside, middle, across, down = _around(moved + one, row, column, height, width, inside)
    there = tl.load(seen + one + at, inside, 0.0) / 16
    x, y = (x + across) * there, (y + down) * there
    t = (corners + 2 * beside + 4 * middle - before) * there
    t -= x * tl.load(flow + u + at, inside, 0.0) + y * tl.load(flow + u + plane + at, inside, 0.0)
    whole = square + x * x + y * y
    tl.store(own + u + at, (square + y * y) / whole, inside)
    tl.store(own + u + plane + at, (square + x * x) / whole, inside)
    tl.store(cross + one + at, -x * y / whole, inside)
    tl.store(shift + u + at, -x * t / whole, inside)
    tl.store(shift + u + plane + at, -y * t / whole, inside)


def _grid(planes: Tensor) -> tuple[int, int]:
    return planes.shape[0], triton.cdiv(planes.shape[-2] * planes.shape[-1], _BLOCK)


def iterate(
    own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: tuple[tuple[float, float], ...]
) -> Tensor:
    """Iterate from ``flow``, one kernel an iteration; arguments as of `vfer.flow`'s."""
    height, width = flow.shape[-2:]
    own, cross, shift = own.contiguous(), cross.contiguous(), shift.contiguous()
    x = flow.clone(memory_format=torch.contiguous_format)
    before = torch.zeros_like(x)
    with torch.cuda.device_of(flow):  # Triton launches on the current device
        for momentum, step in steps:
            _step[_grid(x)](x, before, own, cross, shift, momentum, step, height, width, **_LAUNCH)
            x, before = before, x
    return x


def equations(
    first: Tensor, second: Tensor, flow: Tensor, alpha: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Warp the second image by the flow and set up the iteration, in two kernels.

    Args:
        first: Images ``(B, 1, H, W)``, float32.
        second: The next ones.
        flow: ``(B, 2, H, W)``, the flow so far.
        alpha: Weight of smoothness.

    Returns:
        What `iterate` takes before ``flow``.
    """
    height, width = first.shape[-2:]
    first, second, flow = first.contiguous(), second.contiguous(), flow.contiguous()
    moved, seen, cross = (torch.empty_like(first) for _ in range(3))
    own, shift = torch.empty_like(flow), torch.empty_like(flow)
    with torch.cuda.device_of(flow):
        _warp[_grid(first)](second, flow, moved, seen, height, width, **_LAUNCH)
        _system[_grid(first)](
            first, moved, seen, flow, own, cross, shift, alpha**2, height, width, **_LAUNCH
        )
    return own, cross, shift
