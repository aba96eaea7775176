"""Support vector machines behind descriptors."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics.pairwise import additive_chi2_kernel
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

Floats = NDArray[np.floating[Any]]


class KernelSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """One support vector machine a class, against all others.

    Its probabilities are the softmax of the machines' margins: the likeliest class is the one with
    the largest margin, and how likely is not calibrated.

    Args:
        kernel: ``linear``, or ``chi2``: exp(−D / 2A), D = Σ(a − b)² / (a + b) of two histograms and
            A the mean D of two different training rows, so that scikit-learn's γ is 1 / 2A.
        cost: C, above 0: what a row on the wrong side costs.
    """

    def __init__(self, kernel: Literal["linear", "chi2"] = "linear", cost: float = 1.0) -> None:
        self.kernel = kernel
        self.cost = cost

    def fit(self, x: Floats, y: Any) -> "KernelSVM":  # noqa: ANN401 - labels of any kind
        """Fit to rows ``(N, D)`` (``chi2``: not negative) and their labels ``(N,)``.

        Raises:
            ValueError: If ``cost`` or ``kernel`` is out of range, or all labels are equal.
        """
        if self.kernel not in ("linear", "chi2"):
            raise ValueError(f"kernel is {self.kernel!r}; it must be linear or chi2")
        if not self.cost > 0:
            raise ValueError(f"cost is {self.cost}; it must be above 0")
        self.rows_ = np.asarray(x)
        if self.kernel == "chi2":
            apart = -additive_chi2_kernel(self.rows_)
            pairs = len(apart) * (len(apart) - 1)
            self.mean_distance_ = float(apart.sum() / pairs) if apart.any() else 1.0
        machine = SVC(kernel="precomputed", C=self.cost)
        self.machines_ = OneVsRestClassifier(machine).fit(self._products(self.rows_), y)
        self.classes_ = self.machines_.classes_
        return self

    def _products(self, x: Floats) -> Floats:
        """Return the kernel of rows ``(M, D)`` with the training rows, ``(M, N)``."""
        if self.kernel == "linear":
            return np.asarray(x) @ self.rows_.T
        apart = -additive_chi2_kernel(np.asarray(x), self.rows_)
        return np.exp(-apart / (2 * self.mean_distance_))  # type: ignore[no-any-return]

    def decision_function(self, x: Floats) -> Floats:
        """Return the margins ``(M, classes)`` of rows ``(M, D)``."""
        margins = self.machines_.decision_function(self._products(x))
        return np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins

    def predict_proba(self, x: Floats) -> Floats:
        """Return the softmax of the margins, ``(M, classes)``."""
        return softmax(self.decision_function(x), axis=1)  # type: ignore[no-any-return]

    def predict(self, x: Floats) -> NDArray[Any]:
        """Return the class with the largest margin of each row."""
        return self.classes_[self.decision_function(x).argmax(axis=1)]  # type: ignore[no-any-return]


def linear_svm(cost: float = 1.0) -> Pipeline:
    """Return a linear SVM on standardised descriptors.

    Args:
        cost: C, above 0.
    """
    return make_pipeline(StandardScaler(), KernelSVM("linear", cost))
