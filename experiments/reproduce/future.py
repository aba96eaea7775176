"""The paper's future work, fewer parameters and less time: what each way costs and gives."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.reproduce.cost import INT8, PART
from experiments.reproduce.found import Rows
from experiments.reproduce.rows import PARTS, WHOLE
from experiments.reproduce.tables import compare
from vfer.report.numbers import percent, pooled
from vfer.report.parts import Grid, Section

NOTE = (
    "Of the first fold's model: parameters; operations of a segment in the networks, forward, two"
    " a multiply-add, optical flow not counted; seconds of processor time of a test clip, flow and "
    "networks, without decoding and finding faces. bf16 is a way of training: answers, and so "
    "their time, are in float32. int8 has weights of 8 bits in the fully connected layers "
    "(docs/export.md) and is asked for each window by itself, which computes frames several times. "
    "Narrower networks and ResNet-18 start from random weights unless a file is given, AlexNet "
    "from what model.weights says. One network for both inputs is trained in one stage, on as many "
    "images as the first line's three see together."
)


NOISE = 0.1
"""The share by which the time of the same model may differ from one measurement to the next."""


class Place(NamedTuple):
    """Where a way stands: accuracy 0…1, parameters, operations, seconds a clip."""

    name: str
    accuracy: float
    parameters: float
    flops: float
    seconds: float


def dominates(one: Place, other: Place) -> bool:
    """Return whether one is nowhere worse than another, and somewhere better.

    Times that differ by less than `NOISE` are equal.
    """
    saved = other.seconds - one.seconds
    if abs(saved) < NOISE * max(one.seconds, other.seconds):
        saved = 0.0
    gains = [
        one.accuracy - other.accuracy,
        other.parameters - one.parameters,
        other.flops - one.flops,
        saved,
    ]
    return min(gains) >= 0 and max(gains) > 0


def best(places: Sequence[Place]) -> list[str]:
    """Return the names of those that no other dominates."""
    return [one.name for one in places if not any(dominates(other, one) for other in places)]


def _figures(told: Mapping[str, Any]) -> list[str]:
    """Return parameters, operations and seconds as text."""
    if "why" in told or not told:
        return ["", "", f"not measured{': ' * bool(told)}{told.get('why', '')}"]
    return [
        f"{told['parameters'] / 1e6:.2f}",
        f"{told['flops'] / 1e9:.2f}",
        f"{told['seconds']:.3f}",
    ]


def section(rows: Rows, measured: Mapping[str, Any]) -> Section:
    """Return accuracy against parameters, operations and time."""
    whole, cells, places = rows[WHOLE].model, [], []
    mine = {name: found for name, found in rows.items() if PART in found.row.parts}
    for name, found in mine.items():
        if found.model is None:
            cells.append([found.row.title, found.state, "", "", "", "", ""])
            continue
        told = measured.get(name, {})
        accuracy = found.model.summary["accuracy"]
        apart = "" if whole is None or found.model is whole else compare(whole, found.model)
        config = " ".join(found.row.over_shown())
        cells.append([found.row.title, pooled(accuracy), apart, *_figures(told), config])
        if "seconds" in told:
            costs = (told["parameters"], told["flops"], told["seconds"])
            places.append(Place(found.row.title, accuracy["pooled"], *costs))
    cells.append(_int8(measured.get(INT8, {}), measured.get(WHOLE, {})))
    text = [NOTE]
    if len(places) > 1:
        text.append(
            f"No other is at least as good in all four: {'; '.join(best(places))}. Accuracies are "
            "compared as they are, clear or not; the column of differences says which are. Chosen "
            "on the people it was tested on, it is no result."
        )
    header = (
        "", "accuracy, pooled, %", "against the first, points", "parameters, 10⁶",
        "10⁹ operations", "s a clip, one core", "laid over the corpus's config",
    )  # fmt: skip
    grid = Grid(PART, "Accuracy against what it costs", header, cells)
    return Section(PARTS[PART], text=text, parts=[grid])


def _int8(told: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    """Return the line of the whole model with weights of 8 bits."""
    label, command = "weights of 8 bits", "vfer.export --int8 of the first line"
    if "accuracy" not in told:
        why = told.get("why", "")
        return [label, f"not measured{': ' * bool(why)}{why}", "", "", "", "", command]
    count = f"{whole['parameters'] / 1e6:.2f}" if "parameters" in whole else ""
    accuracy = f"{percent(told['accuracy'])} (no interval; {told['clips']} clips)"
    size = f"{count} in {told['bytes'] / 1e6:.1f} MB"
    seconds = f"{told['seconds']:.3f}, its windows one by one"
    if "seconds_float32" in told:
        seconds += f"; {told['seconds_float32']:.3f} so in float32"
    return [label, accuracy, "", size, "", seconds, command]
