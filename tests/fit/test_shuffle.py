"""The order of samples: a permutation of any length, place by place, that looks random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.fit.shuffle import shuffled


def order(count, seed=0, places=None):
    places = np.arange(count) if places is None else places
    return shuffled(places, count, np.random.default_rng(seed))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**40))
def test_each_number_is_at_exactly_one_place(count, seed):
    assert sorted(order(count, seed).tolist()) == list(range(count))


def test_a_place_needs_no_other_one():
    whole = order(1000, 7)
    for places in ([3], [999, 0, 3], np.arange(500, 520)):
        assert (order(1000, 7, np.array(places)) == whole[places]).all()


def test_of_more_things_than_fit_into_memory_places_are_found_at_once():
    count = 225_000_000_000_001
    places = np.random.default_rng(0).integers(0, count, 1000)
    found = order(count, 1, places)
    assert ((found >= 0) & (found < count)).all()
    assert len(set(found.tolist())) == len(set(places.tolist()))
    assert abs(found.mean() / count - 0.5) < 5 / np.sqrt(12 * 1000)


@pytest.mark.parametrize("count", [5, 16, 37, 64])
def test_over_many_seeds_each_number_is_at_each_place_equally_often(count):
    seeds = 4000
    drawn = np.stack([order(count, seed) for seed in range(seeds)])  # (seeds, places)
    counts = np.stack([np.bincount(column, minlength=count) for column in drawn.T])
    expected = seeds / count
    chi = ((counts - expected) ** 2 / expected).sum() / (count - 1) ** 2
    assert chi == pytest.approx(1, abs=6 * np.sqrt(2) / (count - 1))


@pytest.mark.parametrize("count", [1000, 4096])
def test_neighbours_are_not_related(count):
    """Rank correlation with the place, and of one place with the next, is that of chance."""
    for seed in range(20):
        found = order(count, seed).astype(float)
        for other in (np.arange(count), np.roll(found, 1)):
            assert abs(np.corrcoef(found, other)[0, 1]) < 5 / np.sqrt(count)
