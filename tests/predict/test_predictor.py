"""From frames to timelines and streams: which windows, when, of whom, and what is said of each."""

import itertools
import json
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

from tests.predict import fakes
from vfer.predict.document import from_json, schema, to_json, write_timelines
from vfer.predict.load import load_model
from vfer.predict.predictor import Predictor
from vfer.predict.quality import Limits
from vfer.predict.settings import Settings


@pytest.fixture(scope="module")
def model(bundle):
    return load_model(bundle)


def predictor(model, faces, **settings):
    return Predictor(model, Settings(**settings), faces)


def test_every_window_says_what_its_crops_alone_would(model):
    frames = fakes.moving(61)
    faces = fakes.Faces([(0, 60), (7, 40)])
    timeline = predictor(model, faces, step="3f").predict(frames, fps=25)
    assert [track.id for track in timeline.tracks] == [0, 1]
    for track, (first, last) in zip(timeline.tracks, faces.tracks, strict=True):
        crops = frames[first : last + 1, :150, 110 * track.id : 110 * track.id + 110]
        starts = list(range(0, len(crops) - model.length + 1, 3))
        if starts[-1] + model.length < len(crops):
            starts.append(len(crops) - model.length)
        said = model.score_clip(np.ascontiguousarray(crops), starts)
        assert [w.start for w in track.windows] == pytest.approx([(first + s) / 25 for s in starts])
        found = [list(w.probabilities.values()) for w in track.windows]
        np.testing.assert_allclose(found, said.windows, atol=1e-6)
        np.testing.assert_allclose(list(track.probabilities.values()), said.clip, atol=1e-6)
        assert all(w.end - w.start == pytest.approx(4 / 25) for w in track.windows)
        assert (track.start, track.end) == pytest.approx((first / 25, (last + 1) / 25))


@pytest.mark.parametrize("step", ["1f", "3f", "9f", 0.5, "7.5f"])
def test_how_the_frames_arrive_changes_nothing(model, step):
    frames = fakes.moving(50)
    said = []
    for delay in (0, 3, 30):
        faces = fakes.Faces([(2, 45)], delay=delay)
        timeline = predictor(model, faces, step=step).predict(frames, fps=25)
        said.append([(w.start, *w.probabilities.values()) for w in timeline.windows])
    for other in said[1:]:
        np.testing.assert_allclose(other, said[0], atol=1e-6)


def test_two_windows_a_second_by_default_and_none_of_a_track_is_left_out(model):
    timeline = predictor(model, fakes.Faces([(0, 99)])).predict(fakes.moving(100), fps=25)
    (track,) = timeline.tracks
    starts = [window.start for window in track.windows]
    assert timeline.step == 0.5
    np.testing.assert_allclose(np.array(starts[:-1]) * 25, [0, 13, 25, 38, 50, 63, 75, 88])
    assert track.windows[-1].end == 4.0


def test_tracks_gaps_cuts_and_coverage(model):
    faces = fakes.Faces([(5, 19), (20, 39), (30, 34)], cuts=(20,))
    timeline = predictor(model, faces).predict(fakes.moving(50, width=340), fps=25)
    assert [track.ended for track in timeline.tracks] == ["cut", "gone", "gone"]
    assert timeline.cuts == (0.8,)
    assert [(s.start, s.end) for s in timeline.no_face] == [(0.0, 0.2), (1.6, 2.0)]
    assert timeline.coverage.face == pytest.approx(35 / 50)
    assert timeline.coverage.windows == len(timeline.windows)
    assert [track.main for track in timeline.tracks] == [True, True, False]
    alone = predictor(model, faces, main_face=True).predict(fakes.moving(50, width=340), fps=25)
    assert [track.id for track in alone.tracks] == [0, 1]
    assert alone.tracks == timeline.tracks[:2]


def test_without_a_face_nothing_is_guessed(model):
    timeline = predictor(model, fakes.Faces([])).predict(fakes.moving(20), fps=25)
    assert timeline.tracks == timeline.windows == ()
    assert [(s.start, s.end) for s in timeline.no_face] == [(0.0, 0.8)]
    assert timeline.coverage.face == 0
    jsonschema.validate({"schema": 1, "timelines": [_plain(timeline)], "failed": []}, schema())


def _plain(timeline):
    return json.loads(json.dumps(to_json(timeline)))


def test_one_frame_is_a_window_that_is_marked_short(model):
    timeline = predictor(model, fakes.Faces([(0, 0)])).predict(fakes.moving(1), fps=25)
    (window,) = timeline.windows
    assert (window.start, window.end) == (0.0, 0.04)
    assert window.doubtful == ("short",)
    assert window.prediction is not None
    assert timeline.tracks[0].place_at(0.0).left == 20


@pytest.mark.parametrize(
    ("facts", "mark"),
    [
        ({"eye_distance": 10.0}, "small"),
        ({"sharpness": 1.0}, "blurred"),
        ({"brightness": 10.0}, "dark"),
        ({"turn": -0.6}, "turned"),
        ({"confidence": 0.5}, "uncertain"),
        ({"bridged": True}, "bridged"),
        ({"turn": np.nan}, None),
    ],
)
def test_a_face_unlike_the_training_data_is_marked_not_hidden(model, facts, mark):
    timeline = predictor(model, fakes.Faces([(0, 9)], facts=facts)).predict(fakes.moving(10))
    for window in timeline.windows:
        assert window.doubtful == (() if mark is None else (mark,))
        assert window.prediction is not None
    if mark is None:
        assert timeline.windows[0].quality.turn is None
    assert timeline.coverage.doubtful == (0 if mark is None else len(timeline.windows))


def test_below_a_confidence_the_model_abstains_and_says_what_that_did(model):
    faces = fakes.Faces([(0, 29)])
    timeline = predictor(model, faces, abstain=1.0).predict(fakes.moving(30))
    assert {(w.prediction, w.abstained) for w in timeline.windows} == {(None, "confidence")}
    assert (timeline.tracks[0].prediction, timeline.tracks[0].abstained) == (None, "confidence")
    assert (timeline.abstention.below, timeline.abstention.coverage) == (1.0, 0.0)
    assert timeline.coverage.abstained == len(timeline.windows)
    decided = predictor(model, faces, abstain=0.0).predict(fakes.moving(30))
    assert all(w.prediction is not None for w in decided.windows)
    assert decided.abstention.coverage == 1.0


def test_another_frame_rate_is_resampled_and_said_or_kept_and_said(model):
    frames = fakes.moving(100)
    fast = predictor(model, fakes.Faces([(0, 49)])).predict(frames, fps=50)
    same = predictor(model, fakes.Faces([(0, 49)])).predict(frames[::2], fps=25)
    assert [w.start for w in fast.windows] == [w.start for w in same.windows]
    for one, other in zip(fast.windows, same.windows, strict=True):
        assert one.probabilities == pytest.approx(dict(other.probabilities), abs=1e-6)
    assert (fast.video.rate, fast.video.analysed_rate) == pytest.approx((50, 25))
    assert any("50 frames a second are resampled to the training" in note for note in fast.notes)
    assert not any("frames a second" in note for note in same.notes)
    kept = predictor(model, fakes.Faces([(0, 99)]), keep_rate=True).predict(frames, fps=50)
    assert kept.video.analysed_rate == 50
    assert any("50 frames a second are kept" in note for note in kept.notes)
    assert len(kept.windows[0].probabilities) == 6
    assert kept.windows[0].end == pytest.approx(4 / 50)


def test_places_are_sampled_and_hold_the_first_and_the_last_frame(model):
    timeline = predictor(model, fakes.Faces([(3, 20)])).predict(fakes.moving(25), fps=25)
    (track,) = timeline.tracks
    times = [place.time for place in track.places]
    np.testing.assert_allclose(np.array(times) * 25, [3, 7, 11, 15, 19, 20])
    assert track.places[0][1:] == (20, 30, 90, 120, 30, 50, 80, 50)


def test_what_comes_out_follows_the_schema_and_reads_back(model, tmp_path):
    faces = fakes.Faces([(0, 30), (10, 22)], cuts=(31,))
    timeline = predictor(model, faces, abstain=0.3).predict(fakes.moving(40))
    write_timelines(tmp_path / "x.json", [timeline])
    jsonschema.validate(json.loads((tmp_path / "x.json").read_text()), schema())
    assert from_json(_plain(timeline)) == timeline


def test_a_stream_gives_the_same_windows_as_they_are_complete(model):
    frames = fakes.moving(60)
    whole = predictor(model, fakes.Faces([(0, 59)]), step="5f").predict(frames, fps=25)
    faces = fakes.Faces([(0, 10**9)], delay=2)
    taken = []

    def camera():
        for number in itertools.count():
            taken.append(number)
            yield frames[number % 60]

    stream = predictor(model, faces, step="5f").stream(camera(), fps=25)
    for number, expected in enumerate(whole.windows[:8]):
        window = next(stream)
        assert (window.start, window.end) == (expected.start, expected.end)
        assert window.probabilities == pytest.approx(dict(expected.probabilities), abs=1e-6)
        assert taken[-1] <= 5 * number + model.length + 2 + 4  # the tracker's delay and a run
    assert faces.batches == [1]


def test_what_is_held_of_a_track_does_not_grow(model):
    from vfer.predict.windows import Scoring, TrackWindows

    track = TrackWindows(0, Scoring(model, 3.0, 25.0, None, Limits()))
    faces, frames = fakes.Faces([(0, 399)]), fakes.moving(40)
    held = []
    for at in range(0, 400, 20):
        times = (at + np.arange(20)) / 25
        track.add(faces._piece(0, at, frames[at % 40 : at % 40 + 20], times))
        held.append((len(track._crops), *(len(one) for one in track._described)))
    assert max(held[1:]) == max(held[1:4])
    assert held[-1][0] <= 20


def test_a_model_that_knows_nothing_out_of_fold_is_said_to(bundle):
    model = load_model(bundle, fold=0)
    model.temperature = 20.0
    notes = predictor(model, fakes.Faces([])).predict(fakes.moving(2)).notes
    assert any("hardly better than chance" in note for note in notes)
    model.temperature = 2.0
    assert not predictor(model, fakes.Faces([])).predict(fakes.moving(2)).notes


def test_settings_and_frames_that_cannot_be_are_refused(model):
    for step in (0, -1, "0f", "abc", "0.5f", 1e9, float("nan")):
        with pytest.raises(ValueError, match="step is"):
            Settings(step=step)
    for abstain in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="abstain is"):
            Settings(abstain=abstain)
    say = predictor(model, fakes.Faces([]))
    with pytest.raises(ValueError, match="frames are uint8"):
        say.predict(np.zeros((5, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"fps is 0; it must be 1 to 1000"):
        say.predict(fakes.moving(2), fps=0)
    with pytest.raises(ValueError, match=r"fps is 25, and clip\.mp4 is a file"):
        say.predict("clip.mp4", fps=25)
    with pytest.raises(ValueError, match="main_face is not known"):
        next(predictor(model, fakes.Faces([]), main_face=True).stream([], fps=25))


def test_large_frames_are_looked_at_in_smaller_batches(model):
    faces = fakes.Faces([])
    predictor(model, faces).predict(np.zeros((2, 2160, 3840, 3), np.uint8))
    predictor(model, faces).predict(np.zeros((2, 720, 1280, 3), np.uint8))
    assert faces.batches == [4, 16]


def test_import_vfer_is_cheap_and_has_the_predictor_when_asked():
    code = (
        "import sys, vfer; assert not {'torch', 'sklearn', 'pandas'} & set(sys.modules);"
        "vfer.Predictor.load; assert 'torch' in sys.modules and not hasattr(vfer, 'nothing');"
        "assert not {'pytorch_lightning', 'wandb', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
