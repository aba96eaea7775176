from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vfer.corpora import Clip
from vfer.segments.controls import GREY, frame_order, mask_mouth, permuted_labels


def clips_of(counts):
    """Clips of subjects, each a count of each emotion."""
    return [
        Clip(f"{subject}/{emotion}-{k}", Path("x"), subject, emotion)
        for subject, per_class in counts.items()
        for emotion, count in per_class.items()
        for k in range(count)
    ]


def test_each_subject_keeps_how_often_it_shows_each_class():
    clips = clips_of({"ada": {"anger": 20, "fear": 10}, "bob": {"anger": 1, "fear": 30}})
    labels = permuted_labels(clips, 0, 0)
    assert set(labels) == {clip.name for clip in clips}
    for subject in ("ada", "bob"):
        own = [clip for clip in clips if clip.subject == subject]
        assert Counter(labels[c.name] for c in own) == Counter(c.emotion for c in own)
    right = np.mean([labels[c.name] == c.emotion for c in clips if c.subject == "ada"])
    assert 0.3 < right < 0.8  # (20² + 10²) / 30² = 0.56 where label and clip have nothing in common
    assert permuted_labels(clips[::-1], 0, 0) == labels
    assert permuted_labels(clips, 1, 0) != labels
    assert permuted_labels(clips, 0, 1) != labels


def test_excluded_clips_have_no_label_to_give():
    clips = [
        Clip("a", Path("x"), "ada", "anger"),
        Clip("b", Path("x"), "ada", "boredom", excluded="not a class"),
    ]
    assert permuted_labels(clips, 0, 0) == {"a": "anger"}


def test_frames_are_shuffled_over_the_clip_repeated_or_left():
    order = frame_order("shuffled_frames", "ada/anger", 40, 0)
    assert sorted(order.tolist()) == list(range(40))
    assert order.tolist() != list(range(40))
    assert order.tolist() == frame_order("shuffled_frames", "ada/anger", 40, 0).tolist()
    assert order.tolist() != frame_order("shuffled_frames", "ada/fear", 40, 0).tolist()
    assert frame_order("still_frame", "ada/anger", 5, 0).tolist() == [0] * 5
    assert frame_order("no_mouth", "ada/anger", 5, 0).tolist() == list(range(5))


@pytest.mark.parametrize("shape", [(150, 110, 3), (2, 4, 150, 110, 3)])
def test_a_third_of_the_crop_is_masked(shape):
    crops = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    masked = crops.copy()
    mask_mouth(masked)
    assert (masked[..., :100, :, :] == crops[..., :100, :, :]).all()
    assert (masked[..., 100:, :, :] == GREY).all()


def test_where_nobody_is_known_labels_change_places_within_the_official_fold():
    clips = [
        Clip(f"{k:03}", Path("x"), f"{k:03}", ("anger", "fear")[k % 3 == 0], fold=k % 2)
        for k in range(120)
    ]
    labels = permuted_labels(clips, 0, 0, within="fold")
    for fold in (0, 1):
        own = [clip for clip in clips if clip.fold == fold]
        assert Counter(labels[c.name] for c in own) == Counter(c.emotion for c in own)
    assert 20 < sum(labels[c.name] != c.emotion for c in clips) < 80
    alone = permuted_labels(clips, 0, 0)
    assert alone == {clip.name: clip.emotion for clip in clips}  # would be no control
