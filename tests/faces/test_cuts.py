"""Hard cuts are found in drawn videos, and nothing else is taken for one."""

import numpy as np
import pytest

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.cuts import FLASH, NEAR, Cuts

SIZE = {"width": 160, "height": 128}


@pytest.fixture(scope="module")
def people():
    """Clips of three people before their walls, ``(16, 128, 160, 3)`` each."""
    config = FacsConfig(frames=16, **SIZE)
    return [draw_clip(config, subject, "anger", 1)[0] for subject in (1, 2, 3)]


@pytest.fixture(scope="module")
def wide():
    """A picture of squares of many greys and colours, ``(160, 1200, 3)``."""
    squares = np.random.default_rng(3).integers(0, 256, (8, 60, 3), dtype=np.uint8)
    return squares.repeat(20, 0).repeat(20, 1)


def found(frames):
    cuts = Cuts()
    said = [x for frame in frames for x in cuts.add(frame)] + cuts.flush()
    assert len(said) == len(frames)
    return [i for i, cut in enumerate(said) if cut]


def pan(wide, places):
    return np.stack([wide[:, x : x + 200] for x in places])


def brighter(frames, by):
    return np.clip(frames.astype(float) + by, 0, 255).astype(np.uint8)


def test_a_cut_is_where_one_shot_follows_another(people):
    one, two, three = people
    assert found(np.concatenate([one, two, three, one])) == [16, 32, 48]


def test_short_shots_are_told_apart(people):
    one, two, three = people
    assert found(np.concatenate([one[:6], two[:6], three[:6]])) == [6, 12]


@pytest.mark.parametrize("sigma", [10, 40])
def test_noise_is_no_cut_and_hides_none(people, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, (32, 128, 160, 3))
    assert found(brighter(np.concatenate(people[:2]), noise)) == [16]


@pytest.mark.parametrize("speed", [2, 9, 30])
def test_a_pan_is_no_cut_also_where_it_begins_and_ends_at_once(wide, speed):
    moving = list(range(0, 30 * speed, speed))
    assert found(pan(wide, [0] * 12 + moving + moving[-1:] * 12)) == []


def test_a_pan_of_which_frames_are_repeated_is_no_cut(wide):
    assert found(pan(wide, np.repeat(np.arange(0, 600, 30), 3))) == []


def test_after_a_pan_a_cut_is_found(wide, people):
    panned = pan(wide, range(0, 200, 5))[:, :128, :160]
    assert found(np.concatenate([panned, people[0]])) == [40]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("value", [0, 255])
def test_shots_with_black_or_white_between_them_are_told_apart(people, length, value):
    """As in many films; the frames between are a shot of their own."""
    one, two, _ = people
    between = np.full((length, *one.shape[1:]), value, np.uint8)
    assert found(np.concatenate([one, between, two])) == [16, 16 + length]


@pytest.mark.parametrize("length", range(1, FLASH + 1))
@pytest.mark.parametrize("bright", [90, 250])
def test_a_flash_is_no_cut(people, length, bright):
    frames = people[0].copy()
    frames[6 : 6 + length] = brighter(frames[6 : 6 + length], bright)
    assert found(frames) == []


def test_of_two_flashes_none_is_a_cut_and_a_cut_after_them_is_one(people):
    frames = np.concatenate(people[:2])
    frames[[4, 5, 9]] = 255
    assert found(frames) == [16]


@pytest.mark.parametrize("length", [6, 12])
def test_a_fade_is_no_cut(people, length):
    one, two = (people[i][:1].astype(float) for i in (0, 1))
    part = np.linspace(0, 1, length)[:, None, None, None]
    faded = np.concatenate([people[0], one * (1 - part), one * part, people[0]])
    assert found(faded.astype(np.uint8)) == []
    dissolved = np.concatenate([people[0], one * (1 - part) + two * part, people[1]])
    assert found(dissolved.astype(np.uint8)) == []


def test_a_decision_comes_at_once_or_at_what_may_be_a_cut_a_little_later(people):
    cuts, said = Cuts(), []
    for i, frame in enumerate(np.concatenate(people[:2])):
        said += cuts.add(frame)
        assert len(said) == (i + 1 if i < 16 or i >= 16 + NEAR else 16)


def test_no_frame_and_one_frame_have_no_cut(people):
    assert found([]) == []
    assert found(people[0][:1]) == []
    assert found(np.zeros((20, 40, 30, 3), np.uint8)) == []
