"""All faces of an endless video, followed with bounded memory and delay."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from vfer.faces.alignment import align
from vfer.faces.cuts import Cuts
from vfer.faces.detection import BATCH, detect
from vfer.faces.person import RECENT, Detection, match
from vfer.faces.quality import brightness, sharpness
from vfer.faces.settings import FaceConfig
from vfer.faces.tracking import reach, stabilised
from vfer.faces.tracks import Ending, Piece, Step, Timed

_Frame = tuple[NDArray[np.uint8], float]  # (H, W, 3) and its time, s


def track_faces(
    chunks: Iterable[Timed], config: FaceConfig, *, batch: int = BATCH
) -> Iterator[Step]:
    """Yield a step after every run of frames, and one more at the end of the input.

    Each shot is tracked as a clip is prepared: sampled at its first frame, at every
    ``detect_every``-th from there and at its last. A cut ends all tracks. A face away for at most
    ``max_gap`` frames keeps its track, and the frames between are part of it. A track reaches from
    its first detection to its last. Nothing but the steps depends on how the input is cut into
    runs; ``batch`` changes detections in the last bits.

    A frame is final at most ``batch * detect_every + max_gap + 4 * smooth_sigma`` frames after it
    was given, plus a run, and plus 8 where a cut is in question; so many frames are held.

    ``stabilise: clip`` takes one place a clip, which an endless video does not have: here its eyes
    are smoothed, as by ``smooth``.

    Args:
        chunks: The video's frames in order, all of one size; times ascend. Frames are kept, not
            copied.
        config: See ``FaceConfig``; its numbers of frames count those given.
        batch: Sampled frames that the detector sees at once, at least 1: fewer delay less.

    Raises:
        ValueError: If ``batch`` is less than 1, or at a frame of another size or shape.
    """
    if batch < 1:
        raise ValueError(f"`batch` is {batch}; it must be at least 1")
    if config.stabilise == "clip":
        config = replace(config, stabilise="smooth")
    return _steps(chunks, _Tracker(config, batch))


def _steps(chunks: Iterable[Timed], tracker: "_Tracker") -> Iterator[Step]:
    cuts, shape = Cuts(), None
    for frames, times in chunks:
        shape = shape or frames.shape[1:]
        if frames.shape[1:] != shape or len(shape) != 3 or shape[2] != 3:
            raise ValueError(
                f"frames are {frames.shape}; they must be (T, H, W, 3) and of one size in a video, "
                f"here {shape}"
            )
        for frame in zip(frames, times.tolist(), strict=True):
            tracker.give(frame)
            for cut in cuts.add(frame[0]):
                tracker.take(cut)
        yield tracker.step()
    for cut in cuts.flush():
        tracker.take(cut)
    tracker.close("end")
    yield tracker.step()


@dataclass(eq=False)
class _Run:
    """A face that is being followed.

    Attributes:
        track: Its number.
        said: Frames before this index have been said.
        seen: Its detections, without those too old to matter.
    """

    track: int
    said: int
    seen: list[Detection]


class _Tracker:
    """What is known of the frames that are not final."""

    def __init__(self, config: FaceConfig, batch: int) -> None:
        self._config, self._batch = config, batch
        self._numbers = count()
        self._frames: list[_Frame] = []  # from `_done` on
        self._done = 0
        self._taken = 0  # frames whose shot is known
        self._shot = 0  # the shot's first frame
        self._samples: list[int] = []  # frames that wait for the detector
        self._runs: list[_Run] = []
        self._said: dict[int, list[Piece]] = {}
        self._ended: list[tuple[int, Ending]] = []
        self._cuts: list[int] = []

    def give(self, frame: _Frame) -> None:
        """Keep a frame, whose shot is not known yet."""
        self._frames.append(frame)

    def take(self, cut: bool) -> None:
        """Go on by a frame, which begins a new shot or not."""
        if cut:
            self.close("cut")
            self._cuts.append(self._taken)
            self._shot = self._taken
        if (self._taken - self._shot) % self._config.detect_every == 0:
            self._samples.append(self._taken)
        self._taken += 1
        if len(self._samples) == self._batch:
            self._look()

    def close(self, why: Ending) -> None:
        """End the shot and all its tracks."""
        last = self._taken - 1
        if last >= self._shot and (last - self._shot) % self._config.detect_every:
            self._samples.append(last)
        if self._samples:
            self._look()
        for run in self._runs:
            self._end(run, why)
        self._runs = []
        self._forget(self._taken)

    def step(self) -> Step:
        """Return what became final since the last step."""
        pieces = tuple(_joined(self._said[track]) for track in sorted(self._said))
        step = Step(pieces, tuple(self._ended), self._done, tuple(self._cuts))
        self._said, self._ended, self._cuts = {}, [], []
        return step

    def _look(self) -> None:
        """Detect faces in the samples and say what is final then."""
        frames = np.stack([self._frames[i - self._done][0] for i in self._samples])
        detections = detect(self._samples, frames, self._config)
        for index in self._samples:
            self._end_away(index - 1)
            found = [d for d in detections if d.frame == index]
            same = match([run.seen for run in self._runs], found)
            for j, detection in enumerate(found):
                if j in same:
                    self._runs[same[j]].seen.append(detection)
                else:
                    self._runs.append(_Run(next(self._numbers), index, [detection]))
            self._end_away(index)
        for run in self._runs:
            self._say(run, run.seen[-1].frame + 1 - reach(self._config))
        self._forget(min([self._samples[-1] + 1, *(run.said for run in self._runs)]))
        self._samples = []

    def _end_away(self, index: int) -> None:
        """End the tracks of faces that by a frame have been away for too long."""
        gone = [run for run in self._runs if index - run.seen[-1].frame > self._config.max_gap]
        for run in gone:
            self._end(run, "gone")
            self._runs.remove(run)

    def _end(self, run: _Run, why: Ending) -> None:
        self._say(run, run.seen[-1].frame + 1)
        self._ended.append((run.track, why))

    def _say(self, run: _Run, stop: int) -> None:
        """Make a piece of a track's frames before an index, whose eyes are final."""
        if stop <= run.said:
            return
        frames = self._frames[run.said - self._done : stop - self._done]
        self._said.setdefault(run.track, []).append(_piece(run, frames, self._config))
        run.said = stop
        old = [i for i, d in enumerate(run.seen) if d.frame <= stop - reach(self._config)]
        del run.seen[: min(old[-1], max(0, len(run.seen) - RECENT)) if old else 0]

    def _forget(self, done: int) -> None:
        """Let go the frames before an index."""
        del self._frames[: done - self._done]
        self._done = done


def _piece(run: _Run, frames: Sequence[_Frame], config: FaceConfig) -> Piece:
    """Return the next frames of a track."""
    origin = run.seen[0].frame
    at = np.array([d.frame - origin for d in run.seen])
    here = slice(run.said - origin, run.said - origin + len(frames))
    places = np.arange(here.start, here.stop)

    def between(values: Iterable[object]) -> NDArray[np.float64]:
        """Interpolate values of the detections, ``(N, …)``."""
        known = np.array(list(values), np.float64)
        columns = [np.interp(places, at, x) for x in known.reshape(len(at), -1).T]
        return np.stack(columns, axis=1).reshape(len(places), *known.shape[1:])

    known = np.stack([d.eyes for d in run.seen])
    eyes = stabilised(at.tolist(), known, int(at[-1]) + 1, config)[here]
    crops = np.concatenate(
        [align(x[None], e[None], config) for (x, _), e in zip(frames, eyes, strict=True)]
    )
    after = np.searchsorted(at, places)  # the detection at a frame, or the next
    before = np.searchsorted(at, places, side="right") - 1
    return Piece(
        track=run.track,
        start=run.said,
        times=np.array([time for _, time in frames]),
        boxes=between(d.box for d in run.seen),
        eyes=eyes,
        crops=crops,
        bridged=at[after] - at[before] > config.detect_every,
        confidence=between(d.probability for d in run.seen),
        eye_distance=np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1),
        turn=between(_turn(d) for d in run.seen),
        sharpness=sharpness(crops),
        brightness=brightness(crops),
    )


def _turn(face: Detection) -> float:
    """Return how far the nose is from the eyes' middle along their line, in eye distances."""
    if face.nose is None:
        return float("nan")
    line = face.eyes[1] - face.eyes[0]
    return float((face.nose - face.eyes.mean(0)) @ line / (line @ line))


def _joined(pieces: Sequence[Piece]) -> Piece:
    """Return consecutive pieces of one track as one."""
    first = pieces[0]
    arrays = {
        field.name: np.concatenate([getattr(piece, field.name) for piece in pieces])
        for field in fields(Piece)
        if field.name not in ("track", "start")
    }
    return Piece(first.track, first.start, **arrays)
