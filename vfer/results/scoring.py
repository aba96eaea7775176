"""From segment scores to clips, folds and the whole protocol: NumPy only, pure functions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vfer.results.bootstrap import bootstrap_interval
from vfer.results.clips import ClipFacts
from vfer.results.gender import by_gender
from vfer.results.tables import STAGES, STREAMS, ClipResult, CurvePoint, Tables, first_largest
from vfer.results.tally import MEASURES, Tally, confusion_matrix, counted, coverage, tally

SCHEMA = 1
"""The version of ``results.json``."""
NESTED = "nested"
"""In each fold the point of a sweep and its iteration were chosen on a training group."""
SELECTIONS = ("last", "validation", NESTED)
CROSS_CORPUS = "cross_corpus"
"""Models on a corpus that they have not seen: one fold, which tests everybody."""
OFFICIAL = "official"
"""The corpus's own folds of clips, whose people are not known."""
PROTOCOLS = ("losgo", OFFICIAL, CROSS_CORPUS)
UNITS = ("subject", "clip")
CONTROLS = {
    "permuted_labels": "trained on labels permuted within each subject",
    "shuffled_frames": "every clip's frames in random order",
    "still_frame": "every clip's first frame repeated",
    "no_mouth": "the lower third of every crop grey",
}
"""What ``protocol.control`` takes away; such a result is none of the model."""


@dataclass(frozen=True)
class Header:
    """What ``results.json`` says that is not computed from the tables.

    Attributes:
        corpus: Its name.
        classes: In the order of every probability vector.
        protocol: Its name, one of `PROTOCOLS`.
        selection: One of `SELECTIONS`: which iteration of a training run is scored.
        seeds: Of the training runs behind the tables.
        apart: What training and testing do not share; see ``protocol.folds.apart``.
        control: What was taken away from the model, or None; see ``protocol.control``.
        unit: One of `UNITS`: what folds keep together and intervals are over. It is ``clip`` where
            the corpus does not tell who is seen; a row's subject is then its clip's name.
    """

    corpus: str
    classes: Sequence[str]
    protocol: str
    selection: str
    seeds: Sequence[int]
    control: str | None = None
    apart: Sequence[str] = ("subject",)
    unit: str = "subject"

    @classmethod
    def of(cls, printed: Mapping[str, Any]) -> "Header":
        """Take it from the content of a ``results.json``."""
        names = ("corpus", "classes", "selection", "seeds")
        protocol, kept = printed["protocol"], {name: printed[name] for name in names}
        apart = protocol.get("apart", ["subject"])
        kept |= {"control": protocol.get("control"), "unit": protocol.get("unit", "subject")}
        return cls(protocol=protocol["name"], apart=apart, **kept)


def mean_softmax(scores: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Return a clip's probabilities: the mean of its segments' softmax.

    The paper counts "recognition accuracy" and does not say of what; here it is of clips, and the
    clip's answer is the first largest of this mean. The networks of stages 1 and 2 score single
    frames: their answer for a clip is the mean over its frames.

    Args:
        scores: ``(segments, classes)`` or ``(frames, classes)``, 0…1, each row of sum 1.
    """
    return tuple(scores.mean(axis=0).tolist())


def stream_rows(tables: Tables, stream: str) -> list[ClipResult]:
    """Return the clips that count, with the answers of one stage-1 or stage-2 network in place.

    Raises:
        ValueError: The network says nothing of a scored clip, or something of an unknown one.
    """
    answers = {row.clip: row for row in tables.streams if row.stream == stream}
    rows = []
    for clip in counted(tables.clips):
        answer = answers.pop(clip.clip, None)
        if answer is None and clip.status == "scored":
            raise ValueError(f"the {stream} stream has no row for the scored clip {clip.clip!r}")
        if answer is not None:
            clip = replace(clip, status=answer.status, probabilities=answer.probabilities)
        rows.append(clip)
    if answers:
        raise ValueError(f"the {stream} stream has rows of unknown clips: {', '.join(answers)}")
    return rows


def oracle_accuracy(curves: Sequence[CurvePoint], fold: int) -> float | None:
    """Return the best test accuracy along the fold's last stage; None where it was not measured.

    It was chosen on the test group and is therefore never a result, only an upper bound beside it.
    The last stage is the last of `STAGES` that has a point in the fold.
    """
    return max(_test_accuracies(curves, fold), default=None)


def _test_accuracies(curves: Sequence[CurvePoint], fold: int) -> list[float]:
    """Return what was measured on the test group along the fold's last stage."""
    points = [point for point in curves if point.fold == fold]
    last = next((s for s in STAGES[::-1] if any(point.stage == s for point in points)), None)
    values = [p.accuracy for p in points if p.stage == last and p.split == "test"]
    return [v for v in values if v is not None and math.isfinite(v)]


def optimism_gap(folds: Sequence[Mapping[str, Any]], curves: Sequence[CurvePoint]) -> float | None:
    """Return by how much choosing each fold's iteration on its test group would have flattered.

    Args:
        folds: The ``folds`` of `results`.
        curves: The training curves of all folds.

    Returns:
        The mean over folds of `oracle_accuracy` less the accuracy, 0…1; None where a fold's test
        group was not measured at more than one iteration, among which could be chosen.
    """
    if not folds or any(len(_test_accuracies(curves, one["fold"])) < 2 for one in folds):
        return None
    return float(np.mean([one["oracle_accuracy"] - one["accuracy"] for one in folds]))


def results(
    tables: Tables,
    header: Header,
    folds: Mapping[int, Sequence[str]],
    facts: Sequence[ClipFacts] | None = None,
) -> dict[str, Any]:
    """Return all that ``results.json`` says; fractions in 0…1, unrounded.

    ``mean`` and ``std`` (ddof 1; 0.0 for a single fold) run over folds, as the paper averages;
    ``pooled``, ``ci95``, ``segment_accuracy``, ``streams``, ``recall``, ``precision`` and
    ``majority`` over all.

    ``segment_accuracy`` is of the segments of scored clips; a clip that is not scored has none.

    Args:
        tables: Of all folds, and the excluded clips; the order of rows does not matter.
        header: What is not computed.
        folds: Fold → subjects of its test group.
        facts: Of every clip; without them there is no ``by_gender``.

    Raises:
        ValueError: A clip is there twice, is in no fold that `folds` names, or has a label that is
            no class; a fold has no clips; a stream leaves scored clips out.
    """
    classes, clips = header.classes, tables.clips
    rows_of = _rows_of_folds(clips, folds)
    of_fold = {fold: tally(rows, classes) for fold, rows in rows_of.items()}
    pooled = tally(clips, classes)
    interval = bootstrap_interval(clips, classes)
    hits = [first_largest(row.probabilities, classes) == row.label for row in tables.segments]
    return {
        "schema": SCHEMA,
        "corpus": header.corpus,
        "classes": list(classes),
        "protocol": {
            "name": header.protocol,
            "groups": len(folds),
            **({} if header.control is None else {"control": header.control}),
            **({} if [*header.apart] == ["subject"] else {"apart": [*header.apart]}),
            **({} if header.unit == "subject" else {"unit": header.unit}),
        },
        "selection": header.selection,
        "seeds": list(header.seeds),
        **{
            name: _over_folds(name, list(of_fold.values()), pooled) | {"ci95": list(interval[name])}
            for name in MEASURES
        },
        "recall": _by_class(pooled.recall(), classes),
        "precision": _by_class(pooled.precision(), classes),
        "segment_accuracy": sum(hits) / len(hits) if hits else 0.0,
        "chance": 1 / len(classes),
        "majority": int(pooled.clips.max()) / int(pooled.clips.sum()),
        "streams": _streams(tables, classes),
        **({} if facts is None else {"by_gender": by_gender(clips, facts, classes)}),
        "folds": [
            {
                "fold": fold,
                "subjects": sorted(folds[fold]),
                "clips": int(one.clips.sum()),
                "segments": sum(row.fold == fold for row in tables.segments),
                **{name: float(getattr(one, name)()) for name in MEASURES},
                "oracle_accuracy": oracle_accuracy(tables.curves, fold),
                "recall": _by_class(one.recall(), classes),
                "precision": _by_class(one.precision(), classes),
                "confusion_matrix": confusion_matrix(rows_of[fold], classes).tolist(),
            }
            for fold, one in of_fold.items()
        ],
        "confusion_matrix": confusion_matrix(clips, classes).tolist(),
        "coverage": coverage(clips),
    }


def _rows_of_folds(
    clips: Sequence[ClipResult], folds: Mapping[int, Sequence[str]]
) -> dict[int, list[ClipResult]]:
    """Sort clips into their folds; refuse a clip that is there twice and a fold without any."""
    twice = sorted(name for name, n in Counter(row.clip for row in clips).items() if n > 1)
    if twice:
        raise ValueError(f"clips that are there more than once: {', '.join(twice)}")
    unknown = sorted({row.fold for row in clips if row.fold is not None} - set(folds))
    if unknown:
        raise ValueError(f"rows of folds {unknown}; the folds are {sorted(folds)}")
    rows_of = {fold: [row for row in clips if row.fold == fold] for fold in sorted(folds)}
    empty = [str(fold) for fold, rows in rows_of.items() if not rows]
    if empty:
        raise ValueError(f"fold {', '.join(empty)} has no clips")
    return rows_of


def _over_folds(name: str, folds: Sequence[Tally], pooled: Tally) -> dict[str, Any]:
    """Return a measure's mean and spread over folds, and its value over all clips."""
    values = [float(getattr(one, name)()) for one in folds]
    return spread_of(values) | {"pooled": float(getattr(pooled, name)())}


def spread_of(values: Sequence[float]) -> dict[str, Any]:
    """Return mean and standard deviation (ddof 1; 0.0 of one value)."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": std}


def _by_class(values: npt.NDArray[np.float64], classes: Sequence[str]) -> dict[str, float | None]:
    """Name values by their class; None for NaN, which JSON has not."""
    named = zip(classes, values.tolist(), strict=True)
    return {name: None if math.isnan(value) else value for name, value in named}


def _streams(tables: Tables, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return accuracy and UAR of the networks of stages 1 and 2 alone, as far as there are any."""
    present = {row.stream for row in tables.streams}
    tallies = {s: tally(stream_rows(tables, s), classes) for s in STREAMS if s in present}
    return {
        stream: {"accuracy": float(one.accuracy()), "uar": float(one.uar())}
        for stream, one in tallies.items()
    }
