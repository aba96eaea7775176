"""REFORMS 2 to 4: the data, the code, and what becomes of clips before they are seen."""

from collections import Counter

from vfer.report.bundles import Model
from vfer.report.published import in_papers_order
from vfer.report.sheets.answers import (
    ANSWERED,
    PARTLY,
    Answer,
    clips_of,
    excluded_reasons,
    is_cross,
    own_classes,
    set_to,
    setting,
    tested,
)
from vfer.results.scoring import NESTED
from vfer.results.unit import control_text, unit_of


def data(model: Model) -> Answer:
    """Answer 2a: corpus, fingerprint and hashes."""
    corpus = model.runs[0].environment.get("corpus", {})
    return Answer(
        PARTLY,
        f"{model.results['corpus']}, {corpus.get('clips')} clips, fingerprint "
        f"{corpus.get('fingerprint')}; the videos' SHA-256 in clips.csv. Link or DOI: yours.",
    )


def code(model: Model) -> Answer:
    """Answer 2b: version and commit."""
    environment = model.runs[0].environment
    commit, packages = environment.get("commit"), environment.get("packages") or {}
    own = own_classes(model)
    text = f"vfer {packages.get('vfer', '?')}, commit {commit}" + (
        f"; classes of your own with the hash of their source: {own}" if own else ""
    )
    if commit is None or str(commit).endswith("+") or own:
        return Answer(PARTLY, f"{text}. That this code can be had: yours.")
    return Answer(ANSWERED, f"{text}.")


def machine(model: Model) -> Answer:
    """Answer 2c: what the stages were made on."""
    environment = model.runs[0].environment
    made = environment.get("made_with") or [environment]
    kinds = {str(one.get("device")) + f" ({one.get('processor')})" for one in made}
    packages = environment.get("packages") or {}
    text = f"{'; '.join(sorted(kinds))}; Python {environment.get('python')}, torch "
    return Answer(ANSWERED, f"{text}{packages.get('torch')} and others in environment.json.")


def instructions(model: Model) -> Answer:
    """Answer 2d: the command that makes the bundle again."""
    again = "vfer.fit --config config.yaml makes the bundle again"
    if is_cross(model):
        again = "vfer.evaluate makes it again, with the bundle that models.json names"
    elif model.results["selection"] == NESTED:
        again = "vfer.sweep --nested makes it again; the points are in nested.json"
    return Answer(
        PARTLY, f"config.yaml holds the settings: {again}. Where the data come from: yours."
    )


def script(model: Model) -> Answer:
    """Answer 2e: what makes every figure again."""
    return Answer(
        ANSWERED,
        "vfer.verify computes every figure of the bundle again from its tables, vfer.report every "
        "table and figure of this page.",
    )


def counts_by_class(model: Model) -> str:
    """Name the classes with their clips."""
    counts = Counter(row.label for row in clips_of(model))
    return ", ".join(f"{name} {counts[name]}" for name in in_papers_order(model.results["classes"]))


def outcome(model: Model) -> Answer:
    """Answer 3d: the label, with its frequencies."""
    return Answer(
        ANSWERED, f"The emotion that a clip is labelled with, clips: {counts_by_class(model)}."
    )


def size(model: Model) -> Answer:
    """Answer 3e: clips, people, largest class."""
    largest, unit = model.results["majority"], unit_of(model.results)
    of = f" of {tested(model)}" if unit.known else ", who is seen is not known"
    return Answer(
        ANSWERED,
        f"{len(clips_of(model))} clips{of}; the largest class has {100 * largest:.1f} %.",
    )


def missing(model: Model) -> Answer:
    """Answer 3f: clips that were not scored, by class."""
    clips = clips_of(model)
    missed = Counter(row.label for row in clips if row.status != "scored")
    if not missed:
        return Answer(ANSWERED, "None: every clip that counts was scored.")
    each = ", ".join(f"{name} {count}" for name, count in sorted(missed.items()))
    return Answer(
        ANSWERED,
        f"{sum(missed.values())} of {len(clips)} clips have no usable face or cannot be read: "
        f"{each}. They count as wrong.",
    )


def excluded(model: Model) -> Answer:
    """Answer 4a: clips that were left out."""
    left = excluded_reasons(model)
    return Answer(ANSWERED, f"Left out: {left}." if left else "No clip was left out.")


def corrupt(model: Model) -> Answer:
    """Answer 4b: unreadable clips, missing faces, copies."""
    coverage = model.results["coverage"]
    kept = setting(model, "data.duplicates")
    same = {"refuse": "refused", "exclude": "all left out"}.get(str(kept), "only told of")
    return Answer(
        ANSWERED,
        f"{coverage['unreadable']} unreadable clips and {coverage['no_face']} without a face count "
        f"as wrong. Clips that are the same video are {same}.",
    )


def transformations(model: Model) -> Answer:
    """Answer 4c: from video to the model's input."""
    keys = (
        "data.faces.detector", "data.faces.stabilise", "data.segment_length",
        "data.windows.per_clip", "data.windows.stride", "data.flow.alpha", "data.flow.limit",
        "model.input_size",
    )  # fmt: skip
    text = f"Crops of 150 × 110 pixels by the eyes, then segments: {set_to(model, *keys)}."
    if model.results["protocol"].get("control"):
        text += f" A control: {control_text(model.results)}."
    return Answer(ANSWERED, text)
