import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vfer.faces.quality import brightness, sharpness


def test_brightness_is_the_mean_grey_value():
    crops = np.zeros((4, 15, 11, 3), np.uint8)
    crops[1] = 255
    crops[2, :, :, 1] = 100
    crops[3, :5] = 90
    assert brightness(crops) == pytest.approx([0, 255, 58.7, 30])


def test_a_flat_crop_and_an_even_slope_have_no_edges():
    slope = np.arange(0, 110, dtype=np.uint8)[None, :, None].repeat(150, 0).repeat(3, 2)
    assert sharpness(np.stack([slope, slope * 0 + 9])) == pytest.approx([0, 0], abs=1e-9)


def test_sharpness_is_the_variance_of_the_laplacian():
    """Of white noise of variance v it is 20 v: weights 1, 1, 1, 1 and -4."""
    noise = np.random.default_rng(0).normal(128, 20, (1, 150, 110, 1)).repeat(3, 3).round()
    assert sharpness(noise.astype(np.uint8)) == pytest.approx(20 * 400, rel=0.05)


def test_the_more_blurred_the_less_sharp():
    crop = np.random.default_rng(1).integers(0, 256, (150, 110, 3)).astype(float)
    blurred = [gaussian_filter(crop, (s, s, 0)).astype(np.uint8) for s in (0, 0.7, 1.5, 3)]
    values = sharpness(np.stack(blurred))
    assert (np.diff(values) < 0).all()
    assert sharpness(np.zeros((0, 9, 9, 3), np.uint8)).shape == (0,)
