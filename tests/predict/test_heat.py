"""Heat pictures: what lies where, and that it lies over the face however that is turned."""

from dataclasses import replace

import numpy as np
import pytest

from tests.predict import made
from vfer.faces.alignment import align
from vfer.faces.settings import FaceConfig
from vfer.predict.explanation import Explanation, StreamShare
from vfer.predict.heat import OPACITY, heat, lay_over
from vfer.predict.painter import Painter, remarks

NOWHERE = ("00" * 11,) * 15


def hot(row, column):
    """A map with one hot cell."""
    rows = [["00"] * 11 for _ in range(15)]
    rows[row][column] = "ff"
    return tuple("".join(cells) for cells in rows)


def explained(**streams):
    times = tuple(np.arange(3) / 25)
    return Explanation("anger", 1.0, 0.0, times, streams)


def test_the_picture_is_hottest_where_the_map_is_and_in_proportion_to_the_streams():
    mouth = StreamShare(3.0, (3.0, 0.0, 0.0), {"mouth": 1.0}, hot(11, 5))
    brow = StreamShare(1.5, (0.0, 1.5, 0.0), {"brows": 1.0}, hot(3, 1))
    against = StreamShare(-2.0, (-2.0, 0.0, 0.0), {"chin": 1.0}, hot(14, 10))
    empty = StreamShare(1.0, (1.0, 0.0, 0.0), {}, NOWHERE)
    both = heat(explained(spatial=mouth, temporal=brow))
    assert (both.shape, both.dtype) == ((150, 110, 4), np.uint8)
    opaque = both[..., 3] / 255
    assert opaque[115, 55] == pytest.approx(OPACITY, abs=0.05)
    assert opaque[35, 15] == pytest.approx(OPACITY / 2, abs=0.05)
    assert opaque[75, 55] == 0
    for other in (against, empty):
        alone = heat(explained(spatial=mouth, temporal=other))
        np.testing.assert_array_equal(alone, heat(explained(spatial=mouth)))
    assert not heat(explained(spatial=against))[..., 3].any()


def test_a_frame_that_adds_little_is_shown_fainter():
    one = StreamShare(5.0, (4.0, 2.0, -1.0), {"mouth": 1.0}, hot(11, 5))
    shown = [heat(explained(spatial=one), time)[115, 55, 3] for time in (0.0, 0.03, 0.9)]
    assert shown[0] == heat(explained(spatial=one))[115, 55, 3]
    assert shown[1] / shown[0] == pytest.approx(0.5, abs=0.05)
    assert shown[2] == 0


@pytest.mark.parametrize("turned", [0, 25, -160])
def test_the_picture_lies_so_over_a_face_that_its_crop_shows_it_upright(turned):
    frame = np.full((240, 320, 3), 90, np.uint8)
    angle, distance = np.radians(turned), 62.0
    half = np.array([np.cos(angle), np.sin(angle)]) * distance / 2
    eyes = np.array([150.3, 118.8]) + np.stack([-half, half])
    picture = np.zeros((150, 110, 4), np.uint8)
    picture[20:60, 10:70] = picture[100:140, 70:100] = (255, 0, 0, 255)
    drawn = lay_over(frame, picture, eyes)
    crop = align(drawn[None], eyes[None], FaceConfig())[0].astype(int)
    expected = np.where(picture[..., 3:] > 0, picture[..., :3], 90)
    np.testing.assert_allclose(crop.mean((0, 1)), expected.mean((0, 1)), atol=2)
    inner = np.abs(crop - expected).max(axis=2) > 40  # only edges are soft
    assert inner.mean() < 0.02
    assert (frame == 90).all()


def test_an_overlay_of_explained_windows_has_heat_and_reasons():
    one = StreamShare(3.0, (3.0, 1.0, 0.0), {"mouth": 0.8, "chin": 0.2}, hot(11, 5))
    against = StreamShare(-0.5, (-0.5, 0.0, 0.0), {}, NOWHERE)
    plain = made.window(0, 0.0, "anger")
    reason = explained(spatial=one, temporal=against)
    told = [
        made.timeline(tracks=[made.track(0, 0.0, 2.0, [window])])
        for window in (plain, replace(plain, explanation=reason))
    ]
    assert remarks(plain) == []
    assert remarks(told[1].windows[0]) == ["spatial +3.0: mouth", "temporal -0.5"]
    grey = np.full((120, 160, 3), 128, np.uint8)
    without, with_heat = (Painter(each, 640, 480).paint(grey, 0.0) for each in told)
    changed = np.abs(with_heat.astype(int) - without).max(axis=2)
    # eyes are 20 px apart in row 25, the mouth is 65/55 of that lower; all is four times larger
    mouth = (round(4 * (25.5 + 20 * 65 / 55)), round(4 * 40.5))
    assert changed[mouth] > 60
    assert changed[4 * 25, 4 * 40] < 10
    assert changed[4 * 110, 4 * 20] == 0


def test_outside_of_the_frame_nothing_is_drawn():
    frame = np.full((60, 80, 3), 90, np.uint8)
    picture = np.full((150, 110, 4), 255, np.uint8)
    far = np.array([[900.0, 900.0], [960.0, 900.0]])
    np.testing.assert_array_equal(lay_over(frame, picture, far), frame)
    np.testing.assert_array_equal(lay_over(frame, picture, far * 0), frame)
    near = np.array([[-30.0, 10.0], [30.0, 10.0]])
    assert (lay_over(frame, picture, near)[:, :50] == 255).all()
