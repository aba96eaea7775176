"""The sheets: answers that come from the bundle, and change with it."""

import re
from dataclasses import replace

import pytest

from tests.report.test_report import grid, page, set_config
from tests.sweep.test_nested import make_point
from tests.test_verify import (
    CONFIG,
    HEADER,
    edit_csv,
    edit_json,
    excluded_clips,
    hash_again,
    make_bundle,
    write_config,
)
from vfer.report.bundles import as_models, read_bundle
from vfer.report.main import main
from vfer.report.sheets.answers import YOURS
from vfer.report.sheets.leakage import KEPT, LEAKAGE, POSSIBLE
from vfer.report.sheets.reforms import REFORMS
from vfer.results.bundle import assemble, seal
from vfer.results.tables import ClipResult

WHOLE = {
    "protocol": CONFIG["protocol"] | {"folds": {"groups": 3, "seed": 4, "apart": ["subject"]}},
    "data": CONFIG["data"] | {"duplicates": "refuse"},
}


@pytest.fixture
def bundle(tmp_path):
    make_bundle(tmp_path / "bundle")
    write_config(tmp_path / "bundle", CONFIG | WHOLE)
    hash_again(tmp_path / "bundle")
    return tmp_path / "bundle"


def answers(bundle):
    """Every answer of both sheets by its number; leakage's with an L before it."""
    (model,) = as_models([read_bundle(bundle)])
    found = {f"L{number}": answer(model) for number, _, answer in LEAKAGE}
    return found | {number: answer(model) for _, number, _, answer in REFORMS}


def edit(bundle, name, change):
    edit_json(bundle / name, change)
    hash_again(bundle)


def test_there_are_eight_kinds_and_thirty_two_items():
    assert [number for number, *_ in LEAKAGE] == [
        "1.1",
        "1.2",
        "1.3",
        "1.4",
        "2",
        "3.1",
        "3.2",
        "3.3",
    ]
    per_module = [sum(n.startswith(str(k)) for _, n, *_ in REFORMS) for k in range(1, 9)]
    assert per_module == [3, 5, 7, 3, 6, 3, 3, 2]
    assert len({number for _, number, *_ in REFORMS}) == len(REFORMS) == 32


def test_both_stand_on_the_page_and_beside_it_as_csv_and_markdown(bundle, monkeypatch):
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, file, **_: file.write(b"d")
    )
    assert main([str(bundle)]) == 0
    found = answers(bundle)
    rows = grid(bundle, "leakage")[1:]
    assert {f"L{row[0]}": tuple(row[2:]) for row in rows} == {
        k: tuple(v) for k, v in found.items() if k.startswith("L")
    }
    assert {row[0]: tuple(row[3:]) for row in grid(bundle, "reforms")[1:]} == {
        k: tuple(v) for k, v in found.items() if not k.startswith("L")
    }
    text = (bundle / "report" / "report.md").read_text()
    assert "## Leakage sheet" in text
    assert len(re.findall(r"^\| [1-8][a-g] \| ", text, re.M)) == 32
    assert f"{sum(v.finding == 'yours' for v in list(found.values())[8:])} yours" in text
    shown = page(bundle)
    assert shown.index("Leakage sheet") < shown.index("REFORMS") < shown.index("Config of bundle")


def test_what_no_bundle_knows_is_said_to_be_the_users(bundle):
    found = answers(bundle)
    for number in ("1a", "1b", "1c", "3a", "3b", "3c", "3g", "5b", "8b"):
        assert found[number] == ("yours", f"{YOURS.capitalize()}.")
    for number, answer in found.items():
        assert (answer.finding == "yours") == (
            YOURS in answer.text or "Not known" in answer.text
        ), number


def test_an_ordinary_run_keeps_most_out(bundle):
    found = answers(bundle)
    kinds = {n: a.finding for n, a in found.items() if n.startswith("L")}
    assert {n for n, kind in kinds.items() if kind == KEPT} == {"L1.1", "L1.2", "L1.4", "L3.2"}
    assert POSSIBLE not in kinds.values()
    assert "no iteration was selected" in found["L1.1"].text
    assert found["6b"] == ("answered", "Leakage sheet: 1.4 kept out, 3.2 kept out.")
    assert found["3d"].text.endswith("anger 12, happiness 12, sadness 12.")
    assert found["3e"].text == "36 clips of 6 people; the largest class has 33.3 %."
    assert found["3f"].text.startswith("6 of 36 clips have no usable face or cannot be read: ")
    assert found["4a"].text == "Left out: 1 (no such class)."
    assert found["5a"].text.count("vlan 20") == 1
    assert "3 groups dealt by seed 4" in found["5c"].text


def test_how_was_selected(bundle, tmp_path):
    last = answers(bundle)
    point = tmp_path / "point"
    make_point(point, length=8, accuracies=[[(0.5, 1.0), (0.6, 1.0)]] * 3, seed=0)
    chosen = answers(point)
    assert last["5d"].text == "None: the network after the last iteration."
    assert chosen["5d"].text == "The iteration that was best on a training group held out for it."
    assert "held out for it" in chosen["L1.1"].text
    edit(point, "results.json", lambda found: found.update(selection="test"))
    with pytest.raises(ValueError, match="selection: found test"):
        read_bundle(point)


def test_a_point_of_a_sweep_may_have_been_chosen_on_its_test_groups(bundle):
    told = {"file": "s.yaml", "keys": ["model.pool"], "points": 3}
    edit(bundle, "environment.json", lambda e, told=told: e.update(sweep=told))
    found = answers(bundle)
    for number in ("L1.1", "L1.3", "6a"):
        assert found[number].finding == POSSIBLE
    assert "a sweep of 3 points over model.pool" in found["L1.1"].text
    assert (
        found["5e"].text
        == "The settings of a sweep of 3 points over model.pool, tested on the same groups."
    )
    edit(bundle, "environment.json", lambda e: e.update(sweep={"keys": None, "points": None}))
    assert "a sweep of several points, all" in answers(bundle)["L1.1"].text


def test_a_nested_selection_is_no_such_point(tmp_path):
    from rich.console import Console

    from vfer.sweep.nested import nest

    for length in (4, 8):
        path = tmp_path / f"length-{length}"
        make_point(
            path, length=length, accuracies=[[(0.5, 1.0), (length / 10, 1.0)]] * 3, seed=length
        )
        told = {"file": "s.yaml", "keys": ["data.segment_length"], "points": 2}
        edit(path, "environment.json", lambda e, told=told: e.update(sweep=told))
    made = nest(("length-4", "length-8"), ["data.segment_length"], tmp_path, Console(quiet=True))
    found = answers(made)
    assert found["L1.1"].finding == found["L1.3"].finding == KEPT
    assert found["5e"] == ("answered", "2 points over data.segment_length, see nested.json.")
    assert "vfer.sweep --nested makes it again" in found["2d"].text


def test_a_bundle_that_does_not_verify_has_no_sure_test_set(bundle):
    edit(bundle, "fold-0/vlan/stage.json", lambda record: record["trained_on"].append("ada"))
    found = answers(bundle)["L1.1"]
    assert found.finding == POSSIBLE
    assert "does not verify: fold-0/vlan/stage.json: trained_on" in found.text


def test_duplicates_that_were_left_out_and_that_count_twice(bundle):
    excluded = [
        *excluded_clips(),
        ClipResult(None, "ada", "ada/copy", "anger", "excluded", "the same video as x", None, 0),
    ]
    assemble(bundle, HEADER, excluded)

    def add(rows):
        rows.append(dict.fromkeys(rows[0], "") | {"clip": "ada/copy", "gender": "female"})
        rows[-1] |= {"frames": "0", "fps": "0.0"}
        rows.sort(key=lambda row: row["clip"])

    edit_csv(bundle / "clips.csv", add)
    edit_json(bundle / "environment.json", lambda e: e["corpus"].update(clips=38))
    seal(bundle)
    found = answers(bundle)
    assert found["L1.4"].finding == KEPT
    assert found["L1.4"].text.startswith("Left out as the same video as another: 1.")
    assert "all left out" not in found["4b"].text
    set_config(bundle, data__duplicates="exclude")
    assert "Clips that are the same video are all left out." in answers(bundle)["4b"].text

    def same(rows):
        pair = [row for row in rows if row["clip"].startswith("ada/anger")]
        pair[1]["video"] = pair[0]["video"]

    edit_csv(bundle / "clips.csv", same)
    seal(bundle)
    found = answers(bundle)["L1.4"]
    assert (found.finding, "2 clips that count are byte for byte" in found.text) == (POSSIBLE, True)
    (bundle / "clips.csv").unlink()
    assert answers(bundle)["L1.4"].finding == "yours"


def test_sentences_that_belong_to_an_emotion(bundle):
    def say(sentence):
        def change(rows):
            for row in rows:
                row["sentence"] = sentence(row["clip"])

        edit_csv(bundle / "clips.csv", change)
        seal(bundle)
        return answers(bundle)["L2"]

    assert say(lambda clip: "").finding == "yours"
    own = say(lambda clip: clip.split("/")[1].split(",")[0])
    assert own.finding == POSSIBLE
    assert "3 of 3 sentences are said with one emotion only" in own.text
    assert say(lambda clip: "the same").finding == KEPT


def test_official_groups_and_subjects_that_are_clips(bundle):
    set_config(bundle, protocol__folds="official")
    found = answers(bundle)
    assert "3 official groups" in found["5c"].text
    assert "3 official groups" in found["L3.2"].text
    assert "dealt by seed" not in found["5c"].text


def test_own_classes_may_prepare_otherwise(bundle):
    plug = {"class_path": "mine.Describe", "init_args": {}, "source": "0" * 64}
    edit(bundle, "environment.json", lambda e: e.update(plugs={"model.descriptor": plug}))
    found = answers(bundle)
    assert found["L1.2"].finding == "yours"
    assert "model.descriptor mine.Describe" in found["L1.2"].text
    assert "mine.Describe" in found["2b"].text
    edit(bundle, "environment.json", lambda e: e.update(plugs={"model.backbone": plug}))
    assert answers(bundle)["L1.2"].finding == KEPT


@pytest.mark.parametrize(
    ("commit", "finding"), [("abc", "answered"), ("abc+", "in part"), (None, "in part")]
)
def test_code_that_is_in_no_commit_is_half_an_answer(commit, finding, bundle):
    edit(bundle, "environment.json", lambda e: e.update(commit=commit))
    assert answers(bundle)["2b"].finding == finding


def test_another_corpus_and_a_control(bundle):
    text = answers(bundle)["8a"].text
    assert "vfer.evaluate tests its models on another" in text
    (model,) = as_models([read_bundle(bundle)])
    run = model.runs[0]
    protocol = run.results["protocol"] | {"name": "cross_corpus", "control": "no_mouth"}
    cross = replace(model, runs=(replace(run, results=run.results | {"protocol": protocol}),))
    found = {number: answer(cross) for _, number, _, answer in REFORMS}
    assert found["8a"].finding == "in part"
    assert "trained on another corpus" in found["5c"].text
    assert "A control: the lower third of every crop grey." in found["4c"].text
