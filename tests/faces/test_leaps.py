"""A person who leaps from one sample to the next stays one person; two people never become one."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.detection import detect
from vfer.faces.person import Detection, follow, leapt, match
from vfer.faces.settings import FaceConfig
from vfer.faces.stream import track_faces
from vfer.faces.tracking import NoFaceError, track

CONFIG = FaceConfig(detect_every=1, max_gap=5, stabilise="frame")
SIDE = 200  # px, how far a leap goes
NAMES = range(1, 7)


@pytest.fixture(scope="module")
def people():
    """Clips of six drawn people, 30 frames each, 160×200 px."""
    config = FacsConfig(frames=30, width=SIDE, height=160)
    return {n: draw_clip(config, n, "happiness", 1)[0] for n in NAMES}


def seen(frame, x, looks=None):
    """A detection of side 100 at a place."""
    box = np.array([x, 0.0, x + 100, 100])
    return Detection(frame, box, np.array([[x + 30.0, 40], [x + 70, 40]]), 0.9, None, looks)


def stage(*shown):
    """A grey stage of three places, on which clips are shown: (frames, first, last, place)."""
    frames = np.full((30, 160, 3 * SIDE, 3), 110, np.uint8)
    for clip, first, last, place in shown:
        frames[first : last + 1, :, place * SIDE : (place + 1) * SIDE] = clip[first : last + 1]
    return frames


def test_a_face_in_all_samples_that_leaps_is_followed_and_the_leaps_are_told(people):
    one = people[1]
    frames = stage((one, 0, 9, 0), (one, 10, 19, 2), (one, 20, 29, 1))
    found = track([frames], CONFIG)
    assert (found.sampled, found.detected, found.joined) == (30, 30, 2)
    still = track([stage((one, 0, 29, 0))], CONFIG)
    assert still.joined == 0
    moved = found.eyes - still.eyes - np.repeat([[0, 0], [2 * SIDE, 0], [SIDE, 0]], 10, 0)[:, None]
    assert np.abs(moved).max() < 3
    crops = [align(frames[t : t + 1], found.eyes[t : t + 1], CONFIG) for t in (9, 10, 19, 20)]
    assert (
        np.abs(np.diff(np.stack(crops).astype(float), axis=0)).mean() < 8
    )  # the crops do not leap


@pytest.mark.parametrize("gap", [1, 4])
def test_a_face_that_leaps_while_it_is_away_is_followed(people, gap):
    frames = stage((people[2], 0, 12, 0), (people[2], 13 + gap, 29, 1))
    found = track([frames], CONFIG)
    assert (found.detected, found.joined) == (30 - gap, 1)


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_two_people_one_after_the_other_are_never_one(people, one, other):
    frames = stage((people[one], 0, 14, 0), (people[other], 15, 29, 1))
    with pytest.raises(NoFaceError, match=r"[56] of 11"):
        track([frames], replace(CONFIG, detect_every=3))


@pytest.mark.parametrize(("by", "alike"), [(3.5, True), (-3.5, True), (3.7, False), (90, False)])
def test_how_alike_one_person_looks(by, alike):
    """The border between one person and two: it was measured, and is not to move unnoticed."""
    grey = np.full((11, 8, 3), 100.0)
    known, found = (seen(0, 0, grey), seen(1, 500, grey + by))
    assert match([[known]], [found]) == ({0: 0} if alike else {})
    talking = grey.copy()
    talking[7:, 2:6] += 60  # the mouth is less than half of the face
    assert match([[known]], [seen(1, 500, talking)]) == {0: 0}


@pytest.mark.parametrize(("by", "same"), [(53, True), (55, False)])
def test_how_far_boxes_overlap_that_are_one_face(by, same):
    """Squares of side 100 that are 53.8 apart overlap by 0.3 of what they cover."""
    assert match([[seen(0, 0)]], [seen(1, by)]) == ({0: 0} if same else {})
    assert leapt(seen(0, 0), seen(1, by)) is not same


@pytest.mark.parametrize(("since", "alike"), [(2, True), (3, False)])
def test_of_a_face_the_last_three_detections_say_what_it_looks_like(since, alike):
    """The eyes of one detection may be off, and what was long ago does not count."""
    grey, other = np.full((11, 8, 3), 100.0), np.full((11, 8, 3), 160.0)
    known = [seen(0, 0, grey), *(seen(t + 1, 0, other) for t in range(since))]
    assert match([known], [seen(9, 500, grey)]) == ({0: 0} if alike else {})


def test_without_looks_a_face_that_leaps_is_a_new_one():
    assert match([[seen(0, 0, np.zeros((11, 8, 3)))]], [seen(1, 500)]) == {}


def test_of_two_who_come_the_one_is_taken_who_looks_alike(people):
    frames = stage((people[1], 0, 9, 1), (people[1], 10, 29, 2), (people[2], 10, 29, 0))
    found = track([frames], CONFIG)
    assert (found.detected, found.joined) == (30, 1)
    assert (found.eyes[10:, :, 0] > 2 * SIDE).all()


def test_who_is_seen_in_two_places_at_once_is_two(people):
    """A mirror, say: the second picture begins while the first is there."""
    frames = stage((people[1], 0, 29, 0), (people[1], 10, 29, 2))
    found = track([frames], CONFIG)
    assert (found.detected, found.joined) == (30, 0)
    assert (found.eyes[:, :, 0] < SIDE).all()


def test_places_are_asked_before_looks(people):
    """Two who look alike and stand still keep their places."""
    frames = stage((people[3], 0, 29, 0), (people[3], 0, 29, 2))
    detections = detect(range(30), frames, CONFIG)
    assert len({d.box[0] > SIDE for d in follow(detections)}) == 1
    known = [[d] for d in detections if d.frame == 0]
    found = [d for d in detections if d.frame == 29][::-1]
    same = match(known, found)
    assert len(same) == 2
    assert all(abs(known[i][0].box[0] - found[j].box[0]) < 10 for j, i in same.items())


def test_in_a_video_a_face_that_leaps_keeps_its_number_but_not_across_a_cut(people):
    one = people[1]
    small = np.full((30, 480, 3 * SIDE, 3), 110, np.uint8)  # so that a leap is no cut
    small[:, 160:320] = stage((one, 0, 9, 0), (one, 10, 29, 1))
    config = replace(CONFIG, min_face=0.1)
    steps = list(track_faces([(small, np.arange(30.0))], config))
    assert {piece.track for step in steps for piece in step.pieces} == {0}
    cut = np.concatenate([one[:10], np.roll(255 - one[:1] // 2, 90, 2).repeat(9, 0), one])
    steps = list(track_faces([(cut, np.arange(49.0))], CONFIG))
    assert [t for step in steps for t in step.cuts] == [10, 19]
    assert len({piece.track for step in steps for piece in step.pieces}) > 1
