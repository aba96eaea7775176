from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.segments.indices import (
    Starts,
    WindowConfig,
    check_length,
    fit_length,
    nearest_stride,
    segment_frames,
    windows,
)

counts = st.integers(1, 400)
lengths = st.integers(1, 40)


@pytest.mark.parametrize(
    ("n", "length", "expected"),
    [
        (4, 4, [0, 1, 2, 3]),
        (8, 4, [2, 3, 4, 5]),  # two dropped at each end
        (7, 4, [1, 2, 3, 4]),  # three to drop: one before, two after
        (5, 4, [0, 1, 2, 3]),  # one to drop: at the end
        (2, 6, [0, 0, 0, 1, 1, 1]),  # each end twice more
        (3, 6, [0, 0, 1, 2, 2, 2]),  # three to add: one before, two after
        (5, 6, [0, 1, 2, 3, 4, 4]),  # one to add: at the end
        (1, 4, [0, 0, 0, 0]),
    ],
)
def test_fit_length_follows_the_papers_rule_with_the_odd_frame_at_the_end(n, length, expected):
    fitted = fit_length(n, length)
    assert fitted.tolist() == expected
    assert fitted.dtype == np.int64


def dropped_or_repeated(n, length):
    """The rule, one frame at a time: the end first, then the start, in turn."""
    frames, at_end = list(range(n)), True
    while len(frames) > length:
        frames.pop(-1 if at_end else 0)
        at_end = not at_end
    while len(frames) < length:
        frames = [*frames, n - 1] if at_end else [0, *frames]
        at_end = not at_end
    return frames


@given(counts, lengths)
def test_fit_length_is_dropping_or_repeating_frame_by_frame(n, length):
    assert fit_length(n, length).tolist() == dropped_or_repeated(n, length)


@given(counts, lengths)
def test_fit_length_gives_so_many_ordered_frames_of_the_clip(n, length):
    fitted = fit_length(n, length)
    assert fitted.shape == (length,)
    assert fitted.min() >= 0
    assert fitted.max() < n
    assert (np.diff(fitted) >= 0).all()
    assert set(np.diff(fitted).tolist()) <= {0, 1}


@pytest.mark.parametrize(("n", "length"), [(0, 4), (-1, 4), (4, 0), (4, -3)])
def test_fit_length_refuses_nothing_to_fit_and_nothing_wanted(n, length):
    with pytest.raises(ValueError, match=f"{n}.*{length}"):
        fit_length(n, length)


def test_1290_clips_of_any_length_give_the_papers_19350_segments():
    frames = np.random.default_rng(0).integers(1, 136, 1290)
    assert sum(len(windows(int(n), 16)) for n in frames) == 19_350


@settings(max_examples=200)
@given(counts, lengths, st.integers(1, 60))
def test_windows_a_clip_are_the_rounded_even_spacing(n, length, per_clip):
    starts = windows(n, length, per_clip)
    last = max(n - length, 0)
    assert starts.dtype == np.int64
    assert len(starts) == per_clip
    steps = max(per_clip - 1, 1)
    for i, start in enumerate(starts.tolist()):
        exact = Fraction(last * i, steps)
        assert abs(start - exact) <= Fraction(1, 2) + Fraction(1, 10**9)
        assert isinstance(segment_frames(n, length, start), np.ndarray)
    if per_clip > 1:
        assert (starts[0], starts[-1]) == (0, last)


RULES = st.integers(1, 60).map(lambda n: WindowConfig(n, None)) | st.integers(1, 50).map(
    lambda n: WindowConfig(None, n)
)


@settings(max_examples=200)
@given(st.lists(counts, min_size=1, max_size=8), lengths, RULES)
def test_starts_of_many_clips_are_the_windows_of_each(frames, length, rule):
    found = Starts(np.array(frames, np.int64), length, rule)
    each = [windows(n, length, rule.per_clip, rule.stride) for n in frames]
    if rule.stride is None:  # as it is documented
        last = [max(n - length, 0) for n in frames]
        each = [np.round(np.linspace(0, m, rule.per_clip)).astype(np.int64) for m in last]
    assert [one.tolist() for one in found] == [one.tolist() for one in each]
    assert found.counts.tolist() == [len(one) for one in each]
    clips = np.repeat(np.arange(len(frames)), found.counts)
    numbers = np.concatenate([np.arange(len(one)) for one in each])
    assert found.at(clips, numbers).tolist() == np.concatenate(each).tolist()


def test_windows_of_a_clip_shorter_than_the_segment_are_all_at_the_start():
    assert windows(5, 16).tolist() == [0] * 15


@settings(max_examples=200)
@given(counts, lengths, st.integers(1, 50))
def test_stride_gives_every_window_that_fits_and_at_least_one(n, length, stride):
    expected = [s for s in range(0, n, stride) if s + length <= n] or [0]
    assert windows(n, length, stride=stride).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"per_clip": 3, "stride": 2}, "not both"),
        ({"per_clip": 0}, "per_clip is 0"),
        ({"stride": 0}, "stride is 0"),
        ({"stride": -2}, "stride is -2"),
    ],
)
def test_windows_refuse_bad_rules_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        windows(30, 16, **arguments)


@pytest.mark.parametrize(("n", "length", "words"), [(0, 16, "n is 0"), (9, 0, "length is 0")])
def test_windows_refuse_empty_clips_and_segments(n, length, words):
    with pytest.raises(ValueError, match=words):
        windows(n, length)


def test_segment_frames_run_on_from_the_start():
    assert segment_frames(20, 4, 7).tolist() == [7, 8, 9, 10]
    assert segment_frames(20, 4, 16).tolist() == [16, 17, 18, 19]


@given(st.integers(1, 15))
def test_a_clip_shorter_than_its_segment_is_fitted(n):
    assert segment_frames(n, 16, 0).tolist() == fit_length(n, 16).tolist()


@pytest.mark.parametrize(("n", "start"), [(20, 17), (20, -1), (3, 1)])
def test_a_window_outside_the_clip_is_refused(n, start):
    with pytest.raises(ValueError, match=f"start at {start} in a clip of {n}"):
        segment_frames(n, 4, start)


@pytest.mark.parametrize("length", range(2, 21))
def test_every_length_of_the_paper_is_legal(length):
    check_length(length)


@pytest.mark.parametrize("length", [-4, 0, 1, 21, 100])
def test_other_lengths_are_refused_with_the_range(length):
    with pytest.raises(ValueError, match=f"{length}; it must be between 2 and 20"):
        check_length(length)


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(2, 20), st.integers(0, 200)
)
@settings(max_examples=30, deadline=None)
def test_no_stride_comes_nearer_to_a_published_number_than_the_one_found(frames, length, total):
    def away(stride):
        starts = [k for n in frames for k in range(0, max(n, length) - length + 1, stride)]
        return abs(len(starts) - total)

    found = nearest_stride(frames, length, total)
    assert all(away(found) < away(stride) for stride in range(1, found))
    assert all(away(found) <= away(stride) for stride in range(found, 70))
