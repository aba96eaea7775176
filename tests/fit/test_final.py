"""The final model: trained on everybody, beside the folds; no figure is of it, and it verifies."""

import shutil
from pathlib import Path
from statistics import median_low

import pytest
from safetensors.numpy import load_file

from vfer.fit.main import main
from vfer.fit.module import StageModule
from vfer.results.bundle import seal
from vfer.results.tables import TABLES
from vfer.runtime.files import read_json, sha256, write_json
from vfer.verify import main as verify
from vfer.verify import verify as differences

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
STAGES = ("spatial", "temporal", "vlan")
DESCRIPTOR = '''
class Grey:
    """Grey values of a few places."""

    deterministic = True

    def describe(self, crops):
        return crops[:, ::50, ::50].mean(axis=(0, 3)).reshape(-1)
'''


@pytest.fixture(scope="module")
def fit(tmp_path_factory, facs_words):
    """A function that runs vfer.fit on the tiny corpus, crops shared; returns its exit status."""
    cache = tmp_path_factory.mktemp("cache")

    def run(output, *more):
        given = ["--config", TINY, *facs_words, "--data.cache", cache, "--output", output, *more]
        return main([str(word) for word in given])

    return run


@pytest.fixture(scope="module")
def without(fit, tmp_path_factory):
    """A bundle of two folds without a final model."""
    output = tmp_path_factory.mktemp("without") / "run"
    assert fit(output) == 0
    return output


@pytest.fixture(scope="module")
def bundle(without, fit, tmp_path_factory):
    """The same, to which a final model was added."""
    output = tmp_path_factory.mktemp("final") / "run"
    shutil.copytree(without, output)
    assert fit(output, "--final") == 0
    return output


@pytest.fixture
def changed(bundle, tmp_path):
    """A copy of the bundle, to be changed."""
    return Path(shutil.copytree(bundle, tmp_path / "changed"))


def record_of(run, stage="vlan"):
    return read_json(run / "final" / stage / "stage.json")


def everybody(run):
    return sorted(name for group in read_json(run / "folds.json").values() for name in group)


def test_it_has_seen_everybody_is_tested_on_nobody_and_the_bundle_verifies(bundle, capsys):
    assert verify([str(bundle)]) == 0, capsys.readouterr().out
    listed = read_json(bundle / "files.json")
    for stage in STAGES:
        record = record_of(bundle, stage)
        assert record["trained_on"] == everybody(bundle)
        assert len(record["videos"]) == 18  # 3 people, 6 emotions
        assert record["fold"] is None
        assert {point["split"] for point in record["curves"]} == {"train"}
        for name in ("stage.json", "weights.safetensors"):
            path = f"final/{stage}/{name}"
            assert listed[path] == sha256(bundle / path)
    made = read_json(bundle / "environment.json")["made_with"]
    assert {"final/vlan", "fold-0/vlan"} <= {stage for one in made for stage in one["stages"]}


def test_no_figure_and_no_fold_changes_by_it(without, bundle):
    for name in ("results.json", "folds.json", *TABLES, "clips.csv", "faces.json"):
        assert (bundle / name).read_bytes() == (without / name).read_bytes()
    for stage in STAGES:
        fold, final = (load_file(bundle / one / stage / "weights.safetensors")
                       for one in ("fold-0", "final"))  # fmt: skip
        before = without / "fold-0" / stage / "weights.safetensors"
        assert sha256(before) == sha256(bundle / "fold-0" / stage / "weights.safetensors")
        assert fold.keys() == final.keys()
        assert any((fold[name] != final[name]).any() for name in fold)


def test_interrupted_the_result_stays_and_it_ends_with_the_same_bytes(
    bundle, without, fit, tmp_path, monkeypatch, capsys
):
    run = Path(shutil.copytree(without, tmp_path / "run"))
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if module.randomness.stage == "vlan" and module.global_step == 2:
            raise RuntimeError("killed")
        return step_of(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "training_step", step)
        assert fit(run, "--final") == 1
    assert not (run / "final" / "vlan").exists()
    assert verify([str(run)]) == 0, capsys.readouterr().out  # LOSGO is as it was
    spatial = (run / "final" / "spatial" / "stage.json").stat().st_mtime_ns
    assert fit(run, "--final") == 0
    assert (run / "final" / "spatial" / "stage.json").stat().st_mtime_ns == spatial
    for stage in STAGES:
        for name in ("weights.safetensors", "stage.json"):
            path = f"final/{stage}/{name}"
            assert (run / path).read_bytes() == (bundle / path).read_bytes()
    assert fit(run) == 0  # without the option it stays, and is listed
    assert "final/vlan/stage.json" in read_json(run / "files.json")
    assert verify([str(run)]) == 0, capsys.readouterr().out


def edit(run, stage, **changes):
    write_json(run / "final" / stage / "stage.json", record_of(run, stage) | changes)


TAMPERED = {
    "fewer people": (lambda run: {"trained_on": everybody(run)[1:]}, "trained_on: found not 1"),
    "more people": (
        lambda run: {"trained_on": [*everybody(run), "eve"]}, "trained_on: found eve",
    ),
    "fewer videos": (
        lambda run: {"videos": record_of(run)["videos"][1:]}, "videos: found not those of ",
    ),
    "other videos": (
        lambda run: {"videos": [*record_of(run)["videos"], "0" * 64]}, "videos: found others",
    ),
    "a fold": (lambda _: {"fold": 2}, "fold: found 2"),
    "other classes": (lambda _: {"classes": ["anger", "fear"]}, "classes: found ['anger'"),
    "another end": (lambda _: {"iteration": 3}, "iteration: found 3, recomputed 4, of config.yaml"),
    "a test": (
        lambda run: {"curves": [{**record_of(run)["curves"][0], "split": "test"}]},
        "curves: found points of test",
    ),
    "no record": (lambda _: {"trained_on": None}, "(cannot be read)"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_verify_sees_a_record_that_does_not_fit_though_all_hashes_do(what, changed):
    change, said = TAMPERED[what]
    edit(changed, "vlan", **change(changed))
    seal(changed)
    found = [str(one) for one in differences(changed)]
    assert any(one.startswith("final/vlan/stage.json: ") and said in one for one in found), found


def test_verify_sees_other_weights_and_a_model_that_is_not_on_the_list(changed):
    listed = read_json(changed / "files.json")
    path = "final/vlan/weights.safetensors"
    (changed / path).write_bytes(b"others")
    assert [(one.file, one.key) for one in differences(changed)] == [("files.json", path)]
    write_json(changed / "files.json", {k: v for k, v in listed.items() if k != path})
    assert [str(one) for one in differences(changed)] == [
        f"files.json: {path}: found not listed, recomputed a SHA-256"
    ]


def test_where_folds_chose_their_iterations_it_is_trained_for_their_median(fit, tmp_path, capsys):
    more = ("--protocol.selection", "validation", "--protocol.folds.groups", 3,
            "--stages.spatial.measure_every", 1)  # fmt: skip
    assert fit(tmp_path / "run", *more, "--final") == 0
    run = tmp_path / "run"
    for stage in STAGES:
        chosen = [read_json(run / f"fold-{k}" / stage / "stage.json") for k in range(3)]
        assert record_of(run, stage)["iteration"] == median_low(r["iteration"] for r in chosen)
        assert record_of(run, stage)["trained_on"] == everybody(run)
    assert verify([str(run)]) == 0, capsys.readouterr().out
    edit(run, "vlan", iteration=1)
    seal(run)
    assert any("the median of the folds' choice" in str(one) for one in differences(run))


def test_with_a_descriptor_its_classifier_is_fitted_to_everybody(
    fit, tmp_path, monkeypatch, capsys
):
    (tmp_path / "final_plugs.py").write_text(DESCRIPTOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    run = tmp_path / "run"
    assert fit(run, "--model.descriptor", "final_plugs.Grey", "--final") == 0
    record = record_of(run, "classifier")
    assert record["trained_on"] == everybody(run)
    assert load_file(run / "final" / "classifier" / "training.safetensors")
    assert verify([str(run)]) == 0, capsys.readouterr().out


def test_a_stage_starts_from_the_final_model_of_another_bundle(bundle, without, fit, tmp_path):
    start = ("--stages.spatial.iterations", 0, "--stages.spatial.from")
    assert fit(tmp_path / "run", *start, bundle, "--final") == 0
    ours, theirs = (load_file(run / "final" / "spatial" / "weights.safetensors")
                    for run in (tmp_path / "run", bundle))  # fmt: skip
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert verify([str(tmp_path / "run")]) == 0


def test_a_bundle_without_one_cannot_be_started_from(without, fit, tmp_path, capsys):
    assert fit(tmp_path / "run", "--stages.spatial.from", without, "--final") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no finished stage" in said
    assert "vfer.fit --final on that bundle makes it" in said
    assert not (tmp_path / "run" / "fold-0").exists()


def test_it_waits_for_the_folds(fit, tmp_path, capsys):
    assert fit(tmp_path / "run", "--fold", 0, "--final") == 0
    assert "the final model is trained after them" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "run" / "final").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seeds", 2), "--final trains one model, and --seeds is 2"),
        (("--regroup", 2), "--final trains one model, and --regroup is 2"),
        (("--protocol.control", "still_frame"), "protocol.control is still_frame"),
    ],
)
def test_where_there_is_no_one_model_it_is_refused_before_any_work(
    more, said, fit, tmp_path, capsys
):
    assert fit(tmp_path / "run", *more, "--final") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
