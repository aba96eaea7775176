"""What a face looks like in a window, and in what that is unlike the training data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vfer.faces.tracks import Piece
from vfer.predict.timeline import Doubt, Quality
from vfer.results.faces import FaceFacts

FACTS = ("confidence", "eye_distance", "turn", "sharpness", "brightness", "bridged")
"""What is known of each frame, in the order of the columns of ``frame_facts``."""


@dataclass(frozen=True)
class Limits:
    """Where doubt begins.

    The defaults are for bundles that do not say what their clips look like: rules of thumb.

    Attributes:
        confidence: ``uncertain`` below this, 0…1.
        eye_distance: ``small`` below this, px of the video: the crop enlarges the face more than
            twice, its eyes being 55 px apart.
        turn: ``turned`` above this, either way, eye distances.
        sharpness: ``blurred`` below this.
        brightness: ``dark`` below this, 0…255.
        bridged: ``bridged`` above this, a share of frames.
    """

    confidence: float = 0.9
    eye_distance: float = 25.0
    turn: float = 0.35
    sharpness: float = 15.0
    brightness: float = 40.0
    bridged: float = 0.25

    @classmethod
    def of(cls, faces: FaceFacts | None) -> "Limits":
        """Return the limits of a corpus: what 99 of 100 clips are above.

        A face counts as small only where it is enlarged more than twice, and as uncertain only
        where the detector is: that training saw larger and clearer ones only makes it no less fit.
        """
        if faces is None:
            return cls()
        return cls(
            confidence=min(cls.confidence, faces.confidence["p1"]),
            eye_distance=min(cls.eye_distance, faces.eye_distance["p1"]),
            sharpness=faces.sharpness["p1"],
            brightness=faces.brightness["p1"],
        )


def frame_facts(piece: Piece) -> NDArray[np.float64]:
    """Return what is known of each frame of a piece, ``(n, 6)``, the columns as in ``FACTS``."""
    columns = [np.asarray(getattr(piece, name), np.float64) for name in FACTS]
    return np.stack(columns, axis=1)


def summarise(facts: NDArray[np.float64]) -> Quality:
    """Return the means of ``frame_facts`` over a window; a turn that is never known is None."""
    turn = facts[:, FACTS.index("turn")]
    known = turn[~np.isnan(turn)]
    means = dict(zip(FACTS, facts.mean(axis=0).tolist(), strict=True))
    rounded = {name: round(value, 6) for name, value in means.items() if name != "turn"}
    return Quality(turn=round(float(known.mean()), 6) if len(known) else None, **rounded)


def doubts(quality: Quality, limits: Limits, short: bool) -> tuple[Doubt, ...]:
    """Return in what a window is unlike the training data.

    Args:
        quality: Of the window.
        limits: Where doubt begins.
        short: Whether the track has fewer frames than a window, so that its ends were repeated.
    """
    found: dict[Doubt, bool] = {
        "small": quality.eye_distance < limits.eye_distance,
        "blurred": quality.sharpness < limits.sharpness,
        "dark": quality.brightness < limits.brightness,
        "turned": quality.turn is not None and abs(quality.turn) > limits.turn,
        "uncertain": quality.confidence < limits.confidence,
        "bridged": quality.bridged > limits.bridged,
        "short": short,
    }
    return tuple(name for name, is_so in found.items() if is_so)
