"""A bag of words of local descriptors, its vocabulary made of training clips alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_random_state

from vfer.baselines.svm import KernelSVM

Local = Sequence[NDArray[np.floating[Any]]]


class BagOfWords(TransformerMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A vocabulary of local descriptors by k-means, and each clip's histogram of its words.

    Args:
        words: Size of the vocabulary; smaller where there are fewer descriptors.
        sample: From about how many descriptors the vocabulary is made, as many of each clip.
        random_state: Of the sample and of k-means.
    """

    def __init__(
        self, words: int = 4000, sample: int = 100_000,
        random_state: int | RandomState | None = None,
    ) -> None:  # fmt: skip
        self.words = words
        self.sample = sample
        self.random_state = random_state

    def fit(self, x: Local, y: object = None) -> "BagOfWords":
        """Make the vocabulary of clips' descriptors, ``(N, D)`` each.

        Raises:
            ValueError: If ``words`` or ``sample`` is below 1.
        """
        for name, value in (("words", self.words), ("sample", self.sample)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        random = check_random_state(self.random_state)
        share = -(-self.sample // len(x))
        rows = np.concatenate(
            [one[np.sort(random.permutation(len(one))[:share])] for one in x]
        ).astype(np.float32)
        means = MiniBatchKMeans(
            min(self.words, len(rows)),
            init="random",  # k-means++ takes hours for thousands of words
            n_init=1,
            batch_size=4096,
            random_state=random,
        )
        self.vocabulary_ = means.fit(rows).cluster_centers_
        return self

    def transform(self, x: Local) -> NDArray[np.float64]:
        """Return the share of each word in a clip, ``(clips, words)``; rows sum to 1."""
        words = len(self.vocabulary_)
        nearest = (pairwise_distances_argmin(one.astype(np.float32), self.vocabulary_) for one in x)
        return np.stack([np.bincount(found, minlength=words) / len(found) for found in nearest])


def bag_of_words_svm(words: int = 4000, sample: int = 100_000, cost: float = 10.0) -> Pipeline:
    """Return an SVM with a χ² kernel on bags of words.

    Args:
        words: Size of the vocabulary.
        sample: From about how many training descriptors it is made.
        cost: C, above 0.
    """
    return make_pipeline(BagOfWords(words, sample), KernelSVM("chi2", cost))
