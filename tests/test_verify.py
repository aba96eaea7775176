import csv
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import yaml

from vfer.results.apart import UNTESTED
from vfer.results.bundle import assemble, list_files, seal, write_fold, write_folds
from vfer.results.clips import ClipFacts, write_clips
from vfer.results.cross import write_models
from vfer.results.runs import across_runs
from vfer.results.scoring import Header
from vfer.results.tables import (
    ClipResult,
    CurvePoint,
    SegmentResult,
    StreamResult,
    Tables,
    read_tables,
)
from vfer.runtime.files import read_json, write_json
from vfer.verify import doubts, main, verify

CLASSES = ("anger", "happiness", "sadness")
GROUPS = (("ada", "bob"), ("cyd", "dan"), ("eve", "fay"))
CONFIG = {
    "data": {"classes": None, "segment_length": 16, "cache": "nowhere"},
    "model": {"insert_after": "fc7", "pool": "sum", "streams": "both"},
    "stages": {
        "schema": "trained",
        **{
            stage: {"iterations": 20, "measure_every": 10}
            for stage in ("spatial", "temporal", "vlan")
        },
    },
    "protocol": {
        "folds": {"groups": 3, "seed": 0, "subjects": None},
        **{"selection": "last", "retrain": False, "seed": 0},
    },
}
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


def video_of(clip):
    return hashlib.sha256(clip.encode()).hexdigest()


def write_facts(output, rows):
    """What is known of each clip."""
    known = [
        ("", "", 0, 0.0) if r.status == "excluded" else (video_of(r.clip), "decord", 9, 25.0)
        for r in rows
    ]
    genders = {"ada": "female", "bob": "male"}
    write_clips(
        output,
        [
            ClipFacts(r.clip, genders.get(r.subject, ""), "", *k)
            for r, k in zip(rows, known, strict=True)
        ],
    )


def write_config(output, config):
    (output / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def write_stages(output, fold, stages, curves):
    """The records of a fold's stages."""
    others = sorted(s for k, group in enumerate(GROUPS) if k != fold for s in group)
    for stage in stages:
        directory = output / f"fold-{fold}" / stage
        directory.mkdir(parents=True, exist_ok=True)
        mine = [asdict(point) for point in curves if point.stage == stage]
        record = {"stage": stage, "fold": fold, "iteration": 20, "trained_on": others}
        record |= {"corpus": "toy", "classes": CLASSES}
        seen = [make_fold(k) for k in range(len(GROUPS)) if k != fold]
        record["videos"] = sorted(video_of(row.clip) for tables in seen for row in tables.clips)
        write_json(directory / "stage.json", record | {"curves": mine})


def make_bundle(output):
    """A small consistent bundle, written without torch."""
    output.mkdir(parents=True)
    write_folds(output / "folds.json", GROUPS)
    folds = [make_fold(fold) for fold in range(len(GROUPS))]
    count = sum(len(tables.clips) for tables in folds) + len(excluded_clips())
    corpus = {"name": "toy", "classes": CLASSES, "clips": count, "fingerprint": "0"}
    decoder = {"decord": count - len(excluded_clips())}
    environment = {"commit": "abc", "seed": 0, "decoder": decoder, "corpus": corpus}
    write_json(output / "environment.json", environment)
    write_config(output, CONFIG)
    for fold, tables in enumerate(folds):
        write_stages(output, fold, ("spatial", "temporal", "vlan"), tables.curves)
        write_fold(output, fold, tables, subjects=GROUPS[fold], classes=CLASSES)
    write_facts(output, [*(row for t in folds for row in t.clips), *excluded_clips()])
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


def test_only_the_hash_tells_of_another_learning_rate(bundle, capsys):
    write_config(bundle, CONFIG | {"optimizer": {"lr": 1}})
    assert main([str(bundle)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert out[0].startswith("files.json: config.yaml: found ")


def test_a_listed_file_is_missing(bundle):
    (bundle / "config.yaml").unlink()
    assert "files.json: config.yaml: found" in differences(bundle)
    assert "recomputed missing" in differences(bundle)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "fold-0/../../secret", "C:\\x", "..\\secret"]
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
        (None, "trained_on: found"),
        ("", "trained_on: found"),
    ],
)
def test_a_stage_was_trained_on_nobody_it_is_tested_on(bundle, trained_on, message):
    path = bundle / "fold-0" / "selection" / "vlan" / "stage.json"
    path.parent.mkdir(parents=True)
    record = {"stage": "vlan", "fold": 0, "corpus": "toy", "classes": CLASSES}
    write_json(path, record | {"trained_on": trained_on, "videos": []})
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
        (lambda r: r.update(seeds=["0"]), "seeds: found ['0'], recomputed a list, each a whole"),
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
        edit_json(directory / "environment.json", lambda found, seed=seed: found.update(seed=seed))
        write_config(directory, CONFIG | {"protocol": CONFIG["protocol"] | {"seed": seed}})
        hash_again(directory)
        parts[directory.name] = json.loads((directory / "results.json").read_text())
        clips.append(read_tables(directory, CLASSES).clips)
    write_json(tmp_path / "seeds" / "results.json", across_runs(parts, clips))
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


def fold_again(bundle, fold=0):
    """Make a fold's record fit its tables again, as one would who hides a change."""
    directory = bundle / f"fold-{fold}"
    tables = read_tables(directory, CLASSES)
    write_fold(bundle, fold, tables, subjects=GROUPS[fold], classes=CLASSES)


def edit_config(bundle, part, **values):
    write_config(bundle, CONFIG | {part: CONFIG[part] | values})


def all_wrong_to_excluded(rows):
    for row in rows:
        if row["status"] == "scored" and row["prediction"] != row["label"]:
            names = [f"p_{name}" for name in CLASSES]
            row.update(dict.fromkeys(["fold", "prediction", *names], ""), segments="0")
            row.update(status="excluded", reason="poor light")


def exclude_everywhere(bundle):
    """Wrong clips are excluded at top level, and nowhere in the folds any more."""
    edit_csv(bundle / "predictions.csv", all_wrong_to_excluded)
    top = read_tables(bundle, CLASSES)
    gone = {row.clip for row in top.clips if row.status == "excluded"}
    kept = [
        tuple(row for row in rows if row.clip not in gone) for rows in (top.segments, top.streams)
    ]
    for fold, subjects in enumerate(GROUPS):
        parts = [
            tuple(row for row in rows if row.fold == fold)
            for rows in (top.clips, *kept, top.curves)
        ]
        write_fold(bundle, fold, Tables(*parts), subjects=subjects, classes=CLASSES)
    excluded = [row for row in top.clips if row.status == "excluded"]
    assemble(bundle, HEADER, excluded)


def without_segments(bundle):
    name = read_tables(bundle, CLASSES).clips[0].clip
    for where in (bundle, bundle / "fold-0"):
        path = where / "segments.csv"
        edit_csv(path, lambda rows: rows.__setitem__(
            slice(None), [r for r in rows if r["clip"] != name]))  # fmt: skip
        edit_csv(where / "predictions.csv", lambda rows: rows[0].update(segments="0"))
    fold_again(bundle)
    assemble(bundle, HEADER, excluded_clips())


def not_in_the_class(rows):
    rows[-1].update(label="anger", reason="its class anger is not in data.classes")


def without_test_points(bundle, records):
    """Test points are removed from the curves, and if asked for from the stages' records too."""
    for fold, subjects in enumerate(GROUPS):
        directory = bundle / f"fold-{fold}"
        tables = read_tables(directory, CLASSES)
        kept = tuple(p for p in tables.curves if (p.split, p.iteration) != ("test", 10))
        tables = Tables(tables.clips, tables.segments, tables.streams, kept)
        write_fold(bundle, fold, tables, subjects=subjects, classes=CLASSES)
        if records:
            write_stages(bundle, fold, ("spatial", "temporal", "vlan"), kept)
    assemble(bundle, HEADER, excluded_clips())


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def on_stage(change):
    return lambda bundle: edit_json(bundle / "fold-0" / "vlan" / "stage.json", change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: edit_csv(b / "streams.csv", swap_probabilities),
            "streams.csv: clip ada/anger, take 0: found a row that the fold has not",
        ),
        (
            lambda b: edit_csv(b / "fold-0" / "curves.csv", lambda r: r[0].update(loss="9.0")),
            "fold-0/fold.json: files.curves.csv: found",
        ),
        (
            lambda b: edit_csv(b / "curves.csv", lambda rows: rows[1].update(accuracy="0.125")),
            "curves.csv: spatial, test: found a row that the fold has not",
        ),
        (without_segments, "clip ada/anger, take 0: segments: found 0, recomputed at least 1"),
        (
            lambda b: edit_csv(b / "predictions.csv", all_wrong_to_excluded),
            "found not the row of the fold",
        ),
        (exclude_everywhere, "environment.json: decoder: clips: found 36, recomputed"),
        (
            lambda b: edit_csv(b / "predictions.csv", not_in_the_class),
            "clip gus/boredom: excluded: found its class anger is not in data.classes, "
            "recomputed anger takes part",
        ),
        (
            lambda b: edit_csv(b / "predictions.csv", lambda rows: rows[-1].update(reason="")),
            "clip gus/boredom: excluded: found no reason",
        ),
        (
            lambda b: edit_json(b / "results.json", lambda r: r.update(seeds=[7])),
            "config.yaml: protocol.seed: found 0, recomputed [7] as in results.json",
        ),
        (
            lambda b: edit_json(b / "environment.json", lambda e: e.update(seed=7)),
            "environment.json: seed: found 7, recomputed 0 of config.yaml",
        ),
        (
            lambda b: edit_json(b / "results.json", lambda r: r.update(selection="validation")),
            "config.yaml: protocol.selection: found last, recomputed validation",
        ),
        (
            lambda b: edit_json(b / "results.json", lambda r: r["protocol"].update(name="best")),
            "results.json: protocol.name: found best, recomputed losgo",
        ),
        (
            lambda b: edit_config(b, "protocol", folds={"groups": 5, "subjects": None}),
            "folds.json: folds: found 3, recomputed 5 of config.yaml",
        ),
        (
            lambda b: edit_config(b, "protocol", folds={"groups": "subjects", "subjects": None}),
            "folds.json: folds: found 3, recomputed 6 of config.yaml",
        ),
        (
            lambda b: edit_config(
                b, "protocol", folds={"subjects": [["ada"], ["cyd", "dan"], ["eve", "fay", "bob"]]}
            ),
            "folds.json: fold 0: found ['ada', 'bob'], recomputed ['ada'] of config.yaml",
        ),
        (
            lambda b: edit_config(b, "data", classes=["anger", "fear"]),
            "config.yaml: data.classes: found ['anger', 'fear'], recomputed",
        ),
        (lambda b: remove(b / "config.yaml"), "files.json: config.yaml: found not listed"),
        (lambda b: remove(b / "fold-1"), "fold-1/fold.json: (whole fold): found not complete"),
        (lambda b: remove(b / "fold-1"), "files.json: fold-1/predictions.csv: found not listed"),
        (lambda b: remove(b / "fold-1" / "vlan"), "fold-1/vlan/stage.json: (whole file): found"),
        (
            on_stage(lambda record: record.update(trained_on=[])),
            "fold-0/vlan/stage.json: trained_on: found not cyd, dan, eve, fay, recomputed every",
        ),
        (
            on_stage(lambda record: record.update(trained_on=["cyd", "dan", "eve"])),
            "fold-0/vlan/stage.json: trained_on: found not fay",
        ),
        (
            on_stage(lambda record: record.pop("curves")),
            "fold-0/vlan/stage.json: curves is missing; it must be a list of",
        ),
        (
            lambda b: without_test_points(b, records=False),
            "curves.csv: fold 2: points: found 9, recomputed 12 as in stage.json",
        ),
        (
            lambda b: without_test_points(b, records=True),
            "fold-1/spatial/stage.json: curves: test, iteration 10: found nothing",
        ),
        (
            on_stage(lambda record: record["videos"].append(video_of("ada/anger, take 0"))),
            "fold-0/vlan/stage.json: videos: found ada/anger, take 0, recomputed no clip that",
        ),
        (
            on_stage(lambda record: record.update(corpus="other")),
            "fold-0/vlan/stage.json: corpus: found other, recomputed toy of environment.json",
        ),
        (
            on_stage(lambda record: record.update(model={"insert_after": "fc6"})),
            "fold-0/vlan/stage.json: model.insert_after: found fc6, recomputed fc7 of config.yaml",
        ),
        (
            lambda b: (b / "faces.json").write_text("{}"),
            "faces.json does not say what the corpus's faces look like",
        ),
        (
            on_stage(lambda record: record.pop("videos")),
            "fold-0/vlan/stage.json: videos is missing; it must be a list of SHA-256",
        ),
        (
            lambda b: edit_csv(b / "predictions.csv", lambda r: r[-1].update(reason=UNTESTED)),
            "clip gus/boredom: excluded: found apart: the fold of its subject tests other",
        ),
        (
            lambda b: edit_json(
                b / "results.json", lambda r: r["protocol"].update(apart=["subject", "sentence"])
            ),
            "config.yaml: protocol.folds.apart: found ['subject'], recomputed",
        ),
        (
            lambda b: edit_json(b / "results.json", lambda r: r["protocol"].update(apart=0)),
            "results.json: protocol.apart: found 0, recomputed nothing, or subject and sentence",
        ),
        (
            lambda b: edit_json(b / "results.json", lambda r: r["protocol"].update(control="x")),
            "results.json: protocol.control: found x, recomputed nothing, permuted_labels",
        ),
        (lambda b: remove(b / "clips.csv"), "files.json: clips.csv: found not listed"),
        (lambda b: remove(b / "clips.csv"), "clips.csv: (whole file): found missing"),
        (
            lambda b: edit_csv(b / "clips.csv", lambda rows: rows.pop()),
            "clips.csv: clips: found gus/boredom, recomputed those of predictions.csv",
        ),
        (
            lambda b: edit_csv(b / "clips.csv", lambda rows: rows[0].update(video="")),
            "clips.csv: clip ada/anger, take 0: video: found nothing, recomputed its SHA-256",
        ),
        (
            lambda b: edit_csv(b / "clips.csv", lambda r: r[0].update(video=r[-2]["video"])),
            "clips.csv: one video as different clips: found ada/anger, take 0 (ada, anger), fay/",
        ),
        (
            lambda b: edit_json(b / "fold-0" / "fold.json", lambda f: f.update(clips=11)),
            "fold-0/fold.json: clips: found 11, recomputed 12",
        ),
        (
            lambda b: edit_json(b / "fold-0" / "fold.json", lambda f: f.update(subjects=["ada"])),
            "fold-0/fold.json: subjects: found ['ada'], recomputed ['ada', 'bob']",
        ),
        (
            lambda b: edit_json(b / "fold-0" / "fold.json", lambda f: f.update(key="other")),
            "fold-*/fold.json: key: found ['', 'other']",
        ),
        (
            lambda b: edit_json(b / "fold-0" / "fold.json", lambda f: f.pop("files")),
            "fold-0/fold.json: files is missing; it must be an object",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_something_else_is_found_though_the_hashes_are_made_again(
    bundle, change, message
):
    change(bundle)
    hash_again(bundle)
    assert message in differences(bundle)


def test_whoever_validates_was_not_trained_on(bundle):
    write_config(bundle, CONFIG | {"protocol": CONFIG["protocol"] | {"selection": "validation"}})
    edit_json(bundle / "results.json", lambda found: found.update(selection="validation"))
    hash_again(bundle)
    text = differences(bundle)
    assert "trained_on: found cyd, dan, recomputed nobody of the validation group" in text
    assert "curves: validation, iteration 20: found nothing" in text


def test_official_groups_cannot_be_told_from_the_config(bundle):
    edit_config(bundle, "protocol", folds="official")
    hash_again(bundle)
    assert differences(bundle) == ""


def test_a_stage_that_was_left_out_may_have_seen_nobody(bundle):
    stages = CONFIG["stages"] | {"spatial": {"iterations": 0, "measure_every": 10}}
    write_config(bundle, CONFIG | {"stages": stages})
    for fold, subjects in enumerate(GROUPS):
        directory = bundle / f"fold-{fold}"
        tables = read_tables(directory, CLASSES)
        kept = [p for p in tables.curves if p.stage != "spatial"]
        kept.insert(0, CurvePoint(fold, "spatial", 0, "test", 0.5, 1.0))
        write_stages(bundle, fold, ("spatial",), kept)
        edit_json(directory / "spatial" / "stage.json", lambda record: record.update(trained_on=[]))
        tables = Tables(tables.clips, tables.segments, tables.streams, tuple(kept))
        write_fold(bundle, fold, tables, subjects=subjects, classes=CLASSES)
    assemble(bundle, HEADER, excluded_clips())
    hash_again(bundle)
    assert differences(bundle) == ""


def test_the_verdict_as_json(bundle, capsys):
    assert main([str(bundle), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["passed"], found["differences"]) == ("doubtful", True, [])
    edit_json(bundle / "results.json", lambda found: found.update(chance="1/3"))
    assert main([str(bundle), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["passed"]) == ("differs", False)
    keys = [one["key"] for one in found["differences"]]
    assert keys == ["results.json", "chance"]
    assert found["differences"][1] == {
        "file": "results.json", "key": "chance", "found": "1/3", "recomputed": 1 / 3,
    }  # fmt: skip
    (bundle / "folds.json").write_text("{", encoding="utf-8")
    assert main([str(bundle), "--json"]) == 1
    json.loads(capsys.readouterr().out)


def test_doubtful_things_fail_where_one_is_strict(bundle, capsys):
    assert main([str(bundle)]) == 0
    assert "doubtful: 6 subjects: with fewer than 12" in capsys.readouterr().out
    assert main([str(bundle), "--strict"]) == 1
    assert "1 doubtful things (--strict)" in capsys.readouterr().err
    edit_json(bundle / "environment.json", lambda found: found.update(commit="abc+"))
    hash_again(bundle)
    (bundle / "fold-0" / "more.csv").write_text("a\n", encoding="utf-8")
    assert doubts(bundle)[1:] == [
        "commit abc+ of environment.json: the code is in no commit",
        "files that files.json does not name: fold-0/more.csv",
    ]


def test_of_several_seeds_each_is_doubted(seeds):
    assert [doubt[:18] for doubt in doubts(seeds)] == ["seed-10: 6 subject", "seed-9: 6 subjects"]


def test_runs_without_torch(bundle):
    code = (
        "import sys; from vfer.verify import main; status = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    assert subprocess.run([sys.executable, "-c", code, bundle], check=False).returncode == 0
    command = [sys.executable, "-m", "vfer.verify", bundle]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def crossed(tmp_path):
    """A bundle of models that were trained elsewhere, and tested on everybody."""
    output = tmp_path / "crossed"
    output.mkdir()
    everybody = sorted(s for group in GROUPS for s in group)
    parts = [make_fold(fold) for fold in range(len(GROUPS))]
    clips = tuple(replace(row, fold=0) for tables in parts for row in tables.clips)
    segments = tuple(replace(row, fold=0) for tables in parts for row in tables.segments)
    write_folds(output / "folds.json", [everybody])
    write_config(output, CONFIG)
    corpus = {"name": "toy", "classes": CLASSES, "clips": len(clips), "fingerprint": "0"}
    write_json(output / "environment.json", {"commit": "abc", "corpus": corpus})
    write_facts(output, clips)
    run = {"name": "elsewhere", "corpus": "other", "classes": CLASSES, "files": "0"}
    models = [{"fold": k, "weights": "0", "videos": [video_of(f"other/{k}")]} for k in range(2)]
    write_models(output, run, models)
    write_fold(output, 0, Tables(clips, segments), subjects=everybody, classes=CLASSES)
    assemble(output, replace(HEADER, protocol="cross_corpus"))
    seal(output)
    return output


def test_models_on_a_corpus_that_they_have_not_seen(crossed):
    assert differences(crossed) == ""
    assert read_json(crossed / "results.json")["protocol"] == {"name": "cross_corpus", "groups": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["models"][1]["videos"].append(video_of("ada/anger, take 0")),
            "models.json: model of fold 1: videos: found ada/anger, take 0, recomputed no clip",
        ),
        (lambda m: m["models"].clear(), "models.json: models: found none"),
        (lambda m: m["models"][0].update(videos=[]), "trained on nothing"),
        (lambda m: m["run"].update(classes=["anger", "sadness"]), "classes: found happiness"),
        (lambda m: m.pop("run"), "models.json: (cannot be read): found 'run'"),
    ],
)
def test_what_the_models_have_seen_is_checked(crossed, change, message):
    edit_json(crossed / "models.json", change)
    hash_again(crossed)
    assert message in differences(crossed)


def test_the_record_of_the_models_must_be_there(crossed):
    (crossed / "models.json").unlink()
    hash_again(crossed)
    assert "files.json: models.json: found not listed" in differences(crossed)
    assert "models.json: (cannot be read)" in differences(crossed)
