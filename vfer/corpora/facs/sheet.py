"""A picture of the built-in corpus."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import apex_frame, draw_clip
from vfer.corpora.facs.face import Floats
from vfer.corpora.facs.settings import FacsConfig


def contact_sheet(config: FacsConfig, path: Path, subjects: int = 6, take: int = 1) -> None:
    """Write a picture of the corpus as a PNG.

    Rows are subjects, columns a first frame and the six apexes; below, one clip of each emotion of
    the first subject from its first to its last frame.

    Args:
        config: The corpus; frames are drawn, not read.
        path: Where to write; folders are made.
        subjects: Number of rows, from 1.
        take: Which take, from 1.
    """
    size, strip = 180, 7
    rows: list[list[NDArray[np.uint8]]] = []
    strips: list[list[NDArray[np.uint8]]] = []
    for subject in range(1, subjects + 1):
        row: list[NDArray[np.uint8]] = []
        for emotion in EMOTIONS:
            frames, truth = draw_clip(config, subject, emotion, take)
            apex = apex_frame(truth, emotion)
            if not row:
                row.append(_portrait(frames[0], truth.eyes[0], size))
            row.append(_portrait(frames[apex], truth.eyes[apex], size))
            if subject == 1:
                picks = np.linspace(0, config.frames - 1, strip).round().astype(int)
                strips.append([_portrait(frames[t], truth.eyes[t], size) for t in picks])
        rows.append(row)
    head = 22
    titles = ("first frame", *EMOTIONS)
    sheet = Image.new("RGB", (size * 7 + 80, head * 2 + size * (len(rows) + len(strips))), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((84 + column * size, 5), title, fill="black")
    for r, row in enumerate(rows):
        pen.text((4, head + r * size + size // 2), f"subject {r + 1}", fill="black")
        for c, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (80 + c * size, head + r * size))
    top = head * 2 + size * len(rows)
    pen.text((84, top - head + 5), "subject 1, the clip from first to last frame", fill="black")
    for r, row in enumerate(strips):
        pen.text((4, top + r * size + size // 2), EMOTIONS[r], fill="black")
        for c, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (80 + c * size, top + r * size))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _portrait(frame: NDArray[np.uint8], eyes: Floats, size: int) -> NDArray[np.uint8]:
    """Cut a square around the head, for the contact sheet."""
    distance = float(eyes[1, 0] - eyes[0, 0])
    x, y = eyes.mean(0)
    half = 1.9 * distance
    box = (x - half, y - half * 0.85, x + half, y + half * 1.15)
    image = Image.fromarray(frame).resize(
        (size, size), Image.Resampling.BICUBIC, box=_within(box, frame)
    )
    return np.asarray(image)


def _within(
    box: tuple[float, float, float, float], frame: NDArray[np.uint8]
) -> tuple[float, float, float, float]:
    h, w = frame.shape[:2]
    return max(0.0, box[0]), max(0.0, box[1]), min(float(w), box[2]), min(float(h), box[3])
