import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from vfer.baselines.classifier import STRENGTHS, edge_of, fit_classifier


def people(noise, seed=0, classes=3, subjects=5, each=8, features=5):
    """Classes are directions; every person has an offset of their own."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(classes, features))
    labels = np.tile(np.arange(classes), subjects * each)
    who = np.repeat(np.arange(subjects), classes * each)
    offsets = noise * rng.normal(size=(subjects, features))[who]
    x = 50 + 7 * (directions[labels] + offsets + 0.1 * rng.normal(size=(len(labels), features)))
    return x.astype(np.float32), labels, who.astype(str).tolist()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_layer_says_what_scikit_learn_says_of_standardised_features(classes):
    x, y, who = people(0.5, classes=classes)
    weight, bias, strength = fit_classifier(x, y, who, classes)
    assert strength in STRENGTHS
    scaled = StandardScaler().fit_transform(x)
    expected = LogisticRegression(C=strength, max_iter=5000).fit(scaled, y).predict_proba(scaled)
    logits = torch.from_numpy(x.astype(np.float64) @ weight.T + bias)
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_strength_is_the_best_on_people_that_were_not_fitted(seed):
    x, y, who = people(1.5, seed, features=12, each=3)
    losses = {}
    for strength in STRENGTHS:
        lost = []
        for one in sorted(set(who)):
            held = np.array(who) == one
            scale = StandardScaler().fit(x[~held])
            model = LogisticRegression(C=strength, max_iter=5000)
            model.fit(scale.transform(x[~held]), y[~held])
            lost.append(log_loss(y[held], model.predict_proba(scale.transform(x[held]))))
        losses[strength] = np.mean(lost)
    assert fit_classifier(x, y, who, 3)[2] == min(losses, key=losses.get)


def test_where_every_strength_is_as_accurate_the_penalty_is_not_the_strongest():
    x, y, who = people(0.0)  # everybody alike: any penalty recognises all
    strength = fit_classifier(x, y, who, 3)[2]
    assert strength > STRENGTHS[0]
    assert edge_of(strength) == ("largest" if strength == STRENGTHS[-1] else None)


def test_ends_of_the_values_tried_are_told():
    assert [edge_of(c) for c in STRENGTHS] == ["smallest", *[None] * 6, "largest"]


def test_a_class_that_some_people_do_not_show_is_no_hindrance():
    x, y, who = people(0.5, subjects=2)
    keep = np.array(
        [not (person == "0" and label == 1) for person, label in zip(who, y, strict=True)]
    )
    kept = [person for person, k in zip(who, keep, strict=True) if k]
    weight, _, strength = fit_classifier(x[keep], y[keep], kept, 3)
    assert strength in STRENGTHS
    assert np.isfinite(weight).all()


@pytest.mark.parametrize(
    ("who", "y"), [(["1"] * 4, [0, 1, 2, 0]), (["1", "2", "1", "2"], [0, 1, 1, 0])]
)
def test_one_person_or_a_missing_class_is_refused(who, y):
    x = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match="two subjects and every class"):
        fit_classifier(x, np.array(y), who, 3)


def test_features_that_vary_little_about_a_large_mean_are_fitted_exactly():
    rng = np.random.default_rng(0)
    x = (100 + 1e-3 * rng.normal(size=(60, 50))).astype(np.float32)
    y, who = np.arange(60) % 3, [str(i % 4) for i in range(60)]
    weight, bias, strength = fit_classifier(x, y, who, 3)
    exact = StandardScaler().fit_transform(x.astype(np.float64))
    expected = LogisticRegression(C=strength, max_iter=5000).fit(exact, y).decision_function(exact)
    found = x.astype(np.float64) @ weight.T + bias
    np.testing.assert_allclose(found, expected, atol=1e-6)
