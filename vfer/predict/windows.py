"""Windows of one face, cut and scored as its frames arrive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfer.faces.tracks import Piece
from vfer.predict.explain import Explainer
from vfer.predict.explanation import Explanation
from vfer.predict.model import Described, Model
from vfer.predict.quality import Limits, doubts, frame_facts, summarise
from vfer.predict.timeline import Window, most_probable
from vfer.segments.indices import fit_length

Answer = tuple[str | None, Literal["confidence"] | None]


@dataclass(frozen=True)
class Scoring:
    """How windows are cut and judged.

    Attributes:
        model: Whose answers.
        step: Frames from the start of a window to that of the next, at least 1; need not be whole.
        rate: Frames a second.
        below: Confidence below which the model abstains; None: never.
        limits: Where doubt begins.
        explainer: What explains each answer; None: nothing.
    """

    model: Model
    step: float
    rate: float
    below: float | None
    limits: Limits
    explainer: Explainer | None = None

    def answer(self, probabilities: Mapping[str, float]) -> Answer:
        """Return the prediction, and why there is none."""
        best = most_probable(probabilities)
        if self.below is not None and probabilities[best] < self.below:
            return None, "confidence"
        return best, None


class TrackWindows:
    """One track while its frames arrive: holds no more of them than the next windows need.

    Windows start every ``step`` frames from the track's first; where frames are left at its end, a
    last one ends with it. A track shorter than a window has one, its ends repeated.

    Args:
        track: Its id.
        scoring: How windows are cut and judged.
    """

    def __init__(self, track: int, scoring: Scoring) -> None:
        self.track, self.scoring = track, scoring
        self.frames = 0  # arrived so far
        self.next = 0  # windows cut so far
        self._first = 0  # the first frame that is held
        self._crops: NDArray[np.uint8] | None = None
        self._facts = np.empty((0, 0))
        self._times = np.empty(0)
        self._rows: dict[tuple[int, int], int] = {}  # pair of frames → row of what is described
        self._described: Described = ()

    def _start(self, number: int) -> int:
        """Return the first frame of a window."""
        return int(np.floor(number * self.scoring.step + 0.5))

    def add(self, piece: Piece) -> list[Window]:
        """Take the track's next frames; return the windows that they complete."""
        facts = frame_facts(piece)
        if self._crops is None:
            self._crops, self._facts, self._times = piece.crops, facts, piece.times
        else:
            self._crops = np.concatenate([self._crops, piece.crops])
            self._facts = np.concatenate([self._facts, facts])
            self._times = np.concatenate([self._times, piece.times])
        self.frames += len(piece.crops)
        length = self.scoring.model.length
        cut = []
        while (start := self._start(self.next)) + length <= self.frames:
            cut.append(np.arange(start, start + length))
            self.next += 1
        found = self._score(cut)
        self._forget(min(self._start(self.next), self.frames - length))
        return found

    def end(self) -> list[Window]:
        """Return what is left when no more frames come."""
        length = self.scoring.model.length
        if self.frames < length:
            return self._score([fit_length(self.frames, length)])
        if self._start(self.next - 1) + length < self.frames:
            return self._score([np.arange(self.frames - length, self.frames)])
        return []

    def _forget(self, before: int) -> None:
        """Let go of frames, and of what is known of pairs, before a frame."""
        drop = before - self._first
        if drop <= 0:
            return
        assert self._crops is not None
        self._first = before
        # copies, so that what is dropped is freed
        self._crops, self._facts = self._crops[drop:].copy(), self._facts[drop:].copy()
        self._times = self._times[drop:].copy()
        kept = {pair: row for pair, row in self._rows.items() if pair[0] >= before}
        rows = torch.tensor(list(kept.values()), dtype=torch.int64)
        self._described = tuple(one[rows.to(one.device)] for one in self._described)
        self._rows = {pair: row for row, pair in enumerate(kept)}

    def _score(self, windows: Sequence[NDArray[np.int64]]) -> list[Window]:
        """Score windows, each given by its frames ``(L,)`` in the track."""
        if not windows:
            return []
        pairs = [list(zip(f[:-1].tolist(), f[1:].tolist(), strict=True)) for f in windows]
        self._describe(sorted({pair for of_one in pairs for pair in of_one} - set(self._rows)))
        segments = torch.tensor([[self._rows[pair] for pair in of_one] for of_one in pairs])
        scores = self.scoring.model.probabilities(self._described, segments)
        return [
            self._window(frames, of_one, row)
            for frames, of_one, row in zip(windows, segments, scores, strict=True)
        ]

    def _describe(self, pairs: list[tuple[int, int]]) -> None:
        if not pairs:
            return
        assert self._crops is not None
        frames = np.array(pairs) - self._first
        fresh = self.scoring.model.describe(self._crops[frames])
        known = len(self._rows)
        self._described = tuple(
            torch.cat(both) for both in zip(self._described, fresh, strict=True)
        ) if known else fresh  # fmt: skip
        self._rows |= {pair: known + row for row, pair in enumerate(pairs)}

    def _window(
        self, frames: NDArray[np.int64], pairs: Tensor, scores: NDArray[np.float64]
    ) -> Window:
        held = np.unique(frames) - self._first
        times = self._times[held]
        quality = summarise(self._facts[held])
        probabilities = dict(zip(self.scoring.model.classes, scores.tolist(), strict=True))
        prediction, abstained = self.scoring.answer(probabilities)
        return Window(
            self.track,
            round(float(times[0]), 6),
            round(float(times[-1]) + 1 / self.scoring.rate, 6),
            probabilities,
            prediction,
            abstained,
            quality,
            doubts(quality, self.scoring.limits, len(held) < len(frames)),
            self._explain(frames - self._first, pairs, most_probable(probabilities)),
        )

    def _explain(self, held: NDArray[np.int64], pairs: Tensor, explains: str) -> Explanation | None:
        """Take the decision for a class apart, of the window of these of the frames held."""
        explainer = self.scoring.explainer
        if explainer is None:
            return None
        assert self._crops is not None
        times = [round(time, 6) for time in self._times[held[:-1]].tolist()]
        return explainer.explain(self._crops[held], self._described, pairs, times, explains)


class AllWindows:
    """The windows of all tracks of a video.

    Args:
        scoring: How windows are cut and judged.
    """

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring
        self._tracks: dict[int, TrackWindows] = {}

    def add(self, pieces: Sequence[Piece], ended: Sequence[int]) -> Iterator[Window]:
        """Yield the windows that are complete with these pieces, and of tracks that have ended."""
        for piece in pieces:
            track = self._tracks.setdefault(piece.track, TrackWindows(piece.track, self.scoring))
            yield from track.add(piece)
        for number in ended:
            yield from self._tracks.pop(number).end()
