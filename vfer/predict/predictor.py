"""``Predictor``: a trained model on videos of one's own, and on endless streams."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfer.faces.tracks import Step, Timed, TrackFaces
from vfer.predict.bundle import Bundle, Fold
from vfer.predict.calibration import RANGE, abstain
from vfer.predict.explain import Explainer
from vfer.predict.frames import (
    SAME,
    Advance,
    Source,
    check_frames,
    even_rate,
    open_file,
    read_array,
    read_file,
    read_stream,
    resample,
)
from vfer.predict.load import load_model
from vfer.predict.model import Model
from vfer.predict.quality import Limits
from vfer.predict.record import Recorder
from vfer.predict.settings import Settings
from vfer.predict.timeline import Abstention, Timeline, VideoInfo, Window
from vfer.predict.windows import AllWindows, Scoring
from vfer.results.bundle import FINAL
from vfer.runtime.files import sha256

STREAM = 4
"""Frames of a stream that are taken at a time, and sampled ones that the detector sees at once."""
HELD = 400_000_000
"""Bytes of frames that the tracker may hold; larger frames are looked at in smaller batches."""


def _follow() -> TrackFaces:
    from vfer.faces.stream import track_faces  # loads the detector

    return track_faces


@dataclass(frozen=True)
class Predictor:
    """Says who shows which emotion when.

    Attributes:
        model: Of the bundle.
        settings: How windows are cut and what is said of them.
        follow: What follows the faces.

    Raises:
        UsageError: If decisions are to be explained, and the model's cannot be.
    """

    model: Model
    settings: Settings = field(default_factory=Settings)
    follow: TrackFaces = field(default_factory=_follow)

    def __post_init__(self) -> None:
        """Refuse to explain what cannot be, before any work."""
        if self.settings.explain:
            assert self.explainer is not None

    @classmethod
    def load(
        cls, run: str | Path, *, fold: Fold | None = None, device: str = "auto",
        trust_code: bool = False, **settings: Any,  # noqa: ANN401 - those of `Settings`
    ) -> "Predictor":  # fmt: skip
        """Load a bundle, from safetensors and JSON only.

        Args:
            run: The bundle's folder.
            fold: Which fold's model, or ``final``, the one that was trained on all subjects; None
                for all folds, whose answers are averaged, as many times slower.
            device: ``cpu``, ``cuda`` …; ``auto`` takes a GPU where there is one.
            trust_code: Whether classes that the bundle names may be imported: it runs their code.
            settings: Those of ``vfer.predict.settings.Settings``: ``step``, ``abstain`` …

        Raises:
            FileNotFoundError: If it is no bundle.
            ValueError: If a file or a setting is not as it should be.
        """
        chosen = Settings(**settings)
        return cls(load_model(run, fold=fold, device=device, trust_code=trust_code), chosen)

    @cached_property
    def limits(self) -> Limits:
        """Where doubt begins: as the bundle's corpus looks."""
        return Limits.of(self.model.bundle.faces)

    @cached_property
    def explainer(self) -> Explainer | None:
        """What explains decisions; None where that is not asked for."""
        return Explainer(self.model, self.settings.cam) if self.settings.explain else None

    def predict(
        self, video: str | Path | NDArray[np.uint8], *, fps: float | None = None,
        advance: Advance | None = None,
    ) -> Timeline:  # fmt: skip
        """Return what is said of one video.

        Args:
            video: A file, or its frames ``(T, H, W, 3)`` uint8 RGB.
            fps: Of frames in memory, frames a second; None for that of the training videos.
            advance: Told how far it is, and how long, s.

        Raises:
            VideoError: If a file cannot be read.
            ValueError: If frames have another shape or type, or ``fps`` is given with a file.
        """
        if isinstance(video, np.ndarray):
            check_frames(video)
            source = Source("", self._rate(fps), len(video), width=video.shape[2])
            source.height = video.shape[1]
            runs, digest = read_array(source, video), ""
        else:
            if fps is not None:
                raise ValueError(
                    f"fps is {fps}, and {video} is a file, which has a rate of its own"
                )
            source = open_file(Path(video))
            runs, digest = read_file(source), sha256(Path(video))
        even = self._even(source)
        scoring = self._scoring(even or source.rate)
        recorder = Recorder(scoring, self.model.bundle.data.faces)
        steady = runs if even is None else resample(runs, even)
        passing = recorder.passing(_told(source, steady, advance))
        for step, windows in self._watch(passing, scoring, _batch(source, self.model.bundle)):
            recorder.add(step, windows)
        info = VideoInfo(
            path=source.path,
            sha256=digest,
            duration=round(source.end, 6),
            frames=source.frames,
            promised=source.promised,
            rate=source.frames / source.end,
            width=source.width,
            height=source.height,
            decoder=source.decoder,
            analysed_rate=scoring.rate,
        )
        return Timeline(
            info,
            self.model.info(),
            scoring.step / scoring.rate,
            *recorder.finish(self.settings.main_face),
            self.abstention(),
            (*self._notes(source, even, digest), *source.notes),
        )

    def stream(self, frames: Iterable[NDArray[np.uint8]], *, fps: float) -> Iterator[Window]:
        """Yield windows of an endless video as they are complete, with bounded delay and memory.

        A window comes when the tracker is sure of its last frame: with the default settings of
        ``data.faces`` about two seconds after it was seen, at 25 frames a second.

        Args:
            frames: One after the other, ``(H, W, 3)`` uint8 RGB, all of one size.
            fps: Frames a second.

        Raises:
            ValueError: If a frame has another shape or type, or ``main_face`` is set: which face
                is the main one is not known before the end.
        """
        if self.settings.main_face:
            raise ValueError("main_face is not known before a video's end; a stream has none")
        source = Source("", self._rate(fps))
        even = self._even(source)
        runs = read_stream(source, frames, STREAM)
        steady = runs if even is None else resample(runs, even, STREAM)
        for _, windows in self._watch(steady, self._scoring(even or source.rate), batch=1):
            yield from windows

    def abstention(self) -> Abstention | None:
        """Return what leaving windows undecided did out of fold; None if it was not asked for.

        Raises:
            ValueError: If the bundle has no out-of-fold predictions.
        """
        below = self.settings.abstain
        if below is None:
            return None
        if self.model.found is None:
            raise ValueError(
                f"abstain is {below} and {self.model.bundle.run} has no segments.csv: what that "
                "does out of fold is unknown. Finish the bundle's folds, or leave abstain out"
            )
        return abstain(self.model.found, self.model.temperature, below)

    def _rate(self, fps: float | None) -> float:
        if fps is None:
            return self.model.bundle.frame_rate or 25.0
        if not 1 <= fps <= 1000:
            raise ValueError(f"fps is {fps}; it must be 1 to 1000 frames a second")
        return float(fps)

    def _even(self, source: Source) -> float | None:
        return even_rate(source.rate, self.model.bundle.frame_rate, self.settings.keep_rate)

    def _scoring(self, rate: float) -> Scoring:
        step = self.settings.step_frames(rate)
        below = self.settings.abstain
        return Scoring(self.model, step, rate, below, self.limits, self.explainer)

    def _watch(
        self, runs: Iterable[Timed], scoring: Scoring, batch: int
    ) -> Iterator[tuple[Step, list[Window]]]:
        """Yield what the tracker says, and the windows that are complete with it."""
        windows = AllWindows(scoring)
        for step in self.follow(runs, self.model.bundle.data.faces, batch=batch):
            yield step, list(windows.add(step.pieces, [number for number, _ in step.ended]))

    def _notes(self, source: Source, even: float | None, digest: str) -> Iterator[str]:
        """Say what a reader should know of how a timeline was made."""
        bundle, rate = self.model.bundle, source.rate
        yield from bundle.notes
        if bundle.frame_rate is None:
            yield "The bundle does not say its videos' frame rate: the video's own is kept."
        elif even == bundle.frame_rate != rate:
            yield (
                f"The video's {rate:.4g} frames a second are resampled to the training videos' "
                f"{even:.4g}, so that motion from frame to frame means the same."
            )
        elif even is None and abs(rate / bundle.frame_rate - 1) > SAME:
            yield (
                f"The video's {rate:.4g} frames a second are kept; the model was trained on "
                f"{bundle.frame_rate:.4g}, where motion from frame to frame is another."
            )
        if self.model.found is None:
            yield "The probabilities are not calibrated: the bundle has no out-of-fold predictions."
        elif self.model.temperature > 0.99 * RANGE[1]:
            yield (
                "Out of fold the model's answers are hardly better than chance: the temperature is "
                "the highest that is tried, and all classes are about as probable."
            )
        knowing = [str(fold) for fold, videos in bundle.seen.items() if digest in videos]
        if knowing:
            which = (
                "the final model" if FINAL in knowing else f"the model of fold {', '.join(knowing)}"
            )
            yield (
                f"This very video was trained on (by {which}): what "
                "is said of it says nothing about people whom the model does not know."
            )


def _told(source: Source, runs: Iterable[Timed], advance: Advance | None) -> Iterator[Timed]:
    """Tell how far a video is while its frames pass."""
    for frames, times in runs:
        yield frames, times
        if advance is not None:
            advance(float(times[-1]), source.expected)


def _batch(source: Source, bundle: Bundle) -> int:
    """Return how many sampled frames the detector sees at once, so that few bytes are held."""
    frame = 3 * max(1, source.width * source.height)
    return int(np.clip(HELD // (frame * bundle.data.faces.detect_every), 1, 16))
