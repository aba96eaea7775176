"""What a report says of women and men."""

import shutil

import pytest

from tests.report.test_report import grid, page, set_config
from tests.test_verify import HEADER, edit_csv, excluded_clips, make_bundle
from vfer.report.main import main
from vfer.results.bundle import assemble, seal
from vfer.runtime.files import read_json

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def bundle(tmp_path):
    make_bundle(tmp_path / "bundle")
    set_config(tmp_path / "bundle")
    return tmp_path / "bundle"


def genders(bundle, gender):
    """Give every subject a gender, and score again."""
    edit_csv(
        bundle / "clips.csv",
        lambda rows: [row.update(gender=gender(row["clip"].partition("/")[0])) for row in rows],
    )
    assemble(bundle, HEADER, excluded_clips())
    seal(bundle)


def test_each_gender_has_its_number_and_its_figures(bundle):
    genders(bundle, lambda name: "" if name == "gus" else "female")
    assert main([str(bundle)]) == 0
    found = read_json(bundle / "results.json")
    low, high = found["accuracy"]["ci95"]
    told = f"{100 * found['accuracy']['pooled']:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    assert grid(bundle, "gender")[1][:4] == ["female", "6", "36", told]
    genders(bundle, lambda name: {"ada": "female", "gus": ""}.get(name, "male"))
    assert main([str(bundle)]) == 0
    rows = grid(bundle, "gender")[1:]
    assert [row[:3] for row in rows] == [["female", "1", "6"], ["male", "5", "30"]]
    assert not any("(" in cell for row in rows for cell in row)  # too few for an interval
    assert "Gender is not known" not in page(bundle)


def test_an_unknown_gender_is_said_to_be_unknown(bundle, tmp_path):
    genders(bundle, lambda _: "")
    assert main([str(bundle)]) == 0
    assert "Gender is not known to the bundle" in page(bundle)
    assert read_json(bundle / "results.json")["by_gender"] is None
    earlier = shutil.copytree(bundle, tmp_path / "earlier")  # made before there was such a table
    (earlier / "clips.csv").unlink()
    assert main([str(earlier)]) == 0
    assert "Gender is not known to the bundle" in page(earlier)
