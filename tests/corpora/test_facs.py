import json

import av
import numpy as np
import pytest
from scipy.ndimage import center_of_mass, map_coordinates

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import PROTOTYPES, apex_frame, draw_clip
from vfer.corpora.facs.files import CODES, load_truth, render, video_path
from vfer.corpora.facs.settings import FacsConfig
from vfer.corpora.facs.sheet import contact_sheet

SMALL = FacsConfig(
    subjects=1, clips_per_emotion=1, frames=8, width=160, height=128, difficulty=0.5, seed=3
)


def files(root):
    return {
        path: path.read_bytes() for path in root.rglob("*.*") if path.suffix in (".avi", ".npz")
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("facs")
    render(root, SMALL)
    return root


@pytest.fixture(scope="module")
def smile():
    config = FacsConfig(frames=24, width=240, height=192, difficulty=0.3)
    return draw_clip(config, 1, "happiness", 1)


def test_same_seed_same_pixels_and_another_seed_others():
    frames, truth = draw_clip(SMALL, 1, "fear", 1)
    again, same = draw_clip(SMALL, 1, "fear", 1)
    assert frames.shape == (8, 128, 160, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(truth.motion, same.motion)
    others = [(4, 1, "fear", 1), (3, 2, "fear", 1), (3, 1, "anger", 1), (3, 1, "fear", 2)]
    for seed, subject, emotion, take in others:
        config = FacsConfig(frames=8, width=160, height=128, seed=seed)
        assert not np.array_equal(frames, draw_clip(config, subject, emotion, take)[0])


def test_a_clip_does_not_depend_on_how_many_there_are():
    config = FacsConfig(subjects=9, clips_per_emotion=7, frames=8, width=160, height=128, seed=3)
    frames = draw_clip(config, 1, "fear", 1)[0]
    np.testing.assert_array_equal(frames, draw_clip(SMALL, 1, "fear", 1)[0])


def test_layout_on_disk(corpus):
    names = {path.relative_to(corpus).as_posix() for path in corpus.rglob("*.avi")}
    codes = ("an", "di", "fe", "ha", "sa", "su")
    assert names == {
        f"subject 1/{emotion}/sentence 1/s1_{code}_1.avi"
        for emotion, code in zip(EMOTIONS, codes, strict=True)
    }
    assert tuple(CODES.values()) == codes
    assert json.loads((corpus / "facs.json").read_text())["frames"] == 8
    left = {p.suffix for p in corpus.rglob("*.*")} - {".avi", ".npz", ".json", ".lock"}
    assert not left, "no temporary file stays"


def test_the_video_shows_what_was_drawn_and_has_its_truth(corpus):
    path = video_path(corpus, 1, "surprise", 1)
    with av.open(str(path)) as container:
        video = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert container.streams.video[0].average_rate == 25
    frames, truth = draw_clip(SMALL, 1, "surprise", 1)
    assert video.shape == frames.shape
    assert np.abs(video.astype(int) - frames).mean() < 4
    stored = load_truth(path)
    for name in ("names", "offset", "step"):
        assert getattr(stored, name) == getattr(truth, name)
    for name in ("au", "eyes", "motion", "valid"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(truth, name))
    assert stored.motion.dtype == np.float16
    assert path.with_suffix(".npz").stat().st_size < 150_000


def test_a_video_that_was_not_drawn_has_no_truth(tmp_path):
    with pytest.raises(FileNotFoundError, match="built-in"):
        load_truth(tmp_path / "s1_an_1.avi")


def test_rendering_goes_on_where_it_stopped_and_ends_in_the_same_bytes(corpus, tmp_path):
    render(tmp_path, SMALL)
    before = files(tmp_path)
    assert list(before.values())
    assert sorted(before.values()) == sorted(files(corpus).values())
    victim = video_path(tmp_path, 1, "anger", 1)
    victim.unlink()
    victim.with_name(f".{victim.stem}.part").write_bytes(b"half a video")
    other = video_path(tmp_path, 1, "fear", 1)
    other.unlink()
    seen = []
    render(tmp_path, SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 6), (5, 6), (6, 6)]
    assert files(tmp_path) == before
    assert not list(tmp_path.rglob("*.part"))


def test_other_parameters_are_refused(corpus):
    config = FacsConfig(subjects=1, clips_per_emotion=1, frames=9, width=160, height=128, seed=3)
    with pytest.raises(ValueError, match="frames is 8, wanted 9"):
        render(corpus, config)


@pytest.mark.parametrize(
    ("field", "value"),
    [("subjects", 0), ("difficulty", 1.5), ("width", 161), ("frames", 2), ("seed", -1)],
)
def test_illegal_parameters_are_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}` is {value}"):
        FacsConfig(**{field: value})


@pytest.mark.parametrize("clip", [(0, "anger", 1), (1, "joy", 1), (1, "anger", 0)])
def test_clips_that_do_not_exist_are_refused(clip):
    with pytest.raises(ValueError, match="no clip of subject"):
        draw_clip(SMALL, *clip)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_each_emotion_is_its_prototype_from_rest_to_apex_and_back(emotion):
    config = FacsConfig(frames=40, width=160, height=128, difficulty=0.0)
    _, truth = draw_clip(config, 1, emotion, 1)
    columns = [truth.names.index(name) for name in PROTOTYPES[emotion]]
    own = truth.au[:, columns]
    assert np.all(own[0] < 0.05)
    assert np.all(own.max(0) > 0.25)
    assert 8 < apex_frame(truth, emotion) < 32
    assert own[-1].sum() < 0.7 * own.max(0).sum()
    others = [c for c, name in enumerate(truth.names) if c not in columns and name != "AU45"]
    speech = truth.names.index("AU25")
    assert not truth.au[:, [c for c in others if c != speech]].any()


def test_true_motion_carries_a_frame_to_the_next(smile):
    frames, truth = smile
    grey = frames.astype(float).mean(3)
    rows, columns = truth.valid.shape[1:]
    y, x = np.mgrid[0:rows, 0:columns] * truth.step
    x, y = x + truth.offset[0], y + truth.offset[1]
    moved, still = [], []
    for t in range(len(frames) - 1):
        motion, valid = truth.motion[t].astype(float), truth.valid[t]
        here = map_coordinates(grey[t], [y, x], order=1)
        there = map_coordinates(grey[t + 1], [y + motion[..., 1], x + motion[..., 0]], order=1)
        same = map_coordinates(grey[t + 1], [y, x], order=1)
        moved.append(np.abs(there - here)[valid].mean())
        still.append(np.abs(same - here)[valid].mean())
    assert truth.valid.mean() > 0.4
    assert np.abs(truth.motion).max() > 0.5
    fast = np.argsort(still)[-5:]
    assert np.mean(np.asarray(moved)[fast]) < 0.75 * np.mean(np.asarray(still)[fast])
    assert not truth.motion[~truth.valid].any()


def test_the_eyes_are_where_the_pupils_are_drawn():
    config = FacsConfig(frames=8, width=360, height=288, difficulty=0.0)
    for subject in (1, 2, 4):
        frames, truth = draw_clip(config, subject, "happiness", 1)
        grey = frames[0].astype(float).mean(2)
        for x, y in truth.eyes[0]:
            reach = 3  # px: within the iris, where the pupil is darkest
            x0, y0 = round(float(x)) - reach, round(float(y)) - reach
            part = grey[y0 : y0 + 2 * reach + 1, x0 : x0 + 2 * reach + 1]
            dark = np.clip(np.percentile(part, 40) - part, 0, None)
            cy, cx = center_of_mass(dark)
            assert abs(x0 + cx - x) < 1
            assert abs(y0 + cy - y) < 1


def test_subjects_look_different():
    heads = []
    for subject in range(1, 7):
        config = FacsConfig(frames=8, width=160, height=128)
        frames, truth = draw_clip(config, subject, "anger", 1)
        x, y = truth.eyes[0].mean(0).round().astype(int)
        heads.append(frames[0, y - 15 : y + 40, x - 20 : x + 20].astype(float))
    for i, one in enumerate(heads):
        assert all(np.abs(one - other).mean() > 8 for other in heads[:i])


def test_contact_sheet(tmp_path):
    contact_sheet(SMALL, tmp_path / "new" / "sheet.png", subjects=1)
    assert (tmp_path / "new" / "sheet.png").stat().st_size > 10_000


def detections(config, subjects, picks):
    """Distance of MTCNN's eyes from the true ones in px, NaN where it finds no face."""
    torch = pytest.importorskip("torch")
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN()
    torch.set_num_threads(1)
    errors = []
    for subject in subjects:
        for emotion in EMOTIONS:
            frames, truth = draw_clip(config, subject, emotion, 1)
            for t in picks:
                points = mtcnn.detect(frames[t], landmarks=True)[2]
                if points is None:
                    errors.append([np.nan, np.nan])
                else:
                    off = points[0][:2].astype(float) - truth.eyes[t]
                    errors.append(np.hypot(off[:, 0], off[:, 1]).tolist())
    return np.asarray(errors)


def test_mtcnn_finds_the_faces():
    config = FacsConfig(frames=8, width=360, height=288)
    errors = detections(config, (1, 2), (0,))
    assert not np.isnan(errors).any()
    assert np.median(errors) < 2


@pytest.mark.slow
def test_mtcnn_finds_the_faces_at_full_size():
    config = FacsConfig(frames=24)
    errors = detections(config, range(1, 25), (0, 5, 10, 15))
    assert np.isnan(errors).any(1).mean() <= 0.01
    assert np.nanmedian(errors) <= 2
