"""Results of women and men: against counting by hand, and what verify finds in them."""

import pytest

from tests.results.test_scoring import CLASSES, clip, simulated
from tests.test_verify import differences, edit_csv, edit_json, hash_again, make_bundle
from vfer.results.bootstrap import bootstrap_interval
from vfer.results.clips import ClipFacts
from vfer.results.gender import by_gender
from vfer.results.tally import tally
from vfer.runtime.files import read_json


def facts_of(rows, gender):
    return [ClipFacts(r.clip, gender(r.subject), "", "v", "decord", 9, 25.0) for r in rows]


def test_each_gender_is_scored_by_itself():
    rows = simulated(20, 0)
    women = {f"s{k:02}" for k in range(7)}
    found = by_gender(rows, facts_of(rows, lambda s: "female" if s in women else "male"), CLASSES)
    assert list(found) == ["female", "male"]
    for gender, mine in (("female", women), ("male", {r.subject for r in rows} - women)):
        own = [row for row in rows if row.subject in mine]
        right = sum(row.prediction(CLASSES) == row.label for row in own)
        assert (found[gender]["subjects"], found[gender]["clips"]) == (len(mine), len(own))
        assert found[gender]["accuracy"]["pooled"] == pytest.approx(right / len(own))
        assert found[gender]["uar"]["pooled"] == pytest.approx(float(tally(own, CLASSES).uar()))
        assert found[gender]["uar"]["ci95"] == list(bootstrap_interval(own, CLASSES)["uar"])


def test_below_six_subjects_there_is_no_interval():
    rows = simulated(11, 0)
    found = by_gender(rows, facts_of(rows, lambda s: "female" if s < "s05" else "male"), CLASSES)
    assert (found["female"]["subjects"], found["male"]["subjects"]) == (5, 6)
    assert found["female"]["accuracy"]["ci95"] is None
    assert found["male"]["accuracy"]["ci95"] is not None


def test_misses_are_wrong_and_excluded_clips_absent():
    rows = [
        clip("a", "anger", "anger", subject="x"),
        clip("b", "anger", None, subject="x", status="no_face"),
        clip("c", "anger", None, subject="x", status="excluded"),
    ]
    found = by_gender(rows, facts_of(rows, lambda _: "male"), CLASSES)
    assert found["male"]["clips"] == 2
    assert found["male"]["accuracy"]["pooled"] == 0.5


def test_of_whom_nothing_is_told_is_a_group_of_its_own_and_of_nobody_nothing():
    rows = simulated(4, 0)
    found = by_gender(rows, facts_of(rows, lambda s: "male" if s == "s00" else ""), CLASSES)
    assert {gender: one["subjects"] for gender, one in found.items()} == {"male": 1, "unknown": 3}
    assert by_gender(rows, facts_of(rows, lambda _: ""), CLASSES) is None


@pytest.fixture
def bundle(tmp_path):
    make_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_verify_computes_it_again_and_holds_the_table_against_it(bundle):
    found = read_json(bundle / "results.json")["by_gender"]
    assert {g: one["subjects"] for g, one in found.items()} == {
        "female": 1,
        "male": 1,
        "unknown": 4,
    }
    edit_json(bundle / "results.json", lambda f: f["by_gender"]["male"]["uar"].update(pooled=0.9))
    hash_again(bundle)
    assert "results.json: by_gender.male.uar.pooled: found 0.9, recomputed" in differences(bundle)


def test_another_gender_in_the_table_is_found(bundle):
    def change(rows):
        for row in rows:
            if row["clip"].startswith("bob/"):
                row["gender"] = "female"

    edit_csv(bundle / "clips.csv", change)
    hash_again(bundle)
    assert "results.json: by_gender.female.subjects: found 1, recomputed 2" in differences(bundle)


@pytest.mark.parametrize("gender", ["male", "old"])
def test_a_person_has_one_gender_that_is_known(gender, bundle):
    edit_csv(bundle / "clips.csv", lambda rows: rows[0].update(gender=gender))
    hash_again(bundle)
    said = f"clips.csv: subject ada: gender: found {sorted(['female', gender])}"
    assert said in differences(bundle)
