"""A timeline as a figure: the probabilities of each face over time."""

from typing import TYPE_CHECKING

from vfer.predict.colours import looks
from vfer.predict.timeline import FaceTrack, Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCH = 1.6
"""Height of one track's axis."""
GREY = "0.88"


def plot(timeline: Timeline) -> "Figure":
    """Draw the probabilities over time, an axis a track; spans without the face are grey.

    A curve's points are the middles of the windows; a ring marks a window without a prediction, a
    cross a doubtful one. Cuts are dotted.
    """
    from matplotlib.figure import Figure  # not pyplot: nothing is shown, no state is kept

    count = max(1, len(timeline.tracks))
    figure = Figure(figsize=(9, 0.9 + INCH * count), layout="constrained")
    axes = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axis, track in zip(axes, timeline.tracks or [None], strict=True):
        start = end = 0.0
        if track is not None:
            start, end = track.start, track.end
            _curves(axis, track, timeline.model.classes)
        axis.axvspan(0, start, color=GREY, lw=0)
        axis.axvspan(end, timeline.video.duration, color=GREY, lw=0)
        for cut in timeline.cuts:
            axis.axvline(cut, color="0.4", lw=0.8, ls=":")
        axis.set_xlim(0, timeline.video.duration)
        axis.set_ylim(0, 1)
        axis.set_ylabel("no face" if track is None else f"face {track.id}")
    axes[-1].set_xlabel("s")
    if timeline.tracks:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _curves(axis: "Axes", track: FaceTrack, classes: tuple[str, ...]) -> None:
    middles = [(window.start + window.end) / 2 for window in track.windows]
    look = looks(classes)
    for name in classes:
        values = [window.probabilities[name] for window in track.windows]
        colour, dashes = look[name]
        style = (0, dashes) if dashes else "-"
        axis.plot(middles, values, color=colour, ls=style, lw=1.4, marker=".", ms=3, label=name)
    for mark, chosen in (
        ("o", [window.abstained is not None for window in track.windows]),
        ("x", [bool(window.doubtful) for window in track.windows]),
    ):
        shown = [
            (middle, max(window.probabilities.values()))
            for middle, window, is_so in zip(middles, track.windows, chosen, strict=True)
            if is_so
        ]
        if shown:
            axis.plot(*zip(*shown, strict=True), ls="", marker=mark, mfc="none", color="0.3", ms=7)
