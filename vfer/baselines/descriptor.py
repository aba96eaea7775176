"""Descriptors of clips in the place of networks, and the scikit-learn classifier behind them."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vfer.baselines.table import Values
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.plugs import Named, Plug, PlugError, make, plug


class Descriptor(Protocol):
    """Describes whole clips: the contract of ``model.descriptor``.

    Two attributes may say more. With ``needs_flow = True``, ``describe`` gets the clip's optical
    flow as its second argument, ``(T−1, 2, 150, 110)`` float32 in crop pixels a frame. With
    ``deterministic = True`` nothing in it is random, and all seeds share its descriptors; without,
    the global generators of NumPy and torch are seeded before each clip.
    """

    def describe(self, crops: NDArray[np.uint8]) -> Values:
        """Describe a clip.

        Args:
            crops: ``(T, 150, 110, 3)`` uint8 RGB.

        Returns:
            ``(D,)``, or ``(N, D)`` local descriptors: the classifier then gets a list of these and
            its first step makes one row a clip.
        """


def make_descriptor(own: Plug) -> Descriptor:
    """Make the descriptor that a config names.

    Raises:
        PlugError: If it cannot be made, or is none.
    """
    found: Descriptor = make(own)
    if not callable(getattr(found, "describe", None)):
        raise PlugError(f"{own} has no method describe(crops)")
    return found


def describe_clip(
    descriptor: Descriptor, own: Plug, crops: NDArray[np.uint8], flow: FlowConfig, seed: int,
    clip: str,
) -> Values:  # fmt: skip
    """Describe one clip, and see that it is a description.

    Args:
        descriptor: As ``make_descriptor`` made it.
        own: Its entry in the config.
        crops: ``(T, 150, 110, 3)`` uint8 RGB.
        flow: How flow is computed, if it is asked for.
        seed: Of the global generators, 0 ≤ seed < 2³².
        clip: The clip's name, for messages.

    Raises:
        PlugError: If the descriptor fails, or returns something else.
    """
    given: list[NDArray[Any]] = [crops]
    if getattr(descriptor, "needs_flow", False):
        given.append(pair_flow(torch.from_numpy(crops)[None], flow)[0].numpy())
    np.random.seed(seed)  # noqa: NPY002 - the user's may use it
    torch.manual_seed(seed)
    try:
        found = np.asarray(descriptor.describe(*given))
    except (Exception, SystemExit) as error:  # whatever the user's class raises
        raise PlugError(f"{own} fails on {clip!r}: {type(error).__name__}: {error}") from error
    if found.ndim not in (1, 2) or not found.size or not np.issubdtype(found.dtype, np.number):
        raise PlugError(
            f"{own} returns {found.dtype} {found.shape} for {clip!r}; it must return numbers, "
            "(D,) or (N, D)"
        )
    if not np.isfinite(found).all():
        raise PlugError(f"{own} returns NaN or infinity for {clip!r}")
    return found


def make_classifier(named: Named | None, seed: int) -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """Make the classifier; what is random in it and has no seed of its own gets this one.

    Args:
        named: As ``model.classifier`` names it; None takes multinomial logistic regression.
        seed: 0 ≤ seed < 2³².

    Raises:
        PlugError: If it cannot be used.
    """
    own = plug("model.classifier", named)
    if own is None:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    found = make(own)
    lacking = [name for name in ("fit", "predict_proba", "get_params") if not hasattr(found, name)]
    if lacking:
        raise PlugError(
            f"{own} has no {', '.join(lacking)}; it must be a scikit-learn classifier that gives "
            "probabilities (around another, CalibratedClassifierCV gives them)"
        )
    seeds = [
        name for name, value in found.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]  # fmt: skip
    return found.set_params(**dict.fromkeys(seeds, seed))


def classifier_input(described: Sequence[Values]) -> Sequence[Values] | Values:
    """Return descriptors as a classifier takes them: ``(clips, D)``, or a list of local ones."""
    return np.stack(described) if described[0].ndim == 1 else described


def class_scores(
    classifier: Any,  # noqa: ANN401 - a scikit-learn estimator
    described: Sequence[Values],
    classes: int,
) -> NDArray[np.float64]:
    """Return probabilities ``(clips, classes)``; a class that was not fitted has 0."""
    scores: NDArray[np.float64] = np.zeros((len(described), classes))
    scores[:, classifier.classes_] = classifier.predict_proba(classifier_input(described))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
