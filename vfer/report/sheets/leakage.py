"""The eight kinds of leakage of Kapoor and Narayanan 2023, each asked of a bundle.

"Leakage and the reproducibility crisis in machine-learning-based science", Patterns 4, 100804.
"""

from collections import Counter, defaultdict

from vfer.report.bundles import Model
from vfer.report.sheets.answers import (
    Answer,
    Question,
    clips_of,
    excluded_reasons,
    facts_of,
    is_cross,
    of_sweep,
    own_classes,
    people_of,
    setting,
    tested,
    yours,
)
from vfer.results.scoring import NESTED, OFFICIAL
from vfer.results.unit import unit_of

KEPT, POSSIBLE = "kept out", "possible"
_SELECTION = {
    "last": "no iteration was selected",
    "validation": "iterations were selected on a training group that was held out for it",
    NESTED: "settings and iterations were selected on a training group that was held out for it",
}


def _no_test_set(model: Model) -> Answer:
    run = model.runs[0]
    if run.wrong:
        return Answer(POSSIBLE, f"The bundle does not verify: {run.wrong[0]}.")
    sweep = of_sweep(model)
    if sweep:
        return Answer(
            POSSIBLE,
            f"It is a point of {sweep}, all tested on the same groups. Taken because it was best "
            "there, it has no test set of its own: vfer.sweep --nested.",
        )
    people = unit_of(model.results).people
    trained = f"other {people} than those that it trained on, by the records of all its stages"
    if is_cross(model):
        trained = "a corpus of which its models have seen no video (models.json)"
    kind = _SELECTION[model.results["selection"]]
    return Answer(KEPT, f"Each fold tests {trained}; {kind}.")


def _preprocessing(model: Model) -> Answer:
    text = (
        "Each clip is prepared by itself: faces, alignment, flow and their scaling take nothing "
        "from other clips; what is fitted is fitted to training clips."
    )
    own = own_classes(model, "data.corpus", "model.descriptor", "model.classifier")
    if own:
        return yours(text, f"What classes of your own do before ({own})")
    return Answer(KEPT, text)


def _feature_selection(model: Model) -> Answer:
    sweep = of_sweep(model)
    if sweep:
        return Answer(POSSIBLE, f"Its settings are those of one point of {sweep}.")
    if model.results["selection"] == NESTED and model.runs[0].nested:
        keys = ", ".join(model.runs[0].nested["keys"])
        return Answer(KEPT, f"{keys}: chosen in each fold on one of its training groups.")
    return yours(
        "Features are learnt from training clips, and no sweep is recorded.",
        "What was tried before",
    )


def _duplicates(model: Model) -> Answer:
    facts = facts_of(model)
    if not facts:
        return yours("The bundle names no videos (no clips.csv).", "Whether any is there twice")
    videos = Counter(facts[row.clip].video for row in clips_of(model) if row.clip in facts)
    same = sum(count for video, count in videos.items() if video and count > 1)
    excluded = sum(r.reason.startswith("the same video as") for r in model.runs[0].tables.clips)
    told = f"Left out as the same video as another: {excluded}. " if excluded else ""
    if same:
        return Answer(
            POSSIBLE,
            f"{told}{same} clips that count are byte for byte the video of another, of one person "
            "and class, and count more than once.",
        )
    return Answer(
        KEPT,
        f"{told}By their SHA-256 the {len(videos)} videos that count are different. The same "
        "recording in another encoding is not recognised.",
    )


def _illegitimate(model: Model) -> Answer:
    seen = "The model sees pixels of the face and their motion; sound is not read."
    start = setting(model, "model.weights")
    if start is not None:
        seen += f" It starts from {start}, whose own training data are not checked."
    sources = {v for k, v in model.config.items() if k.endswith(".from") and v}
    if sources:
        seen += (
            f" Stages start from {', '.join(sorted(map(str, sources)))}; they are in the record."
        )
    said: dict[str, set[str]] = defaultdict(set)
    facts = facts_of(model)
    for row in clips_of(model):
        if row.clip in facts and facts[row.clip].sentence:
            said[facts[row.clip].sentence].add(row.label)
    if "sentence" in (model.results["protocol"].get("apart") or ()):
        return Answer(KEPT, f"{seen} No sentence is both trained on and tested.")
    alone = sum(len(labels) == 1 for labels in said.values())
    if said and alone:
        return Answer(
            POSSIBLE,
            f"{seen} {alone} of {len(said)} sentences are said with one emotion only, so that lips "
            "may give it away: protocol.folds.apart, protocol.control no_mouth.",
        )
    if said:
        return Answer(KEPT, f"{seen} Each of {len(said)} sentences is said with several emotions.")
    return yours(seen, "Whether what is said gives the emotion away")


def _temporal(model: Model) -> Answer:
    return yours("Nothing is forecast: clips have no order in time.", "When they were taken")


def _dependence(model: Model) -> Answer:
    people, clips = people_of(model), len(clips_of(model))
    protocol = model.results["protocol"]
    if protocol["name"] == OFFICIAL:
        return Answer(
            POSSIBLE,
            f"{clips} clips in {protocol['groups']} official folds. Who is seen is not known: one "
            "person, film or scene may be in training and in test clips.",
        )
    if is_cross(model):
        return Answer(KEPT, f"{tested(model)} of another corpus than the models were trained on.")
    if people == clips:
        return yours(
            f"Each of {clips} clips has a subject of its own.", "Whether a person is in two groups"
        )
    given = setting(model, "protocol.folds") == "official"
    how = "official groups" if given else "groups"
    apart = ", ".join(protocol.get("apart") or ["subject"])
    return Answer(
        KEPT,
        f"{people} people in {protocol['groups']} {how} that share none, by the names in the "
        f"corpus. Kept apart: {apart}; not kept apart: room, camera and light.",
    )


def _sampling(model: Model) -> Answer:
    coverage = model.results["coverage"]
    text = f"{coverage['clips'] - coverage['excluded']} of {coverage['clips']} clips are tested"
    missed = coverage["no_face"] + coverage["unreadable"]
    if missed:
        text += f", {missed} of them without a usable face, which count as wrong"
    left = excluded_reasons(model)
    text += f"; left out: {left}." if left else "; none is left out."
    genders = model.results.get("by_gender")
    if genders:
        counts = ", ".join(f"{one['subjects']} {gender}" for gender, one in genders.items())
        text += f" People: {counts}."
    who = "these people and clips" if unit_of(model.results).known else "these clips"
    return yours(text, f"Whether {who} are of the kind that you speak of")


LEAKAGE: tuple[Question, ...] = (
    ("1.1", "Is there a test set that nothing was fitted to or chosen on?", _no_test_set),
    ("1.2", "Did preprocessing use the test set?", _preprocessing),
    ("1.3", "Were features or settings chosen with the test set?", _feature_selection),
    ("1.4", "Are there duplicates in training and test set?", _duplicates),
    (
        "2",
        "Does the model use what it could not have, or what stands for the label?",
        _illegitimate,
    ),
    ("3.1", "Is the test set earlier than the training data?", _temporal),
    ("3.2", "Do training and test clips depend on each other?", _dependence),
    ("3.3", "Is the test set drawn otherwise than what the claim is about?", _sampling),
)
"""The kinds of leakage by their numbers in the paper's Table 1, as questions."""
