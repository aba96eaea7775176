"""What the corpus's faces look like, ``faces.json``: it tells what is unlike them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vfer.runtime.files import read_json, write_json

FACES = "faces.json"
MEASURES = ("confidence", "eye_distance", "sharpness", "brightness")
PERCENTILES = (1, 50, 99)


@dataclass(frozen=True)
class FaceFacts:
    """What the usable clips of a corpus look like.

    Attributes:
        clips: How many these are.
        frame_rate: Their median frames a second; None where no header says it.
        frames: Their median frames.
        confidence: Of the detector, 0…1: percentile → value over clips, as all below.
        eye_distance: px of the video.
        sharpness: Variance of the Laplacian of a crop's grey values, mean over some frames.
        brightness: Mean grey value of a crop, 0…255, likewise.
    """

    clips: int
    frame_rate: float | None
    frames: int
    confidence: Mapping[str, float]
    eye_distance: Mapping[str, float]
    sharpness: Mapping[str, float]
    brightness: Mapping[str, float]


def write_faces(directory: Path, facts: FaceFacts) -> None:
    """Write ``faces.json``."""
    write_json(directory / FACES, asdict(facts))


def read_faces(directory: Path) -> FaceFacts | None:
    """Read ``faces.json``; None where there is none, as in a bundle of an earlier version.

    Raises:
        ValueError: If it is not as it should be; the message names it.
    """
    path = directory / FACES
    if not path.is_file():
        return None
    value = read_json(path)
    rate = value.get("frame_rate") if isinstance(value, dict) else None
    whole = (
        isinstance(value, dict)
        and value.keys() == {"clips", "frame_rate", "frames", *MEASURES}
        and all(type(value[name]) is int and value[name] > 0 for name in ("clips", "frames"))
        and (rate is None or (_number(rate) and 1 <= rate <= 1000))
        and all(_percentiles(value[name]) for name in MEASURES)
    )
    if not whole:
        raise ValueError(
            f"{path} does not say what the corpus's faces look like; see docs/bundle.md"
        )
    return FaceFacts(**value)


def _number(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _percentiles(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    names = {f"p{percent}" for percent in PERCENTILES}
    return isinstance(value, dict) and value.keys() == names and all(map(_number, value.values()))
