"""REFORMS 5, 7 and 8: models, how they were judged, and how far that goes."""

from vfer.report.bundles import Model
from vfer.report.sheets.answers import (
    ANSWERED,
    PARTLY,
    Answer,
    is_cross,
    of_sweep,
    own_classes,
    people_of,
    set_to,
    setting,
    tested,
    yours,
)
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.paired import MIN_FOR_INTERVAL
from vfer.results.scoring import NESTED, OFFICIAL
from vfer.results.unit import unit_of


def models(model: Model) -> Answer:
    """Answer 5a: the model's settings."""
    own = own_classes(model)
    keys = (
        "model.variant", "model.width", "model.insert_after", "model.streams", "model.pool",
        "model.weights", "stages.schema",
    )  # fmt: skip
    ends: dict[str, int] = {}
    for point in model.runs[0].tables.curves:
        ends[point.stage] = max(point.iteration, ends.get(point.stage, 0))
    trained = "; iterations: " + ", ".join(f"{k} {n}" for k, n in ends.items()) if ends else ""
    what = f"Classes of your own: {own}" if own else set_to(model, *keys)
    return Answer(ANSWERED, f"{what}{trained}. All settings in config.yaml.")


def evaluation(model: Model) -> Answer:
    """Answer 5c: the protocol and its groups."""
    protocol = model.results["protocol"]
    if is_cross(model):
        return Answer(
            ANSWERED, "Models that were trained on another corpus are tested on all of it."
        )
    if protocol["name"] == OFFICIAL:
        return Answer(
            ANSWERED,
            f"The corpus's {protocol['groups']} official folds, of clips, which are in folds.json. "
            "Who is seen is not known, so that they may share people.",
        )
    folds = setting(model, "protocol.folds")
    how = "official groups" if folds == "official" else (
        "groups given by hand" if setting(model, "protocol.folds.subjects") else
        f"groups dealt by seed {setting(model, 'protocol.folds.seed')}"
    )  # fmt: skip
    return Answer(
        ANSWERED,
        f"Leave-one-subject-group-out: {protocol['groups']} {how}, who is in which in folds.json.",
    )


def selection(model: Model) -> Answer:
    """Answer 5d: by what the result was selected."""
    sweep, kind = of_sweep(model), model.results["selection"]
    if sweep:
        return Answer(PARTLY, f"It is a point of {sweep}. By what it was chosen among them: yours.")
    said = {
        "last": "None: the network after the last iteration.",
        "validation": "The iteration that was best on a training group held out for it.",
        NESTED: "In each fold the point and iteration that were best on a training group held out "
        "for it.",
    }
    return Answer(ANSWERED, said[kind])


def tuning(model: Model) -> Answer:
    """Answer 5e: which settings were tried."""
    nested, sweep = model.runs[0].nested, of_sweep(model)
    if nested:
        keys = ", ".join(nested["keys"])
        return Answer(ANSWERED, f"{len(nested['points'])} points over {keys}, see nested.json.")
    if sweep:
        return Answer(PARTLY, f"The settings of {sweep}, tested on the same groups.")
    return yours("No search is recorded.", "What was tried before")


def baselines(model: Model) -> Answer:
    """Answer 5f: what stands beside the result."""
    results = model.results
    streams = ", ".join(
        f"{name} network alone {100 * one['accuracy']:.1f} %"
        for name, one in results["streams"].items()
    )
    return Answer(
        PARTLY,
        f"Chance {100 * results['chance']:.1f} %, "
        f"the largest class {100 * results['majority']:.1f} %"
        + (f", {streams}" if streams else "")
        + ". Whether these are the right ones: yours.",
    )


def metrics(model: Model) -> Answer:
    """Answer 7a: the measures."""
    return Answer(
        PARTLY,
        "Accuracy over clips (WAR), UAR, macro-F1, macro AUC, Brier score, expected calibration "
        "error. Why the one that you speak of: yours.",
    )


def uncertainty(model: Model) -> Answer:
    """Answer 7b: intervals and spreads."""
    people = people_of(model)
    text = f"95 % bootstrap over {tested(model)}"
    text += f" (too narrow with fewer than {MIN_SUBJECTS})" if people < MIN_SUBJECTS else ""
    over = "" if len(model.runs) == 1 else f"; ± between {model.over}"
    if over:
        return Answer(ANSWERED, f"{text}{over}.")
    return Answer(PARTLY, f"{text}; ± between folds. One seed and one group assignment were run.")


def tests(model: Model) -> Answer:
    """Answer 7c: the test between models."""
    people, unit = people_of(model), unit_of(model.results)
    text = (
        f"Models are compared by a sign-flip test over {unit.people}: it takes them to be "
        "exchangeable between equal models, and nothing else"
    )
    if people < MIN_FOR_INTERVAL:
        text += f"; of {tested(model)} it can reject nothing at 0.05"
    return Answer(ANSWERED, f"{text}.")


def external(model: Model) -> Answer:
    """Answer 8a: whether there is another corpus."""
    if is_cross(model):
        return Answer(PARTLY, "This is a corpus that the models had not seen. Its limits: yours.")
    return yours("The bundle is of one corpus; vfer.evaluate tests its models on another.")
