"""Temperature and abstention on predictions whose true confidence is known."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfer.predict.calibration import OutOfFold, abstain, fit_temperature, out_of_fold, temper


def overconfident(temperature, count=4000, classes=4, seed=0):
    """Answers whose logits are `temperature` times what they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)) * 2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (true.cumsum(1) > rng.random((count, 1))).argmax(1)
    said = np.exp(logits * temperature)
    return OutOfFold(said / said.sum(1, keepdims=True), truth), true


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_built_in_is_found_and_undoes_it(temperature):
    found, true = overconfident(temperature)
    fitted = fit_temperature(found)
    assert fitted == pytest.approx(temperature, rel=0.06)
    np.testing.assert_allclose(temper(found.scores, temperature), true, atol=1e-9)


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=6), st.floats(0.1, 10))
def test_a_temperature_changes_no_answer(weights, temperature):
    probabilities = np.array(weights) / np.sum(weights)
    tempered = temper(probabilities, temperature)
    assert tempered.sum() == pytest.approx(1)
    assert tempered[probabilities.argmax()] == pytest.approx(tempered.max())


def test_impossible_answers_stay_finite():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert 1 < fit_temperature(OutOfFold(sure, np.array([1, 1]))) <= 20.001
    assert np.isfinite(temper(sure, 0.05)).all()


def test_abstaining_leaves_the_unsure_out_and_says_how_the_others_did():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    found = OutOfFold(scores, np.array([0, 1, 1, 1]))
    said = abstain(found, 1.0, 0.7)
    assert (said.below, said.accuracy, said.coverage) == (0.7, 2 / 3, 0.75)
    nobody = abstain(found, 1.0, 0.95)
    assert (nobody.accuracy, nobody.coverage) == (None, 0.0)
    # softened, 0.9 becomes 0.75
    assert abstain(found, 2.0, 0.7).coverage == 0.25


def test_the_bundles_windows_are_read_and_without_any_there_is_nothing(bundle, tmp_path):
    classes = json.loads((bundle / "results.json").read_text())["classes"]
    found = out_of_fold(bundle, classes, [0, 1, 2])
    assert found.scores.shape == (36, 6)
    assert np.bincount(found.truth).tolist() == [6] * 6
    assert out_of_fold(tmp_path, classes, [0]) is None
    shutil.copytree(bundle / "fold-1", tmp_path / "fold-1")
    assert out_of_fold(tmp_path, classes, [0, 1]).scores.shape == (12, 6)
