"""Impossible fields of a bundle's files, found though the hashes were made again."""

import shutil

import pytest

from tests.test_verify import bundle, edit_csv, edit_json, hash_again, made  # noqa: F401 - fixtures
from vfer.config.tree import StageConfig
from vfer.corpora import Corpus
from vfer.fit.stage_folder import find_source
from vfer.report.main import main as report
from vfer.results.tables import ClipResult, Tables, read_tables, write_tables
from vfer.runtime.files import write_json
from vfer.verify import main as verify

STAGE, FOLD, ABOUT = "fold-0/vlan/stage.json", "fold-0/fold.json", "environment.json"


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        (STAGE, "trained_on", ""),
        (STAGE, "trained_on", [1]),
        (STAGE, "stage", "fc9"),
        (STAGE, "stage", "spatial"),
        (STAGE, "fold", 1),
        (STAGE, "fold", -1),
        (STAGE, "fold", True),
        (STAGE, "iteration", 1.5),
        (STAGE, "videos", ["abc"]),
        (STAGE, "classes", ["anger", "anger"]),
        (STAGE, "corpus", None),
        (STAGE, "seed", 2**32),
        (STAGE, "curves", {}),
        (FOLD, "clips", "12"),
        (FOLD, "subjects", "ada"),
        (FOLD, "files", {"predictions.csv": 0}),
        (ABOUT, "seed", 10**15),
        (ABOUT, "decoder", {"decord": -1}),
        (ABOUT, "corpus", []),
        ("results.json", "seeds", [10**12]),
        ("results.json", "seeds", [-1]),
    ],
)
def test_an_impossible_field_is_told_by_file_and_name(bundle, capsys, file, field, value):  # noqa: F811
    edit_json(bundle / file, lambda record: record.update({field: value}))
    hash_again(bundle)
    assert verify([str(bundle)]) == 1
    said = capsys.readouterr().out
    assert file in said
    assert field in said


@pytest.mark.parametrize(
    ("column", "value"),
    [("accuracy", "1.5"), ("accuracy", "nan"), ("loss", "-1"), ("loss", "inf"), ("fold", "-1"),
     ("iteration", "-10"), ("iteration", "9" * 400), ("stage", "fc9"), ("split", "dev")],
)  # fmt: skip
def test_an_impossible_point_is_told_in_curves_and_in_the_record(bundle, capsys, column, value):  # noqa: F811
    edit_csv(bundle / "curves.csv", lambda rows: rows[3].update({column: value}))
    hash_again(bundle)
    assert verify([str(bundle)]) == 1
    assert "curves.csv, row 5: " + column in capsys.readouterr().out
    assert report([str(bundle)]) == 2
    assert "curves.csv, row 5: " + column in capsys.readouterr().err


def test_names_that_are_formulas_are_written_as_text(tmp_path):
    rows = [ClipResult(0, "@a", "=1+1", "-x", "no_face", "+why", None, 0)]
    write_tables(tmp_path, Tables(tuple(rows)), ("-x", "y"))
    line = (tmp_path / "predictions.csv").read_text().splitlines()[1]
    assert line.startswith("0,'@a,'=1+1,'-x,no_face,'+why,")
    assert read_tables(tmp_path, ("-x", "y")).clips == tuple(rows)


def test_nul_in_a_name_is_told(bundle, capsys):  # noqa: F811
    edit_csv(bundle / "predictions.csv", lambda rows: rows[0].update(subject="a\0b"))
    assert verify([str(bundle)]) == 1
    assert "predictions.csv, row 2: subject holds NUL" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["trained_on", "corpus", "classes", "model", "stage"])
def test_from_a_broken_stage_names_file_and_field(tmp_path, field):
    directory = tmp_path / "run" / "fold-0" / "vlan"
    directory.mkdir(parents=True)
    record = {"stage": "vlan", "fold": 0, "corpus": "toy", "classes": ["a", "b"],
              "trained_on": ["x"], "model": {}}  # fmt: skip
    corpus, config = Corpus("toy", ("a", "b"), ()), StageConfig(from_=tmp_path / "run")
    write_json(directory / "stage.json", record)
    assert find_source(config, "vlan", "fold-0", corpus, ["y"]) == directory
    for broken in ({k: v for k, v in record.items() if k != field}, {**record, field: 7}):
        write_json(directory / "stage.json", broken)
        with pytest.raises(ValueError, match=f"vlan/stage.json: {field} is "):
            find_source(config, "vlan", "fold-0", corpus, ["y"])
    shutil.move(directory, tmp_path / "elsewhere")
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="vlan is a link"):
        find_source(config, "vlan", "fold-0", corpus, ["y"])
