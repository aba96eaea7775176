"""Several group assignments of one model: their summary, and what verify finds in it."""

import shutil

import pytest

import tests.test_verify as toy
from tests.test_verify import CONFIG, differences, edit_json, hash_again, make_bundle, write_config
from vfer.results.runs import partition, summarise_runs
from vfer.runtime.files import read_json, write_json
from vfer.verify import doubts, main

ASSIGNMENTS = {
    0: toy.GROUPS,
    9: (("ada", "dan"), ("cyd", "fay"), ("eve", "bob")),
    10: (("ada", "fay"), ("cyd", "bob"), ("eve", "dan")),
}


def make_assignments(folder, change=lambda bundle, dealt: None):
    """A bundle of each of three assignments of the same six people, and the summary."""
    for dealt, groups in ASSIGNMENTS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(toy, "GROUPS", groups)
            bundle = folder / f"groups-{dealt}"
            make_bundle(bundle)
            folds = CONFIG["protocol"]["folds"] | {"seed": dealt}
            write_config(bundle, CONFIG | {"protocol": CONFIG["protocol"] | {"folds": folds}})
            change(bundle, dealt)
            hash_again(bundle)
    names = [f"groups-{dealt}" for dealt in ASSIGNMENTS]
    write_json(folder / "results.json", summarise_runs(folder, names))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "regrouped"
    make_assignments(folder)
    return folder


@pytest.fixture
def regrouped(made, tmp_path):
    return shutil.copytree(made, tmp_path / "regrouped")


def test_the_summary_names_each_assignment_in_the_order_of_its_seed(regrouped, capsys):
    found = read_json(regrouped / "results.json")
    assert found["assignments"] == [0, 9, 10]
    assert found["bundles"] == ["groups-0", "groups-9", "groups-10"]
    assert found["seeds"] == [0]
    values = [read_json(regrouped / name / "results.json") for name in found["bundles"]]
    assert found["uar"]["values"] == [one["uar"]["mean"] for one in values]
    pooled = [one["uar"]["pooled"] for one in values]
    assert found["uar"]["pooled"] == pytest.approx(sum(pooled) / 3)
    assert main([str(regrouped)]) == 0
    assert "111 clips" in capsys.readouterr().out
    assert any(line.startswith("groups-9: 6 subjects") for line in doubts(regrouped))


def test_the_summary_is_computed_again(regrouped):
    edit_json(regrouped / "results.json", lambda found: found["accuracy"].update(std=0.5))
    assert differences(regrouped).startswith("results.json: accuracy.std: found 0.5, recomputed")
    edit_json(regrouped / "results.json", lambda found: found.pop("assignments"))
    assert "results.json: assignments: found nothing, recomputed [0, 9, 10]" in differences(
        regrouped
    )


def test_an_assignment_that_the_summary_leaves_out_is_found(regrouped):
    edit_json(regrouped / "results.json", lambda found: found["bundles"].pop())
    assert "results.json: bundles: found" in differences(regrouped)


def test_the_same_groups_under_two_names_are_found(regrouped):
    """Between them nothing differs, so that the spread would be too small."""
    shutil.rmtree(regrouped / "groups-9")
    copy = shutil.copytree(regrouped / "groups-0", regrouped / "groups-9")
    folds = CONFIG["protocol"]["folds"] | {"seed": 9}
    write_config(copy, CONFIG | {"protocol": CONFIG["protocol"] | {"folds": folds}})
    hash_again(copy)
    write_json(
        regrouped / "results.json",
        summarise_runs(regrouped, ["groups-0", "groups-9", "groups-10"]),
    )
    assert differences(regrouped) == (
        "groups-9/folds.json: groups: found those of groups-0, recomputed others"
    )


def test_assignments_of_other_seeds_are_found(regrouped):
    bundle = regrouped / "groups-9"
    edit_json(bundle / "results.json", lambda found: found.update(seeds=[7]))
    edit_json(bundle / "environment.json", lambda found: found.update(seed=7))
    folds = CONFIG["protocol"]["folds"] | {"seed": 9}
    write_config(bundle, CONFIG | {"protocol": CONFIG["protocol"] | {"seed": 7, "folds": folds}})
    hash_again(bundle)
    assert "groups-9/results.json: seeds: found [7], recomputed [0]" in differences(regrouped)


def test_seeds_and_groups_in_one_folder_are_no_summary(regrouped):
    (regrouped / "groups-9").rename(regrouped / "seed-9")
    assert "several seeds and of several groups" in differences(regrouped)


def test_a_partition_does_not_depend_on_the_numbers_of_the_folds():
    assert partition({0: ("a", "b"), 1: ("c",)}) == partition({0: ["c"], 1: ["b", "a"]})
    assert partition({0: ("a", "b"), 1: ("c",)}) != partition({0: ("a",), 1: ("b", "c")})
