"""From the pieces of a video's tracks and their windows to its timeline."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfer.faces.person import weigh
from vfer.faces.settings import FaceConfig
from vfer.faces.tracks import Ending, Piece, Step, Timed
from vfer.predict.timeline import (
    Coverage,
    FaceTrack,
    Place,
    Span,
    Window,
    mean_probabilities,
)
from vfer.predict.windows import Scoring


@dataclass
class _Growing:
    """A track while its pieces arrive."""

    first: int
    last: int = 0
    weight: float = 0.0
    ended: Ending = "end"
    windows: list[Window] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    newest: Place | None = None


class Said(NamedTuple):
    """What a timeline says of a video's faces; see ``Timeline``."""

    tracks: tuple[FaceTrack, ...]
    no_face: tuple[Span, ...]
    cuts: tuple[float, ...]
    coverage: Coverage


class Recorder:
    """Collects what is said of one video; what it holds grows by some bytes a frame.

    Args:
        scoring: How windows are cut and judged.
        faces: How faces are followed.
    """

    def __init__(self, scoring: Scoring, faces: FaceConfig) -> None:
        self.scoring, self.faces = scoring, faces
        self._tracks: dict[int, _Growing] = {}
        self._times = array("d")
        self._cuts: list[int] = []
        self._size = (0, 0)  # width, height

    def passing(self, runs: Iterable[Timed]) -> Iterator[Timed]:
        """Take note of the times of frames on their way to the tracker."""
        for frames, times in runs:
            self._size = (frames.shape[2], frames.shape[1])
            self._times.extend(times.tolist())
            yield frames, times

    def add(self, step: Step, windows: Sequence[Window]) -> None:
        """Take what the tracker said, and the windows that it completed."""
        for piece in step.pieces:
            self._take(piece)
        for window in windows:
            self._tracks[window.track].windows.append(window)
        for number, why in step.ended:
            self._tracks[number].ended = why
        self._cuts += step.cuts

    def _take(self, piece: Piece) -> None:
        track = self._tracks.setdefault(piece.track, _Growing(piece.start))
        count, rule = len(piece.times), self.faces.follow
        track.last = piece.start + count - 1
        track.weight += sum(weigh(rule, box, *self._size) for box in piece.boxes)
        rows = np.column_stack([piece.times, piece.boxes, piece.eyes.reshape(count, 4)])
        # Boxes are interpolated between detections; so are these places by whoever reads them.
        sampled = range(-(piece.start - track.first) % self.faces.detect_every, count,
                        self.faces.detect_every)  # fmt: skip
        track.places += [_place(rows[i]) for i in sampled]
        track.newest = _place(rows[-1])

    def _main(self) -> set[int]:
        """Return the tracks of the main face: the weightiest first, no two at the same time."""
        taken: list[tuple[int, int]] = []
        found = set()
        for number, track in sorted(self._tracks.items(), key=lambda item: -item[1].weight):
            if all(track.last < first or last < track.first for first, last in taken):
                taken.append((track.first, track.last))
                found.add(number)
        return found

    def finish(self, only_main: bool) -> Said:
        """Return what was said, when all frames have come.

        Args:
            only_main: Whether other faces than the main one are left out.
        """
        main = self._main()
        listed = [n for n in sorted(self._tracks) if n in main or not only_main]
        tracks = tuple(self._finished(n, self._tracks[n], n in main) for n in listed)
        seen = np.zeros(len(self._times), bool)
        for number in listed:
            seen[self._tracks[number].first : self._tracks[number].last + 1] = True
        windows = [window for track in tracks for window in track.windows]
        coverage = Coverage(
            float(seen.mean()),
            len(windows),
            sum(window.abstained is not None for window in windows),
            sum(bool(window.doubtful) for window in windows),
        )
        cuts = tuple(self._start(frame) for frame in sorted(self._cuts))
        return Said(tracks, tuple(self._spans(~seen)), cuts, coverage)

    def _finished(self, number: int, track: _Growing, main: bool) -> FaceTrack:
        windows = tuple(sorted(track.windows, key=lambda one: one.start))
        mean = mean_probabilities([one.probabilities for one in windows])
        places = list(track.places)
        assert track.newest is not None
        if track.newest != places[-1]:
            places.append(track.newest)
        return FaceTrack(
            number,
            self._start(track.first),
            self._end(track.last),
            track.ended,
            main,
            mean,
            *self.scoring.answer(mean),
            windows,
            tuple(places),
        )

    def _start(self, frame: int) -> float:
        return round(self._times[frame], 6)

    def _end(self, frame: int) -> float:
        return round(self._times[frame] + 1 / self.scoring.rate, 6)

    def _spans(self, which: NDArray[np.bool_]) -> Iterator[Span]:
        """Yield runs of frames."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], which, [0]]).astype(np.int8)))
        for first, after in edges.reshape(-1, 2).tolist():
            last = after == len(which)
            yield Span(self._start(first), self._end(after - 1) if last else self._start(after))


def _place(row: NDArray[np.float64]) -> Place:
    time, *pixels = row.tolist()
    return Place(round(time, 6), *(round(value, 1) for value in pixels))
