"""Text and bars on a picture, put where they hide neither each other nor a face."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from vfer.predict.colours import Look, rgb
from vfer.predict.timeline import most_probable

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge, px."""
Colour = tuple[int, int, int]
WHITE = (255, 255, 255)
FAINT = (190, 194, 200)
BACK = (16, 18, 22)
_EMPTY = (60, 64, 70)
_LINE = 1.3
"""Height of a line, in sizes of its letters."""
_STRENGTH = 0.65
"""How much the ground of a text darkens the picture."""
_HIDDEN = 0.1
"""The share of bars that may stand over a face or another label."""


class Labels:
    """What is written on one picture.

    Args:
        image: The picture, drawn on.
        area: Its part on which labels may stand.
        font: Of all text.
        boxes: Of the faces.
    """

    def __init__(
        self, image: Image.Image, area: Box, font: ImageFont.FreeTypeFont, boxes: Sequence[Box]
    ) -> None:
        self.image, self.area, self.font = image, area, font
        self.size = int(font.size)
        self.draw = ImageDraw.Draw(image)
        self.taken = list(boxes)

    def write(self, lines: Sequence[str], box: Box, colour: Colour) -> None:
        """Write lines below or above a box, a stroke of a colour beside them."""
        wide = max(self._length(line) for line in lines) + self.size
        place = self._place(box, wide, len(lines), beside=False)
        self._darken(place)
        left, top, _, bottom = place
        self.draw.rectangle((left, top, left + 3, bottom), colour)
        self._lines(lines, left, top)

    def bars(
        self, lines: Sequence[str], box: Box, probabilities: Mapping[str, float],
        looks: Mapping[str, Look], surely: bool,
    ) -> bool:  # fmt: skip
        """Draw the probability of each class beside a box, below some lines.

        Args:
            lines: Above the bars.
            box: Of the face.
            probabilities: Of each class.
            looks: Of each class.
            surely: Whether also where they hide a face or another label.

        Returns:
            Whether they were drawn.
        """
        names, bar = max(map(self._length, looks)), 4.5 * self.size
        wide = max(
            names + bar + 4.5 * self.size, max(self._length(line) for line in lines) + self.size
        )
        place = self._place(box, wide, len(lines) + len(looks), beside=True)
        if not surely and self._hidden(place) > _HIDDEN * _common(place, place):
            return False
        self._darken(place)
        left, top, right, _ = place
        self._lines(lines, left, top)
        best, half = most_probable(probabilities), 0.35 * self.size
        for number, (name, look) in enumerate(looks.items(), len(lines)):
            middle, value = top + (number + 0.5) * _LINE * self.size, probabilities[name]
            text = WHITE if name == best else FAINT
            self.draw.text((left + self.size / 2, middle), name, text, self.font, "lm")
            begin = left + self.size + names
            self.draw.rectangle((begin, middle - half, begin + bar, middle + half), _EMPTY)
            if bar * value >= 1:
                full = (begin, middle - half, begin + bar * value, middle + half)
                self.draw.rectangle(full, rgb(look.colour))
            end = (right - self.size / 2, middle)
            self.draw.text(end, f"{value:.0%}", text, self.font, "rm")
        return True

    def _length(self, text: str) -> float:
        return self.draw.textlength(text, self.font)

    def _lines(self, lines: Sequence[str], left: float, top: float) -> None:
        for number, line in enumerate(lines):
            middle = top + (number + 0.5) * _LINE * self.size
            self.draw.text((left + self.size / 2, middle), line, WHITE, self.font, "lm")

    def _place(self, box: Box, wide: float, lines: int, beside: bool) -> Box:
        """Return where around a box a text hides least."""
        high = lines * _LINE * self.size
        sides = [(box[2] + 4, box[1]), (box[0] - 4 - wide, box[1])]
        ends = [(box[0], box[3] + 4), (box[0], box[1] - 4 - high)]
        corners = sides + ends if beside else ends + sides
        return min((self._inside(*one, wide, high) for one in corners), key=self._hidden)

    def _hidden(self, place: Box) -> float:
        """Return how much of faces and labels is hidden by another label, px²."""
        return sum(_common(place, one) for one in self.taken)

    def _darken(self, place: Box) -> None:
        """Darken the picture where text will stand."""
        self.taken.append(place)
        left, top, right, bottom = (round(edge) for edge in place)
        under = self.image.crop((left, top, right, bottom))
        dark = Image.new("RGB", under.size, BACK)
        self.image.paste(Image.blend(under, dark, _STRENGTH), (left, top))

    def _inside(self, left: float, top: float, wide: float, high: float) -> Box:
        """Return a place moved into the area."""
        left = max(self.area[0], min(left, self.area[2] - wide))
        top = max(self.area[1], min(top, self.area[3] - high))
        return left, top, min(left + wide, self.area[2]), min(top + high, self.area[3])


def _common(one: Box, other: Box) -> float:
    """Return the area that two boxes share, px²."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
