"""The non-trained schema: logistic regression on what EmotionalVlan makes of fine-tuned streams."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

STRENGTHS = tuple(10.0**power for power in range(-6, 2))
"""The values of C, the inverse of the penalty's weight, that are tried."""


def edge_of(strength: float) -> str | None:
    """Say at which end of `STRENGTHS` a C lies, beyond which a better one may be; None inside."""
    return {STRENGTHS[0]: "smallest", STRENGTHS[-1]: "largest"}.get(strength)


def fit_classifier(
    features: NDArray[np.float32], labels: NDArray[np.int64], subjects: list[str], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Multinomial logistic regression, its C chosen by cross-validation over subjects.

    Features are standardised first: they are sums of 30 vectors after ReLU, of any scale, on which
    the meaning of a penalty would depend. C is that of the smallest log-loss, the mean over at most
    five groups of subjects, each held out once; of equals, the smallest C. Accuracy would not do:
    the streams have seen these people, and where every C recognises all of them it chooses none.

    Args:
        features: ``(N, D)`` float32, one row a segment.
        labels: ``(N,)`` class indices.
        subjects: Of each segment.
        classes: Number of classes.

    Returns:
        Weights ``(classes, D)`` and biases ``(classes,)`` for features as given, and C.

    Raises:
        ValueError: If there are fewer than two subjects, or a class has no segment.
    """
    people, present = len(set(subjects)), set(labels.tolist())
    if people < 2 or len(present) < classes:
        raise ValueError(
            f"stages.schema non_trained: {people} training subjects with {len(present)} of "
            f"{classes} classes; two subjects and every class are needed"
        )
    model = Pipeline(
        [("scale", StandardScaler()), ("regression", LogisticRegression(max_iter=5000))]
    )
    search = GridSearchCV(
        model,
        {"regression__C": STRENGTHS},
        scoring=lambda model, x, y: -_log_loss(model, x, y, classes),
        cv=GroupKFold(min(5, people)),
    )
    exact = features.astype(np.float64)  # in float32 the scaler shifts what varies little
    search.fit(exact, labels, groups=subjects)
    scale, regression = search.best_estimator_[0], search.best_estimator_[1]
    weight, bias = regression.coef_, regression.intercept_
    if classes == 2:  # one row, the second class's odds
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scale.scale_
    return weight, bias - weight @ scale.mean_, float(search.best_params_["regression__C"])


def _log_loss(
    model: Pipeline, features: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> float:
    """Return the mean log-loss in nats; a class that was not fitted has the probability 0."""
    scores = np.zeros((len(features), classes))
    scores[:, model.classes_] = model.predict_proba(features)
    return float(log_loss(labels, scores, labels=range(classes)))
