"""Whom folds and intervals are over: people, or single clips where nobody knows who is seen.

A corpus that does not tell its people gives each clip a subject of its own, called as the clip.
Then folds keep no person apart and an interval over "subjects" is one over clips. Every sentence
of a result says which of the two it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vfer.results.checks import Difference
from vfer.results.scoring import CONTROLS, CROSS_CORPUS, OFFICIAL, Header
from vfer.results.tables import Tables


@dataclass(frozen=True)
class Unit:
    """What is resampled, swapped and kept apart, in words.

    Attributes:
        name: One of them, ``subject`` or ``clip``.
        people: Several, in a sentence.
    """

    name: Literal["subject", "clip"]
    people: Literal["people", "clips"]

    @property
    def plural(self) -> str:
        """Several, as in a table."""
        return f"{self.name}s"

    @property
    def known(self) -> bool:
        """Whether it is told who is seen."""
        return self.name == "subject"


_UNITS = {"subject": Unit("subject", "people"), "clip": Unit("clip", "clips")}


def unit_of(results: Mapping[str, Any]) -> Unit:
    """Return the unit of a ``results.json``; subjects where it says nothing."""
    return _UNITS[results["protocol"].get("unit", "subject")]


def unknown_text(results: Mapping[str, Any]) -> str:
    """Say what it means for a ``results.json`` that nobody knows who is seen."""
    shared = "one person may be in training and in test clips, and "
    if results["protocol"]["name"] == CROSS_CORPUS:
        shared = ""
    return (
        f"Who is seen is not known: {shared}clips of one person are alike, so that intervals over "
        "clips are rather too narrow."
    )


def protocol_title(results: Mapping[str, Any]) -> str:
    """Return what the protocol of a ``results.json`` is called above a table."""
    titles = {OFFICIAL: "Official folds", CROSS_CORPUS: "Models of another corpus"}
    return titles.get(results["protocol"]["name"], "LOSGO")


def control_text(results: Mapping[str, Any]) -> str:
    """Return what the control of a ``results.json`` took away; it must have one."""
    control = results["protocol"]["control"]
    text = CONTROLS.get(control, str(control))
    return text if unit_of(results).known else text.replace("each subject", "each official fold")


def check_unit(
    tables: Tables, header: Header, config: Mapping[str, Any], environment: Mapping[str, Any]
) -> Iterator[Difference]:
    """Check that no people are claimed where there are only clips, and no official folds else."""
    told = environment["corpus"].get("unit", "subject")
    if told != header.unit:
        yield Difference("environment.json", "corpus.unit", told, f"{header.unit} in results.json")
    folds = (config.get("protocol") or {}).get("folds")
    if header.unit == "clip":
        wrong = next((row for row in tables.clips if row.subject != row.clip), None)
        if wrong is not None:
            key = f"clip {wrong.clip}: subject"
            found = f"{wrong.clip}: protocol.unit of results.json is clip"
            yield Difference("predictions.csv", key, wrong.subject, found)
        if header.protocol not in (OFFICIAL, CROSS_CORPUS):
            wanted = f"{OFFICIAL}: subjects are not known"
            yield Difference("results.json", "protocol.name", header.protocol, wanted)
    elif header.protocol == OFFICIAL:
        yield Difference("results.json", "protocol.unit", header.unit, "clip")
    if header.protocol == OFFICIAL and folds != OFFICIAL:
        wanted = f"{OFFICIAL} as in results.json"
        yield Difference("config.yaml", "protocol.folds", folds, wanted)
