"""The block of YAML at the head of a model card, by which the Hugging Face Hub files a model.

Keys: https://huggingface.co/docs/hub/model-cards#model-card-metadata, and of ``model-index``
https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

import re
from typing import Any

import yaml

from vfer.report.bundles import Model
from vfer.results.tally import MEASURES
from vfer.results.unit import unit_of

_METRICS = {
    "accuracy": ("accuracy", "accuracy (WAR)"),
    "uar": ("recall", "UAR, the mean recall of the classes"),
    "macro_f1": ("f1", "macro-F1"),
}
"""Of each of `MEASURES` the Hub's name and what it is called."""
UNDECIDED = "other"
"""The Hub's identifier of a licence that is none of those that it knows."""


def clean(text: str) -> str:
    """Return a name in one line, without what cannot be printed."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _slug(text: str) -> str:
    """Return a name as the Hub's identifiers are written."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def metadata(model: Model, title: str, licence: str | None) -> dict[str, Any]:
    """Return the values of the block; shares 0…1.

    Args:
        model: With one run.
        title: Of the corpus, as in print.
        licence: The model's, as the Hub names it; None where that is not decided.
    """
    results = model.results
    corpus, groups = clean(results["corpus"]), results["protocol"]["groups"]
    unit, figures = unit_of(results), []
    kind_of = "LOSGO" if unit.known else "official"
    split = f"leave-one-subject-group-out, {groups} folds"
    if not unit.known:
        split = f"{groups} official folds of clips"
    for measure in MEASURES:
        kind, called = _METRICS[measure]
        one = results[measure]
        figures += [
            {
                "type": kind,
                "name": f"{called}, mean over {groups} {kind_of} folds",
                "value": round(one["mean"], 4),
                "args": {"std_over_folds": round(one["std"], 4)},
            },
            {
                "type": kind,
                "name": f"{called}, over all clips",
                "value": round(one["pooled"], 4),
                "args": {f"ci95_over_{unit.plural}": [round(end, 4) for end in one["ci95"]]},
            },
        ]
    terms = {"license": licence}
    if licence is None:
        terms = {
            "license": UNDECIDED,
            "license_name": "not-chosen-yet",
            "license_link": "LICENSE",
        }
    return {
        **terms,
        "library_name": "vfer",
        "pipeline_tag": "video-classification",
        "tags": [
            "facial-expression-recognition", "emotion-recognition", "video", "optical-flow",
            *(["leave-one-subject-group-out"] if unit.known else []),
        ],
        "datasets": [_slug(corpus)],
        "metrics": list(dict.fromkeys(kind for kind, _ in _METRICS.values())),
        "model-index": [
            {
                "name": clean(model.name),
                "results": [
                    {
                        "task": {
                            "type": "video-classification",
                            "name": "facial expression recognition",
                        },
                        "dataset": {
                            "type": _slug(corpus),
                            "name": clean(title),
                            "split": split,
                        },
                        "metrics": figures,
                    }
                ],
            }
        ],
    }  # fmt: skip


def block(values: dict[str, Any]) -> str:
    """Return the block as it stands at the head of the card."""
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"
