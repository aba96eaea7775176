"""The paper's claims, each with a sentence: supported, not supported, or too close to call."""

from typing import NamedTuple

import numpy as np

from experiments.reproduce.found import Rows, whole
from experiments.reproduce.pictures import lengths
from experiments.reproduce.rows import LONGER, WHOLE
from vfer.report.bundles import Model
from vfer.report.numbers import difference, percent
from vfer.report.parts import Grid, Section
from vfer.results.bootstrap import MIN_SUBJECTS, RESAMPLES, times_drawn
from vfer.results.paired import paired_differences
from vfer.results.tally import by_subject, counted

SUPPORTED, AGAINST, CLOSE = "supported", "not supported", "too close to call on this data"
NOT_RUN, NOT_HERE = "not run", "does not apply"
VERDICTS = (SUPPORTED, AGAINST, CLOSE, NOT_RUN, NOT_HERE)
BEST_LENGTH = 16
RULE = (
    "The rule: of two models the one that the paper puts ahead is compared with the other by a "
    "sign-flip test over people (docs/report.md), on the accuracy of all clips. Where the 95 % "
    "interval of the difference leaves 0 out (p ≤ 0.05), the claim is supported if the difference"
    " is on the paper's side, and not supported if it is on the other. Else it is too close to "
    "call. With fewer than 6 people no difference can be clear. Each test is taken by itself: of "
    "twenty claims without any truth one would be called one way or the other. The variance "
    "between training runs is not in the intervals (--seeds N shows it)."
)


class Claim(NamedTuple):
    """That one row is ahead of another: in the paper's words and where it stands."""

    text: str
    where: str
    ahead: str
    behind: str


CLAIMS = (
    Claim("The trained schema performs better than the non-trained.", "Table 1", WHOLE,
          "non_trained"),
    Claim("EmotionalVlan after fc7 is better than after fc6.", "Table 2", WHOLE, "fc6"),
    Claim("Both streams are better than the spatial alone.", "Table 3", WHOLE, "spatial"),
    Claim("Both streams are better than the temporal alone.", "Table 3", WHOLE, "temporal"),
    Claim("The spatial stream alone is better than the temporal.", "Table 3", "spatial",
          "temporal"),
    Claim("The method is better than HOG 3D.", "Table 4", WHOLE, "hog3d"),
    Claim("The method is better than 3DCNN.", "Table 4", WHOLE, "3dcnn"),
    Claim("HOG 3D is better than the spatial stream alone.", "Tables 3, 4", "hog3d", "spatial"),
    Claim("HOG 3D is better than the temporal stream alone.", "Tables 3, 4", "hog3d", "temporal"),
    Claim("3DCNN is better than the spatial stream alone.", "Tables 3, 4", "3dcnn", "spatial"),
    Claim("3DCNN is better than the temporal stream alone.", "Tables 3, 4", "3dcnn", "temporal"),
    Claim("The method is better than Zhalehpour et al.; here: than what is closest to it.",
          "Table 5", WHOLE, "lpq_peaks"),
    Claim("Accuracy cannot improve after 5000 steps; here: after the third stage's, than with "
          "twice as many.", "Figures 2 to 7", WHOLE, LONGER),
)  # fmt: skip


def judge(ahead: Model, behind: Model) -> tuple[str, str]:
    """Return the verdict on a claim that one model is ahead of another, and why."""
    try:
        tested = paired_differences(behind.clips(), ahead.clips(), ahead.results["classes"])
    except ValueError as error:
        return CLOSE, str(error)
    found = tested["accuracy"]
    verdict = CLOSE
    if found["p"] <= 0.05 and found["ci95"] is not None:
        verdict = SUPPORTED if found["difference"] > 0 else AGAINST
    return verdict, f"{ahead.name} against {behind.name}: {difference(found)}"


def _ordering(claim: Claim, rows: Rows) -> tuple[str, str]:
    models = [rows[name].model for name in (claim.ahead, claim.behind)]
    if models[0] is None or models[1] is None:
        missing = [n for n in (claim.ahead, claim.behind) if rows[n].model is None]
        return NOT_RUN, "; ".join(f"{rows[n].row.title}: {rows[n].state}" for n in missing)
    return judge(models[0], models[1])


def best_length(rows: Rows) -> tuple[str, str]:
    """Return the verdict on L = 16 being the best: it must be ahead of every other length."""
    found = lengths(rows)
    if BEST_LENGTH not in found:
        return NOT_RUN, f"L = {BEST_LENGTH} is not among the lengths that were run"
    others = {n: judge(found[BEST_LENGTH], m) for n, m in found.items() if n != BEST_LENGTH}
    if not others:
        return NOT_RUN, "no other length was run"
    ahead = [n for n, (verdict, _) in others.items() if verdict == AGAINST]
    clear = [n for n, (verdict, _) in others.items() if verdict == SUPPORTED]
    if ahead:
        return AGAINST, f"clearly ahead of it: L = {', '.join(map(str, ahead))}"
    why = f"clearly behind it: L = {', '.join(map(str, clear)) or 'none'} of {[*others]}"
    return (SUPPORTED if len(clear) == len(others) else CLOSE), why


def hardest(model: Model | None, emotion: str = "fear") -> tuple[str, str]:
    """Return the verdict on a class being harder than the others: its recall less their mean."""
    if model is None:
        return NOT_RUN, ""
    classes = model.results["classes"]
    if emotion not in classes or len(classes) < 2:
        return NOT_HERE, f"this corpus has no {emotion}"
    place = classes.index(emotion)
    runs = [by_subject(rows, classes) for rows in model.clips()]
    people = len(runs[0].clips)
    # The first row is the data as they are, the others people drawn again.
    times = np.vstack([np.ones((1, people), np.int64), times_drawn(people, RESAMPLES, 0)])
    gaps = []
    for one in runs:
        shown, right = times @ one.clips, times @ one.correct
        recall = np.where(shown > 0, right / np.maximum(shown, 1), np.nan)
        gaps.append(recall[:, place] - np.nanmean(np.delete(recall, place, axis=1), axis=1))
    seen, *drawn = np.mean(gaps, axis=0)
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    why = (
        f"recall of {emotion} less the mean of the others: {100 * seen:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f}, bootstrap over people)"
    )
    if people < MIN_SUBJECTS:
        return CLOSE, f"{why}; with fewer than {MIN_SUBJECTS} people it is too narrow"
    return (SUPPORTED if high < 0 else AGAINST if low > 0 else CLOSE), why


def sentences(rows: Rows) -> list[list[str]]:
    """Return of each claim: it, where it stands, the verdict and why."""
    found = [[claim.text, claim.where, *_ordering(claim, rows)] for claim in CLAIMS]
    found.append([f"L = {BEST_LENGTH} is the best of 2 to 20.", "Figure 9", *best_length(rows)])
    text = "Fear is more difficult to classify than other emotions."
    found.append([text, "Figures 12, 13", *hardest(whole(rows))])
    for who in ("Mansoorizadeh et al.", "Bejani et al."):
        why = "their figure is quoted; without a description or their answers nothing is compared"
        found.append([f"The method is better than {who}", "Table 5", NOT_HERE, why])
    return found


def section(rows: Rows) -> Section:
    """Say of each claim whether it holds here."""
    model = whole(rows)
    cells = sentences(rows)
    counts = [f"{sum(c[2] == v for c in cells)} {v}" for v in VERDICTS]
    people = ""
    if model is not None:
        clips = counted(model.runs[0].tables.clips)
        right = percent(model.summary["accuracy"]["pooled"])
        people = f" On {len(clips)} clips of {len({c.subject for c in clips})} people; the paper's "
        people += f"method has {right} % of them right."
    text = [f"Of {len(cells)} claims: {', '.join(counts)}.{people}", RULE]
    header = ("the paper says", "where", "here", "why")
    return Section(
        "The paper's claims", text=text, parts=[Grid("claims", "Claim by claim", header, cells)]
    )
