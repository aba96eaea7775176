"""What is said of one video: who is seen when, and with which emotion. Records without torch.

Times are seconds from the beginning of the file as players show it; places are pixels of the video
held upright, from its left and upper edge. ``docs/predict.md`` says what each field means.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfer.faces.tracks import Ending
from vfer.predict.explanation import Explanation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = 1
"""The version of the JSON; raised when a field changes its meaning or goes."""

Doubt = Literal["small", "blurred", "dark", "turned", "uncertain", "bridged", "short"]
"""Why a window is unlike what the model was trained on; see ``vfer.predict.quality``."""


class Place(NamedTuple):
    """Where a face is at a time: s, then pixels: its box, its left and right eye in the image."""

    time: float
    left: float
    top: float
    right: float
    bottom: float
    left_eye_x: float
    left_eye_y: float
    right_eye_x: float
    right_eye_y: float


@dataclass(frozen=True)
class Span:
    """A stretch of time, s."""

    start: float
    end: float


@dataclass(frozen=True)
class Quality:
    """Means over the frames of a window.

    Attributes:
        confidence: Of the face detector, 0…1.
        eye_distance: px of the video.
        turn: How far the nose is from the middle of the eyes, in eye distances: 0 is frontal, ±0.5
            about a profile; None where the detector finds no nose.
        sharpness: Variance of the Laplacian of the crop's grey values.
        brightness: Grey value of the crop, 0…255.
        bridged: The share of frames in which the face was not found, its place interpolated, 0…1.
    """

    confidence: float
    eye_distance: float
    turn: float | None
    sharpness: float
    brightness: float
    bridged: float


@dataclass(frozen=True)
class Window:
    """L frames of one face, and what the model says of them.

    Attributes:
        track: Whose face: the track's id.
        start: Of its first frame, s.
        end: Of its last frame's end, s.
        probabilities: Of each class, calibrated, 0…1, sum 1.
        prediction: The first most probable class; None where the model abstains.
        abstained: Why there is no prediction: ``confidence``, the largest probability is below what
            was asked for; None where there is one.
        quality: What the face looks like.
        doubtful: In what the window is unlike the training data; empty where it is not.
        explanation: What carried the decision; None where that was not asked for.
    """

    track: int
    start: float
    end: float
    probabilities: Mapping[str, float]
    prediction: str | None
    abstained: Literal["confidence"] | None
    quality: Quality
    doubtful: tuple[Doubt, ...] = ()
    explanation: Explanation | None = None


@dataclass(frozen=True)
class FaceTrack:
    """One face from its first frame to its last, without a cut or a long gap in between.

    Attributes:
        id: Unique in the video, from 0 in the order of first frames.
        start: Of its first frame, s.
        end: Of its last frame's end, s.
        ended: Why: ``gone``, the face was away for too long; ``cut``; or ``end``, of the video.
        main: Whether it is of the main face: of tracks at the same time, the weightiest by the
            bundle's ``data.faces.follow``.
        probabilities: The mean over its windows.
        prediction: Its first most probable class; None where the model abstains.
        abstained: As of a window.
        windows: In the order of time, at least one.
        places: Where the face is at some times, the first and the last frame among them; between
            two of them in proportion.
    """

    id: int
    start: float
    end: float
    ended: Ending
    main: bool
    probabilities: Mapping[str, float]
    prediction: str | None
    abstained: Literal["confidence"] | None
    windows: tuple[Window, ...]
    places: tuple[Place, ...]

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array(self.places, np.float64)  # (places, 9)

    def place_at(self, time: float) -> Place | None:
        """Return where the face is at a time, s; None before its start and after its end."""
        if not self.start <= time < self.end:
            return None
        times, *columns = self._table.T
        return Place(time, *(float(np.interp(time, times, column)) for column in columns))

    def window_at(self, time: float) -> Window | None:
        """Return the window whose middle is nearest to a time, s, among those that hold it."""
        held = [w for w in self.windows if w.start <= time < w.end]
        return min(held, key=lambda w: abs(w.start + w.end - 2 * time), default=None)


@dataclass(frozen=True)
class VideoInfo:
    """A video.

    Attributes:
        path: As it was given; empty for frames in memory.
        sha256: Of the file; empty for frames in memory.
        duration: To the end of the last frame, s.
        frames: That were decoded.
        promised: That the file's header promises; 0 where it says nothing.
        rate: Mean frames a second.
        width: px, upright.
        height: px, upright.
        decoder: ``pyav``; empty for frames in memory.
        analysed_rate: Frames a second that the model saw.
    """

    path: str
    sha256: str
    duration: float
    frames: int
    promised: int
    rate: float
    width: int
    height: int
    decoder: str
    analysed_rate: float


@dataclass(frozen=True)
class ModelInfo:
    """The model behind a timeline.

    Attributes:
        run: The bundle's folder, as it was given.
        key: Changes with any of its weights and settings.
        corpus: What it was trained on.
        classes: In their order.
        folds: Of each averaged model the fold, the group of people whom it was not trained on; or
            ``final`` alone, the model that was trained on all subjects.
        length: Frames of a window, L.
        frame_rate: Of its training videos, frames a second; None where the bundle does not say.
        temperature: By which logits are divided; 1 leaves them.
        calibrated: Whether it was fitted on out-of-fold predictions; else it is 1.
    """

    run: str
    key: str
    corpus: str
    classes: tuple[str, ...]
    folds: tuple[int | Literal["final"], ...]
    length: int
    frame_rate: float | None
    temperature: float
    calibrated: bool


@dataclass(frozen=True)
class Abstention:
    """Windows below a confidence are left undecided, and what that did out of fold.

    Attributes:
        below: The confidence, 0…1.
        accuracy: Share of the decided windows that were right; None if none was decided.
        coverage: Share of the windows that were decided.
    """

    below: float
    accuracy: float | None
    coverage: float


@dataclass(frozen=True)
class Coverage:
    """How much of a video the model says something about.

    Attributes:
        face: Share of the time in which a face is followed, 0…1.
        windows: Of all tracks.
        abstained: Those without a prediction.
        doubtful: Those that are unlike the training data.
    """

    face: float
    windows: int
    abstained: int
    doubtful: int


@dataclass(frozen=True)
class Timeline:
    """What is said of one video.

    Attributes:
        video: Which.
        model: By which model.
        step: Seconds from the start of a window to that of the next.
        tracks: In the order of their ids.
        no_face: Spans in which no face is followed.
        cuts: First moments of new shots, s.
        coverage: How much is said.
        abstention: What was asked for and what it did out of fold; None: nothing.
        notes: What a reader should know of how it was made, a sentence each.
    """

    video: VideoInfo
    model: ModelInfo
    step: float
    tracks: tuple[FaceTrack, ...]
    no_face: tuple[Span, ...]
    cuts: tuple[float, ...]
    coverage: Coverage
    abstention: Abstention | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows of all tracks, track by track."""
        return tuple(window for track in self.tracks for window in track.windows)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a row a window and track, and one a span without a face, as the CSV has them.

        Raises:
            ImportError: Without pandas, which the extra ``pandas`` brings.
        """
        from vfer.predict.document import dataframe

        return dataframe(self)

    def plot(self) -> "Figure":
        """Draw the probabilities over time, an axis a track; spans without the face are grey."""
        from vfer.predict.plot import plot

        return plot(self)


def most_probable(probabilities: Mapping[str, float]) -> str:
    """Return the first class of the largest probability."""
    return max(probabilities, key=probabilities.__getitem__)


def mean_probabilities(of: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of at least one set of probabilities, class by class."""
    return {name: math.fsum(one[name] for one in of) / len(of) for name in of[0]}
