"""The sign-flip test over subjects, and its interval."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from tests.results.test_scoring import CLASSES, clip, simulated, worse
from vfer.results.bootstrap import bootstrap_interval
from vfer.results.paired import paired_differences
from vfer.results.tally import tally


def slow_test(first, second, measure):
    """p by hand: every swap of people, scored clip by clip."""
    subjects = sorted({row.subject for row in first[0]})
    found = []
    for swap in itertools.product((False, True), repeat=len(subjects)):
        swapped = dict(zip(subjects, swap, strict=True))
        sides = [[], []]
        for runs in zip(first, second, strict=True):
            ours, theirs = (sorted(rows, key=lambda row: row.clip) for rows in runs)
            for side, (one, other) in zip(sides, ((ours, theirs), (theirs, ours)), strict=True):
                mixed = [b if swapped[a.subject] else a for a, b in zip(one, other, strict=True)]
                side.append(measure(mixed))
        found.append(abs(np.mean(sides[1]) - np.mean(sides[0])))
    return np.mean(np.array(found) >= found[0] - 1e-12)


def measure_of(name):
    if name == "macro_f1":
        return lambda rows: f1_score(
            [row.label for row in rows], [row.prediction(CLASSES) for row in rows], average="macro"
        )
    return lambda rows: float(getattr(tally(rows, CLASSES), name)())


@pytest.mark.parametrize("name", ["accuracy", "uar", "macro_f1"])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_test_against_a_plain_loop(name, runs):
    first = [simulated(5, seed) for seed in range(runs)]
    second = [worse(simulated(5, seed), 0.3, seed) for seed in range(runs)]
    # A corpus in which people have unequal numbers of clips, and classes too.
    first, second = ([rows[7:] for rows in side] for side in (first, second))
    found = paired_differences(first, second, CLASSES)[name]
    measure = measure_of(name)
    assert found["p"] == pytest.approx(slow_test(first, second, measure))
    wanted = np.mean([measure(rows) for rows in second]) - np.mean([measure(r) for r in first])
    assert found["difference"] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("subjects", [8, 12])
def test_scipy_agrees_where_everybody_has_as_many_clips(subjects):
    first, second = simulated(subjects, 0), worse(simulated(subjects, 1), 0.2)
    right = [
        np.array([row.prediction(CLASSES) == row.label for row in rows]).reshape(subjects, -1)
        for rows in (first, second)
    ]
    d = right[1].mean(1) - right[0].mean(1)
    exact = stats.permutation_test(
        (d,), lambda x: x.mean(), permutation_type="samples", n_resamples=np.inf
    )
    found = paired_differences([first], [second], CLASSES)["accuracy"]
    assert found["p"] == pytest.approx(exact.pvalue)


def test_a_drawn_test_is_near_the_exact_one(monkeypatch):
    first, second = simulated(12, 0), worse(simulated(12, 0), 0.12)
    exact = paired_differences([first], [second], CLASSES)["uar"]
    monkeypatch.setattr("vfer.results.paired.EXACT_SUBJECTS", 11)
    drawn = paired_differences([first], [second], CLASSES)["uar"]
    assert drawn["p"] == pytest.approx(exact["p"], abs=0.02)
    assert drawn["p"] >= 1e-4  # never nothing
    assert drawn["ci95"] == pytest.approx(exact["ci95"], abs=0.01)


@pytest.mark.parametrize("subjects", [1, 3, 4, 5])
def test_with_few_subjects_nothing_is_clear_and_there_is_no_interval(subjects):
    rows = simulated(subjects, 0)
    for found in paired_differences([rows], [worse(rows, 1.0)], CLASSES).values():
        assert found["p"] == 2 / 2**subjects > 0.05
        assert found["ci95"] is None


def test_with_six_subjects_that_all_move_the_same_way_a_difference_is_clear():
    rows = simulated(6, 0)
    found = paired_differences([rows], [worse(rows, 1.0)], CLASSES)["accuracy"]
    assert found["p"] == 2 / 64
    assert found["ci95"][1] < 0


@pytest.mark.parametrize("subjects", [6, 9, 20])
def test_the_interval_holds_zero_where_the_test_does_not_reject(subjects):
    verdicts = set()
    for seed in range(40):
        first = simulated(subjects, seed)
        second = worse(worse(first, 0.1, seed), 0.1 * (seed % 5), seed)[3:]
        for name in ("accuracy", "uar"):
            found = paired_differences([first[3:]], [second], CLASSES)[name]
            low, high = found["ci95"]
            assert (low <= 1e-12 and high >= -1e-12) == (found["p"] > 0.05)
            assert low <= found["difference"] <= high
            verdicts.add(found["p"] > 0.05)
    assert len(verdicts) == 2


def test_macro_f1_has_a_p_and_no_interval():
    rows = simulated(24, 0)
    found = paired_differences([rows], [worse(rows, 0.3)], CLASSES)["macro_f1"]
    assert found["p"] < 0.01
    assert found["ci95"] is None


def test_a_model_does_not_differ_from_itself():
    rows = simulated(24, 0)
    for name, found in paired_differences([rows], [rows[::-1]], CLASSES).items():
        interval = None if name == "macro_f1" else [0, 0]
        assert found == {"difference": 0, "ci95": interval, "p": 1}


def test_a_paired_difference_is_found_where_the_intervals_overlap():
    better = simulated(24, 0)
    poorer = worse(better, 0.15)
    found = paired_differences([poorer], [better], CLASSES)["accuracy"]
    lower = [bootstrap_interval(rows, CLASSES)["accuracy"] for rows in (poorer, better)]
    assert lower[1][0] < lower[0][1]  # the intervals overlap
    wanted = tally(better, CLASSES).accuracy() - tally(poorer, CLASSES).accuracy()
    assert found["difference"] == pytest.approx(wanted, abs=1e-15)
    assert 0 < found["ci95"][0] < found["difference"] < found["ci95"][1]
    assert found["p"] < 0.01
    back = paired_differences([better], [poorer], CLASSES)["accuracy"]
    assert back["p"] == found["p"]
    assert back["ci95"] == pytest.approx([-x for x in found["ci95"][::-1]])


def test_several_runs_of_a_model_are_averaged():
    rows = [worse(simulated(24, 0), share, k) for k, share in enumerate((0, 0.1, 0.2, 0.3))]
    found = paired_differences(rows[:2], rows[2:], CLASSES)["uar"]
    one, two, three, four = (tally(run, CLASSES).uar() for run in rows)
    assert found["difference"] == pytest.approx((three + four - one - two) / 2)
    assert paired_differences(rows[:2], rows[1::-1], CLASSES)["uar"]["ci95"] == [0, 0]
    uneven = paired_differences(rows[:2], rows[1:], CLASSES)["uar"]  # two runs and three
    assert uneven["difference"] == pytest.approx((two + three + four) / 3 - (one + two) / 2)


def test_models_scored_on_other_clips_are_not_compared():
    rows = simulated(3, 0)
    with pytest.raises(ValueError, match=r"cannot be compared; they differ in 0-0$"):
        paired_differences([rows], [rows[1:]], CLASSES)
    other = [replace(row, subject="someone") for row in rows]
    with pytest.raises(ValueError, match="0-0, 0-1, 0-10 and 42 more"):
        paired_differences([rows], [rows, other], CLASSES)


def two_models(subjects, clips, seed, gain=0.0):
    """Answers of two models, and whether a clip is hard is shared.

    How well a person is recognised differs, 0.45 ± 0.15, and of each model by ± 0.06 besides; the
    second is better by ``gain`` for everybody on average.
    """
    rng = np.random.default_rng([seed, subjects, clips])
    person = rng.beta(4.5, 5.5, subjects)[:, None]
    hard = rng.normal(size=(subjects, clips))
    models = []
    for sign in (-1, 1):
        p = person + 0.06 * rng.normal(size=person.shape) + sign * gain / 2
        limit = stats.norm.ppf(np.clip(p, 0.02, 0.98))
        right = 0.7 * hard + math.sqrt(1 - 0.49) * rng.normal(size=hard.shape) < limit
        models.append(
            [
                clip(f"{s}-{i}", label, label if right[s, i] else CLASSES[i % 3 - 1],
                     subject=f"s{s:02}")
                for s in range(subjects)
                for i in range(clips)
                for label in [CLASSES[i % 3]]
            ]
        )  # fmt: skip
    return models


@pytest.mark.parametrize("clips", [15, 30])
@pytest.mark.parametrize("subjects", [4, 8, 20, 43])
@pytest.mark.parametrize("pairs", [40, pytest.param(4000, marks=pytest.mark.slow)])
def test_equal_models_seldom_seem_to_differ(subjects, clips, pairs):
    found = [paired_differences(*([m] for m in two_models(subjects, clips, seed)), CLASSES)
             for seed in range(pairs)]  # fmt: skip
    for name in ("accuracy", "uar", "macro_f1"):
        rejected = sum(one[name]["p"] <= 0.05 for one in found)
        print(f"{subjects} subjects of {clips} clips, {name}: {rejected} of {pairs} rejected")
        # Of 40, 9 would be seen once in 10 000 times if 5 % were rejected; of 2000 more than 6 %
        # once in 50 times, of 4000 once in 500.
        assert rejected <= (0.06 * pairs if pairs == 4000 else 8)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.0, 0.08])
@pytest.mark.parametrize("clips", [15, 30])
@pytest.mark.parametrize("subjects", [8, 12, 24, 43])
def test_intervals_of_differences_cover_the_truth(subjects, clips, gain):
    pairs = 2000
    found = [paired_differences(*([m] for m in two_models(subjects, clips, seed, gain)), CLASSES)
             for seed in range(pairs)]  # fmt: skip
    for name in ("accuracy", "uar"):
        covered = sum(one[name]["ci95"][0] <= gain <= one[name]["ci95"][1] for one in found)
        print(f"{subjects} subjects of {clips} clips, {name} + {gain}: {covered / pairs:.3f}")
        assert covered >= 0.93 * pairs
