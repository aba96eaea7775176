import json
import re
from pathlib import Path

import pytest

from experiments import fusion
from vfer.fit.main import main as fit

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusion")
    words = ["--config", TINY, "--data.cache", folder / "cache", "--output", folder / "run"]
    assert fit([str(word) for word in words]) == 0
    (store,) = (folder / "cache" / "crops").iterdir()
    return folder / "run", store


def test_what_the_bundle_says_itself_is_found_again_beside_the_other_ways(bundle, capsys):
    run, store = bundle
    capsys.readouterr()
    fusion.main(["--run", str(run), "--crops", str(store)])
    found = dict(re.findall(r"│ (.+?) +│ ([\d.]+) +│ [\d.]+ to", capsys.readouterr().out))
    results = json.loads((run / "results.json").read_text())
    said = {
        f"{name}, its own classifier": results["streams"][name]["accuracy"]
        for name in ("spatial", "temporal")
    }
    said["the trained third stage"] = results["accuracy"]["pooled"]
    assert {name: found[name] for name in said} == {k: f"{100 * v:.1f}" for k, v in said.items()}
    assert {name.partition(",")[2].strip() for name in found} == {
        "its own classifier", "regression", "",
    }  # fmt: skip
    assert len(found) == 8
