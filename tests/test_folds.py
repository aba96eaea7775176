import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.corpora import Clip
from vfer.folds import deal_sentences, explicit, losgo, official


def make_clips(counts, excluded=None):
    """``counts``: clips a subject; ``excluded``: excluded clips a subject."""
    return [
        Clip(f"{subject}/{kind}{i}", Path("x.avi"), subject, "fear", why)
        for kind, why, table in (("a", None, counts), ("b", "not segmented", excluded or {}))
        for subject, n in table.items()
        for i in range(n)
    ]


@st.composite
def corpora(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=30))
    counts = {f"s{i}": n for i, n in enumerate(sizes)}
    return counts, draw(st.integers(2, len(sizes))), draw(st.integers(0, 2**32))


@settings(max_examples=200)
@given(corpora())
def test_groups_are_disjoint_complete_and_not_empty(case):
    counts, groups, seed = case
    found = losgo(make_clips(counts), groups, seed)
    assert len(found) == groups
    assert all(found)
    assert sorted(name for group in found for name in group) == sorted(counts)


@settings(max_examples=200)
@given(corpora())
def test_loads_differ_by_at_most_the_largest_subject(case):
    counts, groups, seed = case
    loads = [
        sum(counts[name] for name in group) for group in losgo(make_clips(counts), groups, seed)
    ]
    assert max(loads) - min(loads) <= max(counts.values())


@given(corpora(), st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_clips(case, shuffler: random.Random):
    counts, groups, seed = case
    clips = make_clips(counts)
    shuffled = list(clips)
    shuffler.shuffle(shuffled)
    assert losgo(clips, groups, seed) == losgo(iter(shuffled), groups, seed)


def test_equal_subjects_are_dealt_evenly_and_differently_for_each_seed():
    clips = make_clips({str(i): 30 for i in range(1, 44)})
    splits = [losgo(clips, 5, seed) for seed in range(5)]
    assert all(sorted(len(g) for g in split) == [8, 8, 9, 9, 9] for split in splits)
    assert len({frozenset(split) for split in splits}) == 5
    assert losgo(clips, 5, 3) == splits[3]


def test_excluded_clips_do_not_count():
    counts = {str(i): 4 for i in range(8)}
    burdened = make_clips(counts, excluded={"0": 50, "gone": 6})
    assert losgo(burdened, 4) == losgo(make_clips(counts), 4)
    assert all("gone" not in group for group in losgo(burdened, 4))


def test_as_many_groups_as_subjects_leaves_one_subject_out():
    counts = {"a": 1, "b": 30, "c": 2, "d": 30}
    assert set(losgo(make_clips(counts), 4)) == {frozenset(name) for name in counts}


@pytest.mark.parametrize("groups", [8, 1, 0, -1])
def test_impossible_numbers_of_groups_are_refused_naming_the_numbers(groups):
    clips = make_clips({str(i): 3 for i in range(7)}, excluded={"8": 3})
    with pytest.raises(ValueError, match=f"^{groups} groups of 7 subjects"):
        losgo(clips, groups)


def test_groups_given_by_hand_are_kept_in_their_order():
    clips = make_clips({"1": 2, "2": 2, "3": 1}, excluded={"6": 1})
    assert explicit(clips, [["3"], ["1", "2"]]) == (frozenset("3"), frozenset("12"))


def test_published_groups_may_name_a_subject_whose_clips_are_all_excluded():
    clips = make_clips({"1": 2, "2": 2, "3": 1}, excluded={"6": 1})
    assert explicit(clips, [["3", "6"], ["1", "2"]]) == (frozenset("3"), frozenset("12"))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([["1", "2"], ["2", "3"]], "2 in more than one group"),
        ([["1", "2"], ["3", "9"]], "9 not in the corpus"),
        ([["1", "2", "3"], ["6"]], "none of them empty"),  # 6 has only an excluded clip
        ([["1"], ["3"]], "2 in no group"),
        ([["1", "2", "3"]], "at least two groups"),
        ([["1", "2", "3"], []], "none of them empty"),
    ],
)
def test_wrong_groups_given_by_hand_are_refused_naming_the_subject(groups, words):
    clips = make_clips({"1": 2, "2": 2, "3": 1}, excluded={"6": 1})
    with pytest.raises(ValueError, match=words):
        explicit(clips, groups)


def test_subjects_with_most_clips_are_dealt_first():
    counts = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "large": 5}
    groups = losgo(make_clips(counts), 2)
    assert {frozenset(["large"]), frozenset("abcde")} == set(groups)


def test_groups_are_balanced_in_gender_where_it_is_known():
    clips = [
        Clip(f"{s}/{i}", Path("x.avi"), str(s), "fear", gender="male" if s % 2 else "female")
        for s in range(24)
        for i in range(5)
    ]
    for group in losgo(clips, 6):
        assert sorted(int(s) % 2 for s in group) == [0, 0, 1, 1]


def of_fold(subject, fold):
    return Clip(f"{subject}{fold}", Path("x.avi"), subject, "fear", fold=fold)


def test_official_folds_group_the_subjects_of_each_fold():
    assert official([of_fold("a", 2), of_fold("b", 1), of_fold("c", 2)]) == (
        frozenset("b"),
        frozenset("ac"),
    )


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ([of_fold("a", 1), of_fold("a", 2)], "subject a is in more than one"),
        ([of_fold("a", 1), of_fold("b", None)], "bNone has no fold"),
        ([of_fold("a", 1)], "at least two"),
    ],
)
def test_wrong_official_folds_are_refused(clips, words):
    with pytest.raises(ValueError, match=words):
        official(clips)


def saying(counts):
    """Clips of each sentence, ``counts`` of them."""
    return [
        Clip(f"{said}{i}", Path("x.avi"), "ada", "fear", sentence=said)
        for said, n in counts.items()
        for i in range(n)
    ]


def test_sentences_are_dealt_to_the_folds_by_their_clips():
    clips = saying({"a": 9, "b": 5, "c": 4, "d": 1})
    assert deal_sentences(clips, 2) == ({"a", "d"}, {"b", "c"})
    assert deal_sentences(clips[::-1], 2) == deal_sentences(clips, 2)
    assert deal_sentences(saying({"1": 6, "2": 6}), 5) == ({"1"}, {"2"}, {"1"}, {"2"}, {"1"})


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (make_clips({"ada": 2}), "does not say what is said in ada/a0"),
        (saying({"a": 3}), "there is no other to train on"),
    ],
)
def test_sentences_that_cannot_be_kept_apart(clips, message):
    with pytest.raises(ValueError, match=message):
        deal_sentences(clips, 2)
