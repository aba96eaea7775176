import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from vfer.baselines.lpq import LPQTOP, PeakFrameLPQ, grid_histogram, lpq, peak_frames, whitening

FREQUENCIES = ((0, 1), (1, 0), (1, 1), (1, -1))


def texture(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return gaussian_filter(rng.uniform(0, 255, shape), [0] * (len(shape) - 2) + [1, 1])


def slow_responses(plane, window):
    """The short-term Fourier transform, pixel by pixel, as it is written down."""
    half = window // 2
    height, width = plane.shape
    found = np.zeros((height - 2 * half, width - 2 * half, 8))
    for row in range(half, height - half):
        for column in range(half, width - half):
            for number, (v, u) in enumerate(FREQUENCIES):
                total = sum(
                    plane[row - i, column - j] * np.exp(-2j * np.pi * (v * i + u * j) / window)
                    for i in range(-half, half + 1)
                    for j in range(-half, half + 1)
                )
                found[row - half, column - half, 2 * number : 2 * number + 2] = (
                    total.real, total.imag,
                )  # fmt: skip
    return found


def bits_of(codes):
    return np.unpackbits(codes[..., None], axis=-1, bitorder="little")


@pytest.mark.parametrize("window", [3, 5, 7])
def test_codes_are_the_signs_of_the_transform_as_it_is_written_down(window):
    plane = texture(11, 9)
    slow = slow_responses(plane, window)
    np.testing.assert_array_equal(bits_of(lpq(plane[None], window)[0]), slow >= 0)
    matrix = whitening(window, 0.9)
    np.testing.assert_array_equal(bits_of(lpq(plane[None], window, matrix)[0]), slow @ matrix > 0)


@pytest.mark.parametrize("rhos", [(0.9, None), (0.1, 0.1), (0.9, 0.5)])
def test_whitened_responses_of_pixels_that_correlate_as_assumed_do_not(rhos):
    window, (rho, rho_time) = 5, rhos
    at = np.arange(window)
    rows, columns = (axis.ravel() for axis in np.meshgrid(at, at, indexing="ij"))
    down, right = (np.abs(axis[:, None] - axis) for axis in (rows, columns))
    pixels = rho ** np.hypot(down, right) if rho_time is None else rho**down * rho_time**right
    filters = [slow_responses(np.eye(25)[i].reshape(5, 5), window)[0, 0] for i in range(25)]
    matrix = whitening(window, *rhos)
    covariance = matrix.T @ np.transpose(filters) @ pixels @ np.array(filters) @ matrix
    apart = covariance - np.diag(np.diag(covariance))
    assert np.abs(apart).max() < 1e-4 * np.diag(covariance).min()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(8), atol=1e-12)


def test_codes_see_no_brightness():
    planes = texture(3, 40, 30)
    matrix = whitening(7, 0.9)
    np.testing.assert_array_equal(lpq(planes, 7, matrix), lpq(2.5 * planes + 40, 7, matrix))


def test_codes_see_little_of_a_symmetric_blur_and_much_of_another_picture():
    sharp = texture(1, 80, 80)
    matrix = whitening(7, 0.9)
    clear, blurred, other = (
        bits_of(lpq(planes, 7, matrix))
        for planes in (sharp, uniform_filter(sharp, (0, 3, 3)), texture(1, 80, 80, seed=1))
    )
    assert (clear == blurred).mean() > 0.9
    assert 0.45 < (clear == other).mean() < 0.55


def test_more_planes_than_are_filtered_at_a_time_are_coded_one_by_one():
    planes = texture(70, 9, 8)
    each = np.concatenate([lpq(plane[None], 5) for plane in planes])
    np.testing.assert_array_equal(lpq(planes, 5), each)


def test_a_cell_counts_its_own_codes():
    codes = np.zeros((2, 4, 5), np.uint8)
    codes[:, :2, 3:] = 7
    codes[0, 2, 0] = 9
    found = grid_histogram(codes, 2).reshape(2, 2, 256)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert found[0, 1, 7] == 1
    assert found[1, 0, 9] == 1 / 12  # of 2 frames × 2 rows × 3 columns
    assert found[0, 0, 0] == found[1, 1, 0] == 1


def test_peak_frames_are_those_away_from_the_rest_in_order_of_time():
    described = np.zeros((9, 3))
    described[6], described[2] = 5, -4
    assert peak_frames(described, 2).tolist() == [2, 6]
    assert peak_frames(described, 1).tolist() == [6]
    assert peak_frames(described, 3).tolist() == [0, 2, 6]  # of equals the first
    assert peak_frames(described, 99).tolist() == list(range(9))


def crops(frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (frames, 150, 110, 3), dtype=np.uint8)


def test_a_clip_is_described_by_its_peak_frames_alone():
    clip = np.repeat(crops(1), 12, axis=0)
    clip[[4, 9]] = crops(2, seed=1)
    apart = PeakFrameLPQ(frames=2).describe(clip)
    expected = PeakFrameLPQ(frames=2).describe(clip[[4, 9]])
    np.testing.assert_array_equal(apart, expected)
    assert apart.shape == (4096,)
    np.testing.assert_allclose(apart.reshape(16, 256).sum(axis=1), 1, rtol=1e-5)


def test_the_planes_are_the_slices_of_the_video():
    video = texture(9, 12, 10)
    found = LPQTOP(window=5, grid=1).planes(video)
    still, moving = whitening(5, 0.1), whitening(5, 0.1, 0.1)
    expected = (
        [lpq(frame[None], 5, still) for frame in video],
        [lpq(video[:, :, x].T[None], 5, moving) for x in range(10)],
        [lpq(video[:, y].T[None], 5, moving) for y in range(12)],
    )
    for plane, codes in zip(found, expected, strict=True):
        counts = np.bincount(np.concatenate(codes).ravel(), minlength=256)
        np.testing.assert_allclose(plane, counts / counts.sum())


def test_what_moves_in_one_cell_changes_that_cell_alone():
    still = np.repeat(texture(1, 40, 40), 8, axis=0)
    moved = still.copy()
    moved[:, 2:8, 32:38] = texture(8, 6, 6, seed=1)
    found = [LPQTOP(grid=2).planes(video).reshape(3, 2, 2, 256) for video in (still, moved)]
    changed = np.abs(found[0] - found[1]).sum(axis=-1) > 0
    np.testing.assert_array_equal(
        changed, np.broadcast_to([[False, True], [False, False]], (3, 2, 2))
    )


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("kind", [PeakFrameLPQ, LPQTOP])
def test_a_clip_of_few_frames_is_described_too(kind, frames):
    found = kind().describe(crops(frames))
    assert np.isfinite(found).all()
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PeakFrameLPQ(window=4), "window is 4; it must be odd"),
        (lambda: PeakFrameLPQ(rho=1.0), "rho is 1.0; it must be in 0 < ρ < 1"),
        (lambda: PeakFrameLPQ(frames=0), "frames is 0; it must be at least 1"),
        (lambda: LPQTOP(grid=0), "grid is 0; it must be at least 1"),
        (lambda: LPQTOP(rho_time=0.0), "rho_time is 0.0"),
        (lambda: lpq(np.zeros((1, 4, 9)), 5), "window is 5; planes are only 4×9"),
    ],
)
def test_values_out_of_range_are_refused_by_name(make, said):
    with pytest.raises(ValueError, match=said):
        make()
