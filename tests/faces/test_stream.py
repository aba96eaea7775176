"""All faces of a video: with one in view as prepare sees it, with several by their places.

Who is followed and when it ends is tested with faces that are drawn as squares of a colour each,
which a detector of the test finds; that it fits together with the real one, on drawn people.
"""

import weakref
from dataclasses import fields, replace

import numpy as np
import pytest

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.cuts import NEAR
from vfer.faces.person import Detection, weigh
from vfer.faces.quality import brightness, sharpness
from vfer.faces.settings import FaceConfig
from vfer.faces.stream import track_faces
from vfer.faces.tracking import track
from vfer.faces.tracks import Piece

RED, GREEN, BLUE = np.eye(3, dtype=np.uint8) * 250
STRIPES = np.arange(240, dtype=np.uint8)[None, :, None] // 40 % 2 * 120
SQUARES = FaceConfig(detect_every=2, max_gap=5, smooth_sigma=1.0)


@pytest.fixture(scope="module")
def drawn():
    """A drawn clip of 30 frames, ``(30, 192, 240, 3)``."""
    return draw_clip(FacsConfig(frames=30, width=240, height=192), 1, "happiness", 1)[0]


@pytest.fixture
def squares(monkeypatch):
    """A detector that finds squares of one of three colours instead of faces."""

    def detect(indices, frames, config):
        faces = []
        for index, frame in zip(indices, frames, strict=True):
            for channel in range(3):
                y, x = np.nonzero(frame[..., channel] > 200)
                if len(y):
                    box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], dtype=float)
                    width = box[2] - box[0]
                    eyes = np.array([[0.3, 0.4], [0.7, 0.4]]) * width + box[:2]
                    faces.append(Detection(index, box, eyes, 0.9, eyes.mean(0) + width / 10))
        return faces

    monkeypatch.setattr("vfer.faces.stream.detect", detect)


def scene(length, *, size=(120, 240), **places):
    """Grey frames with squares: a colour's ``(x, y, side)`` of every frame, None where away.

    They are small in the frame: what goes at once and fills much of it is taken for a cut.
    """
    frames = np.full((length, *size, 3), 60, np.uint8)
    for name, of in places.items():
        for t in range(length):
            place = of(t)
            if place is not None:
                x, y, side = place
                frames[t, y : y + side, x : x + side] = {"red": RED, "green": GREEN, "blue": BLUE}[
                    name
                ]
    return frames


def chunks(frames, lengths=(7,)):
    """Cut frames into runs of some lengths, over and over, with times at 25 frames a second."""
    at, i = 0, 0
    while at < len(frames):
        length = lengths[i % len(lengths)]
        yield frames[at : at + length], np.arange(at, min(at + length, len(frames))) / 25
        at, i = at + length, i + 1


class Watched:
    """What all steps of a video said, checked for what holds of any video."""

    def __init__(self, steps):
        self.pieces: dict[int, list[Piece]] = {}
        self.ended, self.cuts, self.done = {}, [], 0
        for step in steps:
            assert [p.track for p in step.pieces] == sorted({p.track for p in step.pieces})
            for piece in step.pieces:
                assert piece.track not in self.ended
                assert len(piece.times) >= 1
                assert piece.start >= self.done, "was said to be final"
                self.pieces.setdefault(piece.track, []).append(piece)
            for number, why in step.ended:
                assert number in self.pieces
                assert number not in self.ended
                self.ended[number] = why
            assert step.done >= self.done
            self.done = step.done
            self.cuts += step.cuts
        self.tracks = {number: self.join(of) for number, of in sorted(self.pieces.items())}
        assert list(self.tracks) == list(range(len(self.tracks)))
        assert set(self.ended) == set(self.tracks)

    @staticmethod
    def join(pieces):
        joined = {}
        at = pieces[0].start
        for piece in pieces:
            assert piece.start == at, "a hole"
            at += len(piece.times)
        for field in fields(Piece)[2:]:
            joined[field.name] = np.concatenate([getattr(piece, field.name) for piece in pieces])
        assert {len(x) for x in joined.values()} == {at - pieces[0].start}
        return Piece(pieces[0].track, pieces[0].start, **joined)

    def spans(self):
        """First and last frame of every track."""
        return [(t.start, t.start + len(t.times) - 1) for t in self.tracks.values()]


def watch(frames, config=SQUARES, lengths=(7,), batch=16):
    seen = Watched(track_faces(chunks(frames, lengths), config, batch=batch))
    assert seen.done == len(frames)
    return seen


def assert_same(one, other):
    assert (one.track, one.start) == (other.track, other.start)
    for field in fields(Piece)[2:]:
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("stabilise", ["smooth", "frame"])
@pytest.mark.parametrize(
    ("length", "every", "lengths"), [(30, 1, (7,)), (30, 4, (1,)), (29, 4, (30,)), (1, 4, (1,))]
)
def test_one_face_has_the_eyes_and_crops_that_prepare_gives_it(
    drawn, stabilise, length, every, lengths
):
    frames = drawn[:length]
    config = FaceConfig(detect_every=every, stabilise=stabilise)
    (found,) = watch(frames, config, lengths).tracks.values()
    eyes = track([frames], config).eyes
    np.testing.assert_array_equal(found.eyes, eyes)
    np.testing.assert_array_equal(found.crops, align(frames, eyes, config))
    assert found.start == 0
    np.testing.assert_allclose(found.times, np.arange(length) / 25)
    np.testing.assert_array_equal(
        found.eye_distance, np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    )
    np.testing.assert_array_equal(found.sharpness, sharpness(found.crops))
    np.testing.assert_array_equal(found.brightness, brightness(found.crops))
    assert not found.bridged.any()
    assert (found.confidence > 0.9).all()
    assert (np.abs(found.turn) < 0.25).all()  # drawn people look ahead


def test_each_shot_is_tracked_as_a_clip_of_its_own(drawn):
    other = draw_clip(FacsConfig(frames=15, width=240, height=192), 2, "anger", 1)[0]
    config = FaceConfig()
    seen = watch(np.concatenate([drawn[:18], other]), config, (5, 9))
    assert seen.cuts == [18]
    assert seen.ended == {0: "cut", 1: "end"}
    assert seen.spans() == [(0, 17), (18, 32)]
    for found, clip in zip(seen.tracks.values(), (drawn[:18], other), strict=True):
        np.testing.assert_array_equal(found.eyes, track([clip], config).eyes)


def test_a_face_turned_away_has_its_nose_off_the_middle(drawn):
    """Frames are stretched on one side of the nose, which moves it in the face."""
    frames = drawn[:1]
    middle = int(track([frames], FaceConfig()).eyes[0, :, 0].mean())
    right = np.concatenate([frames[:, :, :middle], frames[:, :, middle::2]], axis=2)
    left = np.concatenate([frames[:, :, :middle:2], frames[:, :, middle:]], axis=2)
    turns = [watch(x, FaceConfig()).tracks[0].turn[0] for x in (left, frames, right)]
    assert turns[0] < turns[1] - 0.1
    assert turns[2] > turns[1] + 0.1


def test_without_a_nose_the_turn_is_not_known(squares, monkeypatch):
    import vfer.faces.stream as module

    with_nose = module.detect
    bare = lambda *args: [replace(d, nose=None) for d in with_nose(*args)]  # noqa: E731
    frames = scene(10, red=lambda t: (10, 10, 40))
    assert watch(frames).tracks[0].turn == pytest.approx(np.full(10, 0.25))
    monkeypatch.setattr(module, "detect", bare)
    assert np.isnan(watch(frames).tracks[0].turn).all()


def test_a_place_for_a_whole_clip_is_not_had_and_eyes_are_smoothed_instead(squares):
    frames = scene(40, red=lambda t: (10 + t, 10, 30))
    clip, smooth = (watch(frames, replace(SQUARES, stabilise=s)) for s in ("clip", "smooth"))
    assert_same(clip.tracks[0], smooth.tracks[0])


def busy():
    """Two people, one away for a while, a third who comes late, and a cut."""
    one = scene(
        61,
        red=lambda t: (10 + t // 2, 5, 20) if t not in range(20, 25) else None,
        green=lambda t: (100 - t // 3, 20, 30),
        blue=lambda t: (120, 20, 30) if t > 33 else None,
    )
    return np.concatenate([one, scene(30) * 0 + STRIPES, one[::-1]])


@pytest.mark.parametrize(
    ("lengths", "batch"), [((1,), 1), ((1,), 16), ((2, 3, 11), 4), ((64,), 3), ((1000,), 16)]
)
def test_what_is_found_depends_neither_on_runs_nor_on_batches(squares, lengths, batch):
    frames = busy()
    wanted = watch(frames)
    assert len(wanted.tracks) > 5
    seen = watch(frames, lengths=lengths, batch=batch)
    assert (seen.ended, seen.cuts) == (wanted.ended, wanted.cuts)
    for one, other in zip(seen.tracks.values(), wanted.tracks.values(), strict=True):
        assert_same(one, other)


def test_two_faces_side_by_side_keep_their_numbers(squares):
    frames = scene(60, red=lambda t: (10 + t % 7, 10, 30), green=lambda t: (42 + t % 5, 10, 30))
    seen = watch(frames)
    assert seen.spans() == [(0, 59), (0, 59)]
    assert seen.tracks[0].boxes[:, 0].max() < 17
    assert seen.tracks[1].boxes[:, 0].min() > 41


def test_two_faces_that_pass_each_other_keep_their_numbers(squares):
    """One above the other; in between their boxes overlap."""
    frames = scene(100, red=lambda t: (5 + t, 2, 30), green=lambda t: (110 - t, 26, 30))
    seen = watch(frames)
    assert seen.spans() == [(0, 99), (0, 99)]
    red, green = seen.tracks.values()
    assert (np.diff(red.boxes[:, 0]) >= 0).all()
    assert (np.diff(green.boxes[:, 0]) <= 0).all()


def away(gap):
    """Frames of a face that is away in frames 20 to 20 + gap − 1; every frame is sampled."""
    return scene(60, red=lambda t: None if 20 <= t < 20 + gap else (10 + t // 4, 10, 30))


@pytest.mark.parametrize("gap", [1, 4, 5])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_face_away_for_at_most_the_gap_keeps_its_number_and_is_marked(squares, gap, batch):
    config = replace(SQUARES, detect_every=1, stabilise="frame")
    seen = watch(away(gap), config, batch=batch)
    assert seen.spans() == [(0, 59)]
    found = seen.tracks[0]
    assert np.flatnonzero(found.bridged).tolist() == list(range(20, 20 + gap))
    steps = np.diff(found.boxes[19 : 21 + gap, 0])
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(found.eyes[:, 0, 0] - found.boxes[:, 0], 9)


@pytest.mark.parametrize("batch", [1, 7])
def test_a_face_away_for_longer_is_a_new_one(squares, batch):
    config = replace(SQUARES, detect_every=1)
    seen = watch(away(6), config, batch=batch)
    assert seen.spans() == [(0, 19), (26, 59)]
    assert seen.ended == {0: "gone", 1: "end"}
    assert not any(found.bridged.any() for found in seen.tracks.values())


@pytest.mark.parametrize(("gap", "spans"), [(4, [(0, 59)]), (5, [(0, 18), (26, 59)])])
def test_a_gap_is_counted_in_frames_between_detections(squares, gap, spans):
    """With every second frame sampled a face is last seen in frame 18 and again in 24 or 26."""
    seen = watch(away(gap))
    assert seen.spans() == spans
    assert seen.tracks[0].bridged.sum() == (5 if gap == 4 else 0)


def test_a_cut_ends_all_and_numbers_are_never_used_again(squares):
    one = scene(30, red=lambda t: (10, 10, 30), green=lambda t: (100, 10, 30))
    other = scene(30) * 0 + STRIPES  # another wall, the same places
    other[:, 10:40, 10:40], other[:, 10:40, 100:130] = RED, GREEN
    seen = watch(np.concatenate([one, other, one]))
    assert seen.cuts == [30, 60]
    assert seen.spans() == [(0, 29)] * 2 + [(30, 59)] * 2 + [(60, 89)] * 2
    assert list(seen.ended.values()) == ["cut"] * 4 + ["end"] * 2


def test_nobody_and_nothing():
    (step,) = track_faces([], FaceConfig())
    assert (step.pieces, step.ended, step.done, step.cuts) == ((), (), 0, ())
    seen = watch(np.full((9, 50, 60, 3), 100, np.uint8), FaceConfig())
    assert seen.tracks == {}


def test_a_step_comes_after_every_run_and_at_the_end(squares):
    frames = scene(50, red=lambda t: (10, 10, 30))
    taken = []

    def runs():
        for chunk in chunks(frames, (5,)):
            taken.append(1)
            yield chunk

    counts = [len(taken) for _ in track_faces(runs(), SQUARES)]
    assert counts == [*range(1, 11), 10]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("stabilise", "size", "more"),
    [("smooth", (200, 300), 0), ("frame", (200, 300), 0), ("smooth", (80, 160), NEAR)],
)
def test_the_delay_is_bounded_as_it_is_said(squares, batch, stabilise, size, more):
    """Also where faces go and come at odd frames, which in a small frame may be cuts."""
    config = replace(SQUARES, stabilise=stabilise)
    frames = scene(
        300,
        size=size,
        red=lambda t: (10, 10, 30) if t // 7 % 3 else None,
        green=lambda t: (100, 10, 30) if t // 11 % 2 else None,
    )
    bound = batch * config.detect_every + config.max_gap + 4 * config.smooth_sigma
    given, worst = 0, 0
    for step in track_faces(chunks(frames, (1,)), config, batch=batch):
        given = min(given + 1, 300)
        worst = max(worst, given - step.done)
    assert worst <= bound + 1 + more


def test_thousands_of_frames_are_streamed_and_few_are_kept(squares):
    alive: set[int] = set()
    most = 0

    def runs():
        nonlocal most
        for t in range(2000):
            frame = scene(1, red=lambda _, t=t: (10, 10, 30) if t % 90 < 40 else None)
            alive.add(t)
            weakref.finalize(frame, alive.discard, t)
            yield frame, np.array([t / 25])
            del frame
            most = max(most, len(alive))

    config, batch = FaceConfig(), 4
    seen = [step.done for step in track_faces(runs(), config, batch=batch)]
    assert seen[-1] == 2000
    assert most <= batch * config.detect_every + config.max_gap + 4 * config.smooth_sigma + 2


def test_frames_of_two_sizes_are_refused_and_what_was_found_was_said(squares):
    frames = scene(200, red=lambda t: (10, 10, 30))
    steps = track_faces([*chunks(frames), (frames[:3, :50], np.arange(3.0) + 9)], SQUARES)
    said: list[int] = []
    with pytest.raises(ValueError, match=r"\(3, 50, 240, 3\).*one size.*\(120, 240, 3\)"):
        said.extend(len(piece.times) for step in steps for piece in step.pieces)
    assert sum(said) > 100


def test_a_batch_of_no_frames_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="`batch` is 0; it must be at least 1"):
        track_faces([], FaceConfig(), batch=0)


@pytest.mark.parametrize(
    ("rule", "weight"), [("largest", 2400.0), ("longest", 1.0), ("central", 1.0)]
)
def test_a_frame_counts_by_area_or_one_or_its_nearness_to_the_middle(rule, weight):
    assert weigh(rule, np.array([30.0, 20, 70, 80]), 100, 100) == weight
    if rule == "central":
        assert weigh(rule, np.array([-10.0, -10, 10, 10]), 100, 100) == pytest.approx(0)
        assert weigh(rule, np.array([20.0, 45, 30, 55]), 100, 100) == pytest.approx(
            1 - 0.5**0.5 / 2
        )
