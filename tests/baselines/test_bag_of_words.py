import numpy as np
import pytest
from sklearn.base import clone

from vfer.baselines.bag_of_words import BagOfWords, bag_of_words_svm

CENTRES = np.eye(4, 6) * 10


def clips(counts, seed=0):
    """Clips of which each shows each of four things so many times."""
    rng = np.random.default_rng(seed)
    return [
        (np.repeat(CENTRES, row, axis=0) + 0.1 * rng.normal(size=(sum(row), 6))).astype(np.float16)
        for row in counts
    ]


def test_a_clip_is_the_shares_of_its_words():
    counts = [[8, 1, 1, 0], [0, 5, 0, 5], [3, 3, 3, 3]]
    bag = BagOfWords(4, random_state=5).fit(clips([[20] * 4] * 20))
    near = np.linalg.norm(bag.vocabulary_[:, None] - CENTRES, axis=-1).argmin(axis=0)
    if len(set(near)) < 4:
        pytest.fail("k-means found two words for one thing: choose another seed")
    found = bag.transform(clips(counts, seed=1))
    expected = np.array(counts) / np.sum(counts, axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, near], expected)


def test_the_vocabulary_is_of_the_clips_that_were_fitted_and_no_others():
    mine = clips([[9, 9, 0, 0]] * 6)
    bag = BagOfWords(2, random_state=0).fit(mine)
    before = bag.vocabulary_.copy()
    bag.transform(clips([[0, 0, 50, 50]]))
    np.testing.assert_array_equal(bag.vocabulary_, before)
    assert np.abs(before[:, 2:]).max() < 1


def test_there_are_no_more_words_than_descriptors_and_one_seed_gives_one_vocabulary():
    mine = clips([[2, 1, 0, 0], [0, 0, 2, 1]])
    found = [BagOfWords(4000, random_state=3).fit(mine) for _ in range(2)]
    assert found[0].vocabulary_.shape == (6, 6)
    np.testing.assert_array_equal(found[0].vocabulary_, found[1].vocabulary_)


def test_a_sample_takes_as_many_of_each_clip():
    mine = [np.zeros((1000, 2), np.float16), np.full((10, 2), 7, np.float16)]
    bag = BagOfWords(20, sample=20, random_state=0).fit(mine)
    assert (bag.vocabulary_ > 6).any(axis=1).sum() >= 5


def test_clips_of_new_people_are_recognised():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    counts = [(20 * rng.dirichlet(1 + 20 * np.eye(4)[k])).astype(int) + 1 for k in y]
    model = bag_of_words_svm(words=12)
    model.set_params(bagofwords__random_state=0).fit(clips(counts), y)
    assert (model.predict_proba(clips(counts, seed=1)).argmax(axis=1) == y).mean() > 0.9
    assert clone(model).get_params()["bagofwords__words"] == 12


@pytest.mark.parametrize("given", [{"words": 0}, {"sample": 0}])
def test_values_out_of_range_are_refused_by_name(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} is 0; it must be at least 1"):
        BagOfWords(**given).fit(clips([[1, 1, 1, 1]]))
