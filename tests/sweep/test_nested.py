"""Nested selection: which point each fold takes, and that its bundle can be checked alone."""

import json
import shutil
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from tests.sweep.test_sweep import write
from tests.test_verify import (
    CLASSES,
    CONFIG,
    GROUPS,
    HEADER,
    differences,
    edit_json,
    excluded_clips,
    hash_again,
    make_bundle,
    make_fold,
    video_of,
    write_config,
)
from vfer.report.main import main as report
from vfer.results.bundle import assemble, seal, write_fold
from vfer.results.nested import Score, choose, select, validation_score
from vfer.results.tables import CurvePoint, Tables
from vfer.runtime.files import read_json, write_json
from vfer.sweep.main import main
from vfer.sweep.nested import nest
from vfer.verify import main as verify

KEY = "data.segment_length"


def set_config(point, *, seed=0, **data):
    protocol = CONFIG["protocol"] | {"selection": "validation", "seed": seed}
    write_config(point, CONFIG | {"data": CONFIG["data"] | data, "protocol": protocol})


def make_point(output, *, length, accuracies, seed, tested=None):
    """A toy run with a validation group.

    Args:
        output: Its folder.
        length: Its segment length.
        accuracies: Of each fold on its validation group, at iterations 10 and 20, with the loss.
        seed: Of its answers.
        tested: Instead of a random accuracy what the curves tell of the test group.
    """
    make_bundle(output)
    set_config(output, segment_length=length)
    for fold in range(3):
        tables = make_fold(fold, seed=seed)
        others = [make_fold(k).clips for k in range(3) if k not in (fold, (fold + 1) % 3)]
        curves = [
            p if tested is None or p.split != "test" else replace(p, accuracy=tested)
            for p in tables.curves
        ]
        for stage in ("spatial", "temporal", "vlan"):
            for iteration, (accuracy, loss) in zip((10, 20), accuracies[fold], strict=True):
                good = accuracy if stage == "vlan" else 1 - accuracy  # of no account
                curves.append(CurvePoint(fold, stage, iteration, "validation", good, loss))
            mine = [p for p in curves if p.stage == stage]
            record = {
                "stage": stage,
                "fold": fold,
                "iteration": 20,
                "corpus": "toy",
                "classes": CLASSES,
                "trained_on": sorted({row.subject for rows in others for row in rows}),
                "videos": sorted(video_of(row.clip) for rows in others for row in rows),
                "curves": [asdict(p) for p in mine],
            }
            write_json(output / f"fold-{fold}" / stage / "stage.json", record)
            (output / f"fold-{fold}" / stage / "weights.safetensors").write_bytes(b"w" * length)
            write_json(output / f"fold-{fold}" / stage / "environment.json", {"device": "cpu"})
        ordered = sorted(curves, key=lambda p: ("spatial", "temporal", "vlan").index(p.stage))
        tables = Tables(tables.clips, tables.segments, tables.streams, tuple(ordered))
        write_fold(output, fold, tables, subjects=GROUPS[fold], classes=CLASSES)
    assemble(output, replace(HEADER, selection="validation"), excluded_clips())
    seal(output)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Two points: the first is told to be perfect on the test groups, the second mostly better."""
    output = tmp_path_factory.mktemp("sweep")
    worse = [[(0.2, 1.0), (0.5, 1.0)]] * 3
    better = [[(0.6, 1.0), (0.4, 1.0)], [(0.5, 0.9), (0.5, 1.0)], [(0.5, 1.0), (0.1, 0.1)]]
    make_point(output / "length-4", length=4, accuracies=worse, seed=0, tested=1.0)
    make_point(output / "length-8", length=8, accuracies=better, seed=1, tested=0.0)
    return output


@pytest.fixture
def sweep(points, tmp_path):
    return shutil.copytree(points, tmp_path / "sweep")


@pytest.fixture
def nested(sweep):
    return nest(("length-4", "length-8"), [KEY], sweep, Console(quiet=True))


def test_the_best_on_validation_is_taken_then_the_least_loss_then_the_first():
    def best(*scores):
        return choose({str(k): Score(*one) for k, one in enumerate(scores)})

    assert best((0.2, 0.1, 5), (0.3, 9.0, 5)) == "1"
    assert best((0.3, 0.2, 5), (0.3, 0.1, 9)) == "1"
    assert best((0.3, None, 5), (0.3, 7.0, 9)) == "1"
    assert best((0.3, 0.2, 9), (0.3, 0.2, 5)) == "0"


def test_a_points_score_is_its_best_on_validation_the_earliest_of_equals():
    points = [
        CurvePoint(0, "vlan", iteration, split, accuracy, loss)
        for iteration, split, accuracy, loss in (
            (10, "validation", 0.4, 2.0), (20, "validation", 0.5, 3.0), (20, "test", 1.0, 0.0),
            (30, "validation", 0.5, 1.0), (10, "train", 1.0, 0.0), (40, "validation", None, 0.1),
        )
    ]  # fmt: skip
    assert validation_score(points) == (0.5, 3.0, 20)
    with pytest.raises(ValueError, match="no accuracy on the validation group"):
        validation_score([p for p in points if p.split != "validation"])


def test_each_fold_is_that_of_the_point_that_was_best_on_a_training_group(sweep, nested):
    record = read_json(nested / "nested.json")
    assert [one["point"] for one in record["folds"]] == ["length-8", "length-8", "length-4"]
    assert [one["validation_group"] for one in record["folds"]] == [1, 2, 0]
    assert record["folds"][0]["scores"] == {
        "length-4": {"accuracy": 0.5, "loss": 1.0, "iteration": 20},
        "length-8": {"accuracy": 0.6, "loss": 1.0, "iteration": 10},
    }
    for one in record["folds"]:
        for name in ("predictions.csv", "vlan/weights.safetensors"):
            ours = nested / f"fold-{one['fold']}" / name
            theirs = sweep / one["point"] / f"fold-{one['fold']}" / name
            assert ours.read_bytes() == theirs.read_bytes()
    found = read_json(nested / "results.json")
    assert found["selection"] == "nested"
    means = [
        read_json(sweep / one["point"] / "results.json")["folds"][one["fold"]]["accuracy"]
        for one in record["folds"]
    ]
    assert found["accuracy"]["mean"] == pytest.approx(sum(means) / 3)


def test_what_the_test_groups_say_changes_no_choice(points, sweep, nested):
    """The points' answers and test curves changed places; the validation curves stayed."""
    chosen = [one["point"] for one in read_json(nested / "nested.json")["folds"]]
    shutil.rmtree(nested)
    for name, accuracies in (("length-4", 0.0), ("length-8", 1.0)):
        for path in (sweep / name).glob("fold-*/*/stage.json"):
            edit_json(
                path,
                lambda r, a=accuracies: [
                    p.update(accuracy=a) for p in r["curves"] if p["split"] == "test"
                ],
            )
    trees = {
        n: CONFIG | {"protocol": {"selection": "validation"}} for n in ("length-4", "length-8")
    }
    assert [one["point"] for one in select(sweep, trees, range(3))] == chosen


def test_its_bundle_is_checked_alone(nested, tmp_path, capsys):
    alone = shutil.move(nested, tmp_path / "alone")
    shutil.rmtree(tmp_path / "sweep")
    assert verify([str(alone)]) == 0, capsys.readouterr()
    assert read_json(alone / "environment.json")["made_with"][0]["device"] == "cpu"


def test_it_is_left_as_it_is_until_the_points_change(sweep, nested, capsys):
    before = (nested / "files.json").stat().st_mtime_ns
    names = ("length-4", "length-8")
    nest(names, [KEY], sweep, Console())
    assert "done before" in capsys.readouterr().out
    assert (nested / "files.json").stat().st_mtime_ns == before
    nest(names[:1], [KEY], sweep, Console(quiet=True))
    assert list(read_json(nested / "nested.json")["points"]) == ["length-4"]
    assert verify([str(nested)]) == 0
    nest(names, [KEY], sweep, Console(quiet=True))
    assert list(read_json(nested / "nested.json")["points"]) == list(names)


def other_point(record):
    record["folds"][0]["point"] = "length-4"


def other_score(record):
    record["folds"][1]["scores"]["length-4"]["accuracy"] = 0.1


def other_value(record):
    record["points"]["length-4"]["values"] = {"model.pool": "sum"}


def no_fold(record):
    record["folds"].pop()


def no_points(record):
    record["points"] = 3


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (other_point, ["nested.json: fold 0: point: found length-4, recomputed length-8",
                       "fold-0/vlan/stage.json: (whole file): found another"]),
        (other_score, ["nested.json: fold 1: scores: found"]),
        (other_value, ["nested.json: points.length-4.values: found ['model.pool']"]),
        (no_fold, ["not the record of a nested selection"]),
        (no_points, ["not the record of a nested selection"]),
    ],
)  # fmt: skip
def test_another_choice_is_found_though_the_hashes_are_made_again(nested, change, messages):
    edit_json(nested / "nested.json", change)
    hash_again(nested)
    said = differences(nested)
    assert all(message in said for message in messages), said


def better_validation(record):
    next(p for p in record["curves"] if p["split"] == "validation")["accuracy"] = 0.99


def trained_on_validation(record):
    record["trained_on"].append(GROUPS[1][0])


def no_point_of_the_curve(record):
    record["curves"] = [p for p in record["curves"] if p["iteration"] == 20]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (better_validation, "nested.json: fold 0: point: found length-8, recomputed length-4"),
        (trained_on_validation, "length-4/fold-0/vlan/stage.json: trained_on: found cyd"),
        (
            no_point_of_the_curve,
            "length-4/fold-0/vlan/stage.json: curves: validation, iteration 10",
        ),
    ],
)
def test_the_records_of_points_that_were_not_taken_are_checked_too(nested, change, message):
    edit_json(nested / "points" / "length-4" / "fold-0" / "vlan" / "stage.json", change)
    hash_again(nested)
    assert message in differences(nested)


def test_a_record_that_is_missing_or_not_named_is_found(nested):
    (nested / "points" / "length-4" / "fold-2" / "vlan" / "stage.json").unlink()
    hash_again(nested)
    said = differences(nested)
    assert "points/length-4/fold-2/vlan/stage.json: (whole file): found missing" in said
    assert "nested.json: folds: found scores, recomputed cannot be" in said
    shutil.rmtree(nested / "points" / "length-4")
    hash_again(nested)
    assert "points: points: found ['length-8']" in differences(nested)
    edit_json(nested / "files.json", lambda files: files.pop("nested.json"))
    assert "files.json: nested.json: found not listed" in differences(nested)


def test_a_nested_result_cannot_pass_for_another_nor_another_for_it(nested, sweep):
    edit_json(nested / "results.json", lambda found: found.update(selection="validation"))
    hash_again(nested)
    assert "the selection is validation, not nested" in differences(nested)
    edit_json(sweep / "length-4" / "results.json", lambda found: found.update(selection="nested"))
    hash_again(sweep / "length-4")
    assert "nested.json is missing" in differences(sweep / "length-4")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("folds.json", lambda f: f.update({"0": f["1"], "1": f["0"]}), "differ in their groups"),
        ("results.json", lambda f: f.update(seeds=[1]), "differ in their seeds"),
        ("environment.json", lambda f: f["corpus"].update(fingerprint="1"), "in their videos"),
    ],
)
def test_points_that_were_not_tested_alike_are_not_put_together(sweep, name, change, said):
    edit_json(sweep / "length-8" / name, change)
    with pytest.raises(RuntimeError, match=said):
        nest(("length-4", "length-8"), [KEY], sweep, Console(quiet=True))
    assert not (sweep / "nested").exists()


def test_settings_that_a_swept_one_brings_along_are_told_too(sweep):
    """Of a class of one's own another has other arguments."""
    for name, own in (
        ("length-4", None),
        ("length-8", {"class_path": "a.B", "init_args": {"x": 1}}),
    ):
        model = CONFIG["model"] | {"backbone": own}
        protocol = CONFIG["protocol"] | {"selection": "validation"}
        write_config(sweep / name, CONFIG | {"model": model, "protocol": protocol})
        hash_again(sweep / name)
    made = nest(("length-4", "length-8"), ["model.backbone.class_path"], sweep, Console(quiet=True))
    points = read_json(made / "nested.json")["points"]
    assert points["length-4"]["values"] == {"model.backbone": None}
    assert points["length-8"]["values"]["model.backbone"]["init_args"] == {"x": 1}
    assert verify([str(made)]) == 0


def test_the_report_says_on_whom_was_chosen(sweep, nested, tmp_path, capsys):
    assert report([str(nested)]) == 0
    page = (nested / "report.html").read_text()
    assert "nothing was selected on a test group" in page
    assert "2 different in 3 folds" in page
    assert "flatters" not in page
    told = {"file": "s.yaml", "keys": [KEY], "points": 2}
    for name in ("length-4", "length-8"):
        edit_json(sweep / name / "environment.json", lambda e: e.update(sweep=told))
        hash_again(sweep / name)
    assert report([str(sweep / "length-4")]) == 0
    said = capsys.readouterr().out
    assert "length-4 is one of 2 points of a sweep over data.segment_length" in said
    assert (
        report([str(sweep / n) for n in ("length-4", "length-8")] + ["--output", str(tmp_path)])
        == 0
    )
    assert (
        "2 of these models are points of a sweep over data.segment_length"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("parameters", "words", "said"),
    [
        ({"protocol.seed": {"values": [0, 1]}}, (), "protocol.seed is not for --nested"),
        ({"data.classes": {"values": ["[anger, fear]"]}}, (), "data.classes is not for --nested"),
        ({"model.pool": {"values": ["sum"]}}, (), "at least 3 are needed"),
        (
            {"stages.vlan.measure_every": {"values": [0]}},
            ("--protocol.folds.groups", "3"),
            "measure_every is 0",
        ),
    ],
)
def test_what_gives_no_nested_selection_is_refused_before_any_point_runs(
    parameters, words, said, tmp_path, capsys
):
    path = write(tmp_path / "sweep.yaml", parameters)
    assert main([str(path), "--nested", "--output", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_nested_sweep_from_videos_to_its_bundle(facs_words, tmp_path, capfd):
    output = tmp_path / "out"
    path = write(tmp_path / "sweep.yaml", {"model.pool": {"values": ["sum", "frame"]}})
    few = [f"--stages.{s}.iterations=2" for s in ("spatial", "temporal", "vlan")]
    words = ["--output", str(output), f"--data.cache={tmp_path / 'cache'}", *few, *facs_words]
    words += ["--nested", "--protocol.folds.groups=3"]
    assert main([str(path), *words]) == 0
    said = capfd.readouterr().out
    assert "chosen on the test groups" in said
    assert "chosen on no test group, a result" in said
    assert "one of 2 points" not in said  # the page of both says it once
    assert verify([str(output / "nested")]) == 0
    told = read_json(output / "pool-sum" / "environment.json")["sweep"]
    assert told == {"file": "sweep.yaml", "keys": ["model.pool"], "points": 2}
    record = read_json(output / "nested" / "nested.json")
    for one in record["folds"]:
        stage = read_json(output / one["point"] / f"fold-{one['fold']}" / "vlan" / "stage.json")
        assert one["scores"][one["point"]]["iteration"] == stage["iteration"]
    assert main([str(path), *words]) == 0
    assert "nested selection: done before" in capfd.readouterr().out
    assert json.loads((output / "sweep.json").read_text())["points"] == ["pool-sum", "pool-frame"]
