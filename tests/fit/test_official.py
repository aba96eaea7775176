"""A whole run on official folds: clips, not people, in all that a bundle and its report say."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from tests.corpora.wild import dfew_lists
from tests.test_verify import edit_json, hash_again
from vfer.fit.main import main as fit
from vfer.report.main import main as report
from vfer.report.terminal import print_summary
from vfer.results.tables import read_tables
from vfer.runtime.console import make_console
from vfer.runtime.files import read_json
from vfer.verify import doubts, verify

CLAIMS = re.compile(
    r"LOSGO|leave-one-subject|over subjects|same people|\d people|on people|other people"
    r"|any person|\d+ subjects|subjects? of",
    re.IGNORECASE,
)
"""What may be said only where it is known who is seen."""


@pytest.fixture(scope="module")
def run(tmp_path_factory, facs_root):
    """A bundle of a copy of DFEW whose clips are those of the built-in corpus."""
    base = tmp_path_factory.mktemp("official")
    labels, folds = {}, {}
    for number, path in enumerate(sorted(facs_root.rglob("*.avi")), 1):
        labels[number] = path.relative_to(facs_root).parts[1]
        folds[number] = number % 5 + 1
        place = base / "copy/Clip/original" / f"{number:05}.avi"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    dfew_lists(base / "copy", labels, folds)
    words = ["--config", "configs/tiny.yaml", "--data.corpus", "dfew",
             "--data.root", str(base / "copy"), "--data.cache", str(base / "cache"),
             "--protocol.folds", "official", "--output", str(base / "run")]  # fmt: skip
    assert fit(words) == 0
    return base / "run"


@pytest.fixture
def bundle(run, tmp_path):
    return shutil.copytree(run, tmp_path / "bundle")


def test_results_name_the_official_folds_and_clips(run):
    found = read_json(run / "results.json")
    assert found["protocol"] == {"name": "official", "groups": 5, "unit": "clip"}
    rows = read_tables(run, found["classes"]).clips
    assert all(row.subject == row.clip for row in rows)
    assert {row.fold for row in rows} == set(range(5))
    for row in rows:
        assert row.fold == int(Path(row.clip).name) % 5
    assert verify(run) == []
    assert any("Who is seen is not known" in doubt for doubt in doubts(run))


def test_no_sentence_of_a_report_speaks_of_people(bundle, capsys):
    assert report([str(bundle)]) == 0
    said = capsys.readouterr().out
    page = (bundle / "report/report.md").read_text(encoding="utf-8")
    for text in (said, page.partition("## Config of")[0]):
        told = [line for line in text.splitlines() if CLAIMS.search(line)]
        assert told == []
        assert "clips" in text
    assert "official folds" in page
    assert "Who is seen is not known" in page
    assert "63.41" in page  # beside what is published
    assert not (bundle / "report/subjects.csv").exists()
    with (bundle / "report/folds.csv").open(newline="") as file:
        assert "subjects" not in next(csv.reader(file))


def test_nor_does_a_comparison(bundle, tmp_path, capsys):
    other = shutil.copytree(bundle, tmp_path / "other")
    edit_json(other / "environment.json", lambda e: e.update(commit="other"))
    hash_again(other)
    assert report([str(bundle), str(other), "--output", str(tmp_path / "both.html")]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if CLAIMS.search(line)] == []


def test_nor_does_the_summary_on_the_terminal(run, capsys):
    found = read_json(run / "results.json")
    print_summary(found, read_tables(run, found["classes"]).curves, run, make_console())
    said = capsys.readouterr().out
    assert "Official folds on dfew, 5 folds" in said
    assert "interval over clips" in said
    assert CLAIMS.search(said) is None


@pytest.mark.parametrize(
    ("protocol", "key"),
    [
        ({"name": "losgo", "groups": 5}, "corpus.unit"),
        ({"name": "losgo", "groups": 5, "unit": "clip"}, "protocol.name"),
        ({"name": "official", "groups": 5}, "protocol.unit"),
        ({"name": "official", "groups": 5, "unit": "people"}, "protocol.unit"),
    ],
)
def test_a_bundle_that_claims_people_does_not_verify(bundle, protocol, key):
    edit_json(bundle / "results.json", lambda found: found.update(protocol=protocol))
    hash_again(bundle)
    assert key in {one.key for one in verify(bundle)}


def test_a_row_of_somebody_does_not_verify(bundle):
    text = (bundle / "predictions.csv").read_text(encoding="utf-8")
    name = Path("Clip/original/00005")
    wrong = text.replace(f"{name},{name}", f"ada,{name}", 1)
    assert wrong != text
    (bundle / "predictions.csv").write_text(wrong, encoding="utf-8")
    hash_again(bundle)
    assert any(one.key == f"clip {name}: subject" for one in verify(bundle))


def test_subjects_that_are_clips_are_a_reason_to_doubt(bundle):
    edit_json(bundle / "environment.json", lambda e: e["corpus"].pop("unit"))
    claim = {"name": "losgo", "groups": 5}
    edit_json(bundle / "results.json", lambda found: found.update(protocol=claim))
    hash_again(bundle)
    assert verify(bundle) == []  # as of a manifest with official folds, one clip a person
    assert any("its own subject" in doubt for doubt in doubts(bundle))
