"""The 32 items of REFORMS, each asked of a bundle.

Kapoor et al. 2024, "REFORMS: Consensus-based recommendations for machine-learning-based science",
Science Advances 10, eadk3452, Table 1; in our words.
"""

from collections.abc import Callable

from vfer.report.bundles import Model
from vfer.report.sheets import data, judged
from vfer.report.sheets.answers import ANSWERED, PARTLY, Answer, Question, yours
from vfer.report.sheets.leakage import KEPT, LEAKAGE, POSSIBLE


def _only_yours(model: Model) -> Answer:
    return yours()


def _leakage(*numbers: str) -> Callable[[Model], Answer]:
    """Answer from the leakage sheet."""
    asked = [(number, answer) for number, _, answer in LEAKAGE if number in numbers]

    def answer(model: Model) -> Answer:
        found = [(number, ask(model).finding) for number, ask in asked]
        told = ", ".join(f"{number} {finding}" for number, finding in found)
        kinds = {finding for _, finding in found}
        finding = POSSIBLE if POSSIBLE in kinds else ANSWERED if kinds == {KEPT} else PARTLY
        return Answer(finding, f"Leakage sheet: {told}.")

    return answer


_MODULES: tuple[tuple[str, tuple[Question, ...]], ...] = (
    (
        "Study goals",
        (
            ("1a", "The population that the claim is about", _only_yours),
            ("1b", "Why this population", _only_yours),
            ("1c", "Why machine learning", _only_yours),
        ),
    ),
    (
        "Reproducibility",
        (
            ("2a", "The data, and where exactly these are", data.data),
            ("2b", "The code, and which version", data.code),
            ("2c", "The machines", data.machine),
            ("2d", "Instructions to make the results again", data.instructions),
            ("2e", "A script that makes all of them", data.script),
        ),
    ),
    (
        "Data quality",
        (
            ("3a", "Where the data are from, when, and who labelled them", _only_yours),
            ("3b", "From what set they are drawn", _only_yours),
            ("3c", "Why they suit the task", _only_yours),
            ("3d", "The outcome, by class", data.outcome),
            ("3e", "How many samples, how frequent the outcomes", data.size),
            ("3f", "How much is missing, by class", data.missing),
            ("3g", "Why the set stands for the population", _only_yours),
        ),
    ),
    (
        "Preprocessing",
        (
            ("4a", "What was left out, and why", data.excluded),
            ("4b", "What became of impossible or corrupt samples", data.corrupt),
            ("4c", "Every step from raw data to the model's input", data.transformations),
        ),
    ),
    (
        "Modelling",
        (
            ("5a", "Every model that was trained", judged.models),
            ("5b", "Why these kinds of models", _only_yours),
            ("5c", "How they were evaluated, with the splits", judged.evaluation),
            ("5d", "How the reported one was selected", judged.selection),
            ("5e", "How hyperparameters were tuned", judged.tuning),
            ("5f", "Why the baselines are the right ones", judged.baselines),
        ),
    ),
    (
        "Leakage",
        (
            ("6a", "That all steps used training data only", _leakage("1.1", "1.2", "1.3")),
            ("6b", "What was done about dependence and duplicates", _leakage("1.4", "3.2")),
            ("6c", "That every input may be used", _leakage("2")),
        ),
    ),
    (
        "Uncertainty",
        (
            ("7a", "The measures, and why the deciding one", judged.metrics),
            ("7b", "How uncertain they are, and how that was found", judged.uncertainty),
            ("7c", "The tests, and whether they may be used", judged.tests),
        ),
    ),
    (
        "Generality",
        (
            ("8a", "Evidence and limits of external validity", judged.external),
            ("8b", "Where the findings are not expected to hold", _only_yours),
        ),
    ),
)

REFORMS = tuple((module, *question) for module, questions in _MODULES for question in questions)
"""Module, number, what the item asks, and what answers it."""
