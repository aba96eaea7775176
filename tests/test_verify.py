import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from vfer.results.bundle import assemble, list_files, seal, write_fold, write_folds
from vfer.results.scoring import Header, across_seeds
from vfer.results.tables import (
    ClipResult,
    CurvePoint,
    SegmentResult,
    StreamResult,
    Tables,
    read_tables,
)
from vfer.runtime.files import write_json
from vfer.verify import main, verify

CLASSES = ("anger", "happiness", "sadness")
GROUPS = (("ada", "bob"), ("cyd", "dan"), ("eve", "fay"))
HEADER = Header("toy", CLASSES, "losgo", "last", [0])


def make_fold(fold, *, seed=0, segments=4, clips_per_class=2):
    """One fold's tables: every clip scored but one without a face and one that is unreadable."""
    rng = np.random.default_rng([seed, fold])
    clips, parts, streams = [], [], []
    for subject in GROUPS[fold]:
        for label in CLASSES * clips_per_class:
            name = f"{subject}/{label}, take {len(clips)}"
            status = {2: "no_face", 7: "unreadable"}.get(len(clips), "scored")
            if status != "scored":
                clips.append(ClipResult(fold, subject, name, label, status, "why", None, 0))
                continue
            softmax = rng.dirichlet(np.ones(len(CLASSES)), segments + 2)
            mean = tuple(softmax[:segments].mean(0).tolist())
            clips.append(ClipResult(fold, subject, name, label, status, "", mean, segments))
            for start, scores in enumerate(softmax[:segments].tolist()):
                parts.append(SegmentResult(fold, subject, name, label, 8 * start, tuple(scores)))
            for stream, scores in zip(
                ("spatial", "temporal"), softmax[segments:].tolist(), strict=True
            ):
                streams.append(
                    StreamResult(fold, stream, subject, name, label, status, tuple(scores))
                )
    curves = [
        CurvePoint(fold, stage, iteration, split, float(rng.random()), float(rng.random()))
        for stage in ("spatial", "temporal", "vlan")
        for iteration in (10, 20)
        for split in ("train", "test")
    ]
    return Tables(tuple(clips), tuple(parts), tuple(streams), tuple(curves))


def excluded_clips():
    return [ClipResult(None, "gus", "gus/boredom", "boredom", "excluded", "no such class", None, 0)]


def make_bundle(output):
    """A small consistent bundle, written without torch."""
    output.mkdir(parents=True)
    write_folds(output / "folds.json", GROUPS)
    folds = [make_fold(fold) for fold in range(len(GROUPS))]
    count = sum(len(tables.clips) for tables in folds) + len(excluded_clips())
    corpus = {"name": "toy", "classes": CLASSES, "clips": count, "fingerprint": "0"}
    write_json(output / "environment.json", {"corpus": corpus})
    (output / "config.yaml").write_text("data: {}\n", encoding="utf-8")
    for fold, tables in enumerate(folds):
        write_fold(output, fold, tables, subjects=GROUPS[fold], classes=CLASSES)
    result = assemble(output, HEADER, excluded_clips())
    seal(output)
    return result


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    output = tmp_path_factory.mktemp("made") / "bundle"
    make_bundle(output)
    return output


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made, tmp_path / "bundle")


def edit_json(path, change):
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    write_json(path, value)


def edit_csv(path, change):
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def hash_again(bundle):
    write_json(bundle / "files.json", list_files(bundle))


def differences(bundle):
    return "\n".join(str(difference) for difference in verify(bundle))


def test_a_bundle_passes(bundle, capsys):
    assert main([str(bundle)]) == 0
    assert "37 clips" in capsys.readouterr().out


def test_a_file_that_is_not_listed_is_allowed(bundle):
    (bundle / "report.html").write_text("<p>", encoding="utf-8")
    assert main([str(bundle)]) == 0


def test_only_the_hash_tells_of_a_changed_config(bundle, capsys):
    (bundle / "config.yaml").write_text("data: {fps: 1}\n", encoding="utf-8")
    assert main([str(bundle)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert out[0].startswith("files.json: config.yaml: found ")


def test_a_listed_file_is_missing(bundle):
    (bundle / "config.yaml").unlink()
    assert "files.json: config.yaml: found" in differences(bundle)
    assert differences(bundle).endswith("recomputed missing")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "fold-0/../../secret", "C:\\x", "..\\secret", "a\0b"]
)
def test_paths_out_of_the_bundle_are_refused(bundle, name):
    (bundle.parent / "secret").write_text("s", encoding="utf-8")
    edit_json(bundle / "files.json", lambda files: files.update({name: "0"}))
    (only,) = verify(bundle)
    assert (only.file, only.key, only.found) == ("files.json", name, "a path out of the bundle")


def test_a_link_out_of_the_bundle_is_refused(bundle):
    (bundle.parent / "secret").write_text("s", encoding="utf-8")
    (bundle / "link").symlink_to(bundle.parent / "secret")
    edit_json(bundle / "files.json", lambda files: files.update({"link": "0"}))
    assert "files.json: link: found a path out of the bundle" in differences(bundle)


def test_required_files_must_be_listed(bundle):
    edit_json(bundle / "files.json", lambda files: files.pop("predictions.csv"))
    assert "files.json: predictions.csv: found not listed" in differences(bundle)


def swap_probabilities(rows):
    row = next(row for row in rows if row["status"] == "scored")
    names = sorted((f"p_{name}" for name in CLASSES), key=lambda name: float(row[name]))
    row[names[0]], row[names[-1]] = row[names[-1]], row[names[0]]
    row["prediction"] = names[0].removeprefix("p_")


def nudge_probability(rows):
    row = next(row for row in rows if row["status"] == "scored")
    row["p_anger"] = repr(float(row["p_anger"]) + 1e-4)


def no_number(rows):
    rows[0]["p_anger"] = "nan"


def swap_labels(rows):
    one = next(r for r in rows if r["prediction"] == r["label"])
    other = next(r for r in rows if r["prediction"] and r["label"] != one["label"])
    one["label"], other["label"] = other["label"], one["label"]


def change_prediction(rows):
    rows[0]["prediction"] = next(name for name in CLASSES if name != rows[0]["prediction"])


def move_to_fold_1(rows):
    rows[0]["fold"] = "1"


def score_a_miss(rows):
    next(row for row in rows if row["status"] == "no_face")["status"] = "scored"


def unexclude(rows):
    rows[-1].update(status="unreadable", fold="0")


def count_segments(rows):
    rows[0]["segments"] = "5"


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (swap_probabilities, ["probabilities: found (", "results.json: accuracy.pooled: found"]),
        (nudge_probability, ["probabilities: found sum 1.0", "probabilities: found ("]),
        (no_number, ["probabilities: found not finite, recomputed finite"]),
        (swap_labels, ["streams.csv: clip", "segments.csv: clip", "results.json: accuracy"]),
        (change_prediction, ["predictions.csv: clip ada/anger, take 0: prediction: found"]),
        (move_to_fold_1, ["fold of subject ada: found 1, recomputed [0]", "folds[0].clips"]),
        (score_a_miss, ["scored clips, and no others, have probabilities"]),
        (unexclude, ["fold of subject gus: found 0, recomputed in no fold", "none of anger"]),
        (count_segments, ["take 0: segments: found 5, recomputed 4"]),
        (lambda rows: rows.pop(0), ["corpus.clips: found 37, recomputed 36", "no such clip"]),
        (lambda rows: rows.append(rows[1]), ["found 2 rows, recomputed 1 row"]),
    ],
)
def test_changed_predictions_are_found_without_the_hashes(bundle, change, messages):
    edit_csv(bundle / "predictions.csv", change)
    assert "files.json: predictions.csv: found" in differences(bundle)
    hash_again(bundle)
    text = differences(bundle)
    assert "files.json" not in text
    for message in messages:
        assert message in text


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("segments.csv", lambda rows: rows.pop(0), "segments: found 4, recomputed 3"),
        ("segments.csv", change_prediction, "segments.csv: clip ada/anger, take 0: prediction"),
        ("segments.csv", move_to_fold_1, "segments.csv: clip ada/anger, take 0: found (1, "),
        ("streams.csv", change_prediction, "streams.csv: clip ada/anger, take 0: prediction"),
        ("streams.csv", lambda rows: rows.pop(0), "spatial stream has no row for the scored"),
        ("streams.csv", lambda rows: rows.append(rows[0]), "take 0: found 2 rows"),
        ("streams.csv", no_number, "streams.csv: clip ada/anger, take 0: probabilities"),
        (
            "curves.csv",
            lambda rows: rows[-1].update(accuracy="1.0"),
            "results.json: folds[2].oracle_accuracy: found",
        ),
    ],
)
def test_changes_of_the_other_tables(bundle, file, change, message):
    edit_csv(bundle / file, change)
    hash_again(bundle)
    assert message in differences(bundle)


def test_an_unknown_column_is_named(bundle):
    path = bundle / "curves.csv"
    path.write_text(path.read_text().replace("loss", "cost", 1), encoding="utf-8")
    assert "curves.csv: the column 'loss' is missing" in differences(bundle)


def test_a_subject_in_two_folds(bundle):
    edit_json(bundle / "folds.json", lambda folds: folds["1"].append("ada"))
    assert "folds.json: subject ada: found in folds [0, 1]" in differences(bundle)


@pytest.mark.parametrize(
    ("trained_on", "message"),
    [
        (["cyd", "dan", "eve"], ""),
        (["cyd", "bob", "ada"], "trained_on: found ada, bob, recomputed nobody of the test group"),
        (None, "trained_on: found 'NoneType' object is not iterable"),
    ],
)
def test_a_stage_was_trained_on_nobody_it_is_tested_on(bundle, trained_on, message):
    path = bundle / "fold-0" / "selection" / "vlan" / "stage.json"
    path.parent.mkdir(parents=True)
    write_json(path, {"trained_on": trained_on})
    hash_again(bundle)
    where = f"fold-0/selection/vlan/stage.json: {message}" if message else ""
    assert differences(bundle).startswith(where)
    assert bool(differences(bundle)) == bool(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["accuracy"].update(mean=r["accuracy"]["mean"] + 1e-9), "accuracy.mean"),
        (lambda r: r["uar"]["ci95"].pop(), "uar.ci95"),
        (lambda r: r["confusion_matrix"][1].__setitem__(2, 99), "confusion_matrix[1][2]"),
        (lambda r: r["coverage"].update(no_face=0), "coverage.no_face: found 0, recomputed 3"),
        (lambda r: r["coverage"].update(no_face=3.0), "coverage.no_face: found 3.0"),
        (lambda r: r.pop("majority"), "majority: found nothing"),
        (lambda r: r.update(best=1), "best: found 1, recomputed nothing"),
        (lambda r: r.update(chance="1/3"), "chance: found 1/3"),
        (lambda r: r["streams"]["spatial"].update(accuracy=True), "streams.spatial.accuracy"),
        (lambda r: r["folds"].pop(), "results.json: folds: found"),
        (lambda r: r["protocol"].update(groups=4), "protocol.groups: found 4, recomputed 3"),
        (lambda r: r.update(schema=2), "schema: found 2, recomputed 1"),
        (lambda r: r.update(seeds=["0"]), "seeds: found ['0'], recomputed a list of integers"),
        (lambda r: r.update(selection="best"), "selection: found best"),
        (lambda r: r.update(classes=[1]), "classes: found [1]"),
        (lambda r: r.update(classes=["a", "a"]), "classes: found"),
        (lambda r: r.update(corpus="other"), "corpus.name: found toy, recomputed other"),
    ],
)
def test_changed_results(bundle, change, message):
    edit_json(bundle / "results.json", change)
    hash_again(bundle)
    text = differences(bundle)
    assert message in text
    assert len(text.splitlines()) <= 3


@pytest.mark.parametrize("text", ["[]", "{", '{"schema": NaN}'])
@pytest.mark.parametrize("name", ["results.json", "files.json", "folds.json", "environment.json"])
def test_json_of_another_form(bundle, name, text):
    (bundle / name).write_text(text, encoding="utf-8")
    assert main([str(bundle)]) == 1


def test_not_a_bundle(bundle, tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    (bundle / "streams.csv").unlink()
    assert main([str(bundle)]) == 2
    assert "is no result bundle: no streams.csv" in capsys.readouterr().err
    (tmp_path / "seeds" / "seed-3").mkdir(parents=True)
    assert main([str(tmp_path / "seeds")]) == 2
    assert "seed-3 is no result bundle" in capsys.readouterr().err
    assert main([str(bundle), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def seeds(made, tmp_path):
    """Two bundles and their summary."""
    parts, clips = {}, []
    for seed in (9, 10):
        directory = shutil.copytree(made, tmp_path / "seeds" / f"seed-{seed}")
        edit_json(directory / "results.json", lambda found, seed=seed: found.update(seeds=[seed]))
        hash_again(directory)
        parts[directory.name] = json.loads((directory / "results.json").read_text())
        clips.append(read_tables(directory, CLASSES).clips)
    write_json(tmp_path / "seeds" / "results.json", across_seeds(parts, clips))
    return tmp_path / "seeds"


def test_the_bundles_of_several_seeds_pass(seeds, capsys):
    assert main([str(seeds)]) == 0, capsys.readouterr()
    assert "74 clips" in capsys.readouterr().out


def test_the_summary_of_seeds_is_computed_again(seeds):
    edit_json(seeds / "results.json", lambda found: found["uar"].update(std=0.5))
    assert differences(seeds) == "results.json: uar.std: found 0.5, recomputed 0.0"
    (seeds / "results.json").unlink()
    assert differences(seeds).startswith("results.json: (whole file): found missing")


def test_a_seed_that_the_summary_leaves_out_is_found(seeds):
    shutil.copytree(seeds / "seed-10", seeds / "seed-11")
    assert "results.json: seeds: found [9, 10], recomputed" in differences(seeds)


def test_a_difference_in_one_seed_names_its_folder(seeds):
    edit_csv(seeds / "seed-9" / "predictions.csv", change_prediction)
    assert differences(seeds).startswith("seed-9/files.json: predictions.csv: found")


def test_runs_without_torch(bundle):
    code = (
        "import sys; from vfer.verify import main; status = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    assert subprocess.run([sys.executable, "-c", code, bundle], check=False).returncode == 0
    command = [sys.executable, "-m", "vfer.verify", bundle]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
