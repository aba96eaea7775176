"""A tracker that is told where faces are, so that every number has a known answer."""

from dataclasses import dataclass, field

import numpy as np

from vfer.faces.tracks import Piece, Step


@dataclass
class Faces:
    """Face k is what stands in the k-th 150×110 pixels of a frame, from a first frame to a last.

    Attributes:
        tracks: Of each its first and last frame.
        cuts: First frames of shots.
        delay: Frames by which a face is told later than seen.
        sharpness: Of all frames.
    """

    tracks: list[tuple[int, int]]
    cuts: tuple[int, ...] = ()
    delay: int = 5
    facts: dict = field(default_factory=dict)
    batches: list = field(default_factory=list)

    def __call__(self, chunks, config, *, batch=16):
        self.batches.append(batch)
        frames, times = None, np.empty(0)
        done = 0
        for more, at in chunks:
            frames = more if frames is None else np.concatenate([frames, more])
            times = np.append(times, at)
            now = max(done, len(frames) - self.delay)
            yield self._step(frames, times, done, now, ends=False)
            done = now
        if frames is not None:
            yield self._step(frames, times, done, len(frames), ends=True)

    def _step(self, frames, times, done, now, ends):
        pieces, ended = [], []
        for number, (first, last) in enumerate(self.tracks):
            a, b = max(done, first), min(now - 1, last)
            if a <= b:
                pieces.append(self._piece(number, a, frames[a : b + 1], times[a : b + 1]))
            if done <= last < now:
                over = last == len(frames) - 1 and ends
                ended.append(
                    (number, "end" if over else "cut" if last + 1 in self.cuts else "gone")
                )
            elif ends and first < len(frames) <= last:
                ended.append((number, "end"))
        cuts = tuple(cut for cut in self.cuts if done <= cut < now)
        return Step(tuple(pieces), tuple(ended), now, cuts)

    def _piece(self, number, start, frames, times):
        n, left = len(frames), 110 * number
        box = [left + 20, 30, left + 90, 120 - 10 * number]
        eyes = [[left + 30, 50], [left + 80, 50]]
        known = {
            "bridged": np.zeros(n, bool),
            "confidence": np.full(n, 0.99),
            "eye_distance": np.full(n, 50.0),
            "turn": np.full(n, 0.1),
            "sharpness": np.full(n, 300.0),
            "brightness": np.full(n, 120.0),
        }
        known |= {name: np.full(n, value) for name, value in self.facts.items()}
        return Piece(
            number, start, times, np.tile(np.array(box, float), (n, 1)),
            np.tile(np.array(eyes, float), (n, 1, 1)), frames[:, :150, left : left + 110], **known,
        )  # fmt: skip


def moving(t, seed=0, width=240):
    """Frames ``(t, 160, width, 3)`` of a coarse pattern that drifts by a pixel a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (34, (width + t) // 5 + 1, 3), dtype=np.uint8)
    fine = coarse.repeat(5, 0).repeat(5, 1)
    return np.stack([fine[:160, i : i + width] for i in range(t)])
