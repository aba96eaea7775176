import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vfer.baselines.classifier import STRENGTHS, fit_classifier


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
    accuracies = {}
    for strength in STRENGTHS:
        right = []
        for one in sorted(set(who)):
            held = np.array(who) == one
            scale = StandardScaler().fit(x[~held])
            model = LogisticRegression(C=strength, max_iter=5000)
            model.fit(scale.transform(x[~held]), y[~held])
            right.append(np.mean(model.predict(scale.transform(x[held])) == y[held]))
        accuracies[strength] = np.mean(right)
    best = max(accuracies.values())
    expected = min(c for c, accuracy in accuracies.items() if accuracy > best - 1e-9)
    assert fit_classifier(x, y, who, 3)[2] == expected


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
