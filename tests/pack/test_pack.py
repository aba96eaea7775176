"""A model folder: it predicts alone, and its card says what was measured and what was not."""

import csv
import re
import shutil

import numpy as np
import pytest
import yaml

from vfer.fit.main import main as fit
from vfer.pack import folder as packing
from vfer.pack.folder import without_paths
from vfer.pack.main import main
from vfer.predict.load import load_model
from vfer.results.tables import read_tables
from vfer.runtime.files import read_json

CORPUS = "mine\n---\nlicense: mit\n---\n<script>alert(1)</script> | [x](http://x.invalid)"
CLASSES = ("an|ger <b>bold</b>", "--- {a: b} # !!python/name:x", "[joy](http://x.invalid) `c`")


@pytest.fixture(scope="module")
def run(fitted):
    """A bundle of three folds with a final model."""
    return fitted("final-both", "--final")


@pytest.fixture(scope="module")
def packed(run, tmp_path_factory):
    """Its model folder, somewhere else."""
    made = tmp_path_factory.mktemp("made") / "model"
    assert main(["--run", str(run), str(made)]) == 0
    return shutil.copytree(made, tmp_path_factory.mktemp("elsewhere") / "copy")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, facs_root):
    """The card of a collection of one's own whose names try to be something else."""
    base = tmp_path_factory.mktemp("hostile")
    clips = sorted(facs_root.rglob("*.avi"))
    rows = []
    for path in clips:
        subject = path.relative_to(facs_root).parts[0].split()[-1]
        rows.append([path, subject, CLASSES[len(rows) % 3], ("female", "male")[subject == "1"]])
    rows.append([base / "lost.avi", "2", CLASSES[0], "female"])
    with (base / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "subject", "emotion", "gender"), *rows])
    words = ["--config", "configs/tiny.yaml", "--data.corpus", "manifest",
             "--data.root", base / "clips.csv", f"--data.name={CORPUS}",
             "--data.cache", base / "cache", "--output", base / "run"]  # fmt: skip
    assert fit([str(word) for word in words]) == 0
    assert main(["--run", str(base / "run"), str(base / "model")]) == 0
    return base / "model"


def card_of(folder):
    """The metadata and the text of a card, taken apart as the Hub does it."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return yaml.safe_load(found[1]), text[found.end() :]


def crops_of(run, store):
    classes = read_json(run / "results.json")["classes"]
    return np.array(store.crops(read_tables(run, classes).clips[0].clip))


@pytest.mark.parametrize("fold", [None, 1, "final"])
def test_elsewhere_it_says_what_the_bundle_says(fold, run, packed, store):
    ours, theirs = (load_model(where, fold=fold) for where in (packed, run))
    crops = crops_of(run, store)
    np.testing.assert_array_equal(ours.score_clip(crops).windows, theirs.score_clip(crops).windows)
    assert ours.info().folds == theirs.info().folds
    assert ours.temperature == theirs.temperature
    assert ours.key == theirs.key
    assert ours.bundle.faces == theirs.bundle.faces
    assert not [note for note in ours.bundle.notes if "not finished" in note]


def test_it_holds_what_prediction_needs_and_no_more(packed):
    files = {path.relative_to(packed).as_posix() for path in packed.rglob("*") if path.is_file()}
    models = ("fold-0", "fold-1", "fold-2", "final")
    assert files == {
        *("README.md", "LICENSE", "config.yaml", "faces.json", "segments.csv"),
        *(f"{one}/vlan/{name}" for one in models for name in ("stage.json", "weights.safetensors")),
    }


@pytest.mark.parametrize("fold", ["1", "final"])
def test_one_model_is_packed_alone(fold, run, store, tmp_path):
    assert main(["--run", str(run), str(tmp_path / "one"), "--fold", fold]) == 0
    model = load_model(tmp_path / "one")  # there is no other: none need be asked for
    asked = load_model(run, fold="final" if fold == "final" else 1)
    assert model.info().folds == asked.info().folds
    crops = crops_of(run, store)
    np.testing.assert_array_equal(model.score_clip(crops).clip, asked.score_clip(crops).clip)
    said = (tmp_path / "one" / "README.md").read_text()
    assert ("nobody is left to measure it on" in said) == (fold == "final")
    assert ("--fold final" in said) is False


def test_a_descriptors_model_is_packed_without_importing_it(fitted, plugs, store, tmp_path):
    run = fitted("final-descriptor", "--model.descriptor", "predict_plugs.Pixels", "--final")
    assert main(["--run", str(run), str(tmp_path / "model"), "--fold", "final"]) == 0
    assert "--trust-code" in (tmp_path / "model" / "README.md").read_text()
    crops = crops_of(run, store)
    ours, theirs = (
        load_model(where, fold="final", trust_code=True) for where in (tmp_path / "model", run)
    )
    np.testing.assert_array_equal(ours.score_clip(crops).clip, theirs.score_clip(crops).clip)


def test_the_metadata_are_the_hubs_keys_with_the_bundles_figures(run, packed):
    values, _ = card_of(packed)
    assert set(values) == {
        *("license", "license_name", "license_link", "library_name", "pipeline_tag", "tags"),
        *("datasets", "metrics", "model-index"),
    }
    assert values["pipeline_tag"] == "video-classification"
    assert values["library_name"] == "vfer"
    assert values["license"] == "other"
    assert (packed / values["license_link"]).is_file()
    assert values["datasets"] == ["facs"]
    (index,) = values["model-index"]
    (found,) = index["results"]
    assert set(index) == {"name", "results"}
    assert set(found) == {"task", "dataset", "metrics"}
    assert found["task"]["type"] == values["pipeline_tag"]
    assert {"type", "name"} <= set(found["dataset"])
    results = read_json(run / "results.json")
    told = {(one["type"], tuple(one["args"])): one for one in found["metrics"]}
    for kind, name in (("accuracy", "accuracy"), ("recall", "uar"), ("f1", "macro_f1")):
        mean, pooled = (told[kind, (args,)] for args in ("std_over_folds", "ci95_over_subjects"))
        assert mean["value"] == pytest.approx(results[name]["mean"], abs=1e-4)
        assert pooled["value"] == pytest.approx(results[name]["pooled"], abs=1e-4)
        interval = pooled["args"]["ci95_over_subjects"]
        assert interval == pytest.approx(results[name]["ci95"], abs=1e-4)


def test_the_hubs_own_reader_takes_the_card(packed, hostile):
    hub = pytest.importorskip("huggingface_hub")
    for folder in (packed, hostile):
        data = hub.ModelCard.load(folder / "README.md").data
        assert data.eval_results[0].task_type == "video-classification"


def test_the_card_says_what_was_measured_and_what_was_not(run, packed):
    _, text = card_of(packed)
    results = read_json(run / "results.json")
    low, high = (100 * end for end in results["accuracy"]["ci95"])
    assert f"{100 * results['accuracy']['pooled']:.1f} ({low:.1f}–{high:.1f})" in text
    assert f"temperature {load_model(run).temperature:.3g}" in text
    assert "expected calibration error" in text
    assert "Cross-validation measured the models of the folds" in text
    assert "no figure here is of it" in text
    assert "Art. 5(1)(f)" in text
    assert "workplace or in education institutions" in text
    assert "| 18 | 18 | 0 | 0 | 0 |" in text  # coverage
    assert "apart by chance" in text
    assert "no person is in it" in text
    assert "python -m vfer.predict --run FOLDER --fold final clip.mp4" in text
    assert "torch " in text
    rows = dict(re.findall(r"^\| (0\.\d) \| ([\d.–]+) \|", text, re.MULTILINE))
    decided = load_model(run).found.scores
    assert set(rows) == {"0.4", "0.5", "0.6", "0.7", "0.8", "0.9"}
    assert len(decided) == 36


def test_nothing_in_it_reads_more_information_needed_or_tells_where_files_lay(
    run, packed, hostile, tmp_path_factory
):
    base = str(tmp_path_factory.getbasetemp().parent)
    for folder in (packed, hostile):
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".safetensors":
                text = path.read_text(encoding="utf-8")
                assert not re.search(r"(?i)more\s+information\s+needed|yours to answer", text)
                assert not re.search(r"\bTODO\b|\bTBD\b|\bN/A\b", text)
                assert base not in text, path


def test_names_are_names_in_a_card(hostile):
    values, text = card_of(hostile)
    assert values["license"] == "other"  # not the one in the corpus's name
    assert values["datasets"] == ["mine-license-mit-script-alert-1-script-x-http-x-invalid"]
    name = values["model-index"][0]["results"][0]["dataset"]["name"]
    assert name == " ".join(CORPUS.split())
    shown = re.sub(r"\\.", "", text)  # what is escaped
    assert not re.search(r"<(script|b)>|\]\(http|`c`|an\|ger", shown)
    assert "\n---\n" not in text
    tables = [line for line in shown.splitlines() if line.startswith("|")]
    data = text[text.index("Clips of each class") :].splitlines()[2:7]
    assert [line.count("|") - line.count("\\|") for line in data] == [3] * 5
    assert tables


def test_what_calibrates_names_neither_clips_nor_people(run, packed):
    ours, theirs = (
        list(csv.DictReader((where / "segments.csv").read_text().splitlines()))
        for where in (packed, run)
    )
    assert {row["clip"] for row in ours} == {str(k) for k in range(18)}
    assert {row["subject"] for row in ours} == {"0", "1", "2"}
    for one, other in zip(ours, theirs, strict=True):
        assert one | {"clip": "", "subject": ""} == other | {"clip": "", "subject": ""}


def test_of_a_collection_of_ones_own_it_says_what_has_to_be_checked(hostile):
    _, text = card_of(hostile)
    assert "have agreed that a model is trained on them and passed on" in text
    assert "How its clips came about" in text
    assert re.search(r"^\| female \| 2 \| 13 \|", text, re.MULTILINE)  # the lost clip counts
    assert "| 19 | 18 | 0 | 1 | 0 |" in text
    assert (hostile / "LICENSE").read_text().startswith("# Licence of model")


def test_a_licence_that_is_chosen_stands_in_the_card(run, tmp_path):
    words = ["--run", str(run), str(tmp_path / "m"), "--fold", "0", "--license", "cc-by-nc-sa-4.0"]
    assert main(words) == 0
    values, text = card_of(tmp_path / "m")
    assert values["license"] == "cc-by-nc-sa-4.0"
    assert "license_name" not in values
    assert "as its author has chosen it: cc-by-nc-sa-4.0" in text
    assert not (tmp_path / "m" / "LICENSE").exists()


def test_where_files_lay_is_left_out_of_the_config_and_nothing_else():
    config = {
        "data": {"root": "/home/me/corpora/ravdess", "cache": "cache", "classes": ["a/b", "c"]},
        "model": {"weights": "C:\\Users\\me\\alexnet.pth"},
        "stages": {"schema": "trained", "cache": "/x/y/", "vlan": {"from": "/runs/one"}},
    }
    assert without_paths(config) == {
        "data": {"root": "ravdess", "cache": "cache", "classes": ["a/b", "c"]},
        "model": {"weights": "alexnet.pth"},
        "stages": {"schema": "trained", "cache": "y", "vlan": {"from": "one"}},
    }
    assert config["data"]["root"] == "/home/me/corpora/ravdess"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--run", "nowhere", "new"], 2, "--run is nowhere, which is no folder"),
        (["--run", "RUN", "full"], 2, "full is there and not empty"),
        (["--run", "RUN", "new", "--license", "My own!"], 2, "--license is 'My own!'"),
        (["--run", "RUN", "new", "--fold", "9"], 2, "--fold is 9"),
        (["--run", "changed", "new"], 1, "does not verify"),
        (["--run", "unfinished", "new"], 2, "no results.json"),
    ],
)
def test_what_would_make_no_true_card_is_refused(words, status, said, run, tmp_path, monkeypatch,
                                                 capsys):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    if words[1] in ("changed", "unfinished"):
        shutil.copytree(run, tmp_path / words[1])
        path = tmp_path / words[1] / "results.json"
        path.write_text(path.read_text().replace('"chance": 0.1', '"chance": 0.2'))
        if words[1] == "unfinished":
            path.unlink()
    assert main([str(run) if word == "RUN" else word for word in words]) == status
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_copy_that_fails_leaves_nothing_behind(run, tmp_path, monkeypatch, capsys):
    copied = []

    def copyfile(path, to):
        copied.append(to)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        to.write_bytes(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(packing.shutil, "copyfile", copyfile)
        assert main(["--run", str(run), str(tmp_path / "model")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["--run", str(run), str(tmp_path / "model")]) == 0
