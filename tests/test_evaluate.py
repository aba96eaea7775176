"""A trained bundle on a corpus that it has not seen."""

from pathlib import Path

import numpy as np
import pytest

from vfer.evaluate import at_rate, common_classes, main
from vfer.fit.main import main as fit
from vfer.report.main import main as report
from vfer.results.clips import read_clips
from vfer.results.tables import read_tables
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_json
from vfer.verify import main as verify_main
from vfer.verify import verify

TINY = str(Path(__file__).parents[1] / "configs" / "tiny.yaml")
OTHER = ["--data.facs.seed", "7", "--data.facs.difficulty", "0.2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def trained(place):
    """A bundle of two folds on one rendered corpus."""
    output = place / "trained"
    cache = ["--data.cache", str(place / "cache")]
    assert fit(["--config", TINY, *cache, "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def evaluated(place, trained):
    """What it says of another."""
    output, cache = place / "evaluated", ["--data.cache", str(place / "cache")]
    words = ["--run", str(trained), "--config", TINY, *cache, *OTHER]
    assert main([*words, "--output", str(output)]) == 0
    return output, words


def test_its_bundle_verifies_and_is_reported(evaluated, trained):
    output, _ = evaluated
    assert verify(output) == []
    assert verify_main([str(output)]) == 0
    found = read_json(output / "results.json")
    assert found["protocol"] == {"name": "cross_corpus", "groups": 1}
    assert found["coverage"]["clips"] == len(read_clips(output)) > 0
    record = read_json(output / "models.json")
    assert record["run"]["name"] == trained.name
    assert [model["fold"] for model in record["models"]] == [0, 1]
    assert report([str(output)]) == 0
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "which have seen none of these videos" in page
    assert "Leave-one-subject-group-out" not in page


def test_a_clip_is_the_mean_of_the_models_of_all_folds(evaluated, place):
    output, words = evaluated
    classes = read_json(output / "results.json")["classes"]
    alone = []
    for fold in "01":
        where = place / f"fold-{fold}-alone"
        assert main([*words, "--fold", fold, "--output", str(where)]) == 0
        alone.append(read_tables(where, classes).clips)
    for both, *each in zip(read_tables(output, classes).clips, *alone, strict=True):
        if both.status == "scored":
            mean = np.mean([row.probabilities for row in each], axis=0)
            assert np.allclose(both.probabilities, mean, atol=1e-6)


def test_what_was_trained_on_is_refused(place, trained, capsys):
    cache = ["--data.cache", str(place / "cache"), "--output", str(place / "same")]
    assert main(["--run", str(trained), "--config", TINY, *cache]) == 2
    assert "was trained on" in capsys.readouterr().err


def test_another_config_on_the_same_folder_is_refused(evaluated, capsys):
    output, words = evaluated
    assert main([*words, "--data.facs.seed", "8", "--output", str(output)]) == 2
    assert "differs in data.facs.seed" in capsys.readouterr().err


def test_the_bundle_must_be_given(capsys):
    assert main(["--config", TINY]) == 2
    assert "--run DIR" in capsys.readouterr().err


def test_classes_in_common():
    class Corpus:
        name, classes = "rave", ("calm", "sadness", "anger")

    assert common_classes(("anger", "fear", "sadness"), Corpus) == ["anger", "sadness"]
    with pytest.raises(UsageError, match="at least two classes must be the same"):
        common_classes(("anger", "fear"), Corpus)


@pytest.mark.parametrize(
    ("frames", "fps", "rate", "taken"),
    [
        (10, 50, 25, [0, 2, 4, 6, 8]),
        (4, 12.5, 25, [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, 25, 10, [0]),
        (5, 25, 25, [0, 1, 2, 3, 4]),
    ],
)
def test_the_nearest_frames_stand_for_a_clip_at_another_rate(frames, fps, rate, taken):
    crops = np.arange(frames, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert at_rate(crops, fps, rate)[:, 0, 0, 0].tolist() == taken
