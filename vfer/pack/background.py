"""What a card says of the corpus, and on what terms corpus and model may be used."""

from vfer.corpora import Facts, named, names
from vfer.report.bundles import Model
from vfer.report.parts import Grid, Section
from vfer.report.published import in_papers_order
from vfer.report.sheets.answers import clips_of, excluded_reasons, setting, tested
from vfer.results.unit import unit_of

DRAWN, OWN = "facs", "manifest"


def facts_of(model: Model) -> Facts | None:
    """Return what is known of the corpus; None of a collection of its owner's own."""
    corpus = setting(model, "data.corpus")
    known = isinstance(corpus, str) and corpus in names() and corpus != OWN
    return named(corpus).FACTS if known else None


def title_of(model: Model) -> str:
    """Return what the corpus is called in print."""
    facts = facts_of(model)
    return str(model.results["corpus"]) if facts is None else facts.title


def corpus_section(model: Model, facts: Facts | None, title: str) -> Section:
    """Say what the model was trained on."""
    results = model.results
    clips = clips_of(model)
    of = f" of {tested(model)}" if unit_of(results).known else ""
    text = [
        f"Trained on {title}, called {results['corpus']} in the figures: {len(clips)} clips{of} "
        f"take part.{'' if of else ' Who is seen in them is not known.'}"
    ]
    if facts is None:
        text.append(
            "It is a collection of its owner's own. How its clips came about, who is seen in them "
            "and who labelled them stands in no file of the bundle: ask whoever made this folder."
        )
    elif facts.name == DRAWN:
        text.append("The package draws it, animated by facial action units: no person is in it.")
    else:
        text.append(f"Described in {facts.paper}. To be had: {facts.obtain}.")
    left = excluded_reasons(model)
    if left:
        text.append(f"Left out of training and testing: {left}.")
    counts = {name: sum(row.label == name for row in clips) for name in results["classes"]}
    rows = [[name, str(counts[name])] for name in in_papers_order(results["classes"])]
    grid = Grid("data", "Clips of each class", ("class", "clips"), rows)
    return Section("Training data", text=text, parts=[grid])


def licence_section(model: Model, facts: Facts | None, title: str, licence: str | None) -> Section:
    """Say on what terms corpus, pretrained weights and model may be used, as far as is known."""
    if facts is None:
        text = [
            f"On what terms the videos of {title} may be used, and whether the people in them have "
            "agreed that a model is trained on them and passed on, stands in no file of the "
            "bundle. Whoever publishes this folder has to make sure of both before; whoever uses "
            "it has to ask them."
        ]
    elif facts.name == DRAWN:
        text = ["The corpus comes with the package and has its licence, MIT. It shows no person."]
    else:
        text = [
            f"{title} may be used on these terms: {facts.licence}. Whether they allow that a model "
            "trained on it is published, changed or sold does not follow from the bundle: read "
            "them before you do."
        ]
    weights = setting(model, "model.weights")
    if weights is not None:
        text.append(
            "The networks started from pretrained weights"
            + " (AlexNet, trained on ImageNet)" * (weights == "imagenet")
            + ", whose terms and training data count as well: check these too."
        )
    if licence is None:
        text.append(
            "No licence of the model itself has been chosen (the option license of vfer.pack). "
            "Without one nobody but its author may pass it on: its author has to choose one that "
            "the terms above allow."
        )
    else:
        text.append(f"The model's own licence, as its author has chosen it: {licence}.")
    text.append("The code of vfer is under the MIT licence.")
    return Section("Licence", text=text)
