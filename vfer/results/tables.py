"""The bundle's tables: what a row is, and how rows are written as CSV and read again.

Numbers are written so that reading them gives the same float64 again.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Generic, TypeVar

from vfer.runtime.cells import inert, restored
from vfer.runtime.files import atomic_write

STATUSES = ("scored", "no_face", "unreadable", "excluded")
STREAMS = ("spatial", "temporal")
"""The networks of stages 1 and 2, in the order in which they are listed."""
STAGES = (*STREAMS, "vlan", "network")
"""All stages that may have curves, in their order; ``network`` is the one stage of a network of
one's own, and a run with a descriptor has none."""
NUMBERS = {
    **dict.fromkeys(("fold", "segments", "start", "iteration", "frames"), int),
    **dict.fromkeys(("accuracy", "loss", "fps"), float),
}
"""The columns that hold numbers, beside the probabilities."""
SPLITS = ("train", "validation", "test")
TABLES = ("predictions.csv", "segments.csv", "streams.csv", "curves.csv")

T = TypeVar("T")


def first_largest(probabilities: Sequence[float], classes: Sequence[str]) -> str:
    """Return the name of the class with the largest probability; of equals, the first."""
    return classes[max(range(len(classes)), key=probabilities.__getitem__)]


def impossible(column: str, value: object) -> str:
    """Say why a value cannot stand in a column of a table; empty where it can.

    Numbers are finite and at least 0, accuracies at most 1; stages and splits have names.
    """
    names = {"stage": STAGES, "split": SPLITS}.get(column)
    if names is not None:
        return "" if value in names else f"{column} is {value!r}; it is one of {', '.join(names)}"
    if value is None and column in ("accuracy", "loss"):
        return ""
    legal = (int,) if NUMBERS[column] is int else (int, float)
    if not isinstance(value, legal) or isinstance(value, bool):
        return f"{column} is {value!r}, not a number"
    high = 1 if column == "accuracy" else 2**63
    if not 0 <= value <= high or value == float("inf"):
        return f"{column} is {value}; it is at least 0 and " + (
            "at most 1" if high == 1 else "finite"
        )
    return ""


def flaw(probabilities: Sequence[float]) -> str | None:
    """Say what is wrong with probabilities, which are in 0…1 and of sum 1 within 1e-6; or None."""
    if not all(math.isfinite(p) for p in probabilities):
        return "not finite"
    if not all(0 <= p <= 1 for p in probabilities):
        return "outside 0…1"
    if abs(math.fsum(probabilities) - 1) > 1e-6:
        return f"sum {math.fsum(probabilities)!r}"
    return None


@dataclass(frozen=True)
class ClipResult:
    """The outcome of one clip.

    Attributes:
        fold: Counted from 0: the test group the clip was in; None where it is excluded.
        subject: Who is seen.
        clip: The clip's name, unique in its corpus.
        label: The true class.
        status: One of `STATUSES`.
        reason: Why the clip is not scored; empty where it is.
        probabilities: One per class, 0…1, sum 1: the mean over its segments; None unless scored.
        segments: How many segments were averaged; 0 unless scored.

    Raises:
        ValueError: The status is none of the four, or does not fit the fold or the probabilities.
    """

    fold: int | None
    subject: str
    clip: str
    label: str
    status: str
    reason: str
    probabilities: tuple[float, ...] | None
    segments: int

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(
                f"clip {self.clip!r}: status {self.status!r} is none of {', '.join(STATUSES)}"
            )
        if (self.fold is None) != (self.status == "excluded"):
            raise ValueError(
                f"clip {self.clip!r}: status {self.status}, fold {self.fold}; "
                "excluded clips, and no others, are in no fold"
            )
        if (self.probabilities is None) != (self.status != "scored"):
            raise ValueError(
                f"clip {self.clip!r}: scored clips, and no others, have probabilities; "
                f"the status is {self.status}"
            )

    def prediction(self, classes: Sequence[str]) -> str | None:
        """Return the first most probable class; None unless scored."""
        return None if self.probabilities is None else first_largest(self.probabilities, classes)


@dataclass(frozen=True)
class SegmentResult:
    """One segment of a scored clip: `start` its first frame, `probabilities` its softmax."""

    fold: int
    subject: str
    clip: str
    label: str
    start: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class StreamResult:
    """The answer of one network of stage 1 or 2 alone for a clip.

    Attributes:
        stream: One of `STREAMS`.
        status: That of the clip; never ``excluded``.
        probabilities: Mean softmax over the clip's frames; None unless scored.
    """

    fold: int
    stream: str
    subject: str
    clip: str
    label: str
    status: str
    probabilities: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if self.stream not in STREAMS:
            raise ValueError(f"stream {self.stream!r} is none of {', '.join(STREAMS)}")
        ClipResult(
            self.fold, self.subject, self.clip, self.label, self.status, "", self.probabilities, 0
        )


@dataclass(frozen=True)
class CurvePoint:
    """One point of a training curve.

    Attributes:
        fold: Counted from 0.
        stage: One of `STAGES`.
        iteration: Optimiser steps taken.
        split: ``train``, ``validation`` or ``test``.
        accuracy: 0…1, or None where it was not measured.
        loss: Mean cross-entropy in nats, or None where it was not measured.
    """

    fold: int
    stage: str
    iteration: int
    split: str
    accuracy: float | None
    loss: float | None


@dataclass(frozen=True)
class Tables:
    """Everything that was measured: of one fold, or of all of them."""

    clips: tuple[ClipResult, ...]
    segments: tuple[SegmentResult, ...] = ()
    streams: tuple[StreamResult, ...] = ()
    curves: tuple[CurvePoint, ...] = ()


def _line(cells: Iterable[object]) -> str:
    """Format one line of CSV, ended by a newline; None is an empty cell."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(map(inert, cells))  # quoted: its characters
    return text.getvalue().removesuffix("\r\n") + "\n"


@dataclass(frozen=True)
class Layout(Generic[T]):
    """How one CSV file holds one kind of row: its columns, before ``p_<class>`` if `scored`."""

    name: str
    row: type[T]
    fixed: tuple[str, ...]
    empty: tuple[str, ...] = ()  # number columns that may be empty
    scored: bool = True

    def columns(self, classes: Sequence[str]) -> list[str]:
        """Return the names of the columns in their order."""
        return [*self.fixed, *(f"p_{name}" for name in classes)] if self.scored else [*self.fixed]

    def write(self, directory: Path, rows: Sequence[T], classes: Sequence[str]) -> None:
        """Write the file; a row has one probability per class, or none."""
        lines = [_line(self.columns(classes))]
        for row in rows:
            cells = vars(row).copy()
            probabilities = cells.pop("probabilities", None) or ()
            if len(probabilities) not in (0, len(classes)):
                raise ValueError(
                    f"{len(probabilities)} probabilities, {len(classes)} classes: {row}"
                )
            if probabilities:
                cells["prediction"] = first_largest(probabilities, classes)
                cells |= {f"p_{c}": p for c, p in zip(classes, probabilities, strict=True)}
            texts = (cells.get(column) for column in self.columns(classes))
            # float(): the text of a float32 would not read back as its value in float64
            lines.append(
                _line(t if t is None or isinstance(t, str | Integral) else float(t) for t in texts)
            )
        atomic_write(directory / self.name, "".join(lines))

    def read(self, directory: Path, classes: Sequence[str]) -> tuple[T, ...]:
        """Read the file; a ``ValueError`` names the column or cell that is wrong."""
        rows = []
        for number, cells in enumerate(
            read_table(directory / self.name, self.columns(classes)), start=2
        ):
            try:
                rows.append(self._parse(cells, classes))
            except ValueError as error:
                raise ValueError(f"{directory / self.name}, row {number}: {error}") from error
        return tuple(rows)

    def _parse(self, cells: Mapping[str, str], classes: Sequence[str]) -> T:
        def number(column: str, kind: type) -> Any:  # noqa: ANN401 - an int or a float
            if column in self.empty and not cells[column]:
                return None
            try:
                return kind(cells[column])
            except ValueError:
                raise ValueError(f"{column} is {cells[column]!r}, not a number") from None

        values: dict[str, Any] = {
            column: number(column, NUMBERS[column]) if column in NUMBERS else cells[column]
            for column in self.fixed
            if column != "prediction"
        }
        for column, value in values.items():
            empty = column in self.empty and value is None
            if (column in NUMBERS or column in ("stage", "split")) and not empty:
                said = impossible(column, value)
                if said:
                    raise ValueError(said)
        if self.scored:
            names = [f"p_{name}" for name in classes]
            some = any(cells[name] for name in names) or "status" not in values
            values["probabilities"] = tuple(number(n, float) for n in names) if some else None
        return self.row(**values)


PREDICTIONS = Layout(
    "predictions.csv",
    ClipResult,
    ("fold", "subject", "clip", "label", "status", "reason", "prediction", "segments"),
    empty=("fold",),
)
SEGMENTS = Layout(
    "segments.csv",
    SegmentResult,
    ("fold", "subject", "clip", "label", "start", "prediction"),
)
STREAM_SCORES = Layout(
    "streams.csv",
    StreamResult,
    ("fold", "stream", "subject", "clip", "label", "status", "prediction"),
)
CURVES = Layout(
    "curves.csv",
    CurvePoint,
    ("fold", "stage", "iteration", "split", "accuracy", "loss"),
    empty=("accuracy", "loss"),
    scored=False,
)


def read_table(path: Path, expected: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file as text cells.

    Raises:
        ValueError: A column is missing, unknown or elsewhere, or a row has too many or too few
            cells; the message names the file and the column or row.
    """
    with path.open(newline="", encoding="utf-8") as file:
        try:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
            header = [*map(restored, header)]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {error}") from error
    for column in expected:
        if column not in header:
            raise ValueError(f"{path}: the column {column!r} is missing")
    for column in header:
        if column not in expected:
            raise ValueError(f"{path}: unknown column {column!r}")
    if header != list(expected):
        raise ValueError(f"{path}: the columns are {header}, not in the order {list(expected)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{path}, row {number}: {len(row)} cells, not {len(header)}")
        for column, cell in zip(header, row, strict=True):
            if "\0" in cell and column != "reason":  # which says what a decoder said
                raise ValueError(f"{path}, row {number}: {column} holds NUL")
    return [dict(zip(header, map(restored, row), strict=True)) for row in rows]


def write_tables(directory: Path, tables: Tables, classes: Sequence[str]) -> None:
    """Write ``predictions.csv``, ``segments.csv``, ``streams.csv`` and ``curves.csv``.

    Raises:
        ValueError: A row has not one probability per class.
    """
    PREDICTIONS.write(directory, tables.clips, classes)
    SEGMENTS.write(directory, tables.segments, classes)
    STREAM_SCORES.write(directory, tables.streams, classes)
    CURVES.write(directory, tables.curves, classes)


def read_tables(directory: Path, classes: Sequence[str]) -> Tables:
    """Read the four tables of a bundle or of one fold.

    The column ``prediction`` follows from the probabilities and is not read.

    Raises:
        ValueError: A file's columns or cells are not as they should be; the message names them.
        FileNotFoundError: A file is missing.
    """
    return Tables(
        PREDICTIONS.read(directory, classes),
        SEGMENTS.read(directory, classes),
        STREAM_SCORES.read(directory, classes),
        CURVES.read(directory, classes),
    )
