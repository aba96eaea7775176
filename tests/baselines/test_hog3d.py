import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vfer.baselines.hog3d import (
    HOG3D,
    Layout,
    axes_of,
    cell_histograms,
    dense_points,
    integral_gradients,
    normalise,
    quantise,
)


def texture(*shape, seed=0):
    return gaussian_filter(np.random.default_rng(seed).uniform(0, 255, shape), 1)


def slow_bins(gradient, axes, threshold, rescale):
    """The distribution of one gradient, as the paper writes it down."""
    size = np.sqrt(sum(value**2 for value in gradient))
    if size == 0:
        return np.zeros(len(axes))
    above = [max(sum(p * g for p, g in zip(axis, gradient, strict=True)) / size - threshold, 0.0)
             for axis in axes]  # fmt: skip
    total = sum(above) if rescale == "l1" else np.sqrt(sum(value**2 for value in above))
    return size * np.array(above) / total


def slow_cells(video, point, layout, threshold):
    """The cells around one point, pixel by pixel."""
    t, y, x, width, length = point
    axes = axes_of(layout.polyhedron)
    found = np.zeros((layout.time_cells, layout.cells, layout.cells, len(axes)))
    edges = []
    for centre, size, count, limit in zip(
        (t, y, x), (length, width, width),
        (layout.time_cells, layout.cells, layout.cells), video.shape, strict=True,
    ):  # fmt: skip
        blocks = count * layout.blocks
        size = max(size, blocks)
        edges.append([
            min(max(int(np.floor(centre - size / 2 + k * size / blocks + 0.5)), 0), limit)
            for k in range(blocks + 1)
        ])  # fmt: skip
    for block in np.ndindex(*(len(edge) - 1 for edge in edges)):
        total = np.zeros(3)
        ranges = (range(e[k], e[k + 1]) for e, k in zip(edges, block, strict=True))
        for at in np.array(np.meshgrid(*ranges, indexing="ij")).reshape(3, -1).T:
            for channel, axis in enumerate((2, 1, 0)):
                after = at.copy()
                after[axis] += 1
                if after[axis] < video.shape[axis]:
                    total[channel] += video[tuple(after)] - video[tuple(at)]
        cell = tuple(k // layout.blocks for k in block)
        found[cell] += slow_bins(total, axes, threshold, layout.rescale)
    return found


@pytest.mark.parametrize(
    ("layout", "threshold"),
    [
        (Layout(2, 3, 2), np.sqrt(5 / 3)),
        (Layout(3, 2, 2, rescale="l1"), np.sqrt(5 / 3)),
        (Layout(2, 2, 3, polyhedron="dodecahedron"), 0.850651),
    ],
)
def test_cells_are_those_of_the_definition_pixel_by_pixel(layout, threshold):
    video = texture(14, 24, 20)
    points = np.array([
        [5.0, 10.0, 9.0, 12.0, 8.0], [7.0, 12.0, 10.0, 15.0, 9.0],
        [8.0, 20.0, 4.0, 16.0, 6.0],  # juts out of the video
        [12.0, 11.0, 10.0, 3.0, 2.0],  # narrower than a pixel a sub-block, at the last frame
    ])  # fmt: skip
    found = cell_histograms(video, points, layout)
    for ours, point in zip(found, points, strict=True):
        slow = slow_cells(video, point, layout, threshold)
        np.testing.assert_allclose(ours, slow, rtol=1e-3, atol=2e-3 * slow.max())


def test_many_points_of_a_long_clip_are_described_one_by_one():
    video = texture(120, 24, 20)
    points = dense_points(video.shape, 12, 9, (1, 2))
    found = cell_histograms(video, points, Layout())
    some = [0, 40, len(points) - 1]
    each = np.concatenate([cell_histograms(video, points[[i]], Layout()) for i in some])
    np.testing.assert_allclose(found[some], each, rtol=1e-4, atol=1e-3)


def test_an_integral_video_gives_the_sums_of_any_box():
    video = texture(6, 9, 8)
    sums = integral_gradients(video)
    boxes = sums[1:5, 2:7, 3:6]
    for axis in range(3):
        boxes = np.take(boxes, [-1], axis) - np.take(boxes, [0], axis)
    expected = [np.diff(video, axis=axis)[1:4, 2:6, 3:5].sum() for axis in (2, 1, 0)]
    np.testing.assert_allclose(boxes.ravel(), expected)


@pytest.mark.parametrize(("polyhedron", "count"), [("icosahedron", 20), ("dodecahedron", 12)])
def test_a_gradient_along_an_axis_is_in_that_bin_alone(polyhedron, count):
    axes = axes_of(polyhedron)
    assert len(axes) == count
    np.testing.assert_allclose(axes.sum(axis=0), 0, atol=1e-12)
    found = quantise(3 * axes, Layout(polyhedron=polyhedron))
    np.testing.assert_allclose(found, 3 * np.linalg.norm(axes[0]) * np.eye(count), atol=1e-9)


@pytest.mark.parametrize("rescale", ["l1", "l2"])
@pytest.mark.parametrize("polyhedron", ["icosahedron", "dodecahedron"])
def test_every_direction_keeps_its_length_and_few_bins_share_it(polyhedron, rescale):
    gradients = np.random.default_rng(0).normal(size=(500, 3))
    found = quantise(gradients, Layout(polyhedron=polyhedron, rescale=rescale))
    norm = np.abs(found).sum(axis=1) if rescale == "l1" else np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(norm, np.linalg.norm(gradients, axis=1))
    assert (found > 0).sum(axis=1).max() <= 5
    assert (found > 0).sum(axis=1).min() >= 1


def test_opposite_directions_may_share_a_bin():
    gradients = np.random.default_rng(0).normal(size=(50, 3))
    found = [quantise(g, Layout(opposite=True)) for g in (gradients, -gradients)]
    assert found[0].shape == (50, 10)
    np.testing.assert_allclose(found[0], found[1])
    apart = [quantise(g, Layout()) for g in (gradients, -gradients)]
    assert np.abs(apart[0] - apart[1]).max() > 0.1


def test_rows_are_cut_before_they_are_normalised_again():
    cells = np.array([[[3.0, 4.0]], [[0.0, 0.0]]])
    cut = np.array([0.6, 0.7])
    expected = [cut / np.linalg.norm(cut), [0, 0]]
    np.testing.assert_allclose(normalise(cells, 0.7), expected)


def test_points_overlap_by_half_at_each_scale():
    points = dense_points((20, 36, 36), 18, 10, (6, 1))
    assert sorted(set(points[:, 3].round(6))) == [18, 25.455844, 36]
    smallest = points[points[:, 3] == 18]
    assert sorted(set(smallest[:, 1])) == sorted(set(smallest[:, 2])) == [9, 18, 27]
    assert sorted(set(smallest[:, 0])) == [5, 10, 15]
    assert (np.diff(points[:, 0]) >= 0).all()
    assert len(points) == 3 * (9 + 1 + 1)


def crops(frames):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (frames, 150, 110, 3), dtype=np.uint8)


def test_a_clip_has_unit_rows_up_to_the_number_asked_for():
    clip = crops(24)
    found = HOG3D(points=40).describe(clip)
    assert found.shape == (40, 960)
    np.testing.assert_allclose(np.linalg.norm(found.astype(float), axis=1), 1, atol=1e-2)
    np.testing.assert_array_equal(found, HOG3D(points=40).describe(clip))
    brighter = HOG3D(points=40).describe(clip // 2 + 60)
    assert np.corrcoef(found.ravel(), brighter.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_a_clip_of_few_frames_is_described_too(frames):
    found = HOG3D(points=5).describe(crops(frames))
    assert found.shape == (5, 960)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"points": 0}, "points is 0; it must be at least 1"),
        ({"cut": 0.0}, "cut is 0.0; it must be in 0 < cut ≤ 1"),
        ({"polyhedron": "cube"}, "polyhedron is 'cube'; it must be icosahedron or dodecahedron"),
    ],
)
def test_values_out_of_range_are_refused_by_name(given, said):
    with pytest.raises(ValueError, match=said):
        HOG3D(**given)
