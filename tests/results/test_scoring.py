import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
)
from sklearn.metrics import confusion_matrix as sklearn_confusion

from vfer.results.bootstrap import bootstrap_interval
from vfer.results.runs import across_runs
from vfer.results.scoring import (
    Header,
    mean_softmax,
    optimism_gap,
    oracle_accuracy,
    results,
)
from vfer.results.tables import (
    ClipResult,
    CurvePoint,
    SegmentResult,
    StreamResult,
    Tables,
    first_largest,
    flaw,
)
from vfer.results.tally import confusion_matrix, coverage, tally

CLASSES = ("anger", "happiness", "sadness")


def clip(name, label, prediction, *, subject="ada", fold=0, status="scored"):
    if status != "scored":
        fold = None if status == "excluded" else fold
        return ClipResult(fold, subject, str(name), label, status, "why", None, 0)
    scores = tuple(0.8 if c == prediction else 0.1 for c in CLASSES)
    return ClipResult(fold, subject, str(name), label, status, "", scores, 1)


statuses = st.sampled_from(["scored"] * 6 + ["no_face", "unreadable", "excluded"])


@st.composite
def clip_rows(draw):
    cells = st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES), statuses)
    rows = [
        clip(i, label, prediction, subject=f"s{i % 4}", fold=i % 2, status=status)
        for i, (label, prediction, status) in enumerate(draw(st.lists(cells, max_size=30)))
    ]
    return [*rows, clip("one", "anger", "sadness"), clip("two", "anger", "anger", fold=1)]


@settings(deadline=None)  # scikit-learn's first call is slow
@given(clip_rows())
def test_scikit_learn_agrees(rows):
    kept = [row for row in rows if row.status != "excluded"]
    truth = [row.label for row in kept]
    predicted = [row.prediction(CLASSES) or "missed" for row in kept]
    one = tally(rows, CLASSES)
    assert one.accuracy() == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    present = sorted(set(truth))
    uar = recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert one.uar() == pytest.approx(uar, abs=1e-12)
    f1 = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert one.macro_f1() == pytest.approx(f1, abs=1e-12)
    precision = precision_score(
        truth, predicted, labels=CLASSES, average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(one.precision(), precision, atol=1e-12)
    scored = [row for row in rows if row.status == "scored"]
    pairs = [row.label for row in scored], [row.prediction(CLASSES) for row in scored]
    reference = sklearn_confusion(*pairs, labels=CLASSES)
    np.testing.assert_array_equal(confusion_matrix(rows, CLASSES), reference)


def test_without_misses_uar_is_balanced_accuracy():
    rng = np.random.default_rng(0)
    truth, predicted = rng.choice(CLASSES, (2, 200), p=(0.6, 0.3, 0.1))
    rows = [clip(i, *pair) for i, pair in enumerate(zip(truth, predicted, strict=True))]
    wanted = balanced_accuracy_score(truth, predicted)
    assert tally(rows, CLASSES).uar() == pytest.approx(wanted, abs=1e-12)


def test_a_class_that_is_absent_is_left_out_of_uar():
    rows = [clip(0, "anger", "anger"), clip(1, "sadness", "happiness")]
    assert tally(rows, CLASSES).uar() == 0.5
    recall = tally(rows, CLASSES).recall().tolist()
    assert recall[0] == 1
    assert math.isnan(recall[1])
    assert recall[2] == 0


def test_misses_are_wrong_and_excluded_clips_nowhere():
    rows = [
        clip(0, "anger", "anger"),
        clip(1, "anger", None, status="no_face"),
        clip(2, "sadness", None, status="unreadable"),
        clip(3, "sadness", "sadness"),
        clip(4, "boredom", None, status="excluded"),
    ]
    one = tally(rows, CLASSES)
    assert one.accuracy() == 0.5
    assert one.uar() == 0.5
    assert confusion_matrix(rows, CLASSES).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert coverage(rows) == {
        "clips": 5,
        "scored": 2,
        "no_face": 1,
        "unreadable": 1,
        "excluded": 1,
    }


def test_all_misses_score_zero():
    rows = [clip(0, "anger", None, status="no_face")]
    assert tally(rows, CLASSES).accuracy() == 0
    assert bootstrap_interval(rows, CLASSES)["accuracy"] == (0, 0)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="no clips to score"):
        tally([clip(0, "anger", None, status="excluded")], CLASSES)


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="'boredom' is none of anger"):
        tally([clip(0, "boredom", "anger")], CLASSES)


def test_the_first_of_equal_probabilities_wins():
    assert first_largest((0.2, 0.4, 0.4), CLASSES) == "happiness"


@pytest.mark.parametrize(
    ("probabilities", "wrong"),
    [
        ((0.5, 0.5), None),
        ((0.5, 0.5 + 1e-7), None),
        ((0.5, 0.6), "sum 1.1"),
        ((1.5, -0.5), "outside"),
        ((math.nan, 1.0), "not finite"),
    ],
)
def test_flaws_of_probabilities(probabilities, wrong):
    assert flaw(probabilities) == wrong or flaw(probabilities).startswith(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "lost"}, "'lost' is none of scored, no_face, unreadable, excluded"),
        ({"fold": None}, "excluded clips, and no others"),
        ({"status": "excluded"}, "excluded clips, and no others"),
        ({"probabilities": None}, "scored clips, and no others, have probabilities"),
        ({"status": "no_face"}, "scored clips, and no others, have probabilities"),
    ],
)
def test_impossible_rows_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(clip(0, "anger", "anger"), **change)


def test_an_unknown_stream_is_refused():
    with pytest.raises(ValueError, match="'audio' is none of spatial, temporal"):
        StreamResult(0, "audio", "ada", "0", "anger", "no_face", None)


def slow_interval(rows, resamples, seed):
    """The same resampling, one clip at a time, scored by scikit-learn."""
    rows = [row for row in rows if row.status != "excluded"]
    subjects = sorted({row.subject for row in rows})
    uniform = np.random.default_rng(seed).random((resamples, len(subjects)))
    accuracies, uars = [], []
    for draws in uniform:
        truth, predicted = [], []
        for draw in draws:
            for row in rows:
                if row.subject == subjects[int(draw * len(subjects))]:
                    truth.append(row.label)
                    predicted.append(row.prediction(CLASSES) or "missed")
        accuracies.append(accuracy_score(truth, predicted))
        recalls = [
            np.mean([p == name for t, p in zip(truth, predicted, strict=True) if t == name])
            for name in set(truth)
        ]
        uars.append(np.mean(recalls))
    return np.percentile(accuracies, [2.5, 97.5]), np.percentile(uars, [2.5, 97.5])


def random_rows(n, subjects, seed=0):
    rng = np.random.default_rng(seed)
    return [
        clip(
            i,
            rng.choice(CLASSES),
            rng.choice(CLASSES),
            subject=f"s{rng.integers(subjects)}",
            status=rng.choice(["scored", "no_face", "excluded"], p=(0.8, 0.1, 0.1)),
        )
        for i in range(n)
    ]


def test_bootstrap_against_a_plain_loop():
    rows = random_rows(40, 6)
    fast = bootstrap_interval(rows, CLASSES, resamples=100, seed=3)
    accuracy, uar = slow_interval(rows, resamples=100, seed=3)
    np.testing.assert_allclose(fast["accuracy"], accuracy, atol=1e-12)
    np.testing.assert_allclose(fast["uar"], uar, atol=1e-12)


def test_bootstrap_of_independent_clips_is_near_the_normal_approximation():
    n, right = 400, 160
    rows = [
        clip(i, "anger", "anger" if i < right else "sadness", subject=f"s{i}") for i in range(n)
    ]
    p = right / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    low, high = bootstrap_interval(rows, CLASSES)["accuracy"]
    # Standard error of a 2.5 % quantile from 2000 draws: about 0.06 standard deviations.
    np.testing.assert_allclose((low, high), (p - half, p + half), atol=0.15 * half)


def test_clips_of_one_subject_are_not_independent():
    rows = [
        clip(f"{i}-{j}", "anger", "anger" if i < 8 else "sadness", subject=f"s{i}")
        for i in range(20)
        for j in range(20)
    ]
    low, high = bootstrap_interval(rows, CLASSES)["accuracy"]
    half = 1.96 * math.sqrt(0.4 * 0.6 / 20)
    assert high - low == pytest.approx(2 * half, rel=0.15)


def test_bootstrap_depends_on_the_seed_alone():
    rows = random_rows(60, 9)
    first = bootstrap_interval(rows, CLASSES)
    assert bootstrap_interval(rows[::-1], CLASSES) == first
    assert bootstrap_interval(rows, CLASSES, seed=1) != first


def simulated(subjects, seed):
    """A corpus of 5 clips a class and person; how well a person is recognised differs."""
    rng = np.random.default_rng([seed, subjects])
    rows = []
    for subject, p in enumerate(rng.beta(4.5, 5.5, subjects)):  # 0.45 ± 0.15
        for i, right in enumerate(rng.random(5 * len(CLASSES)) < p):
            label = CLASSES[i % len(CLASSES)]
            answer = label if right else CLASSES[(i + 1) % len(CLASSES)]
            rows.append(clip(f"{subject}-{i}", label, answer, subject=f"s{subject:02}"))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [4, 8, 12])
def test_intervals_of_few_subjects_cover_the_truth_too_seldom(subjects):
    found = [bootstrap_interval(simulated(subjects, seed), CLASSES) for seed in range(2000)]
    shares = [
        np.mean([one[n][0] <= 0.45 <= one[n][1] for one in found]) for n in ("accuracy", "uar")
    ]
    print(f"{subjects} subjects: {shares} of intervals cover the truth")
    assert max(shares) < 0.93  # the documented table is of these


@pytest.mark.parametrize("subjects", [24, 43])
@pytest.mark.parametrize("corpora", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_intervals_cover_the_truth(subjects, corpora):
    found = [bootstrap_interval(simulated(subjects, seed), CLASSES) for seed in range(corpora)]
    for name in ("accuracy", "uar"):
        covered = sum(one[name][0] <= 0.45 <= one[name][1] for one in found)
        print(f"{subjects} subjects, {name}: {covered} of {corpora} intervals cover the truth")
        # So few of 60 would be seen once in 3000 times if 92 % covered.
        chance = 0 if corpora == 2000 else 3.4 * math.sqrt(corpora * 0.92 * 0.08)
        assert covered >= 0.92 * corpora - chance


def worse(rows, share, seed=0):
    """The same clips, some of the right answers made wrong."""
    rng = np.random.default_rng(seed)
    return [
        clip(row.clip, row.label, CLASSES[CLASSES.index(row.label) - 1], subject=row.subject)
        if row.prediction(CLASSES) == row.label and rng.random() < share
        else row
        for row in rows
    ]


def test_the_summary_over_seeds():
    rows = [worse(simulated(6, 0), share) for share in (0.1, 0.3)]
    folds = {0: [f"s{i:02}" for i in range(6)]}
    parts = [results(Tables(tuple(clips)), HEADER, folds) for clips in rows]
    parts[1]["seeds"] = [5]
    found = across_runs({"seed-4": parts[0], "seed-5": parts[1]}, rows)
    assert (found["seeds"], found["bundles"]) == ([4, 5], ["seed-4", "seed-5"])
    means = [part["accuracy"]["mean"] for part in parts]
    assert found["accuracy"]["values"] == means
    assert found["accuracy"]["mean"] == pytest.approx(sum(means) / 2)
    assert found["accuracy"]["std"] == pytest.approx(abs(means[0] - means[1]) / math.sqrt(2))
    # Accuracy over seeds is that of all their clips together.
    together = [replace(row, clip=f"{k} {row.clip}") for k in (0, 1) for row in rows[k]]
    interval = bootstrap_interval(together, CLASSES)["accuracy"]
    assert found["accuracy"]["ci95"] == pytest.approx(interval)
    with pytest.raises(ValueError, match="differ in selection"):
        across_runs({"a": parts[0], "b": parts[1] | {"selection": "validation"}}, rows)


def test_a_clips_score_is_the_mean_of_its_segments():
    scores = np.array([[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]])
    assert mean_softmax(scores) == (0.5, 0.5)
    many = np.random.default_rng(0).dirichlet(np.ones(3), 15)
    means = [math.fsum(column) / 15 for column in many.T.tolist()]
    assert mean_softmax(many) == pytest.approx(means, abs=1e-15)


def test_the_oracle_is_the_best_test_point_of_the_last_stage():
    points = [
        CurvePoint(0, "spatial", 10, "test", 0.9, None),
        CurvePoint(0, "vlan", 10, "train", 1.0, 0.1),
        CurvePoint(0, "vlan", 10, "test", 0.4, 1.0),
        CurvePoint(0, "vlan", 20, "test", 0.5, 1.0),
        CurvePoint(0, "vlan", 30, "test", None, 1.0),
        CurvePoint(1, "spatial", 10, "test", 0.9, None),
        CurvePoint(1, "temporal", 10, "test", math.nan, None),
        CurvePoint(1, "temporal", 20, "test", 0.3, None),
        CurvePoint(2, "spatial", 10, "test", 0.9, None),
        CurvePoint(2, "vlan", 10, "train", 0.9, None),
        CurvePoint(3, "network", 10, "test", 0.6, None),
        CurvePoint(4, "unknown", 10, "test", 0.9, None),
    ]
    assert [oracle_accuracy(points, fold) for fold in range(6)] == [0.5, 0.3, None, 0.6, None, None]


def test_the_optimism_gap_needs_iterations_to_choose_from():
    folds = [
        {"fold": 0, "accuracy": 0.4, "oracle_accuracy": 0.5},
        {"fold": 1, "accuracy": 0.3, "oracle_accuracy": 0.3},
    ]
    points = [CurvePoint(0, "vlan", i, "test", a, None) for i, a in ((10, 0.5), (20, 0.4))]
    points += [
        CurvePoint(1, "vlan", 20, "test", 0.3, None),
        CurvePoint(1, "vlan", 9, "train", 1, 1),
    ]
    assert optimism_gap(folds[:1], points) == pytest.approx(0.1)
    assert optimism_gap(folds, points) is None
    points.append(CurvePoint(1, "vlan", 10, "test", 0.2, None))
    assert optimism_gap(folds, points) == pytest.approx(0.05)
    assert optimism_gap(folds, []) is None


FOLDS = {0: ["bob", "ada"], 1: ["cyd"]}
HEADER = Header("toy", CLASSES, "losgo", "last", [4])


def small_tables():
    clips = (
        clip("a", "anger", "anger", subject="ada"),
        clip("b", "anger", None, subject="ada", status="no_face"),
        clip("c", "sadness", "anger", subject="bob"),
        clip("d", "sadness", "sadness", subject="cyd", fold=1),
        clip("e", "anger", None, subject="gus", status="excluded"),
    )
    segments = tuple(
        SegmentResult(row.fold, row.subject, row.clip, row.label, 0, row.probabilities)
        for row in clips
        if row.probabilities is not None
    )
    streams = tuple(
        StreamResult(row.fold, "temporal", row.subject, row.clip, row.label, row.status, scores)
        for row, scores in zip(
            clips[:4], [(0.6, 0.2, 0.2), None, (0.1, 0.2, 0.7), (0.1, 0.2, 0.7)], strict=True
        )
    )
    return Tables(clips, segments, streams, (CurvePoint(1, "vlan", 10, "test", 0.75, 0.5),))


def test_results_by_hand():
    found = results(small_tables(), HEADER, FOLDS)
    assert found["accuracy"].pop("ci95") == [0.0, 1.0]
    assert found["uar"].pop("ci95") == [0.0, 1.0]
    assert found["macro_f1"].pop("ci95") == [0.0, 1.0]
    third = pytest.approx(1 / 3, abs=1e-15)
    std = pytest.approx(math.sqrt(((1 / 3 - 2 / 3) ** 2 + (1 - 2 / 3) ** 2) / 1), abs=1e-15)
    uar_std = pytest.approx(math.sqrt((0.25 - 0.625) ** 2 * 2), abs=1e-15)
    assert found == {
        "schema": 1,
        "corpus": "toy",
        "classes": ["anger", "happiness", "sadness"],
        "protocol": {"name": "losgo", "groups": 2},
        "selection": "last",
        "seeds": [4],
        "accuracy": {"mean": pytest.approx(2 / 3), "std": std, "pooled": 0.5},
        "uar": {"mean": 0.625, "std": uar_std, "pooled": 0.5},
        "macro_f1": {  # pooled: of anger 2 clips, 2 taken for it, 1 right; of sadness 2, 1, 1
            "mean": pytest.approx((1 / 4 + 1) / 2),
            "std": pytest.approx(3 / 4 / math.sqrt(2)),
            "pooled": pytest.approx((2 / 4 + 2 / 3) / 2),
        },
        "recall": {"anger": 0.5, "happiness": None, "sadness": 0.5},
        "precision": {"anger": 0.5, "happiness": None, "sadness": 1.0},
        "segment_accuracy": 2 / 3,
        "chance": 1 / 3,
        "majority": 0.5,
        "streams": {"temporal": {"accuracy": 0.75, "uar": 0.75}},
        "folds": [
            {
                "fold": 0,
                "subjects": ["ada", "bob"],
                "clips": 3,
                "segments": 2,
                "accuracy": third,
                "uar": 0.25,
                "macro_f1": 0.25,
                "oracle_accuracy": None,
                "recall": {"anger": 0.5, "happiness": None, "sadness": 0.0},
                "precision": {"anger": 0.5, "happiness": None, "sadness": None},
                "confusion_matrix": [[1, 0, 0], [0, 0, 0], [1, 0, 0]],
            },
            {
                "fold": 1,
                "subjects": ["cyd"],
                "clips": 1,
                "segments": 1,
                "accuracy": 1.0,
                "uar": 1.0,
                "macro_f1": 1.0,
                "oracle_accuracy": 0.75,
                "recall": {"anger": None, "happiness": None, "sadness": 1.0},
                "precision": {"anger": None, "happiness": None, "sadness": 1.0},
                "confusion_matrix": [[0, 0, 0], [0, 0, 0], [0, 0, 1]],
            },
        ],
        "confusion_matrix": [[1, 0, 0], [0, 0, 0], [1, 0, 1]],
        "coverage": {"clips": 5, "scored": 3, "no_face": 1, "unreadable": 0, "excluded": 1},
    }


def test_the_order_of_rows_does_not_matter():
    tables = small_tables()
    turned = Tables(tables.clips[::-1], tables.segments[::-1], tables.streams[::-1], tables.curves)
    assert results(turned, HEADER, FOLDS) == results(tables, HEADER, FOLDS)


def test_a_single_fold_has_no_spread():
    tables = replace(small_tables(), streams=())
    clips = tuple(r if r.fold is None else replace(r, fold=0) for r in tables.clips)
    tables = replace(tables, clips=clips)
    found = results(tables, HEADER, {0: ["ada", "bob", "cyd"]})
    assert found["accuracy"]["std"] == 0
    assert found["streams"] == {}


def test_a_miss_without_a_row_in_the_stream_is_wrong_there_too():
    tables = small_tables()
    kept = tuple(row for row in tables.streams if row.status == "scored")
    assert results(replace(tables, streams=kept), HEADER, FOLDS) == results(tables, HEADER, FOLDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: replace(t, clips=(*t.clips, t.clips[0])), "more than once: a"),
        (lambda t: replace(t, clips=(*t.clips, clip("z", "anger", "anger", fold=7))), r"\[7\]"),
        (lambda t: replace(t, clips=t.clips[:3]), "fold 1 has no clips"),
        (lambda t: replace(t, streams=t.streams[1:]), "no row for the scored clip 'a'"),
        (lambda t: replace(t, clips=t.clips[1:]), "rows of unknown clips: a"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        results(change(small_tables()), HEADER, FOLDS)


def test_needs_no_torch():
    code = "import sys, vfer.results.scoring, vfer.results.bundle; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
