"""What the models of a bundle can be asked: the probabilities of windows of face crops.

Windows overlap: what a network makes of a pair of neighbouring frames is computed once and shared
by all windows that hold the pair.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfer.predict.bundle import Bundle
from vfer.predict.calibration import OutOfFold, fit_temperature, out_of_fold, temper
from vfer.predict.timeline import ModelInfo
from vfer.segments.indices import pairs_of, segment_frames

Described = tuple[Tensor, ...]
"""What the networks made of P pairs of frames, each ``(P, …)``."""


class ClipScores(NamedTuple):
    """What a model says of one clip.

    Attributes:
        starts: First frame of each window, ``(S,)`` int64.
        windows: Probabilities ``(S, classes)``, 0…1, the mean over the folds' models.
        clip: Probabilities ``(classes,)``, the mean over the windows.
    """

    starts: NDArray[np.int64]
    windows: NDArray[np.float64]
    clip: NDArray[np.float64]


class Model(ABC):
    """The finished models of a bundle, of one fold or of several, whose answers are averaged.

    Args:
        bundle: Where from.
        length: Frames of a window, L.

    Attributes:
        found: What was said out of fold; None where the bundle has nothing of it.
        temperature: By which logits are divided; 1 without ``found``.
    """

    def __init__(self, bundle: Bundle, length: int) -> None:
        self.bundle, self.length = bundle, length
        folds = [fold for fold in bundle.stages if isinstance(fold, int)]
        self.found: OutOfFold | None = out_of_fold(bundle.run, bundle.classes, folds)
        self.temperature = 1.0 if self.found is None else fit_temperature(self.found)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of every probability vector."""
        return self.bundle.classes

    @cached_property
    def key(self) -> str:
        """Changes with anything on which an answer depends; reads all weights for it."""
        return self.bundle.key()

    def info(self) -> ModelInfo:
        """Return what a timeline says of the model."""
        return ModelInfo(
            str(self.bundle.run),
            self.key,
            self.bundle.corpus,
            self.classes,
            tuple(self.bundle.stages),
            self.length,
            self.bundle.frame_rate,
            self.temperature,
            self.found is not None,
        )

    @abstractmethod
    def describe(self, pairs: NDArray[np.uint8]) -> Described:
        """Describe pairs of neighbouring frames, before windows are looked at.

        Args:
            pairs: ``(P, 2, 150, 110, 3)`` uint8 RGB, P ≥ 1.
        """

    @abstractmethod
    def each_fold(self, described: Described, segments: Tensor) -> NDArray[np.float64]:
        """Return the probabilities of windows by each fold's model, ``(K, S, classes)``, 0…1.

        Args:
            described: Of P pairs, as ``describe`` gives it.
            segments: ``(S, L−1)`` int64, the pairs of each window, in 0…P−1.
        """

    @abstractmethod
    def clip_windows(self, frames: int) -> NDArray[np.int64]:
        """Return the frames ``(S, n)`` of a clip's windows by the rule of training."""

    def probabilities(self, described: Described, segments: Tensor) -> NDArray[np.float64]:
        """Return the calibrated probabilities of windows, ``(S, classes)``; as ``each_fold``.

        Raises:
            RuntimeError: If they are not finite.
        """
        found = self.each_fold(described, segments)
        mean: NDArray[np.float64] = temper(found, self.temperature).mean(axis=0)
        if not np.isfinite(mean).all():
            raise RuntimeError(f"the model of {self.bundle.run} gives NaN; train it again")
        return mean

    def score_clip(
        self,
        crops: NDArray[np.uint8],
        starts: Sequence[int] | None = None,
        *,
        calibrated: bool = True,
    ) -> ClipScores:
        """Score one clip: all frames of one face, at the frame rate of the training corpus.

        Args:
            crops: ``(T, 150, 110, 3)`` uint8 RGB, T ≥ 1, as the crop store has them.
            starts: First frames of windows; None takes the rule that the bundle was trained by. A
                clip shorter than a window has the one start 0, its ends are repeated.
            calibrated: Whether the bundle's temperature is applied. Without, a fold's model gives
                the numbers of ``segments.csv`` for the clips that it was tested on.

        Raises:
            ValueError: If crops have another shape or type, or a window does not lie in the clip.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (150, 110, 3):
            raise ValueError(f"crops are {crops.dtype} {crops.shape}; not uint8 (T, 150, 110, 3)")
        if starts is None:
            frames = self.clip_windows(len(crops))
        else:
            frames = np.stack([segment_frames(len(crops), self.length, at) for at in starts])
        pairs, at = pairs_of(frames)
        segments = torch.from_numpy(at)
        described = self.describe(crops[pairs])
        if calibrated:
            found = self.probabilities(described, segments)
        else:
            found = self.each_fold(described, segments).mean(axis=0)
        return ClipScores(frames[:, 0], found, found.mean(axis=0))
