"""Draws what is said of a face and of a video into its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vfer.predict.colours import Look, looks, rgb
from vfer.predict.heat import heat, lay_over, reasons
from vfer.predict.labels import BACK, FAINT, WHITE, Box, Colour, Labels
from vfer.predict.strip import NOBODY, draw_strip, nearest_window
from vfer.predict.timeline import FaceTrack, Place, Timeline, Window, most_probable

BARS = 2
"""Faces, the largest ones, of which every class is shown; of others the most probable one."""


@dataclass(frozen=True)
class Painter:
    """Draws the frames of an overlay.

    Attributes:
        timeline: What is drawn.
        width: px of the picture, even.
        height: px of the picture, even; the strip stands below it.
    """

    timeline: Timeline
    width: int
    height: int

    @cached_property
    def looks(self) -> dict[str, Look]:
        """How each class is drawn."""
        return looks(self.timeline.model.classes)

    @cached_property
    def size(self) -> int:
        """Of letters, px."""
        return int(np.clip(min(self.width, 1.6 * self.height) / 40, 11, 30))

    @cached_property
    def font(self) -> ImageFont.FreeTypeFont:
        """For names in many scripts."""
        return ImageFont.truetype(
            str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), self.size
        )

    @cached_property
    def below(self) -> Image.Image:
        """The strip and the names of the classes, without the cursor."""
        strip = draw_strip(self.timeline, self.looks, self.width, round(1.5 * self.size))
        rows, gap = strip.image.shape[0], self.size // 2
        high = rows + 2 * self.size * len(self.named) + gap
        image = Image.new("RGB", (self.width, 2 * (high // 2)), BACK)
        image.paste(Image.fromarray(strip.image), (0, gap))
        draw = ImageDraw.Draw(image)
        for number, lane in enumerate(strip.lanes):
            for track in lane:
                left = track.start / self.timeline.video.duration * self.width + 3
                top = gap + number * rows / len(strip.lanes) + strip.height / 2
                draw.text((left, top), str(track.id), WHITE, self.font, "lm",
                          stroke_width=2, stroke_fill=BACK)  # fmt: skip
        for number, names in enumerate(self.named):  # the last ones stand beside the times
            middle = image.height - (2 * (len(self.named) - number) - 0.9) * self.size
            end = self._draw_names(draw, names, middle)
        if strip.left:
            draw.text((end, middle), f"+{strip.left} faces", FAINT, self.font, "lm")
        return image

    @cached_property
    def named(self) -> list[list[str]]:
        """The classes' names in lines that leave room for times on the right."""
        lines: list[list[str]] = [[]]
        at = float(self.size) / 2
        for name in self.looks:
            wide = 2.1 * self.size + self.font.getlength(name)
            if lines[-1] and at + wide > self.width - 9 * self.size:
                lines.append([])
                at = float(self.size) / 2
            lines[-1].append(name)
            at += wide
        return lines

    def _draw_names(self, draw: ImageDraw.ImageDraw, names: Sequence[str], middle: float) -> float:
        """Draw a line of classes' colours and names; return where it ends, px."""
        at = float(self.size) / 2
        for name in names:
            place = _around(at + self.size / 2, middle, 0.35 * self.size)
            draw.rectangle(place, rgb(self.looks[name].colour))
            draw.text((at + 1.2 * self.size, middle), name, WHITE, self.font, "lm")
            at += 2.1 * self.size + self.font.getlength(name)
        return at

    def paint(self, frame: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """Draw what is said at a time.

        Args:
            frame: Of the video, upright, ``(H, W, 3)`` uint8 RGB.
            time: Of the frame, s.

        Returns:
            The larger picture, of an even size, uint8 RGB.
        """
        image = Image.new("RGB", (self.width, self.height + self.below.height))
        frame = self._heated(frame, time)
        image.paste(
            Image.fromarray(frame).resize((self.width, self.height), Image.Resampling.BICUBIC)
        )
        seen = [
            (track, self._box(place), nearest_window(track, time))
            for track in self.timeline.tracks
            if (place := track.place_at(time)) is not None
        ]
        seen.sort(key=lambda one: _area(one[1]), reverse=True)
        for _, box, window in seen:
            _draw_box(
                image, box, self._colour(window), bool(window.doubtful), max(2, self.size // 6)
            )
        whole = (0.0, 0.0, float(self.width), float(self.height))
        labels = Labels(image, whole, self.font, [box for _, box, _ in seen])
        for number, (track, box, window) in enumerate(seen):
            self._label(labels, track, box, window, number)
        if not seen:
            corner = (float(self.size),) * 4
            labels.write(["no face"], corner, NOBODY)
        self._draw_below(image, time)
        return np.asarray(image)

    def _heated(self, frame: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """Draw over each face what carried the decision, where that is explained."""
        video = self.timeline.video
        scale = np.array(frame.shape[1::-1]) / (video.width, video.height)
        for track in self.timeline.tracks:
            place = track.place_at(time)
            if place is None:
                continue
            explanation = nearest_window(track, time).explanation
            if explanation is not None:
                eyes = (np.reshape(place[5:], (2, 2)) + 0.5) * scale - 0.5
                frame = lay_over(frame, heat(explanation, time), eyes)
        return frame

    def _box(self, place: Place) -> Box:
        """Return a face's box in the picture, px."""
        video = self.timeline.video
        across, down = self.width / video.width, self.height / video.height
        return place.left * across, place.top * down, place.right * across, place.bottom * down

    def _colour(self, window: Window) -> Colour:
        if window.prediction is None:
            return FAINT
        return rgb(self.looks[window.prediction].colour)

    def _label(
        self, labels: Labels, track: FaceTrack, box: Box, window: Window, number: int
    ) -> None:
        """Write what is said of a face: of every class, or where there is no room of the best."""
        lines = [f"face {track.id}", *remarks(window)]
        if number < BARS and labels.bars(
            lines, box, window.probabilities, self.looks, surely=number == 0
        ):
            return
        best = most_probable(window.probabilities)
        lines[0] = f"{track.id} {best} {window.probabilities[best]:.0%}"
        labels.write(lines, box, self._colour(window))

    def _draw_below(self, image: Image.Image, time: float) -> None:
        """Draw the strip and where the video is."""
        image.paste(self.below, (0, self.height))
        draw, whole = ImageDraw.Draw(image), self.timeline.video.duration
        at = min(self.width - 2, round(time / whole * self.width))
        bottom = image.height - 2 * self.size * len(self.named)
        draw.rectangle((at - 1, self.height, at + 1, bottom), WHITE, BACK)
        middle = image.height - 1.1 * self.size
        draw.text((self.width - self.size / 2, middle), f"{time:.2f} / {whole:.2f} s", WHITE,
                  self.font, "rm")  # fmt: skip


def remarks(window: Window) -> list[str]:
    """Return what is to be known of a window before it is believed, a line each."""
    undecided = [] if window.abstained is None else ["undecided"]
    doubtful = [f"doubtful: {', '.join(window.doubtful)}"] if window.doubtful else []
    return undecided + doubtful + reasons(window.explanation)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _around(x: float, y: float, half: float) -> Box:
    return (x - half, y - half, x + half, y + half)


def _draw_box(
    image: Image.Image, box: Box, colour: Colour,
    dashed: bool, width: int,
) -> None:  # fmt: skip
    """Draw a frame around a face, dashed if what is said of it is doubtful."""
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = box
    if not dashed:
        draw.rectangle(box, outline=colour, width=width)
        return
    on = 4 * width
    for start in np.arange(left, right, 2 * on):
        for y in (top, bottom):
            draw.line((start, y, min(start + on, right), y), colour, width)
    for start in np.arange(top, bottom, 2 * on):
        for x in (left, right):
            draw.line((x, start, x, min(start + on, bottom)), colour, width)
