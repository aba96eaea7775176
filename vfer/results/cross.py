"""What says which models a corpus that they had not seen was scored with: ``models.json``.

A bundle of protocol ``cross_corpus`` has one fold, which tests everybody, and nothing was trained
for it. Its record names the bundle, the models, and all that these have seen.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vfer.results.checks import Difference
from vfer.results.clips import ClipFacts
from vfer.results.scoring import Header
from vfer.runtime.files import read_json, write_json

MODELS = "models.json"


def write_models(directory: Path, run: dict[str, Any], models: Sequence[dict[str, Any]]) -> None:
    """Write ``models.json``.

    Args:
        directory: The bundle's folder.
        run: Of the bundle that the models are from: ``name``, ``corpus``, ``classes``, and
            ``files``, the SHA-256 of its ``files.json``, which stands for all of it.
        models: Of each model ``fold``, ``weights`` (SHA-256 of its file) and ``videos`` (of all
            that it has seen).
    """
    write_json(directory / MODELS, {"run": run, "models": list(models)})


def check_models(
    directory: Path, header: Header, facts: Sequence[ClipFacts]
) -> Iterator[Difference]:
    """Check that the models know the classes, and have seen none of the videos."""
    try:
        record = read_json(directory / MODELS)
        known = list(record["run"]["classes"])
        seen = {model["fold"]: set(model["videos"]) for model in record["models"]}
        if not all(seen.values()):
            raise ValueError("a model that was trained on nothing")
    except (OSError, KeyError, TypeError, ValueError) as error:
        wanted = "the models, and what they have seen"
        yield Difference(MODELS, "(cannot be read)", error, wanted)
        return
    if not seen:
        yield Difference(MODELS, "models", "none", "at least one")
    unknown = sorted(set(header.classes) - set(known))
    if unknown:
        yield Difference("results.json", "classes", ", ".join(unknown), f"some of {known}")
    for fold, videos in seen.items():
        both = [one.clip for one in facts if one.video in videos]
        if both:
            wanted = "no clip that it is tested on"
            yield Difference(MODELS, f"model of fold {fold}: videos", ", ".join(both), wanted)
