import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.corpora.enterface05 import read
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.files import load_truth
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.detection import detect
from vfer.faces.person import Detection, follow
from vfer.faces.settings import FaceConfig
from vfer.faces.tracking import NoFaceError, track
from vfer.video import read_frames

LEFT, RIGHT = (27.0, 49.5), (82.0, 49.5)  # where the eyes belong in a crop: x, y


def eye_pair(x, y, distance, degrees):
    """Eyes around a centre, the line between them turned clockwise on the screen."""
    angle = np.deg2rad(degrees)
    half = distance / 2 * np.array([np.cos(angle), np.sin(angle)])
    return np.stack([-half, half]) + np.array([x, y])


def blobs(size, eyes, sigma):
    """The left eye a red blob, the right eye a green one, at exact sub-pixel places."""
    y, x = np.mgrid[:size, :size].astype(float)
    frame = np.zeros((size, size, 3))
    for channel, (eye_x, eye_y) in enumerate(eyes):
        frame[..., channel] = 250 * np.exp(-((x - eye_x) ** 2 + (y - eye_y) ** 2) / (2 * sigma**2))
    return frame.round().astype(np.uint8)


def centroid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image.astype(float)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@settings(max_examples=30, deadline=None)
@given(st.floats(130, 170), st.floats(110, 180), st.floats(30, 140), st.floats(-40, 40))
def test_the_eyes_land_on_their_places_under_shift_scale_and_rotation(x, y, distance, degrees):
    eyes = eye_pair(x, y, distance, degrees)
    frame = blobs(300, eyes, 3 * distance / 55)
    crops = align(frame[None], eyes[None], FaceConfig())
    assert crops.shape == (1, 150, 110, 3)
    assert crops.dtype == np.uint8
    assert centroid(crops[0, ..., 0]) == pytest.approx(LEFT, abs=0.1)
    assert centroid(crops[0, ..., 1]) == pytest.approx(RIGHT, abs=0.1)
    assert not crops[0, ..., 2].any()


def test_eye_distance_and_row_of_the_config_are_where_the_eyes_land():
    eyes = eye_pair(150, 140, 80, 15)
    config = FaceConfig(eye_distance=40, eye_row=0.5)
    crop = align(blobs(300, eyes, 4)[None], eyes[None], config)[0]
    assert centroid(crop[..., 0]) == pytest.approx((34.5, 74.5), abs=0.1)
    assert centroid(crop[..., 1]) == pytest.approx((74.5, 74.5), abs=0.1)


@pytest.mark.parametrize(
    ("height", "width", "distance", "degrees"),
    [(300, 400, 55, 0), (301, 399, 70, 20), (300, 400, 40, -25), (301, 401, 30, 7)],
)
def test_a_linear_ramp_stays_the_linear_ramp_it_is(height, width, distance, degrees):
    y, x = np.mgrid[:height, :width]
    slopes = np.array([[0.47, 0.0], [0.0, 0.61], [0.31, 0.37]])
    ramp = (x[..., None] * slopes[:, 0] + y[..., None] * slopes[:, 1]).round().astype(np.uint8)
    eyes = eye_pair(width / 2 + 0.3, height / 2 - 20.7, distance, degrees)
    # x' = a x − b y + c, y' = b x + a y + d takes the crop's places to the frame's eyes.
    rows, wanted = [], []
    for (u, v), (eye_x, eye_y) in zip((LEFT, RIGHT), eyes, strict=True):
        rows += [[u, -v, 1, 0], [v, u, 0, 1]]
        wanted += [eye_x, eye_y]
    a, b, c, d = np.linalg.solve(rows, wanted)
    v, u = np.mgrid[:150, :110]
    frame_x, frame_y = a * u - b * v + c, b * u + a * v + d
    inside = (frame_x > 2) & (frame_x < width - 3) & (frame_y > 2) & (frame_y < height - 3)
    assert inside.mean() > 0.9
    expected = frame_x[..., None] * slopes[:, 0] + frame_y[..., None] * slopes[:, 1]
    crop = align(ramp[None], eyes[None], FaceConfig())[0]
    assert np.abs(crop - expected)[inside].max() <= 1.01  # rounded twice, so not quite evenly
    assert abs((crop - expected)[inside].mean()) < 0.2


@pytest.mark.parametrize("distance", [110, 165, 190, 220, 300])
@pytest.mark.parametrize("degrees", [0, 11])
def test_a_fine_checkerboard_shrinks_to_grey_and_not_to_a_pattern(distance, degrees):
    size = 1200
    board = ((np.indices((size, size)).sum(0) % 2) * 255).astype(np.uint8)
    frame = board[..., None].repeat(3, -1)
    eyes = eye_pair(600.2, 500.4, distance, degrees)
    crop = align(frame[None], eyes[None], FaceConfig())[0].astype(float)
    assert crop.mean() == pytest.approx(127.5, abs=2)
    assert crop.std() < 127.5 / 10


def test_outside_the_frame_the_border_repeats():
    frame = np.full((60, 80, 3), (10, 100, 200), np.uint8)
    frame[0] = (250, 0, 0)  # the top row
    crop = align(frame[None], eye_pair(40, 10, 55, 0)[None], FaceConfig())[0]
    assert (crop[:30] == (250, 0, 0)).all()
    assert (crop[-60:] == (10, 100, 200)).all()


def test_each_frame_is_cut_at_its_own_eyes_whatever_the_run():
    pairs = np.stack([eye_pair(120 + 3 * i, 120 - 2 * i, 45 + 10 * i, 4 * i) for i in range(5)])
    frames = np.stack([blobs(250, eyes, 3) for eyes in pairs])
    crops = align(frames, pairs, FaceConfig())
    for crop in crops:
        assert centroid(crop[..., 0]) == pytest.approx(LEFT, abs=0.1)
    runs = [align(frames[i : i + 2], pairs[i : i + 2], FaceConfig()) for i in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(runs), crops)


@pytest.mark.parametrize("stabilise", ["clip", "smooth", "frame"])
def test_eyes_of_drawn_faces_are_found_within_two_pixels(facs_root, stabilise):
    for clip in read(facs_root).clips[::4]:
        frames, _ = read_frames(clip.path)
        truth = load_truth(clip.path).eyes  # about 33 px apart
        found = track([frames], FaceConfig(stabilise=stabilise))
        assert found.eyes.shape == (len(frames), 2, 2)
        assert (found.eyes[:, 0, 0] < found.eyes[:, 1, 0]).all()
        error = np.linalg.norm(found.eyes - truth, axis=-1)
        assert error.mean() < 2
        assert error.max() < 3.3  # a tenth of their distance
        assert (found.sampled, found.detected) == (4, 4)
        assert 0.9 < found.confidence <= 1


@pytest.fixture(scope="module")
def drawn():
    """One drawn clip, 10 frames of 240×192, and where its eyes are."""
    frames, truth = draw_clip(FacsConfig(frames=10, width=240, height=192), 1, "happiness", 1)
    return frames, truth.eyes


def detected_eyes(frames):
    """Eyes as detected in every frame, unstabilised."""
    return np.stack(
        [d.eyes for d in detect(range(len(frames)), frames, FaceConfig(detect_every=1))]
    )


def test_frame_takes_the_eyes_as_detected(drawn):
    frames, _ = drawn
    config = FaceConfig(detect_every=1, stabilise="frame")
    np.testing.assert_allclose(track([frames], config).eyes, detected_eyes(frames))


def test_clip_takes_one_place_the_median_of_what_was_detected(drawn):
    frames, _ = drawn
    eyes = track([frames], FaceConfig(detect_every=1, stabilise="clip")).eyes
    middle = np.median(detected_eyes(frames), axis=0)
    np.testing.assert_allclose(eyes, middle[None].repeat(10, 0))


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_smooth_takes_the_gaussian_mean_over_time_with_the_ends_repeated(drawn, sigma):
    frames, _ = drawn
    eyes = track([frames], FaceConfig(detect_every=1, stabilise="smooth", smooth_sigma=sigma)).eyes
    found = detected_eyes(frames)
    for t in range(10):
        near = np.arange(t - 40, t + 41)
        weight = np.exp(-((near - t) ** 2) / (2 * sigma**2))
        expected = np.tensordot(weight / weight.sum(), found[near.clip(0, 9)], 1)
        np.testing.assert_allclose(eyes[t], expected, atol=0.01)


@pytest.mark.parametrize("stabilise", ["smooth", "frame"])
@pytest.mark.parametrize("lengths", [[1] * 10, [3, 7], [4, 4, 2], [9, 1]])
def test_the_track_does_not_depend_on_how_the_clip_is_cut_into_runs(drawn, lengths, stabilise):
    frames, _ = drawn
    config = FaceConfig(detect_every=3, stabilise=stabilise)
    whole = track([frames], config)
    found = track(np.split(frames, np.cumsum(lengths)[:-1]), config)
    np.testing.assert_array_equal(found.eyes, whole.eyes)
    assert replace(found, eyes=None) == replace(whole, eyes=None)


def test_runs_are_streamed_and_not_kept(drawn):
    """Only the frames the detector waits for are kept."""
    alive = []

    def runs():
        for _ in range(12):
            run = drawn[0].copy()
            alive.append(weakref.ref(run))
            yield run
            del run
            assert sum(r() is not None for r in alive) <= 3

    assert len(track(runs(), FaceConfig(detect_every=10)).eyes) == 120


@pytest.mark.parametrize(("frames", "sampled"), [(1, 1), (4, 2), (5, 2), (9, 3), (10, 4)])
def test_sampled_frames_are_every_so_many_and_the_last(drawn, frames, sampled):
    found = track([drawn[0][:frames]], FaceConfig(detect_every=4))
    assert (found.sampled, found.detected, len(found.eyes)) == (sampled, sampled, frames)


def test_a_clip_without_frames_is_refused():
    with pytest.raises(ValueError, match="without frames"):
        track([], FaceConfig())


def test_eyes_of_frames_without_a_face_are_interpolated_and_at_the_ends_repeated(drawn):
    frames = drawn[0].copy()
    gone = [0, 1, 5, 6, 9]
    frames[gone] = 90
    config = FaceConfig(detect_every=1, stabilise="frame", min_detected=0.5)
    found = track([frames], config)
    true = track([drawn[0]], config).eyes
    assert (found.sampled, found.detected) == (10, 5)
    np.testing.assert_allclose(found.eyes[[2, 3, 4, 7, 8]], true[[2, 3, 4, 7, 8]], atol=0.01)
    np.testing.assert_allclose(found.eyes[5], found.eyes[4] * 2 / 3 + found.eyes[7] / 3)
    np.testing.assert_allclose(found.eyes[6], found.eyes[4] / 3 + found.eyes[7] * 2 / 3)
    np.testing.assert_allclose(found.eyes[[0, 1, 9]], found.eyes[[2, 2, 8]])


def test_a_face_in_too_few_frames_is_no_face_and_the_error_counts_them(drawn):
    frames = drawn[0].copy()
    frames[[0, 1, 5, 6, 9]] = 90
    with pytest.raises(NoFaceError, match=r"5 of 10.*60%.*faces\.min_detected"):
        track([frames], FaceConfig(detect_every=1, min_detected=0.6))


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (slice(7, None), "no face in frames 7 to 9 of 10, 3 together and more than 2"),
        (slice(0, 3), "no face in frames 0 to 2 of 10, 3 together"),
        (slice(4, 7), "no face in frames 4 to 6 of 10, 3 together"),
    ],
)
def test_a_face_away_for_longer_than_the_gap_is_no_face_and_the_error_says_where(
    drawn, gone, message
):
    frames = drawn[0].copy()
    frames[gone] = 90
    with pytest.raises(NoFaceError, match=message + r".*faces\.max_gap.*7 of 10"):
        track([frames], FaceConfig(detect_every=1, max_gap=2))
    assert track([frames], FaceConfig(detect_every=1, max_gap=3)).detected == 7


@pytest.mark.parametrize("min_detected", [0.0, 0.5])
def test_there_is_no_face_in_noise(min_detected):
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 128, 3), dtype=np.uint8)
    with pytest.raises(NoFaceError, match="0 of 2 sampled frames"):
        track([noise], FaceConfig(min_detected=min_detected))


def test_a_clip_of_one_frame_is_tracked(drawn):
    frames, eyes = drawn
    assert track([frames[:1]], FaceConfig()).eyes == pytest.approx(eyes[:1], abs=3.3)


@pytest.fixture(scope="module")
def two_faces():
    """A larger face on the right half, a smaller on the left, and the larger one's eyes."""
    large, truth = draw_clip(FacsConfig(frames=8, width=300, height=240), 2, "sadness", 1)
    small, _ = draw_clip(FacsConfig(frames=8, width=200, height=160), 1, "anger", 1)
    frames = np.full((8, 240, 500, 3), 120, np.uint8)
    frames[:, 40:200, :200] = small
    frames[:, :, 200:] = large
    return frames, truth.eyes + np.array([200, 0])


def test_of_two_faces_the_larger_is_followed(two_faces):
    frames, eyes = two_faces
    config = FaceConfig(detect_every=1, stabilise="frame")
    assert {d.eyes.mean(0)[0] > 200 for d in detect(range(len(frames)), frames, config)} == {
        True,
        False,
    }
    found = track([frames], config)
    assert found.detected == 8
    assert np.linalg.norm(found.eyes - eyes, axis=-1).max() < 4.5


def test_while_the_larger_face_is_hidden_the_track_does_not_jump_to_the_other(two_faces):
    frames, eyes = two_faces
    hidden = frames.copy()
    hidden[3:5, :, 200:] = 90
    found = track([hidden], FaceConfig(detect_every=1, stabilise="frame"))
    assert found.detected == 6
    assert np.linalg.norm(found.eyes - eyes, axis=-1).max() < 6


def test_when_the_larger_face_leaves_its_place_is_kept_or_the_config_takes_the_other(two_faces):
    frames, eyes = two_faces
    left = frames.copy()
    left[5:, :, 200:] = 90
    config = FaceConfig(detect_every=1, stabilise="frame")
    found = track([left], config)
    assert found.detected == 5
    assert np.linalg.norm(found.eyes[:5] - eyes[:5], axis=-1).max() < 4.5
    np.testing.assert_array_equal(found.eyes[5:], found.eyes[[4, 4, 4]])
    other = track([left], replace(config, follow="longest"))
    assert other.detected == 8
    assert (other.eyes[..., 0] < 200).all()
    with pytest.raises(NoFaceError, match="frames 5 to 7"):
        track([left], replace(config, max_gap=2))


@pytest.mark.parametrize("gone", [[], [0], [4], [0, 1, 8]])
def test_a_face_smaller_than_looked_for_at_first_is_found_where_there_is_no_other(gone):
    small, truth = draw_clip(FacsConfig(frames=9, width=160, height=128), 1, "anger", 1)
    frames = np.full((9, 600, 800, 3), 120, np.uint8)
    frames[:, 200:328, 150:310] = small
    frames[gone] = 0
    found = track([frames], FaceConfig(detect_every=1, stabilise="frame"))
    assert found.detected == 9 - len(gone)
    assert np.linalg.norm(found.eyes - truth.eyes - [150, 200], axis=-1).mean() < 3


def seen(frame, x, size=100.0):
    """A detection of the face whose box begins at x."""
    box = np.array([x, 0, x + size, size])
    return Detection(frame, box, np.array([[x, 30], [x + 40, 30]]), 0.99)


def test_the_face_with_the_greatest_sum_of_areas_is_followed():
    brief = [seen(0, 300, 120), seen(1, 300, 120)]
    lasting = [seen(t, 0, 100) for t in range(4)]
    found = sorted(brief + lasting, key=lambda d: d.frame)
    assert [d.box[0] for d in follow(found)] == [0, 0, 0, 0]


@pytest.mark.parametrize(("rule", "x"), [("largest", 300), ("longest", 0), ("central", 150)])
def test_whom_to_follow_is_the_configs_choice(rule, x):
    large = [seen(t, 300, 200) for t in range(3)]
    lasting = [seen(t, 0, 60) for t in range(6)]
    central = [seen(t, 150, 100) for t in range(5)]
    found = sorted(large + lasting + central, key=lambda d: d.frame)
    assert {d.box[0] for d in follow(found, rule, width=400, height=100)} == {x}


def test_two_faces_whose_sizes_cross_keep_their_tracks():
    """One comes nearer and the other goes away: each run stays with its place."""
    near = [seen(t, 0, 60 + 10 * t) for t in range(8)]
    away = [seen(t, 300, 130 - 10 * t) for t in range(8)]
    found = sorted(near + away, key=lambda d: d.frame)
    assert len({d.box[0] for d in follow(found)}) == 1
    assert [d.frame for d in follow(found)] == list(range(8))


@pytest.mark.parametrize("order", ["left first", "right first"])
def test_two_people_cheek_by_cheek_are_never_mixed(order):
    """The second person comes into view in frame 1; their boxes overlap by a third."""
    left, right = [seen(t, 0) for t in range(5)], [seen(t, 48) for t in range(1, 5)]
    found = [d for t in range(5) for d in left + right if d.frame == t]
    if order == "right first":
        found.sort(key=lambda d: (d.frame, -d.box[0]))
    assert [d.box[0] for d in follow(found)] == [0] * 5


def test_a_face_that_leaps_begins_a_new_run():
    found = [seen(0, 0), seen(1, 0), seen(2, 90), seen(3, 90), seen(4, 90)]
    assert [d.frame for d in follow(found)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("detect_every", 0),
        ("min_face", 0.0),
        ("min_face", 1.5),
        ("min_detected", -0.1),
        ("min_detected", 1.1),
        ("max_gap", 2),
        ("max_gap", -1),
        ("smooth_sigma", 0.0),
        ("smooth_sigma", float("nan")),
        ("eye_distance", 0.0),
        ("eye_distance", 111.0),
        ("eye_row", -0.1),
        ("eye_row", 1.1),
        ("stabilise", "median"),
        ("detector", "retinaface"),
        ("device", "tpu"),
        ("follow", "prettiest"),
    ],
)
def test_bad_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` is {value}"):
        FaceConfig(**{name: value})


def test_frames_smaller_than_any_face_hold_none():
    with pytest.raises(NoFaceError):
        track([np.zeros((3, 16, 16, 3), np.uint8)], FaceConfig())
