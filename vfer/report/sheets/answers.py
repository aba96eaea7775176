"""An answer, and what several answers of both sheets are made of."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from vfer.report.bundles import Bundle, Model
from vfer.results.clips import ClipFacts
from vfer.results.scoring import CROSS_CORPUS, NESTED
from vfer.results.tables import ClipResult
from vfer.results.tally import counted
from vfer.results.unit import unit_of

ANSWERED, PARTLY = "answered", "in part"
YOURS = "not known to the bundle: yours to answer"


class Answer(NamedTuple):
    """What a bundle says to one question.

    Attributes:
        finding: The answer in a word or two.
        text: What it is read from.
    """

    finding: str
    text: str


Question = tuple[str, str, Callable[[Model], Answer]]
"""Its number in the published list, what it asks, and what answers it."""


def yours(known: str = "", asked: str = "The rest") -> Answer:
    """Return the answer to what no bundle can know.

    Args:
        known: What it does know towards it, as sentences.
        asked: What is left to answer.
    """
    return Answer("yours", f"{known} {asked} is {YOURS}." if known else f"{YOURS.capitalize()}.")


def clips_of(model: Model) -> list[ClipResult]:
    """Return the clips that count, of the first run."""
    return counted(model.runs[0].tables.clips)


def people_of(model: Model) -> int:
    """Return how many people were tested."""
    return len({row.subject for row in clips_of(model)})


def tested(model: Model) -> str:
    """Say over how many people intervals are, or clips where nobody knows who is seen."""
    return f"{people_of(model)} {unit_of(model.results).people}"


def setting(model: Model, key: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return a setting of the model's config; None where it is not there."""
    return model.config.get(key)


def set_to(model: Model, *keys: str) -> str:
    """Name settings with their values, as far as the config has them."""
    return ", ".join(f"{key} {model.config[key]}" for key in keys if key in model.config)


def own_classes(model: Model, *keys: str) -> str:
    """Name the classes of the user's own, of some keys or of all; empty without any."""
    plugs = model.runs[0].plugs.items()
    return ", ".join(f"{k} {one.get('class_path')}" for k, one in plugs if not keys or k in keys)


def facts_of(model: Model) -> dict[str, ClipFacts]:
    """Return what is known of each clip, by its name."""
    return {one.clip: one for one in model.runs[0].facts}


def excluded_reasons(model: Model) -> str:
    """Say how many clips were left out and why; empty where none was."""
    rows = model.runs[0].tables.clips
    reasons = Counter(row.reason for row in rows if row.status == "excluded")
    shown = [f"{count} ({reason})" for reason, count in reasons.most_common(4)]
    return ", ".join(shown) + (" and others" if len(reasons) > 4 else "")


def is_cross(model: Model) -> bool:
    """Tell whether the models were trained on another corpus."""
    return bool(model.results["protocol"]["name"] == CROSS_CORPUS)


def of_sweep(model: Model) -> str:
    """Name the sweep of which the model may be the best point; empty where it is of none."""
    run: Bundle = model.runs[0]
    told = run.environment.get("sweep")
    if run.results["selection"] == NESTED or not isinstance(told, dict):
        return ""
    keys = ", ".join(map(str, told.get("keys") or ()))
    count = "several" if told.get("points") is None else told["points"]
    return f"a sweep of {count} points" + (f" over {keys}" if keys else "")
