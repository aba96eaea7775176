"""The iterations that solve Horn and Schunck's equations on one grid."""

from importlib.util import find_spec
from typing import cast

import torch
from torch import Tensor

# Eigenvalues of 1 − (Jacobi's matrix) that the Chebyshev weights damp: at most 4/3, as those of the
# averaging stencil begin at −1/3, and near 0 without texture. What lies below the lower bound is
# left to the coarser levels or grids, which need a lower one as nothing comes before them.
_HIGHEST = 4 / 3

Steps = tuple[tuple[float, float], ...]  # (momentum, step) of each iteration
Edges = list[tuple[Tensor, Tensor]]  # parts of a frame, each with the lines it replicates


def sums(x: Tensor, dim: int) -> Tensor:
    """Sums of neighbours along ``dim``, one fewer than there were elements."""
    return x.narrow(dim, 0, x.shape[dim] - 1) + x.narrow(dim, 1, x.shape[dim] - 1)


def framed(x: Tensor) -> Tensor:
    """Replicate the border by a pixel (``F.pad`` has no deterministic CUDA backward)."""
    x = torch.cat([x[..., :1, :], x, x[..., -1:, :]], dim=-2)
    return torch.cat([x[..., :1], x, x[..., -1:]], dim=-1)


def weights(solver: str, iterations: int, low: float) -> Steps:
    """Return each iteration's weights: x += momentum·(x − x before) + step·(Jacobi(x) − x)."""
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


def fused(*tensors: Tensor) -> bool:
    """Return whether kernels of our own can do the work: on CUDA, float32, without a graph."""
    if not all(x.is_cuda and x.dtype == torch.float32 for x in tensors):
        return False
    graph = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    known = torch.cuda.get_device_capability(tensors[0].device) >= (8, 0)  # to Triton
    return known and not graph and find_spec("triton") is not None


def iterate(own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps) -> Tensor:
    """Iterate from ``flow`` with what `_coefficients` returns."""
    if torch.compiler.is_exporting():
        return _iterate_as_loop(own, cross, shift, flow, steps)
    if torch.is_grad_enabled() and (own.requires_grad or flow.requires_grad):
        return _iterate_plainly(own, cross, shift, flow, steps)
    if fused(own, flow):
        from vfer.flow import kernels

        return kernels.iterate(own, cross, shift, flow, steps)
    return _iterate_in_place(own, cross, shift, flow, steps)


def _iterate_plainly(
    own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps
) -> Tensor:
    """Iterate differentiably."""
    before = flow
    for momentum, step in steps:
        jacobi = _jacobi(own, cross, shift, flow)
        before, flow = flow, flow + momentum * (flow - before) + step * (jacobi - flow)
    return flow


def _iterate_as_loop(
    own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor, steps: Steps
) -> Tensor:
    """Do the same for an exported graph, in which all iterations written out would be thousands."""
    from torch._higher_order_ops import scan  # not yet public, and all that torch.onnx makes a loop

    def one(
        carried: tuple[Tensor, Tensor], weights: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        before, flow = carried
        momentum, step = weights.unbind()
        jacobi = _jacobi(own, cross, shift, flow)
        new = flow + momentum * (flow - before) + step * (jacobi - flow)
        return (flow.clone(), new), step.clone()  # a scan also wants a result of each step

    every = torch.tensor(steps, dtype=flow.dtype, device=flow.device)
    (_, found), _ = scan(one, (flow, flow.clone()), every)
    return cast(Tensor, found)


def _jacobi(own: Tensor, cross: Tensor, shift: Tensor, flow: Tensor) -> Tensor:
    """Return what one of Jacobi's iterations makes of ``flow``."""
    around = sums(sums(sums(sums(framed(flow), -1), -1), -2), -2)
    mean = (around - 4 * flow) / 12  # weights 1/6 beside, above and below, 1/12 diagonally
    return shift + own * mean + cross * mean.flip(1)


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
    """Return a buffer with its flat views a line above, level and below, and its frame's edges."""
    inside, stride, flat = x.shape[-2] - 2, x.shape[-1], x.view(-1)
    rows = x[..., :: inside + 1, :], x[..., 1 : inside + 1 : max(inside - 1, 1), :]
    edges = [rows, (x[..., 0], x[..., 1]), (x[..., -1], x[..., -2])]  # corners come last
    return x, flat[: -2 * stride], flat[stride:-stride], flat[2 * stride :], edges


def _copy(edges: Edges) -> None:
    for edge, line in edges:
        edge.copy_(line)
