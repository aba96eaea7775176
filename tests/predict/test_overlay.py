"""Overlays: what is drawn where and when; names of their own; not made again for nothing."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.predict import made
from tests.predict.test_movie import heard, read
from vfer.predict import overlay
from vfer.predict.colours import COLOURS, DASHES, looks, rgb
from vfer.predict.movie import fitting
from vfer.predict.overlay import overlays, write_overlay
from vfer.predict.painter import Painter, remarks
from vfer.predict.strip import NOBODY, SEEN, draw_strip, lanes, nearest_window

BLUE, RED, GREEN = (rgb(looks(made.CLASSES)[name].colour) for name in made.CLASSES)


@pytest.fixture
def told():
    """Two seconds of anger, then happiness, in a face to the left; nobody in the last two."""
    windows = [made.window(0, k / 2, "anger" if k < 2 else "happiness") for k in range(4)]
    return made.timeline(tracks=[made.track(0, 0.0, 2.0, windows)])


@pytest.fixture
def clip(tmp_path):
    return made.write(tmp_path / "clip.mp4", made.scene(100), sound="aac")


def has(image, colour, atol=40):
    """How many pixels have about a colour."""
    return int((np.abs(image.astype(int) - colour).max(-1) <= atol).sum())


def test_the_video_plays_with_all_frames_and_sound(told, clip, tmp_path):
    assert write_overlay(overlays(tmp_path / "drawn"), told, clip) == []
    times, images, kind = read(tmp_path / "drawn" / "clip.mp4")
    assert kind == ("h264", "yuv420p")
    np.testing.assert_allclose(times, np.arange(100) / 25, atol=1e-3)
    assert images.shape[2] == 640  # small ones are made larger
    assert images.shape[1] > 480  # and the strip stands below
    assert images.shape[1] % 2 == 0
    assert heard(tmp_path / "drawn" / "clip.mp4")[0] == "aac"
    with Image.open(tmp_path / "drawn" / "clip.png") as picture:
        assert picture.width > 500


def test_box_and_bars_have_the_class_of_the_moment(told):
    painter = Painter(told, 640, 480)
    grey = np.full((120, 160, 3), 128, np.uint8)
    early, late, gone = (painter.paint(grey, time)[:480] for time in (0.2, 1.7, 3.0))
    left = (slice(30, 210), slice(70, 90))  # the box's left edge, four times enlarged
    assert has(early[left], BLUE) > 100
    assert has(early[left], RED) == 0
    assert has(late[left], RED) > 100
    assert has(gone[left], BLUE) == has(gone[left], RED) == 0
    bars = slice(250, 640)
    assert has(early[:, bars], BLUE) > 5 * has(early[:, bars], GREEN) > 0
    np.testing.assert_array_equal(early[300:, 300:], 128)  # the rest of the picture is left


def test_frames_of_another_size_than_the_picture_keep_boxes_on_faces(told):
    image = Painter(told, 320, 240).paint(np.full((120, 160, 3), 128, np.uint8), 0.2)
    rows, columns = np.nonzero(np.abs(image[:240, :130].astype(int) - BLUE).max(-1) < 30)
    assert (columns.min(), rows.min()) == pytest.approx((40, 20), abs=2)
    assert rows.max() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("width", [160, 240, 480, 1280])
def test_every_class_is_named_below_however_narrow_the_picture_is(told, width):
    painter = Painter(told, width, 120)
    names = painter.below.crop((0, painter.below.height - 2 * painter.size * len(painter.named),
                                width - 7 * painter.size, painter.below.height))  # fmt: skip
    assert [name for line in painter.named for name in line] == list(made.CLASSES)
    assert all(has(np.asarray(names), colour, 10) > 20 for colour in (BLUE, RED, GREEN))


def test_undecided_and_doubtful_windows_look_otherwise(told):
    (face,) = told.tracks
    grey = np.full((120, 160, 3), 128, np.uint8)
    plain = Painter(told, 640, 480).paint(grey, 0.2)
    odd = []
    for change in ({"doubtful": ("dark",)}, {"prediction": None, "abstained": "confidence"}):
        windows = tuple(replace(window, **change) for window in face.windows)
        one = replace(told, tracks=(replace(face, windows=windows),))
        odd.append(Painter(one, 640, 480).paint(grey, 0.2))
    left = (slice(45, 200), slice(78, 84))
    assert 0 < has(odd[0][left], BLUE) < 0.7 * has(plain[left], BLUE)  # dashed
    assert has(odd[1][left], BLUE) == 0  # the model says nothing: no class's colour
    assert remarks(made.window(0, 0, "anger", doubtful=("dark", "small"))) == [
        "doubtful: dark, small"
    ]
    assert remarks(made.window(0, 0, "anger", abstained="confidence")) == ["undecided"]


def test_the_strip_is_grey_without_a_face_and_as_high_as_probable(told):
    strip = draw_strip(told, looks(made.CLASSES), 400, 20)
    assert strip.image.shape[1] == 400
    lane = strip.image[:20]
    assert (lane[:, 200:] == NOBODY).all()
    early, late = lane[:, 20], lane[:, 180]
    assert (early[4:] == BLUE).all()  # 0.8 of 20 rows
    assert (early[:4] == SEEN).all()
    assert (late[4:] == RED).all()


def test_the_cursor_goes_from_left_to_right(told):
    painter = Painter(told, 640, 480)
    grey = np.full((120, 160, 3), 128, np.uint8)
    row = 480 + painter.size // 2 + 3  # in the lane, above the bars
    places = []
    for time in (0.5, 2.0, 3.9):
        places.append(np.flatnonzero((painter.paint(grey, time)[row] == 255).all(-1)).mean())
    assert places == pytest.approx([80, 320, 624], abs=4)


def test_faces_at_the_same_time_have_lanes_of_their_own():
    def face(number, start, end, main=False):
        return made.track(number, start, end, [made.window(number, start, "anger")], main=main)

    faces = [face(0, 0, 1), face(1, 0, 2, main=True), face(2, 1, 2), face(3, 0.5, 1.5)]
    rows, left = lanes(faces, most=2)
    assert [[one.id for one in row] for row in rows] == [[1], [0, 2]]
    assert left == 1


def test_between_windows_the_nearest_one_is_shown(told):
    (face,) = told.tracks
    assert [nearest_window(face, t).start for t in (0, 0.44, 0.46, 1.99)] == [0, 0, 0.5, 1.5]


@pytest.mark.parametrize("size", [(8, 6), (40, 2), (3000, 20)])
def test_odd_shapes_and_crowds_can_be_drawn(size):
    faces = [
        made.track(k, 0.0, 2.0, [made.window(k, 0, "anger", doubtful=("small",))], box=(0, 0, 9, 9))
        for k in range(9)
    ]
    told = made.timeline(tracks=faces, size=size, cuts=(1.0,))
    painter = Painter(told, *fitting(*size, smallest=640))
    image = painter.paint(np.zeros((size[1], size[0], 3), np.uint8), 0.5)
    assert image.shape[0] % 2 == image.shape[1] % 2 == 0
    assert image.shape[1] <= 1920


def test_videos_of_one_name_do_not_overwrite_each_other(told, tmp_path):
    folder = overlays(tmp_path / "drawn")
    (tmp_path / "drawn").mkdir()
    mine = tmp_path / "drawn" / "X.mp4"
    mine.write_bytes(b"of somebody else")
    one, two = (
        replace(told, video=replace(told.video, path=f"{k}/x.mp4", sha256=k * 64)) for k in "ab"
    )
    first = [folder.reserve(one), folder.reserve(two)]
    assert first == [folder.reserve(one), folder.reserve(two)] == ["x-2", "x-3"] or first == [
        "x",  # a file system that tells X from x
        "x-2",
    ]
    assert mine.read_bytes() == b"of somebody else"


def test_hostile_names_become_names_of_files(told, tmp_path):
    folder = overlays(tmp_path)
    for name in ("<img src=x onerror=alert(1)>.mp4", "a/..\\..;rm #?%.mov", ". .mp4", "x" * 300):
        found = folder.reserve(replace(told, video=replace(told.video, path=name, sha256=name)))
        assert len(found) <= 84
        assert not set(found) & set('<>"\\/#?%;:')
        assert not found.startswith(".")


def test_the_same_timeline_is_not_drawn_again_and_another_is(told, clip, tmp_path, monkeypatch):
    folder, drawn = overlays(tmp_path / "drawn"), []
    told = replace(told, tracks=())
    real = overlay.write_movie
    monkeypatch.setattr(overlay, "write_movie", lambda *a: drawn.append(a[0]) or real(*a))
    for again in (told, told, replace(told, model=replace(told.model, run="moved"))):
        write_overlay(folder, again, clip)
    assert len(drawn) == 1
    write_overlay(folder, replace(told, notes=("another",)), clip)
    assert len(drawn) == 2
    (tmp_path / "drawn" / "clip.png").unlink()
    write_overlay(folder, replace(told, notes=("another",)), clip)
    assert len(drawn) == 3
    assert sorted(path.suffix for path in (tmp_path / "drawn").iterdir()) == [
        ".json",
        ".mp4",
        ".png",
    ]


def test_colours_are_told_apart_by_the_colour_blind():
    """Machado, Oliveira and Fernandes 2009, severity 1; distances in CIELAB, 1976."""
    kinds = {
        "protan": [(0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)],
        "deutan": [(0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)],
        "tritan": [(1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)],
    }
    seen = np.array([rgb(colour) for colour in COLOURS]) / 255
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    for kind in kinds.values():
        xyz = (linear @ np.transpose(kind)).clip(0, 1) @ to_xyz.T / (0.9505, 1, 1.089)
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        x, y, z = f.T
        lab = np.stack([116 * y, 500 * (x - y), 200 * (y - z)], 1)
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 99 * np.eye(len(lab))
        assert apart.min() > 14


def test_more_classes_than_colours_have_lines_of_their_own():
    many = tuple(map(str, range(18)))
    assert len(set(looks(many).values())) == 18
    assert len(DASHES) == 3
