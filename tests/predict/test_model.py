"""Models of bundles of every kind: they say what training recorded, and read nothing that runs."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vfer.faces.quality import brightness
from vfer.predict.load import load_model
from vfer.predict.quality import Limits
from vfer.results.faces import read_faces
from vfer.results.tables import read_tables
from vfer.runtime.console import UsageError

KINDS = {
    "both": [],
    "spatial": ["--model.streams", "spatial", "--model.insert_after", "fc6"],
    "frame": ["--model.pool", "frame", "--stages.schema", "non_trained"],
    "caffe": ["--model.variant", "caffe", "--model.streams", "temporal"],
    "network": ["--model.network", "predict_plugs.Small"],
    "descriptor": ["--model.descriptor", "predict_plugs.Pixels"],
}


def tables_of(run):
    classes = json.loads((run / "results.json").read_text())["classes"]
    return read_tables(run, classes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folds_model_says_of_its_test_clips_what_is_in_the_bundle(kind, fitted, store, plugs):
    run = fitted(kind, *KINDS[kind])
    tables = tables_of(run)
    for fold in (0, 2):
        model = load_model(run, fold=fold, trust_code=True)
        assert model.info().folds == (fold,)
        clip = next(row for row in tables.clips if row.fold == fold)
        segments = [row for row in tables.segments if row.clip == clip.clip]
        found = model.score_clip(store.crops(clip.clip), calibrated=False)
        assert found.starts.tolist() == [row.start for row in segments]
        said = np.array([row.probabilities for row in segments])
        np.testing.assert_allclose(found.windows, said, atol=2e-5)
        np.testing.assert_allclose(found.clip, clip.probabilities, atol=2e-5)


def test_several_folds_answer_with_their_mean_and_one_temperature(bundle, store):
    crops = np.array(store.crops(tables_of(bundle).clips[0].clip))
    folds = [load_model(bundle, fold=k).score_clip(crops, [0, 3]) for k in range(3)]
    whole = load_model(bundle)
    assert whole.info().folds == (0, 1, 2)
    found = whole.score_clip(crops, [0, 3])
    np.testing.assert_allclose(found.windows, np.mean([f.windows for f in folds], 0), atol=1e-12)
    np.testing.assert_allclose(found.windows.sum(1), 1, atol=1e-12)
    assert whole.temperature == load_model(bundle, fold=1).temperature


@pytest.mark.parametrize("kind", ["both", "descriptor"])
def test_the_final_model_answers_where_it_is_asked_for_with_the_temperature_of_the_folds(
    kind, fitted, store, plugs, tmp_path
):
    run = fitted(f"final-{kind}", *KINDS[kind], "--final")
    clip = tables_of(run).clips[0].clip
    final, folds = (load_model(run, fold=k, trust_code=True) for k in ("final", None))
    assert (final.info().folds, folds.info().folds) == (("final",), (0, 1, 2))
    assert final.temperature == folds.temperature != 1
    assert any(
        "cross-validation measured the models of the folds, not this" in n
        for n in final.bundle.notes
    )
    assert not folds.bundle.notes
    crops = np.array(store.crops(clip))
    said = final.score_clip(crops).clip
    assert np.abs(said - folds.score_clip(crops).clip).max() > 1e-6
    for k in range(3):
        shutil.copytree(run, alone := tmp_path / f"{k}")
        for fold in range(k + 1):
            shutil.rmtree(alone / f"fold-{fold}")
    assert load_model(alone, trust_code=True).info().folds == ("final",)  # where there is no other
    np.testing.assert_array_equal(load_model(alone, trust_code=True).score_clip(crops).clip, said)
    assert load_model(tmp_path / "0", trust_code=True).info().folds == (1, 2)


@pytest.mark.parametrize("kind", ["both", "network"])
def test_windows_that_share_frames_get_what_each_gets_alone(kind, fitted, store, plugs):
    run = fitted(kind, *KINDS[kind])
    model = load_model(run, trust_code=True)
    crops = np.array(store.crops(tables_of(run).clips[0].clip))
    starts = list(range(len(crops) - model.length + 1))
    together = model.score_clip(crops, starts).windows
    for start, row in zip(starts, together, strict=True):
        alone = model.score_clip(crops[start : start + model.length], [0]).windows[0]
        np.testing.assert_allclose(row, alone, atol=1e-6)


def test_a_short_clip_has_its_ends_repeated_and_odd_crops_are_refused(bundle, store):
    model = load_model(bundle, fold=0)
    crops = np.array(store.crops(tables_of(bundle).clips[0].clip))
    short = model.score_clip(crops[:1]).clip
    still = model.score_clip(crops[[0, 0, 0, 0]]).clip
    np.testing.assert_allclose(short, still, atol=1e-6)
    with pytest.raises(ValueError, match=r"crops are float32 .*not uint8 \(T, 150, 110, 3\)"):
        model.score_clip(crops.astype(np.float32))
    with pytest.raises(ValueError, match="cannot start at 9"):
        model.score_clip(crops, [9])


def test_the_frame_rate_and_length_of_the_training_clips_are_known(bundle, fitted, plugs):
    info = load_model(bundle, fold=0).info()
    assert (info.frame_rate, info.length, info.corpus) == (25.0, 4, "facs")
    described = fitted("descriptor", *KINDS["descriptor"])
    assert load_model(described, trust_code=True).info().length == 10


@pytest.mark.parametrize("kind", ["network", "descriptor"])
def test_a_class_that_a_bundle_names_is_not_imported_unless_that_is_allowed(
    kind, fitted, plugs, monkeypatch
):
    run = fitted(kind, *KINDS[kind])
    monkeypatch.delitem(sys.modules, "predict_plugs", raising=False)
    with pytest.raises(UsageError, match=r"model\.\w+: predict_plugs\.\w+.*--trust-code"):
        load_model(run)
    assert "predict_plugs" not in sys.modules


def test_what_is_no_bundle_or_has_no_such_model_is_told(bundle, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no result bundle: no config\.yaml"):
        load_model(tmp_path)
    with pytest.raises(UsageError, match=r"--fold is 7; .* of the folds 0, 1, 2"):
        load_model(bundle, fold=7)
    with pytest.raises(
        UsageError, match=r"--fold is final; .* 0, 1, 2; vfer.fit --final trains it"
    ):
        load_model(bundle, fold="final")
    with pytest.raises(UsageError, match="--device is cuda:99"):
        load_model(bundle, device="cuda:99")
    with pytest.raises(UsageError, match="--device is gpuu"):
        load_model(bundle, device="gpuu")
    shutil.copytree(bundle, tmp_path / "several" / "seed-3")
    with pytest.raises(UsageError, match=r"several bundles: give --run .*seed-3"):
        load_model(tmp_path / "several")
    (tmp_path / "empty").mkdir()
    shutil.copy(bundle / "config.yaml", tmp_path / "empty")
    with pytest.raises(UsageError, match="no finished model: there is no fold-<k>/vlan/weights"):
        load_model(tmp_path / "empty")


def test_a_bundle_of_which_folds_are_missing_uses_the_others_and_says_so(bundle, tmp_path):
    run = shutil.copytree(bundle, tmp_path / "run")
    shutil.rmtree(run / "fold-1")
    for name in ("segments.csv", "faces.json"):
        (run / name).unlink()  # as before the last fold is finished
    model = load_model(run)
    assert model.info().folds == (0, 2)
    assert any("folds 1 are not finished" in note for note in model.bundle.notes)
    assert model.info().frame_rate is None
    assert model.info().calibrated


@pytest.mark.parametrize("change", ["nan", "shape", "lost", "cut", "pickle"])
def test_weights_that_are_not_the_networks_are_refused_by_name(change, bundle, tmp_path):
    run = shutil.copytree(bundle, tmp_path / "run")
    path = run / "fold-0" / "vlan" / "weights.safetensors"
    weights = load_file(path)
    if change == "nan":
        weights["fc9.bias"][0] = torch.nan
    elif change == "shape":
        weights["fc9.bias"] = weights["fc9.bias"][:-1].clone()
    elif change == "lost":
        del weights["vlan.a"]
    save_file(weights, path)
    if change == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif change == "pickle":
        torch.save(weights, path)
    with pytest.raises(ValueError, match=r"weights\.safetensors"):
        load_model(run, fold=0)


def test_a_record_or_config_that_is_not_so_is_refused_by_name(bundle, tmp_path):
    run = shutil.copytree(bundle, tmp_path / "run")
    record, config = run / "fold-0" / "vlan" / "stage.json", run / "config.yaml"
    for text in ("[]", '{"corpus": "x", "classes": ["a", "a"]}', '{"corpus": 1}'):
        record.write_text(text)
        with pytest.raises(ValueError, match=r"stage\.json"):
            load_model(run, fold=0)
    config.write_text(config.read_text().replace("config_version: 2", "config_version: 99"))
    with pytest.raises(ValueError, match=r"config\.yaml has config_version 99, this vfer reads 1"):
        load_model(run)


def test_doubt_begins_where_the_corpus_ends_or_at_rules_of_thumb(bundle, store):
    faces = read_faces(bundle)
    means = [brightness(store.crops(row.clip)).mean() for row in tables_of(bundle).clips]
    assert faces.brightness["p50"] == pytest.approx(np.median(means), abs=0.5)
    assert (faces.clips, faces.frame_rate, faces.frames) == (18, 25.0, 10)
    limits = Limits.of(faces)
    assert (limits.sharpness, limits.brightness) == (
        faces.sharpness["p1"],
        faces.brightness["p1"],
    )
    assert limits.eye_distance == min(25.0, faces.eye_distance["p1"])
    assert Limits.of(None) == Limits()


@pytest.mark.parametrize("text", ["[]", "{}", '{"clips": 1}', "nonsense"])
def test_faces_that_are_not_told_as_they_should_be_are_refused_by_name(text, bundle, tmp_path):
    run = shutil.copytree(bundle, tmp_path / "run")
    (run / "faces.json").write_text(text)
    with pytest.raises(ValueError, match=r"faces\.json"):
        load_model(run)
