import numpy as np
import pytest
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.svm import SVC

from vfer.baselines.svm import KernelSVM, linear_svm


def histograms(classes=3, each=8, seed=0):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.dirichlet(1 + 9 * np.eye(9)[k], each) for k in range(classes)])
    return x, np.repeat(np.arange(classes), each)


def test_the_chi_squared_kernel_is_divided_by_twice_the_mean_distance():
    x, y = histograms()
    total = sum(
        ((a - b) ** 2 / (a + b)).sum()
        for i, a in enumerate(x) for j, b in enumerate(x) if i != j
    )  # fmt: skip
    mean = total / (24 * 23)
    ours = KernelSVM("chi2", 10.0).fit(x, y)
    assert ours.mean_distance_ == pytest.approx(mean)
    gram = chi2_kernel(x, gamma=1 / (2 * mean))
    for k, margins in enumerate(ours.decision_function(x).T):
        theirs = SVC(kernel="precomputed", C=10.0).fit(gram, y == k).decision_function(gram)
        np.testing.assert_allclose(margins, theirs, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kernel", ["linear", "chi2"])
def test_the_likeliest_class_has_the_largest_margin_and_new_rows_are_recognised(kernel, classes):
    model = KernelSVM(kernel, 10.0).fit(*histograms(classes))
    x, y = histograms(classes, seed=1)
    scores = model.predict_proba(x)
    assert scores.shape == (len(x), classes)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    np.testing.assert_array_equal(scores.argmax(axis=1), model.predict(x))
    assert (model.predict(x) == y).mean() > 0.9


def test_the_linear_machine_does_not_ask_for_the_unit_of_a_column():
    x, y = histograms()
    scaled = x * np.logspace(-3, 3, x.shape[1])
    np.testing.assert_allclose(
        linear_svm().fit(x, y).predict_proba(x), linear_svm().fit(scaled, y).predict_proba(scaled),
        atol=1e-6,
    )  # fmt: skip


def test_rows_that_are_all_alike_are_no_error():
    x, y = np.full((6, 4), 0.25), np.arange(6) % 3
    assert np.isfinite(KernelSVM("chi2").fit(x, y).predict_proba(x)).all()


@pytest.mark.parametrize(
    ("given", "said"), [({"cost": 0.0}, "cost is 0.0"), ({"kernel": "rbf"}, "kernel is 'rbf'")]
)
def test_values_out_of_range_are_refused_by_name(given, said):
    with pytest.raises(ValueError, match=said):
        KernelSVM(**given).fit(*histograms())
