"""The whole command on the smallest corpus: what it leaves, what it refuses, how it goes on."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from torchvision.models import alexnet

from vfer.corpora.facs.files import write_video
from vfer.fit.main import main
from vfer.fit.module import StageModule
from vfer.results.tables import STAGES, read_tables
from vfer.runtime.files import lock, read_json
from vfer.verify import main as verify
from vfer.video import read_frames

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = CONFIGS / "tiny.yaml"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def fit(output, cache, *more, config=TINY):
    given = ["--config", config, "--output", output, "--data.cache", cache, *more]
    return main([str(word) for word in given])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, cache):
    output = tmp_path_factory.mktemp("runs") / "tiny"
    assert fit(output, cache) == 0
    return output


@pytest.fixture(scope="module")
def corpus_root(bundle, cache):  # rendered by the run
    return next(cache.glob("facs-*"))


def results(output):
    return json.loads((output / "results.json").read_text())


def bytes_of(output, *names):
    return [(output / name).read_bytes() for name in names]


def test_the_bundle_is_whole_and_verifies(bundle, capsys):
    assert verify([str(bundle)]) == 0, capsys.readouterr().out
    found = results(bundle)
    assert found["corpus"] == "facs"
    assert found["protocol"] == {"name": "losgo", "groups": 2}
    assert found["coverage"] == {
        "clips": 24, "scored": 24, "no_face": 0, "unreadable": 0, "excluded": 0,
    }  # fmt: skip
    tables = read_tables(bundle, found["classes"])
    assert len(tables.clips) == 24
    assert all(row.segments == 2 for row in tables.clips)
    assert {(p.stage, p.iteration) for p in tables.curves if p.split == "test"} == {
        *(("spatial", 3), ("spatial", 6), ("temporal", 3), ("temporal", 6)),
        *(("vlan", 2), ("vlan", 4)),
    }
    for name in ("config.yaml", "environment.json", "figures/confusion.png", "figures/crops.png"):
        assert (bundle / name).stat().st_size > 100
    for stage, layers in (("spatial", "stream."), ("vlan", "streams.temporal.")):
        weights = load_file(bundle / "fold-1" / stage / "weights.safetensors")
        assert f"{layers}features.0.weight" in weights
        assert all(np.isfinite(w).all() for w in weights.values())
    assert (bundle / "fold-1" / "vlan" / "metrics.csv").is_file()


def test_the_stages_start_from_the_ones_before(bundle):
    def weights(stage):
        return load_file(bundle / "fold-0" / stage / "weights.safetensors")

    name = "features.0.weight"
    spatial, vlan = weights("spatial")[f"stream.{name}"], weights("vlan")[f"streams.spatial.{name}"]
    other = load_file(bundle / "fold-1" / "spatial" / "weights.safetensors")[f"stream.{name}"]
    assert 0 < np.abs(vlan - spatial).mean() < 0.2 * np.abs(other - spatial).mean()


def test_the_same_seed_gives_the_same_bundle_and_several_a_summary(bundle, cache, tmp_path, capsys):
    output = tmp_path / "seeds"
    assert fit(output, cache, "--seeds", 2) == 0
    said = capsys.readouterr().out
    assert "mean ± std over seeds" in said
    assert "4 subjects: with fewer than 12" in said
    names = ("predictions.csv", "segments.csv", "streams.csv", "curves.csv", "results.json")
    assert bytes_of(output / "seed-0", *names) == bytes_of(bundle, *names)
    assert bytes_of(output / "seed-1", "segments.csv") != bytes_of(bundle, "segments.csv")
    found = results(output)
    assert (found["seeds"], found["bundles"]) == ([0, 1], ["seed-0", "seed-1"])
    means = [results(output / name)["accuracy"]["mean"] for name in found["bundles"]]
    assert found["accuracy"]["values"] == means
    assert verify([str(output)]) == 0
    environment = json.loads((output / "seed-1" / "environment.json").read_text())
    assert environment["group"].startswith("seeds-seed-1-")
    before = (output / "seed-1" / "files.json").stat().st_mtime_ns
    kept = output / "seed-1" / "fold-0" / "vlan" / "weights.safetensors"
    trained = kept.stat().st_mtime_ns
    assert fit(output, cache, "--seeds", 2) == 0
    assert kept.stat().st_mtime_ns == trained
    assert (output / "seed-1" / "files.json").stat().st_mtime_ns > before
    capsys.readouterr()
    assert fit(output, cache, "--seeds", 2, "--protocol.seed", 1) == 2
    assert "holds seed-0 as well" in capsys.readouterr().err
    assert fit(output, cache) == 2
    assert "holds several runs (--seeds N or --regroup N)" in capsys.readouterr().err
    assert fit(bundle, cache, "--seeds", 2) == 2
    assert "holds a single run" in capsys.readouterr().err
    assert fit(output, cache, "--seeds", 0) == 2
    assert "--seeds is 0; it must be between 1 and 1000" in capsys.readouterr().err


def test_several_group_assignments_each_a_bundle_and_their_summary(
    bundle, cache, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "groups"
    assert fit(output, cache, "--regroup", 2) == 0
    said = capsys.readouterr().out
    assert "groups 1 (2 of 2)" in said
    assert "mean ± std over group assignments" in said
    names = ("predictions.csv", "segments.csv", "folds.json", "results.json")
    assert bytes_of(output / "groups-0", *names) == bytes_of(bundle, *names)  # the config's own
    folds = [json.loads((output / f"groups-{k}" / "folds.json").read_text()) for k in (0, 1)]
    assert sorted(folds[0].values()) != sorted(folds[1].values())
    found = results(output)
    assert (found["seeds"], found["assignments"]) == ([0], [0, 1])
    means = [results(output / name)["accuracy"]["mean"] for name in ("groups-0", "groups-1")]
    assert found["accuracy"]["values"] == means
    assert found["accuracy"]["std"] == pytest.approx(np.std(means, ddof=1))
    assert verify([str(output)]) == 0
    config = yaml.safe_load((output / "groups-1" / "config.yaml").read_text())
    assert config["protocol"]["folds"]["seed"] == 1

    def train(*_):
        pytest.fail("trained again")

    monkeypatch.setattr("vfer.fit.stages.fit_network", train)
    assert fit(output, cache, "--regroup", 2) == 0  # resumed: all is there
    assert fit(output, cache, "--regroup", 1) == 2
    assert "holds several runs" in capsys.readouterr().err
    assert fit(output, cache, "--seeds", 2) == 2
    assert "holds groups-0, groups-1 as well" in capsys.readouterr().err
    assert fit(tmp_path / "many", cache, "--regroup", 9) == 2  # of 4 subjects in 2 groups
    assert re.search(r"gives the groups of \d.*Take --regroup [23]", capsys.readouterr().err)
    assert not (tmp_path / "many").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", 2), "--seeds is 2 and --regroup 2: one spread at a time"),
        (("--protocol.folds.groups", "subjects"), "one of each subject"),
        (("--protocol.folds", "official"), "the groups are official"),
        (("--protocol.folds.subjects", "[[a], [b]]"), "given by hand"),
        (("--protocol.folds.apart", "[subject, sentence]"), "tested on other clips"),
    ],
)
def test_groups_that_cannot_be_dealt_again_are_refused(words, said, cache, tmp_path, capsys):
    assert fit(tmp_path / "out", cache, "--regroup", 2, *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_goes_on_with_the_stage_it_had_reached(bundle, cache, tmp_path):
    output = tmp_path / "tiny"
    shutil.copytree(bundle, output)
    for name in ("results.json", "files.json", "fold-1/fold.json"):
        (output / name).unlink()
    shutil.rmtree(output / "fold-1" / "vlan")
    kept = output / "fold-1" / "temporal" / "weights.safetensors"
    before = kept.stat().st_mtime_ns
    assert fit(output, cache) == 0
    assert kept.stat().st_mtime_ns == before
    names = ("predictions.csv", "segments.csv", "fold-1/vlan/weights.safetensors", "results.json")
    assert bytes_of(output, *names) == bytes_of(bundle, *names)
    assert verify([str(output)]) == 0


def test_ctrl_c_is_status_130_and_the_run_goes_on(bundle, cache, tmp_path, capsys, monkeypatch):
    def interrupt(module, batch, batch_idx):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "training_step", interrupt)
        assert fit(tmp_path / "tiny", cache) == 130
    assert "resumes here" in capsys.readouterr().err
    assert not (tmp_path / "tiny" / "fold-0" / "spatial").exists()
    assert fit(tmp_path / "tiny", cache) == 0
    assert bytes_of(tmp_path / "tiny", "segments.csv") == bytes_of(bundle, "segments.csv")


def test_a_training_that_diverges_is_said_to(cache, tmp_path, capsys):
    assert fit(tmp_path / "run", cache, "--stages.spatial.optimizer.lr", 1e30) == 1
    error = capsys.readouterr().err
    assert "fold 0 spatial" in error
    assert "diverged" in error


def test_a_bundle_whose_third_stage_was_measured_less_often_verifies(cache, tmp_path, capsys):
    often = ("--stages.vlan.iterations", 12, "--stages.vlan.measure_every", 1)
    few = ("--stages.spatial.iterations", 0, "--stages.temporal.iterations", 0)
    assert fit(tmp_path / "run", cache, *often, *few) == 0
    curves = read_tables(
        tmp_path / "run", read_json(tmp_path / "run/results.json")["classes"]
    ).curves
    tested = {p.iteration for p in curves if (p.stage, p.split) == ("vlan", "test")}
    assert tested == {11, 12}
    assert verify([str(tmp_path / "run")]) == 0
    assert "everything agrees" in capsys.readouterr().out


def test_another_config_on_the_same_output_is_refused(bundle, cache, capsys):
    before = (bundle / "config.yaml").read_bytes()
    assert fit(bundle, cache, "--stages.vlan.iterations", 5, "--model.pool", "frame") == 2
    said = capsys.readouterr().err
    assert "differing keys: model.pool, stages.vlan.iterations." in said
    assert (bundle / "config.yaml").read_bytes() == before
    assert fit(bundle, cache, "--data.workers", 2) == 0  # changes no number


def test_a_folder_that_is_no_run_is_left_alone(tmp_path, cache, capsys):
    (tmp_path / "thesis.tex").write_text("\\documentclass")
    assert fit(tmp_path, cache) == 2
    assert "--output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.segment_lenght", "3"], "--data.segment_lenght"),
        (["--data.segment_length", "21"], "segment_length is 21; it must be between 2 and 20"),
        (["--fold", "2"], "folds 0 to 1"),
        (["--fold", "first"], "'first'"),
        (
            ["--protocol.folds.groups", "5"],
            "groups is 5; it must be at least 2 and at most data.facs.subjects, 4",
        ),
        (["--model.variant", "vgg"], "model.variant"),
        (["--model.weights", "nowhere.pth", "--model.width", "1"], "no file nowhere.pth"),
        (["--data.corpus", "enterface05"], "--data.root PATH"),
        (["--data.corpus", "enterface05", "--data.root", "nowhere"], "s1_an_1.avi"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words, said, bundle, cache, tmp_path, capsys):
    assert fit(tmp_path / "new", cache, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new" / "config.yaml").exists()


def test_a_misspelt_key_in_a_config_file_is_named(tmp_path, cache, capsys):
    config = yaml.safe_load(TINY.read_text())
    config["stages"]["spatial"]["iteratons"] = 3
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    assert fit(tmp_path / "new", cache, config=path) == 2
    assert "iteratons" in capsys.readouterr().err


def test_folds_run_apart_are_merged_and_bad_clips_are_misses(
    bundle, corpus_root, cache, tmp_path, capsys
):
    """The eNTERFACE'05 adapter on a copy with quirks: one clip broken, one without a face."""
    root = tmp_path / "enterface database"
    shutil.copytree(corpus_root, root / "extra")
    videos = sorted(root.rglob("*.avi"))
    broken, faceless = videos[0], videos[-1]
    broken.write_bytes(broken.read_bytes()[:200])
    shape = read_frames(faceless)[0].shape
    write_video(faceless, np.random.default_rng(0).integers(0, 255, shape, np.uint8), 25)
    whole = root / "extra" / "subject 9" / "anger" / "s9_an.avi"
    whole.parent.mkdir(parents=True)
    shutil.copy(videos[1], whole)

    words = ("--data.corpus", "enterface05", "--data.root")
    output = tmp_path / "run"
    assert fit(output, cache, *words, root, "--fold", 1) == 0
    said = capsys.readouterr().out
    assert "waiting for folds 0" in said
    assert not (output / "results.json").exists()
    assert fit(output, cache, *words, corpus_root, "--fold", 0) == 2  # not the same videos
    assert "other videos" in capsys.readouterr().err
    elsewhere = root.rename(tmp_path / "elsewhere")  # as on another machine
    assert fit(output, cache, *words, elsewhere, "--fold", 0) == 0
    said += capsys.readouterr().out
    counts = re.findall(r"(\d+) to test(?:, of which (\d+) have no usable crops)?", said)
    assert sum(int(tested) for tested, _ in counts) == 24
    assert sum(int(misses or 0) for _, misses in counts) == 2  # and count as wrong
    assert verify([str(output)]) == 0, capsys.readouterr().out
    found = results(output)
    assert found["corpus"] == "enterface05"
    assert found["coverage"] == {
        "clips": 25, "scored": 22, "no_face": 1, "unreadable": 1, "excluded": 1,
    }  # fmt: skip
    rows = {row.clip: row for row in read_tables(output, found["classes"]).clips}
    names = [path.relative_to(root / "extra").with_suffix("").as_posix() for path in
             (broken, faceless, whole)]  # fmt: skip
    assert [rows[name].status for name in names] == ["unreadable", "no_face", "excluded"]
    assert all(rows[name].reason for name in names)
    right = sum(row.prediction(found["classes"]) == row.label for row in rows.values())
    assert found["accuracy"]["pooled"] == pytest.approx(right / 24)


def test_the_papers_config_runs_on_a_tree_of_that_layout(corpus_root, cache, tmp_path, capsys):
    """At full size: 227 px, L = 16, torchvision's AlexNet from a file; few steps, one fold."""
    torch.save(alexnet().state_dict(), tmp_path / "alexnet.pth")
    few = (
        *("--data.root", corpus_root, "--data.workers", 1, "--data.windows.per_clip", 1),
        *("--model.weights", tmp_path / "alexnet.pth", "--fold", 0, "--logger.wandb", "disabled"),
        *("--trainer.enable_progress_bar", "false", "--trainer.log_every_n_steps", 1),
        *("--protocol.folds.groups", 4),
        *(w for s in ("spatial", "temporal", "vlan") for w in
          (f"--stages.{s}.iterations", 1, f"--stages.{s}.batch_size", 2)),
    )  # fmt: skip
    assert fit(tmp_path / "run", cache, *few, config=CONFIGS / "enterface.yaml") == 0
    record = json.loads((tmp_path / "run" / "fold-0" / "vlan" / "stage.json").read_text())
    assert (record["frames"], record["model"]["input_size"]) == (15, 227)
    start = torch.load(tmp_path / "alexnet.pth")
    weights = load_file(tmp_path / "run" / "fold-0" / "spatial" / "weights.safetensors")
    name = "features.0.weight"
    near = np.abs(weights[f"stream.{name}"] - start[name].numpy()).max()
    assert 0 < near < 0.01 * start[name].abs().max()
    shutil.rmtree(tmp_path / "run")  # a gigabyte


def test_missing_data_is_said_before_missing_weights(cache, tmp_path, capsys):
    assert fit(tmp_path / "run", cache, config=CONFIGS / "enterface.yaml") == 2
    assert "--data.root PATH" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_parses(path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--config", str(path), "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    given = yaml.safe_load(path.read_text())
    assert printed["data"]["corpus"] == given["data"]["corpus"]


def test_enterface_holds_the_papers_settings(capsys):
    with pytest.raises(SystemExit):
        main(["--config", str(CONFIGS / "enterface.yaml"), "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["segment_length"] == 16
    assert config["data"]["windows"]["per_clip"] == 15
    assert (config["model"]["input_size"], config["model"]["weights"]) == (227, "imagenet")
    for stage in (config["stages"][name] for name in STAGES):
        assert (stage["iterations"], stage["batch_size"]) == (5000, 40)
        assert stage["optimizer"]["lr"] == 0.001


def test_the_environment_is_that_in_which_each_stage_was_trained(tmp_path, facs_words):
    """Folds of different settings are told; running a finished bundle again changes nothing."""
    output = tmp_path / "run"
    given = ["--config", str(CONFIGS / "tiny.yaml"), "--data.cache", str(tmp_path / "cache"),
             "--output", str(output), *facs_words]  # fmt: skip
    before = torch.get_num_threads()
    try:
        assert main([*given, "--fold", "0"]) == 0
        torch.set_num_threads(before + 1)
        assert main(given) == 0
        record = read_json(output / "environment.json")
        torch.set_num_threads(before + 2)
        assert main(given) == 0
    finally:
        torch.set_num_threads(before)
    assert read_json(output / "environment.json") == record
    assert record["threads"] == before
    stages = {one["threads"]: one["stages"] for one in record["made_with"]}
    names = ("spatial", "temporal", "vlan")
    assert stages == {before + k: [f"fold-{k}/{name}" for name in names] for k in (0, 1)}
    assert verify([str(output)]) == 0


def test_processes_share_the_folds_of_one_output(bundle, cache, tmp_path, capsys):
    output = tmp_path / "shared"
    with lock(output, "fold 0 of", part=1):
        assert fit(output, cache, "--fold", 0) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert f"another process (process {os.getpid()} on " in said
        assert "is using fold 0 of" in said
        assert fit(output, cache) == 0
        said = capsys.readouterr().out
        assert "is using fold 0 of" in said
        assert "waiting for folds 0" in said
        assert not (output / "results.json").exists()
    command = [sys.executable, "-m", "vfer.fit", "--config", TINY, "--output", output,
               "--data.cache", cache]  # fmt: skip
    threads = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # the same bytes
    both = [
        subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, env=threads)
        for _ in range(2)
    ]
    said = [process.communicate()[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("fold 0: accuracy" in one for one in said) == 1, said  # trained once
    assert verify([str(output)]) == 0
    names = ("predictions.csv", "segments.csv", "streams.csv", "curves.csv", "results.json")
    assert bytes_of(output, *names) == bytes_of(bundle, *names)


def test_folders_of_folds_alone_become_a_bundle_where_they_are_of_one_run(
    bundle, cache, tmp_path, capsys
):
    output = tmp_path / "joined"
    for number in (0, 1):
        shutil.copytree(bundle / f"fold-{number}", output / f"fold-{number}")
    kept = output / "fold-0" / "fold.json"
    trained = kept.read_bytes()
    assert fit(output, cache, "--protocol.seed", 5) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "fold-0, fold-1 in" in said
    assert "made from another config" in said
    assert kept.read_bytes() == trained
    assert not (output / "config.yaml").exists()
    assert fit(output, cache) == 0
    assert capsys.readouterr().out.count("done before") == 2
    assert verify([str(output)]) == 0
    names = ("predictions.csv", "segments.csv", "streams.csv", "curves.csv", "results.json")
    assert bytes_of(output, *names) == bytes_of(bundle, *names)
