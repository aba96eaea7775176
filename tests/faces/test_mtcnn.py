import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN

from vfer.corpora.enterface05 import read
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces import mtcnn
from vfer.video import read_frames


@pytest.fixture(scope="module")
def drawn():
    """Six frames of two subjects, ``(6, 288, 360, 3)``, and the true eyes."""
    parts = [
        draw_clip(FacsConfig(frames=9, width=360, height=288), subject, "happiness", 1)
        for subject in (1, 2)
    ]
    frames = np.concatenate([frames[::4] for frames, _ in parts])
    eyes = np.concatenate([truth.eyes[::4] for _, truth in parts])
    return frames, eyes


def find(frames, smallest=40):
    return mtcnn.find_faces(torch.from_numpy(frames).permute(0, 3, 1, 2), smallest)


def test_each_frame_has_its_face_where_the_library_finds_it_and_the_eyes_where_they_are(drawn):
    frames, true = drawn
    faces = find(frames)
    assert faces.frame.tolist() == list(range(6))
    boxes, _, points = MTCNN(keep_all=True, min_face_size=40).detect(frames, landmarks=True)
    for i in range(6):
        side = boxes[i][0][2] - boxes[i][0][0]
        assert np.abs(faces.box[i].numpy() - boxes[i][0]).max() < 0.12 * side
        assert np.abs(faces.eyes[i].numpy() + 0.5 - points[i][0][:2]).max() < 3
        assert np.abs(faces.eyes[i].numpy() - true[i]).max() < 4
        assert np.abs(faces.nose[i].numpy() + 0.5 - points[i][0][2]).max() < 3
    assert (faces.probability > 0.9).all()


def test_a_frame_alone_has_the_face_that_it_has_in_a_batch(drawn):
    frames, _ = drawn
    together = find(frames)
    for i in range(6):
        alone = find(frames[i : i + 1])
        assert alone.frame.tolist() == [0]
        torch.testing.assert_close(alone.eyes[0], together.eyes[i], atol=0.05, rtol=0)
        torch.testing.assert_close(alone.box[0], together.box[i], atol=0.05, rtol=0)


def test_the_same_frames_give_the_same_bits(drawn):
    first, again = find(drawn[0]), find(drawn[0])
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


def test_a_face_moves_with_its_frame(drawn):
    frames, _ = drawn
    wider = np.pad(frames[:1], ((0, 0), (16, 0), (32, 0), (0, 0)), mode="edge")
    moved = find(wider).eyes[0] - find(frames[:1]).eyes[0]
    assert (moved - torch.tensor([32.0, 16.0])).abs().max() < 3


def test_eyes_are_pixel_centres_as_the_alignment_takes_them(facs_root):
    """With every pixel made a square of 2×2 the centre of pixel x is at 2x + ½, its edge at 2x."""
    clips = read(facs_root).clips
    frames = np.concatenate([read_frames(clip.path)[0][::5] for clip in clips])
    small, large = find(frames), find(frames.repeat(2, 1).repeat(2, 2), 80)
    assert small.frame.tolist() == large.frame.tolist() == list(range(2 * len(clips)))
    moved = (large.eyes - 2 * small.eyes).mean((0, 1))
    torch.testing.assert_close(moved, torch.full((2,), 0.5), atol=0.2, rtol=0)


def test_faces_smaller_than_asked_for_are_not_looked_for(drawn):
    assert len(find(drawn[0], smallest=40).frame) == 6
    assert len(find(drawn[0], smallest=280).frame) == 0


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 120, 90, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (2, 97, 131, 3), dtype=np.uint8),
        np.full((1, 30, 200, 3), 255, np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 64, 64, 3), np.uint8),
    ],
    ids=["black", "noise", "flat", "tiny", "no frame"],
)
def test_where_nobody_is_nobody_is_found(frames):
    faces = find(frames, smallest=20)
    assert [tuple(x.shape) for x in faces] == [(0,), (0, 4), (0, 2, 2), (0,), (0, 2)]


def test_odd_sizes_and_grey_pictures_have_their_faces(drawn):
    frames, true = drawn
    grey = frames[:1, :-3, :-5].mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    faces = find(grey)
    assert faces.frame.tolist() == [0]
    assert np.abs(faces.eyes[0].numpy() - true[0]).max() < 4
