"""What a report says of the people: each subject, and women and men."""

from collections import defaultdict
from typing import Any

from vfer.report import figures
from vfer.report.bundles import Bundle
from vfer.report.numbers import percent, pooled
from vfer.report.parts import Grid, Picture, Section
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.paired import MIN_FOR_INTERVAL
from vfer.results.tally import counted
from vfer.results.unit import unit_of

GENDER_UNKNOWN = "Gender is not known to the bundle: the corpus does not tell it."


def gender_grid(found: dict[str, Any]) -> Grid:
    """Show ``by_gender`` of a bundle's results."""
    rows = [
        [
            gender,
            str(one["subjects"]),
            str(one["clips"]),
            *(
                pooled(one[name]) if one[name]["ci95"] else percent(one[name]["pooled"])
                for name in ("accuracy", "uar")
            ),
        ]
        for gender, one in found.items()
    ]
    return Grid(
        "gender",
        "By gender, over all clips, with 95 % intervals over its subjects",
        ("", "subjects", "clips", "accuracy, %", "UAR, %"),
        rows,
        f"With fewer than {MIN_FOR_INTERVAL} subjects there is no interval, with fewer than "
        f"{MIN_SUBJECTS} it is too narrow.",
    )


def people_section(run: Bundle) -> Section | None:
    """Show how well each subject is recognised, and women and men where they can be told.

    None where it is not known who is seen.
    """
    if not unit_of(run.results).known:
        return None
    genders = run.results.get("by_gender")
    of_subject: dict[str, list[bool]] = defaultdict(list)
    for row in counted(run.tables.clips):
        right = row.prediction(run.results["classes"]) == row.label
        of_subject[row.subject].append(right)
    accuracy = {name: sum(right) / len(right) for name, right in of_subject.items()}
    fold_of = {row.subject: row.fold for row in run.tables.clips}
    worst = sorted(accuracy, key=lambda name: (accuracy[name], name))
    drawn = figures.subjects_figure(accuracy, run.results["accuracy"]["pooled"])
    return Section(
        "Subjects",
        text=[] if genders else [GENDER_UNKNOWN],
        parts=[
            *([gender_grid(genders)] if genders else []),
            Picture("subjects", drawn, "Accuracy of each subject"),
            Grid(
                "subjects",
                "From the hardest on",
                ("subject", "fold", "clips", "accuracy, %"),
                [
                    [name, str(fold_of[name]), str(len(of_subject[name])), percent(accuracy[name])]
                    for name in worst
                ],
            ),
        ],
    )
