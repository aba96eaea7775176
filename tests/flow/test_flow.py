import math
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from torch.profiler import ProfilerActivity, profile

from vfer.flow.images import flow_image, flow_to_rgb
from vfer.flow.solver import horn_schunck

AVERAGE = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12


def texture(height, width, contrast=40.0, dx=0.0, dy=0.0, seed=0):
    """Smooth pattern of waves, moved by exactly (dx, dy) to the right and down."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    image = np.zeros((height, width))
    for _ in range(24):
        frequency, angle, phase = rng.uniform(0.05, 0.6), *rng.uniform(0, 2 * np.pi, 2)
        along = np.cos(angle) * (x - dx) + np.sin(angle) * (y - dy)
        image += np.sin(frequency * along + phase)
    return torch.from_numpy(128 + contrast / np.sqrt(12) * image).float()[None, None]


def noisy_batch(pairs, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(pairs, 1, height, width, generator=generator) * 255
    return first, first + 5 * torch.randn(first.shape, generator=generator)


def end_point_error(flow, dx, dy, border=8):
    truth = torch.tensor([dx, dy]).view(1, 2, 1, 1)
    error = (flow - truth).square().sum(1).sqrt()
    return error[:, border:-border, border:-border].mean().item()


def plain_derivatives(first, second):
    """Horn and Schunck's 2×2×2 cube, in plain loops of slices."""
    a, b = (np.pad(x, ((0, 1), (0, 1)), mode="edge") for x in (first, second))
    corners = [x[i : i + len(first), j : j + first.shape[1]] for x in (a, b) for i, j in CORNERS]
    a00, a01, a10, a11, b00, b01, b10, b11 = corners
    across = (a01 - a00 + a11 - a10 + b01 - b00 + b11 - b10) / 4
    down = (a10 - a00 + a11 - a01 + b10 - b00 + b11 - b01) / 4
    return across, down, (b00 - a00 + b01 - a01 + b10 - a10 + b11 - a11) / 4


CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def textbook(first, second, alpha, iterations):
    across, down, change = plain_derivatives(first, second)
    u, v = np.zeros_like(first), np.zeros_like(first)
    for _ in range(iterations):
        u_mean, v_mean = (ndimage.correlate(x, AVERAGE, mode="nearest") for x in (u, v))
        rest = across * u_mean + down * v_mean + change
        rest /= alpha**2 + across**2 + down**2
        u, v = u_mean - across * rest, v_mean - down * rest
    return np.stack([u, v])


def minimiser(first, second, alpha, rho=0.0):
    """Direct solution of the same equations, their data term gathered over a Gaussian."""
    across, down, change = plain_derivatives(first, second)
    products = across**2, across * down, down**2, across * change, down * change
    if rho:
        products = (ndimage.gaussian_filter(x, rho, mode="nearest", truncate=3) for x in products)
    xx, xy, yy, xt, yt = (x.ravel() for x in products)

    def binomial(n):
        matrix = sparse.diags([np.ones(n - 1), np.full(n, 2.0), np.ones(n - 1)], [-1, 0, 1]).tolil()
        matrix[0, 0] = matrix[-1, -1] = 3  # the replicated neighbour is the pixel itself
        return matrix

    identity = sparse.eye(first.size)
    mean = (sparse.kron(*(binomial(n) for n in first.shape)) - 4 * identity) / 12
    smooth = alpha**2 * (identity - mean)
    mixed = sparse.diags(xy)
    system = sparse.bmat([[smooth + sparse.diags(xx), mixed], [mixed, smooth + sparse.diags(yy)]])
    solution = spsolve(system.tocsc(), -np.concatenate([xt, yt]))
    return solution.reshape(2, *first.shape)


def distance(flow, truth):
    """Mean end-point distance over the mean length of the truth."""
    return np.hypot(*(flow - truth)).mean() / np.hypot(*truth).mean()


@pytest.mark.parametrize(
    ("dx", "dy", "levels", "tolerance"),
    [(0.4, -0.3, 1, 0.05), (0.4, -0.3, None, 0.05), (3.0, 1.5, None, 0.05), (-5.0, 2.0, None, 0.1)],
)
def test_known_shift(dx, dy, levels, tolerance):
    flow = horn_schunck(texture(75, 70), texture(75, 70, dx=dx, dy=dy), levels=levels)
    assert flow.shape == (1, 2, 75, 70)
    assert flow.dtype == torch.float32
    assert end_point_error(flow, dx, dy) < tolerance


@pytest.mark.parametrize(("motion", "reach"), [(0.5, 0.08), (2.0, 0.12), (5.0, 0.25)])
def test_smooth_warp_with_noise(motion, reach):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:150, :110].astype(float)
    truth = np.stack([np.cos(x / 40 + y / 60), np.sin(y / 50 - x / 70)]) * motion / np.sqrt(2)
    second = texture(150, 110, contrast=25)[0, 0].numpy().astype(float)
    first = ndimage.map_coordinates(second, [y + truth[1], x + truth[0]], order=3, mode="nearest")
    images = [np.round(image + rng.standard_normal(image.shape)) for image in (first, second)]
    flow = horn_schunck(*(torch.from_numpy(image)[None, None] for image in images))[0].numpy()
    assert np.hypot(*(flow - truth))[8:-8, 8:-8].mean() <= reach


def blobs(contrast, size):
    """Blurred noise and the same warped smoothly, 150×110."""
    rng = np.random.default_rng(1)
    noise = ndimage.gaussian_filter(rng.standard_normal((170, 130)), size)
    y, x = np.mgrid[10:160, 10:120].astype(float)
    images = [
        ndimage.map_coordinates(noise, [y + k * np.cos(x / 40), x - k * np.cos(y / 50)], order=3)
        for k in (0, 0.5)
    ]
    return [
        torch.from_numpy(128 + contrast / noise.std() * image).float()[None, None]
        for image in images
    ]


@pytest.mark.parametrize(
    ("contrast", "size", "alpha"),
    [(40, 1.5, 1.0), (40, 1.5, 50.0), (10, 6, 1.0), (10, 6, 15.0), (10, 6, 50.0), (10, 12, 30.0)],
)
def test_the_default_solver_reaches_the_minimiser(contrast, size, alpha):
    first, second = blobs(contrast, size)
    flow = horn_schunck(first, second, alpha=alpha, levels=1)[0].double().numpy()
    truth = minimiser(first[0, 0].double().numpy(), second[0, 0].double().numpy(), alpha)
    assert distance(flow, truth) < 0.02


@pytest.mark.parametrize(("alpha", "rho"), [(1.0, 1.0), (15.0, 2.0), (15.0, 4.0)])
def test_the_local_global_variant_reaches_its_minimiser(alpha, rho):
    first, second = texture(60, 51, contrast=10), texture(60, 51, contrast=10, dx=0.6, dy=-0.4)
    flow = horn_schunck(first, second, alpha=alpha, rho=rho, levels=1)[0].double().numpy()
    truth = minimiser(first[0, 0].double().numpy(), second[0, 0].double().numpy(), alpha, rho)
    assert distance(flow, truth) < 0.02


@pytest.mark.parametrize("levels", [1, None])
def test_a_narrow_local_global_variant_is_horn_and_schuncks(levels):
    first, second = (x.double() for x in noisy_batch(2, 31, 26))
    flows = [horn_schunck(first, second, levels=levels, rho=rho) for rho in (0.0, 0.1)]
    torch.testing.assert_close(*flows, rtol=0, atol=1e-9)


def test_the_local_global_variant_suffers_less_from_noise():
    noise = 8 * torch.randn(2, 1, 1, 75, 55, generator=torch.Generator().manual_seed(0))
    first, second = texture(75, 55) + noise[0], texture(75, 55, dx=0.6, dy=-0.4) + noise[1]
    errors = [
        end_point_error(horn_schunck(first, second, alpha=3.0, rho=rho), 0.6, -0.4)
        for rho in (0.0, 3.0)
    ]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize(("iterations", "alpha"), [(1, 15.0), (2, 3.0), (40, 15.0)])
def test_jacobi_is_the_textbook_iteration(iterations, alpha):
    first, second = (x.double() for x in noisy_batch(1, 13, 10))
    flow = horn_schunck(
        first, second, alpha=alpha, levels=1, solver="jacobi", iterations=iterations
    )
    truth = textbook(first[0, 0].numpy(), second[0, 0].numpy(), alpha, iterations)
    np.testing.assert_allclose(flow[0].numpy(), truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("levels", [1, None])
def test_both_solvers_meet_in_the_end(levels):
    first, second = (x.double() for x in noisy_batch(1, 26, 25))
    flows = [
        horn_schunck(first, second, levels=levels, solver=solver, iterations=3000)
        for solver in ("chebyshev", "jacobi")
    ]
    torch.testing.assert_close(*flows, rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.integers(2, 7),
    height=st.integers(1, 45),
    width=st.integers(1, 45),
    levels=st.sampled_from([1, None]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_a_pair_alone_is_the_pair_in_a_batch(pairs, height, width, levels, dtype):
    first, second = (x.to(dtype) for x in noisy_batch(pairs, height, width))
    together = horn_schunck(first, second, levels=levels)
    assert together.shape == (pairs, 2, height, width)
    assert together.isfinite().all()
    for i in range(pairs):
        alone = horn_schunck(first[i : i + 1], second[i : i + 1], levels=levels)
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("levels", [1, None])
def test_batch_independence_at_crop_size(levels):
    first, second = noisy_batch(11, 150, 110)
    together = horn_schunck(first, second, levels=levels)
    assert torch.equal(together, horn_schunck(first, second, levels=levels))
    for i in (0, 5, 10):
        alone = horn_schunck(first[i : i + 1], second[i : i + 1], levels=levels)
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("levels", [1, None])
@pytest.mark.parametrize("channel", [0, 1])
def test_mirrored_images_have_mirrored_flow(levels, channel):
    images = texture(75, 55), texture(75, 55, dx=0.7, dy=-0.5)
    axis = 3 - channel
    flow = horn_schunck(*images, levels=levels)
    mirrored = horn_schunck(*(x.flip(axis) for x in images), levels=levels).flip(axis)
    mirrored[:, channel] *= -1
    # The border is left out: what enters the image there differs, and the cube sees one side only.
    inner = (0, slice(None), slice(8, -8), slice(8, -8))
    assert distance(mirrored[inner].numpy(), flow[inner].numpy()) < 0.02


@settings(max_examples=20, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    grey=st.floats(0, 255, width=32),
    later=st.floats(0, 255, width=32),
    levels=st.sampled_from([1, None]),
)
def test_images_without_texture_do_not_move(height, width, grey, later, levels):
    first, second = (torch.full((1, 1, height, width), value) for value in (grey, later))
    assert not horn_schunck(first, second, levels=levels).any()


def test_equal_images_do_not_move_classically():
    image, _ = noisy_batch(1, 20, 17)
    assert not horn_schunck(image, image, levels=1).any()


def test_more_warps_are_allowed_at_one_level():
    first, second = texture(48, 48), texture(48, 48, dx=2.0, dy=1.0)
    once, thrice = (horn_schunck(first, second, levels=1, warps=n) for n in (1, 3))
    assert end_point_error(thrice, 2.0, 1.0) < end_point_error(once, 2.0, 1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_solved_in_float32(dtype):
    first, second = (x.to(dtype) for x in noisy_batch(2, 24, 25))
    flow = horn_schunck(first, second)
    assert flow.dtype == torch.float32
    assert torch.equal(flow, horn_schunck(first.float(), second.float()))


def test_inputs_stay_and_memory_layout_does_not_matter():
    first, second = noisy_batch(3, 30, 31)
    copies = first.clone(), second.clone()
    transposed = (x.transpose(2, 3).contiguous().transpose(2, 3) for x in copies)
    assert torch.equal(horn_schunck(first, second), horn_schunck(*transposed))
    assert torch.equal(first, copies[0])
    assert torch.equal(second, copies[1])


def test_an_empty_batch_has_empty_flow():
    empty = torch.zeros(0, 1, 20, 30)
    assert horn_schunck(empty, empty).shape == (0, 2, 20, 30)


@pytest.mark.parametrize(
    "options",
    [{"levels": 1}, {"levels": 2}, {"levels": 1, "warps": 2}, {"levels": 1, "rho": 0.7}],
)
def test_gradient(options):
    first, second = (x[:, :, :6, :5].double() for x in (texture(9, 9), texture(9, 9, dx=0.3)))
    first.requires_grad_()
    second.requires_grad_()

    def solve(first, second):
        return horn_schunck(first, second, iterations=4, **options)

    assert torch.autograd.gradcheck(solve, (first, second))


@pytest.mark.parametrize("levels", [1, None])
def test_a_graph_is_kept_only_where_wanted(levels):
    first, second = (x.double() for x in noisy_batch(2, 25, 27))
    flow = horn_schunck(first, second, levels=levels)
    assert not flow.requires_grad
    first.requires_grad_()
    with torch.no_grad():
        assert torch.equal(horn_schunck(first, second, levels=levels), flow)
    with_graph = horn_schunck(first, second, levels=levels)
    assert with_graph.requires_grad
    torch.testing.assert_close(with_graph.detach(), flow, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": -1.0}, "rho=-1.0 must be 0, or in"),
        ({"rho": 0.01}, "rho=0.01"),
        ({"rho": 33.0}, "rho=33.0"),
        ({"rho": math.nan}, "rho=nan"),
        ({"alpha": 0.0}, "alpha=0.0 must be"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"alpha": math.inf}, "alpha=inf"),
        ({"solver": "sor"}, "'sor'; legal are chebyshev, jacobi"),
        ({"levels": 0}, "levels=0 must be at least 1"),
        ({"levels": 6}, r"levels=6 .*\(16, 20\)"),
        ({"warps": 0}, "warps=0"),
        ({"iterations": 0}, "iterations=0"),
    ],
)
def test_illegal_options_are_refused(options, message):
    image = torch.zeros(1, 1, 16, 20)
    with pytest.raises(ValueError, match=message):
        horn_schunck(image, image, **options)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (torch.zeros(1, 1, 8, 9), torch.zeros(1, 1, 9, 8), r"\(1, 1, 8, 9\) and \(1, 1, 9, 8\)"),
        (torch.zeros(1, 3, 8, 9), torch.zeros(1, 3, 8, 9), r"not \(1, 3, 8, 9\)"),
        (torch.zeros(8, 9), torch.zeros(8, 9), r"not \(8, 9\)"),
        (torch.zeros(1, 1, 8, 9).byte(), torch.zeros(1, 1, 8, 9), "uint8"),
        (torch.zeros(1, 1, 8, 9), torch.zeros(1, 1, 8, 9).int(), "int32"),
        (torch.full((1, 1, 8, 9), math.nan), torch.zeros(1, 1, 8, 9), "NaN"),
        (torch.zeros(1, 1, 8, 9), torch.full((1, 1, 8, 9), -math.inf), "infinity"),
    ],
)
def test_unusable_images_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        horn_schunck(first, second)


@pytest.mark.parametrize("levels", [1, None])
def test_unchecked_nan_stays_in_its_pair(levels):
    first, second = noisy_batch(3, 26, 27)
    clean = horn_schunck(first, second, levels=levels)
    first[1, 0, 25, 26] = math.nan
    flow = horn_schunck(first, second, levels=levels, check=False)
    assert flow[1].isnan().any()
    assert torch.equal(flow[::2], clean[::2])


def peak_memory(**options):
    """Most bytes that tensors take at once while the flow of a pair is solved."""
    first, second = noisy_batch(1, 64, 48)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        horn_schunck(first, second, **options)
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    return np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]).max()


@pytest.mark.parametrize("levels", [1, None])
def test_memory_is_a_few_buffers_whatever_the_number_of_iterations(levels):
    image = 64 * 48 * 4
    assert peak_memory(levels=levels, iterations=2) > 10 * image  # it sees the buffers
    assert peak_memory(levels=levels, iterations=200) < 40 * image


INTERPRETED = """
import sys
import torch
from vfer import flow
from vfer.flow import iterate, solver

iterate.fused = solver.fused = lambda *tensors: True  # as for CUDA tensors
for options, first, second, plain in torch.load(sys.argv[1]):
    fused = flow.horn_schunck(first, second, **options)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-4)
    assert not torch.equal(fused, plain), "the kernels were not used"
    alone = flow.horn_schunck(first[1:], second[1:], **options)
    assert torch.equal(alone, fused[1:]), "a pair depends on its batch"
    still = torch.full_like(first, 77.7)
    assert not flow.horn_schunck(still, still, **options).any(), "a constant image moves"
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
def test_the_kernels_agree_with_the_plain_operations(tmp_path):
    # Triton's interpreter runs them without a GPU; it has to be chosen before Triton is imported.
    cases = []
    for options, size in (
        ({"levels": 2, "warps": 2, "alpha": 5.0}, (13, 16)),
        ({"rho": 1.0}, (13, 14)),
        ({"levels": 1, "solver": "jacobi"}, (9, 17)),
        ({"levels": 1}, (9, 9)),
        ({}, (1, 11)),
        ({}, (11, 1)),
    ):
        options = {"iterations": 4, **options}
        first = torch.cat([texture(*size, seed=seed) for seed in (0, 1)])
        second = torch.cat([texture(*size, dx=1.3, dy=-0.4, seed=seed) for seed in (0, 1)])
        cases.append((options, first, second, horn_schunck(first, second, **options)))
    torch.save(cases, tmp_path / "cases.pt")
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED, str(tmp_path / "cases.pt")],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")
@pytest.mark.parametrize("name", ["_warp", "_system", "_step"])
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("width", [None, 1])
def test_the_kernels_compile_for_gpus(name, capability, width):
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from vfer.flow import kernels

    kernel = getattr(kernels, name)
    numbers = {"height": "i32", "width": "i32", "BLOCK": "constexpr"}
    numbers |= dict.fromkeys(("momentum", "step", "square"), "fp32")
    signature = {name: numbers.get(name, "*fp32") for name in kernel.arg_names}
    constants = {"BLOCK": 512} | ({} if width is None else {"width": width})  # as Triton takes 1
    signature |= dict.fromkeys(constants, "constexpr")
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    made = compile(
        ASTSource(fn=kernel, signature=signature, constexprs=places),
        target=GPUTarget("cuda", capability, 32),
        options={"enable_fp_fusion": True},
    )
    assert len(made.asm["cubin"]) > 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("levels", [1, None])
def test_a_gpu_finds_the_same_flow_each_time(levels):
    images = [x.double().float() for x in blobs(40, 3)]
    there = [horn_schunck(*(x.cuda() for x in images), levels=levels).cpu() for _ in range(2)]
    assert torch.equal(*there)
    torch.testing.assert_close(there[0], horn_schunck(*images, levels=levels), rtol=0, atol=1e-4)


def test_flow_image_in_pixels_and_scaled():
    flow = torch.tensor([[3.0, 0.0, -8.0], [4.0, 0.0, 6.0]]).view(1, 2, 1, 3)
    pixels = torch.tensor([[3.0, 0.0, -8.0], [4.0, 0.0, 6.0], [5.0, 0.0, 10.0]])
    torch.testing.assert_close(flow_image(flow)[0, :, 0], pixels)
    scaled = torch.tensor([[0.8, 0.5, 0.0], [0.9, 0.5, 1.0], [1.0, 0.5, 1.0]])
    torch.testing.assert_close(flow_image(flow, limit=5)[0, :, 0], scaled)
    assert flow_image(flow.double(), 5).dtype == torch.float64


@pytest.mark.parametrize(
    ("flow", "limit", "message"),
    [
        (torch.zeros(1, 3, 4, 4), None, r"\(1, 3, 4, 4\)"),
        (torch.zeros(2, 4, 4), None, r"\(2, 4, 4\)"),
        (torch.zeros(1, 2, 4, 4).int(), None, "int32"),
        (torch.zeros(1, 2, 4, 4), 0.0, "limit=0.0"),
        (torch.zeros(1, 2, 4, 4), math.nan, "limit=nan"),
    ],
)
def test_flow_image_refuses(flow, limit, message):
    with pytest.raises(ValueError, match=message):
        flow_image(flow, limit)


def test_flow_colours_show_direction_and_length():
    right_down_left = torch.tensor([[0.0, 2, 4, 8, 0, -4], [0, 0, 0, 0, 4, 0]]).view(1, 2, 1, 6)
    still, half, full, over, down, left = flow_to_rgb(right_down_left, limit=4.0)[0, :, 0].int().T
    assert (still >= 254).all()
    assert full[0] > 250
    assert (full[1:] < 20).all()
    assert torch.equal(full, over)
    assert (half[0], half[1:].float().mean().round()) > (250, 120)
    assert down[:2].min() > 180
    assert down[2] < 20
    assert left[0] < 20
    assert left[2] > 180


def test_colours_of_a_flow_do_not_depend_on_its_batch():
    flow = torch.randn(3, 2, 8, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(flow_to_rgb(flow, 1.0)[:1], flow_to_rgb(flow[:1], 1.0))


@pytest.mark.parametrize(("shape", "limit"), [((1, 3, 4, 4), 1.0), ((1, 2, 4, 4), 0.0)])
def test_flow_colours_refuse(shape, limit):
    with pytest.raises(ValueError, match=r"1, 3, 4, 4|limit=0.0"):
        flow_to_rgb(torch.zeros(shape), limit)
