"""Measures of probabilities, held against scikit-learn and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from tests.results.test_scoring import CLASSES, clip
from vfer.results.probabilities import (
    BINS,
    brier_score,
    calibration_error,
    macro_auc,
    score_probabilities,
)
from vfer.results.tables import ClipResult


def answers(seed, clips=120, classes=4):
    """Probabilities with ties, the truth, and how often each clip counts."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes), clips)
    scores[::5] = scores[0]
    return scores, rng.integers(classes, size=clips), rng.integers(0, 4, clips).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees(seed):
    scores, truth, weight = answers(seed)
    times = np.repeat(np.arange(len(truth)), weight.astype(int))  # a weight is so many clips
    auc = roc_auc_score(truth[times], scores[times], multi_class="ovr", average="macro")
    assert macro_auc(scores, truth, weight) == pytest.approx(auc, abs=1e-12)
    columns = [brier_score_loss(truth[times] == k, scores[times, k]) for k in range(4)]
    assert brier_score(scores, truth, weight) == pytest.approx(sum(columns), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_torchmetrics_agrees(seed):
    scores, truth, weight = answers(seed)
    times = np.repeat(np.arange(len(truth)), weight.astype(int))
    error = multiclass_calibration_error(
        torch.from_numpy(scores[times]), torch.from_numpy(truth[times]), 4, n_bins=BINS
    )
    assert calibration_error(scores, truth, weight) == pytest.approx(float(error), abs=1e-6)


def test_a_perfect_answer_and_a_class_that_is_absent():
    scores, truth, once = np.eye(3)[[0, 1, 0]], np.array([0, 1, 0]), np.ones(3)
    assert macro_auc(scores, truth, once) == 1
    assert brier_score(scores, truth, once) == calibration_error(scores, truth, once) == 0
    assert math.isnan(macro_auc(scores[:1], truth[:1], once[:1]))


def test_intervals_are_those_of_a_plain_loop():
    scores, truth, _ = answers(0, clips=60, classes=3)
    rows = [
        ClipResult(0, f"s{i % 6}", str(i), CLASSES[t], "scored", "", tuple(p), 1)
        for i, (p, t) in enumerate(zip(scores.tolist(), truth.tolist(), strict=True))
    ]
    missed = clip("missed", "anger", None, status="no_face")
    found = score_probabilities([*rows, missed], CLASSES, resamples=50, seed=3)
    drawn = []
    for draw in np.random.default_rng(3).random((50, 6)):
        chosen = [i for d in draw for i in range(60) if i % 6 == int(d * 6)]
        drawn.append(brier_score(scores[chosen], truth[chosen], np.ones(len(chosen))))
    expected = np.percentile(drawn, [2.5, 97.5])
    np.testing.assert_allclose(found["Brier score"][1:], expected, atol=1e-12)
    assert found["Brier score"][0] == pytest.approx(brier_score(scores, truth, np.ones(60)))
    assert list(found) == ["macro AUC", "Brier score", "expected calibration error"]
    assert score_probabilities([missed], CLASSES) == {}
