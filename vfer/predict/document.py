"""Timelines as JSON, CSV and data frames; ``timeline.schema.json`` is the JSON's schema."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfer.predict.explanation import Explanation, StreamShare
from vfer.predict.timeline import (
    SCHEMA,
    Abstention,
    Coverage,
    FaceTrack,
    ModelInfo,
    Place,
    Quality,
    Span,
    Timeline,
    VideoInfo,
    Window,
)
from vfer.runtime.cells import inert
from vfer.runtime.files import atomic_write, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

_FIXED = ("video", "track", "main", "start_s", "end_s", "prediction", "abstained", "doubtful")
_QUALITY = {
    "confidence": "face_confidence",
    "eye_distance": "eye_distance_px",
    "turn": "turn",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "bridged": "bridged",
}
"""Of each field of `Quality` its column."""
_EXPLAINED = (
    *("explains", "logit", "logit_bias", "logit_spatial", "logit_temporal", "top_frame_s"),
    *("top_region_spatial", "top_region_temporal"),
)


def schema() -> Any:  # noqa: ANN401 - a JSON Schema
    """Return the JSON Schema (2020-12) that every JSON of this module follows."""
    text = resources.files("vfer.predict").joinpath("timeline.schema.json").read_text("utf-8")
    return json.loads(text)


def to_json(timeline: Timeline) -> dict[str, Any]:
    """Return a timeline as JSON values, ``#/$defs/timeline`` of the schema."""
    return asdict(timeline)


def from_json(value: Mapping[str, Any]) -> Timeline:
    """Return the timeline that `to_json` wrote.

    Raises:
        KeyError: If a field is missing.
        TypeError: If one is unknown, or of another kind.
    """
    model, abstention = value["model"], value["abstention"]
    return Timeline(
        video=VideoInfo(**value["video"]),
        model=ModelInfo(
            **{**model, "classes": tuple(model["classes"]), "folds": tuple(model["folds"])}
        ),
        step=value["step"],
        tracks=tuple(_track(one) for one in value["tracks"]),
        no_face=tuple(Span(**one) for one in value["no_face"]),
        cuts=tuple(value["cuts"]),
        coverage=Coverage(**value["coverage"]),
        abstention=None if abstention is None else Abstention(**abstention),
        notes=tuple(value["notes"]),
    )


def _track(value: Mapping[str, Any]) -> FaceTrack:
    places = tuple(Place(*one) for one in value["places"])
    windows = tuple(_window(one) for one in value["windows"])
    return FaceTrack(**{**value, "places": places, "windows": windows})


def _window(value: Mapping[str, Any]) -> Window:
    doubtful, quality = tuple(value["doubtful"]), Quality(**value["quality"])
    explanation = value["explanation"]
    if explanation is not None:
        explanation = _explanation(explanation)
    read = {"doubtful": doubtful, "quality": quality, "explanation": explanation}
    return Window(**{**value, **read})


def _explanation(value: Mapping[str, Any]) -> Explanation:
    streams = {
        name: StreamShare(**{**one, "frames": tuple(one["frames"]), "map": tuple(one["map"])})
        for name, one in value["streams"].items()
    }
    return Explanation(**{**value, "times": tuple(value["times"]), "streams": streams})


def write_timelines(
    path: Path, timelines: Iterable[Timeline], failed: Mapping[str, str] | None = None
) -> None:
    """Write timelines as one JSON file.

    Args:
        path: Where to.
        timelines: Of any number of videos.
        failed: Of each video that could not be read, why.
    """
    lost = [{"path": name, "reason": why} for name, why in (failed or {}).items()]
    told = [to_json(one) for one in timelines]
    write_json(path, {"schema": SCHEMA, "timelines": told, "failed": lost})


def read_timelines(path: Path) -> tuple[Timeline, ...]:
    """Read the timelines of a JSON file.

    Raises:
        ValueError: If it holds something else; the message names the file.
    """
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise ValueError(
                f"{path} has schema {value['schema']}, this vfer reads {SCHEMA}: predict again"
            )
        return tuple(from_json(one) for one in value["timelines"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no timelines of vfer.predict: {error}") from error


def columns(classes: Sequence[str], explained: bool = False) -> list[str]:
    """Return the columns of the CSV, in their order.

    Args:
        classes: Of the model.
        explained: Whether decisions are explained.
    """
    more = _EXPLAINED if explained else ()
    return [*_FIXED, *(f"p_{name}" for name in classes), *_QUALITY.values(), *more]


def _explained(of: Iterable[Timeline]) -> bool:
    return any(window.explanation is not None for one in of for window in one.windows)


def _reasons(explanation: Explanation) -> dict[str, Any]:
    """Return the cells of `_EXPLAINED`."""
    cells: dict[str, Any] = {
        "explains": explanation.explains,
        "logit": explanation.logit,
        "logit_bias": explanation.bias,
        "top_frame_s": explanation.strongest_time,
    }
    for name, one in explanation.streams.items():
        cells |= {f"logit_{name}": one.share, f"top_region_{name}": one.strongest}
    return cells


def rows(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Yield a row a window and track, and then one a span without a face."""
    main = {track.id: track.main for track in timeline.tracks}
    for window in timeline.windows:
        quality = asdict(window.quality)
        yield {
            "video": timeline.video.path,
            "track": window.track,
            "main": main[window.track],
            "start_s": window.start,
            "end_s": window.end,
            "prediction": window.prediction,
            "abstained": window.abstained,
            "doubtful": " ".join(window.doubtful),
            **{f"p_{name}": value for name, value in window.probabilities.items()},
            **{column: quality[name] for name, column in _QUALITY.items()},
            **({} if window.explanation is None else _reasons(window.explanation)),
        }
    for span in timeline.no_face:
        yield {
            "video": timeline.video.path,
            "start_s": span.start,
            "end_s": span.end,
            "abstained": "no_face",
        }


def write_csv(path: Path, timelines: Sequence[Timeline], classes: Sequence[str]) -> None:
    """Write timelines of one model as one CSV file, UTF-8, numbers with full precision.

    What is a name and would be a formula to a spreadsheet begins with an apostrophe.
    """
    text = io.StringIO()
    names = columns(classes, _explained(timelines))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for timeline in timelines:
        for row in rows(timeline):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    atomic_write(path, text.getvalue())


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else inert(value)


def dataframe(timeline: Timeline) -> "pd.DataFrame":
    """Return `rows` as a data frame with the columns of the CSV.

    Raises:
        ImportError: Without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_dataframe needs pandas: pip install 'vfer[pandas]'") from error
    names = columns(timeline.model.classes, _explained([timeline]))
    return pd.DataFrame(list(rows(timeline)), columns=names)
