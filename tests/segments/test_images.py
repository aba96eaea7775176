import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.prepare.store import flow_key
from vfer.segments.batch import SegmentBatch
from vfer.segments.images import move, stream_inputs, turn, turn_flow


def slow_move(image, mirror, right, down):
    """Mirror, then shift, pixel by pixel; what is uncovered repeats the border."""
    height, width = image.shape[:2]
    if mirror:
        image = image[:, ::-1]
    moved = np.empty_like(image)
    for y in range(height):
        for x in range(width):
            moved[y, x] = image[
                min(max(y - down, 0), height - 1), min(max(x - right, 0), width - 1)
            ]
    return moved


@st.composite
def moves(draw):
    batch, images = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    shift = st.integers(-9, 9)
    augment = draw(
        st.lists(st.tuples(st.integers(0, 1), shift, shift), min_size=batch, max_size=batch)
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return rng.integers(0, 256, (batch, images, height, width, 3), dtype=np.uint8), augment


@settings(max_examples=60, deadline=None)
@given(moves(), st.booleans())
def test_move_is_mirroring_and_then_shifting_every_frame_of_a_segment_alike(case, channels_first):
    x, augment = case
    expected = np.stack(
        [[slow_move(image, *how) for image in xs] for xs, how in zip(x, augment, strict=True)]
    )
    if channels_first:
        found = move(torch.from_numpy(x).movedim(-1, 2), torch.tensor(augment), 3).movedim(2, -1)
    else:
        found = move(torch.from_numpy(x), torch.tensor(augment), 2)
    np.testing.assert_array_equal(found.numpy(), expected)


def waves(y, x, seed=0):
    """A smooth texture, 0…255, at any places."""
    rng = np.random.default_rng(seed)
    image = np.zeros(x.shape)
    for _ in range(20):
        frequency, angle, phase = rng.uniform(0.08, 0.45), *rng.uniform(0, 2 * np.pi, 2)
        image += np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return np.clip(128 + 25 * image, 0, 255)


def moving(t, motion, height=150, width=110):
    """Frames ``(1, t, H, W, 3)``; ``motion(y, x)``: what a pixel moves by each frame, x and y."""
    y, x = np.mgrid[:height, :width].astype(float)
    frames = []
    for i in range(t):
        dx, dy = motion(y, x)
        frames.append(waves(y - i * dy, x - i * dx))
    grey = np.stack(frames).round().astype(np.uint8)
    return torch.from_numpy(grey[None, ..., None].repeat(3, -1))


def turning(y, x):
    return 0.8 + (y - 75) / 60, -0.5 + (x - 55) / 60


@pytest.mark.parametrize(("dx", "dy"), [(1.5, -0.75), (-2.0, 0.0), (0.0, 1.0)])
def test_pair_flow_finds_a_known_shift_of_every_pair(dx, dy):
    flow = pair_flow(moving(3, lambda y, x: (dx, dy)), FlowConfig())
    assert flow.shape == (1, 2, 2, 150, 110)
    assert flow.dtype == torch.float32
    inside = flow[..., 10:-10, 10:-10]
    assert inside[:, :, 0].mean((2, 3)).flatten().tolist() == pytest.approx([dx, dx], abs=0.05)
    assert inside[:, :, 1].mean((2, 3)).flatten().tolist() == pytest.approx([dy, dy], abs=0.05)


def test_flow_of_a_pair_does_not_depend_on_the_pairs_beside_it():
    frames = moving(4, turning, 60, 50)
    other = torch.cat([frames, frames.flip(1)])
    flow = pair_flow(other, FlowConfig())
    for i in range(3):
        torch.testing.assert_close(
            flow[:1, i : i + 1], pair_flow(frames[:, i : i + 2], FlowConfig()), rtol=0, atol=0
        )


def segments(frames, flow=None, augment=None):
    zeros = torch.zeros(len(frames), dtype=torch.int64)
    augment = None if augment is None else torch.tensor(augment)
    return SegmentBatch(frames, flow, zeros + 4, zeros, zeros, augment)


def pixels(batch, config, size=128):
    """The flow that the temporal images show, in pixels a frame: ``(B, n, 3, S, S)``."""
    images = stream_inputs(batch, ("temporal",), size, config).images["temporal"]
    return (images * 2 - 1) * config.limit


@pytest.mark.parametrize("augment", [(0, 3, -2), (0, -6, 5), (0, 8, 8)])
def test_cached_flow_of_shifted_segments_is_the_flow_of_the_shifted_frames(augment):
    config = FlowConfig(limit=8)
    frames = moving(3, turning)
    shifted = pixels(segments(frames, pair_flow(frames, config).half(), [augment]), config)
    computed = pixels(segments(frames, None, [augment]), config)
    still = pixels(segments(frames, None, None), config)
    inside = (..., slice(25, -25), slice(25, -25))
    assert (computed - still)[inside].abs().mean() > 0.02  # the shift is seen
    assert (shifted - computed)[inside].abs().mean() < 0.01 * computed[inside].abs().mean()


def test_with_one_level_cached_flow_of_shifted_segments_is_exact_away_from_the_border():
    config = FlowConfig(levels=1, limit=8)
    frames = moving(2, lambda y, x: (0.4, -0.3))
    augment = [(0, 5, -4)]
    shifted = pixels(segments(frames, pair_flow(frames, config).half(), augment), config)
    computed = pixels(segments(frames, None, augment), config)
    inside = (..., slice(50, -50), slice(50, -50))
    torch.testing.assert_close(shifted[inside], computed[inside], rtol=0, atol=0.005)


@pytest.mark.parametrize("augment", [(1, 0, 0), (1, 4, -3)])
def test_cached_flow_of_mirrored_segments_is_within_two_percent_of_that_of_mirrored_frames(augment):
    config = FlowConfig(limit=8)
    frames = moving(3, turning)
    turned = pixels(segments(frames, pair_flow(frames, config).half(), [augment]), config)
    computed = pixels(segments(frames, None, [augment]), config)
    inside = (..., slice(20, -20), slice(20, -20))
    assert (turned - computed)[inside].abs().mean() < 0.02 * computed[inside].abs().mean()


@pytest.mark.parametrize("warps", [1, 2])
@pytest.mark.parametrize("augment", [(1, 0, 0), (1, 5, -4)])
def test_with_one_level_cached_flow_of_mirrored_segments_is_that_of_mirrored_frames(augment, warps):
    """Fine texture tells whether it is a pixel off."""
    config = FlowConfig(levels=1, warps=warps, limit=8)
    picture = np.random.default_rng(0).integers(0, 256, (160, 120), dtype=np.uint8)
    frames = torch.from_numpy(np.stack([picture[i : i + 150, i : i + 110] for i in (0, 1)]))
    frames = frames[None, ..., None].expand(-1, -1, -1, -1, 3)
    turned = pixels(segments(frames, pair_flow(frames, config).half(), [augment]), config)
    computed = pixels(segments(frames, None, [augment]), config)
    inside = (..., slice(30, -30), slice(30, -30))
    assert (turned - computed)[inside].abs().mean() < 0.01 * computed[inside].abs().mean()


def test_motion_to_the_right_is_motion_to_the_left_in_the_mirror():
    config = FlowConfig()
    frames = moving(2, lambda y, x: (1.0, 0.5)).repeat(2, 1, 1, 1, 1)
    for flow in (None, pair_flow(frames, config).half()):
        shown = pixels(segments(frames, flow, [(0, 0, 0), (1, 0, 0)]), config)
        means = shown[..., 20:-20, 20:-20].mean((1, 3, 4))
        length = 1.25**0.5
        assert means[0].tolist() == pytest.approx([1.0, 0.5, length], abs=0.05)
        assert means[1].tolist() == pytest.approx([-1.0, 0.5, length], abs=0.05)


@pytest.mark.parametrize(
    "streams", [("spatial", "temporal"), ("spatial",), ("temporal",)], ids=lambda s: "+".join(s)
)
@pytest.mark.parametrize("cached", [True, False])
def test_images_have_the_streams_asked_for_and_one_image_less_than_frames(streams, cached):
    frames = torch.zeros(2, 4, 150, 110, 3, dtype=torch.uint8)
    flow = torch.zeros(2, 3, 2, 150, 110, dtype=torch.float16) if cached else None
    made = stream_inputs(segments(frames, flow, [(1, 2, 3)] * 2), streams, 67, FlowConfig(levels=1))
    assert set(made.images) == set(streams)
    for images in made.images.values():
        assert images.shape == (2, 3, 3, 67, 67)
        assert images.dtype == torch.float32
    assert made.label.tolist() == [4, 4]


@pytest.mark.parametrize("grey", [0, 77, 255])
@pytest.mark.parametrize("augment", [None, [(1, 6, -6)]])
def test_a_grey_image_is_its_share_of_white(grey, augment):
    frames = torch.full((1, 3, 150, 110, 3), grey, dtype=torch.uint8)
    images = stream_inputs(segments(frames, None, augment), ("spatial",), 64, FlowConfig()).images
    torch.testing.assert_close(images["spatial"], torch.full((1, 2, 3, 64, 64), grey / 255))


def test_colours_keep_their_channels():
    frames = torch.zeros(1, 2, 150, 110, 3, dtype=torch.uint8)
    frames[..., 0] = 255
    images = stream_inputs(segments(frames), ("spatial",), 64, FlowConfig()).images["spatial"]
    assert images[0, 0, :, 32, 32].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("cached", [True, False])
def test_no_motion_is_the_middle_of_the_range(cached):
    frames = moving(3, lambda y, x: (0.0, 0.0))
    flow = torch.zeros(1, 2, 2, 150, 110, dtype=torch.float16) if cached else None
    images = stream_inputs(segments(frames, flow), ("temporal",), 64, FlowConfig()).images
    torch.testing.assert_close(images["temporal"], torch.full((1, 2, 3, 64, 64), 0.5))


@pytest.mark.parametrize(("dx", "share"), [(2.5, 0.75), (5.0, 1.0), (40.0, 1.0), (-40.0, 0.0)])
def test_motion_is_divided_by_the_limit_and_saturates_there(dx, share):
    frames = torch.zeros(1, 2, 150, 110, 3, dtype=torch.uint8)
    flow = torch.zeros(1, 1, 2, 150, 110, dtype=torch.float16)
    flow[:, :, 0] = dx
    batch = segments(frames, flow)
    images = stream_inputs(batch, ("temporal",), 64, FlowConfig(limit=5.0)).images["temporal"]
    found = images[0, 0, :, 30, 30]
    length = min(abs(dx) / 5, 1) / 2 + 0.5
    assert found.tolist() == pytest.approx([share, 0.5, length], abs=1e-5)


def test_spatial_images_are_all_frames_but_the_last_in_their_order():
    frames = torch.zeros(1, 5, 150, 110, 3, dtype=torch.uint8)
    frames += torch.arange(0, 250, 50, dtype=torch.uint8).view(1, 5, 1, 1, 1)
    images = stream_inputs(segments(frames), ("spatial",), 64, FlowConfig()).images["spatial"]
    found = images[0, :, 0, 10, 10] * 255
    assert found.tolist() == pytest.approx([0, 50, 100, 150], abs=0.01)


def test_images_are_stretched_to_the_square_by_antialiased_averaging():
    """An image of fine stripes shrinks to their mean; its left half stays in the left half."""
    frames = torch.zeros(1, 2, 150, 110, 3, dtype=torch.uint8)
    frames[:, :, ::2] = 200  # rows
    frames[:, :, :, 55:] = 100
    images = stream_inputs(segments(frames), ("spatial",), 63, FlowConfig()).images["spatial"]
    found = images[0, 0] * 255
    assert (found[:, 3:-3, :28] - 100).abs().max() < 13
    torch.testing.assert_close(found[:, :, -28:], torch.full((3, 63, 28), 100.0), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("alpha", 0.0), ("alpha", float("nan")), ("alpha", 1e5), ("rho", -1.0)),
        *(("limit", -1.0), ("levels", 0), ("warps", 0)),
    ],
)
def test_bad_flow_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` is {value}"):
        FlowConfig(**{name: value})


def test_the_flow_key_changes_with_what_changes_a_value_and_not_with_the_limit():
    keys = [
        flow_key(FlowConfig(**{name: value}))
        for name, value in (
            ("alpha", 10.0),
            ("levels", 1),
            ("warps", 2),
            ("rho", 1.0),
            ("limit", 5.0),
        )
    ]
    assert len(set(keys)) == 5
    assert flow_key(FlowConfig(limit=9.0, cache=False)) == flow_key(FlowConfig())


def test_turning_by_half_a_circle_turns_every_frame_upside_down():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 15, 11, 3), np.uint8)
    frames = torch.from_numpy(pixels)
    change = torch.tensor([[180.0, 1, 1], [0, 1, 1]])
    turned = turn(frames, change)
    torch.testing.assert_close(turned[0], frames[0].flip(1, 2).float(), atol=0.05, rtol=0)
    torch.testing.assert_close(turned[1], frames[1].float(), atol=0.05, rtol=0)


def test_turning_rotates_against_the_clock_and_scaling_enlarges_about_the_centre():
    """A ramp to the right, turned a quarter, rises upwards; twice as large, it is half as steep."""
    x = torch.arange(21.0)
    frames = (10 * x).expand(1, 1, 21, 21)[..., None].expand(-1, -1, -1, -1, 3)
    up = turn(frames, torch.tensor([[90.0, 1, 1]]))[0, 0, :, :, 0]
    torch.testing.assert_close(up, (200 - 10 * x)[:, None].expand(21, 21), atol=0.05, rtol=0)
    large = turn(frames, torch.tensor([[0.0, 2, 1]]))[0, 0, :, :, 0]
    torch.testing.assert_close(large, (50 + 5 * x).expand(21, 21), atol=0.05, rtol=0)


def test_light_multiplies_grey_values_and_stops_at_white():
    frames = torch.tensor([10, 100, 200], dtype=torch.uint8).expand(2, 2, 4, 4, 3)
    lit = turn(frames, torch.tensor([[0.0, 1, 1.5], [0, 1, 0.5]]))
    torch.testing.assert_close(lit[0, 0, 0, 0], torch.tensor([15.0, 150, 255]))
    torch.testing.assert_close(lit[1, 1, 3, 3], torch.tensor([5.0, 50, 100]))


def test_flow_of_a_turned_segment_is_the_turned_flow():
    """Motion to the right, turned a quarter against the clock, is motion upwards."""
    batch = segments(moving(2, lambda y, x: (1.0, 0.0), 110, 110))
    batch = batch._replace(warp=torch.tensor([[90.0, 1, 1]]))
    shown = pixels(batch, FlowConfig())[0, 0, :2, 40:80, 40:80].mean((1, 2))
    assert shown.tolist() == pytest.approx([0, -1], abs=0.1)


@pytest.mark.parametrize("change", [(90.0, 1.0), (0.0, 1.25), (-20.0, 0.9), (0.0, 1.0)])
def test_flow_that_is_turned_lies_and_points_as_the_turned_motion_does(change):
    """An affine motion in numbers: F(x) = Ax + b becomes M F(M⁻¹x), with M the turning."""
    degrees, scale = change
    radians = np.deg2rad(degrees)
    turning = scale * np.array(
        [[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]]
    )  # of pixels (x, y), y downwards: against the clock
    grow = np.array([[0.01, -0.02], [0.03, 0.005]])
    rows, columns = np.mgrid[:61, :61] - 30.0
    places = np.stack([columns, rows])
    flow = np.einsum("ij,jhw->ihw", grow, places) + np.array([1.0, -0.5])[:, None, None]
    expected = np.einsum("ij,jhw->ihw", turning @ grow @ np.linalg.inv(turning), places)
    expected += (turning @ np.array([1.0, -0.5]))[:, None, None]
    given = torch.from_numpy(flow).float()[None, None]
    found = turn_flow(given, torch.tensor([[degrees, scale, 1.3]]))[0, 0].numpy()
    inner = np.s_[:, 20:41, 20:41]  # what comes in from outside repeats the border
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-3)


def test_a_batch_turns_its_frames_and_its_flow_alike():
    """Motion to the right, turned a quarter against the clock, is motion upwards; light is not."""
    batch = segments(moving(2, lambda y, x: (1.0, 0.0), 110, 110))
    flow = torch.zeros(1, 1, 2, 110, 110, dtype=torch.float16)
    flow[:, :, 0] = 1
    batch = batch._replace(flow=flow, warp=torch.tensor([[90.0, 1, 0.5]]))
    shown = pixels(batch, FlowConfig())[0, 0, :2, 40:80, 40:80].mean((1, 2))
    assert shown.tolist() == pytest.approx([0, -1], abs=0.01)
