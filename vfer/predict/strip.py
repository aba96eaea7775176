"""A timeline as a strip of pixels: a lane a face at a time, coloured by what it shows."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vfer.predict.colours import Look, rgb
from vfer.predict.timeline import FaceTrack, Timeline, Window, most_probable

LANES = 4
"""The most faces at the same time that a strip shows."""
NOBODY = (84, 88, 94)
"""The colour of a lane where nobody is seen."""
SEEN = (24, 27, 32)
"""Of one behind the curve of a face."""
DOUBT = (255, 255, 255)
FAINT = 0.35
"""How strong the colour of an undecided window is."""


def lanes(tracks: Sequence[FaceTrack], most: int = LANES) -> tuple[list[list[FaceTrack]], int]:
    """Put faces into lanes in which no two are at the same time, those of the main face first.

    Returns:
        The lanes, and how many faces have no place.
    """
    found: list[list[FaceTrack]] = []
    left = 0
    for track in sorted(tracks, key=lambda one: (not one.main, one.start)):
        for lane in found:
            if all(track.end <= one.start or one.end <= track.start for one in lane):
                lane.append(track)
                break
        else:
            if len(found) < most:
                found.append([track])
            else:
                left += 1
    return found, left


def nearest_window(track: FaceTrack, time: float) -> Window:
    """Return the window of a track whose middle is nearest to a time, s, whether it holds it."""
    after = bisect_left(track.windows, 2 * time, key=lambda window: window.start + window.end)
    before = max(0, after - 1)
    near = track.windows[before : after + 1]
    return min(near, key=lambda window: abs(window.start + window.end - 2 * time))


@dataclass(frozen=True)
class Strip:
    """The lanes of a timeline, drawn once.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB; W columns are the video's duration.
        lanes: The faces of each, from above.
        height: px of a lane, without the gap below it.
        left: Faces that have no place.
    """

    image: NDArray[np.uint8]
    lanes: list[list[FaceTrack]]
    height: int
    left: int


def draw_strip(timeline: Timeline, looks: dict[str, Look], width: int, height: int) -> Strip:
    """Draw the lanes of a timeline.

    In each column the colour of the nearest window's most probable class stands as high as it is
    probable, faint where the model abstains, with dots above where it is doubtful; grey is nobody.

    Args:
        timeline: Of a video.
        looks: Of each class.
        width: px.
        height: px of a lane.
    """
    rows, left = lanes(timeline.tracks)
    gap = max(1, height // 8)
    image = np.zeros((max(1, len(rows)) * (height + gap), width, 3), np.uint8)
    times = (np.arange(width) + 0.5) / width * timeline.video.duration
    for number in range(max(1, len(rows))):
        part = image[number * (height + gap) :][:height]
        part[:] = NOBODY
        for track in rows[number] if rows else []:
            for column in np.flatnonzero((track.start <= times) & (times < track.end)).tolist():
                window = nearest_window(track, float(times[column]))
                _draw_column(part[:, column], column, window, looks)
    for cut in timeline.cuts:
        column = min(width - 1, int(cut / timeline.video.duration * width))
        image[::3, column] = DOUBT
    return Strip(image, rows, height, left)


def _draw_column(
    column: NDArray[np.uint8], number: int, window: Window, looks: dict[str, Look]
) -> None:
    """Draw a column ``(height, 3)`` of a lane."""
    column[:] = SEEN
    name = most_probable(window.probabilities)
    colour = np.array(rgb(looks[name].colour), float)
    if looks[name].dashes and number % sum(looks[name].dashes) >= looks[name].dashes[0]:
        colour = colour * 0.6
    if window.abstained is not None:
        colour = np.array(SEEN) + (colour - SEEN) * FAINT
    high = max(1, round(window.probabilities[name] * len(column)))
    column[len(column) - high :] = colour.astype(np.uint8)
    if window.doubtful and number % 4 < 2:
        column[: max(1, len(column) // 12)] = DOUBT
