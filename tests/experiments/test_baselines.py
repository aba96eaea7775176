"""The configs of other methods run to bundles that verify; given figures are compared with."""

from pathlib import Path

import numpy as np
import pytest

from experiments import given_figures
from vfer.baselines.lpq import LPQTOP, lpq
from vfer.fit.main import main
from vfer.results.tables import read_tables
from vfer.runtime.files import read_json
from vfer.verify import main as verify

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "experiments" / "baselines").glob("*.yaml"))
SMALLER = {
    "hog3d": (
        *("--model.descriptor.init_args.points", 40),
        *("--model.classifier.init_args.words", 24),
    ),
}
"""Of each config what is made smaller here."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_baseline_runs_to_a_bundle_that_verifies(path, cache, tmp_path, facs_words, capsys):
    given = [
        *("--config", ROOT / "configs" / "tiny.yaml", "--config", path, *facs_words),
        *("--output", tmp_path / "run", "--data.cache", cache, *SMALLER.get(path.stem, ())),
    ]
    assert main([str(word) for word in given]) == 0, capsys.readouterr().err
    assert verify([str(tmp_path / "run")]) == 0, capsys.readouterr().out
    results = read_json(tmp_path / "run" / "results.json")
    tables = read_tables(tmp_path / "run", results["classes"])
    assert results["coverage"]["scored"] == 18
    assert {point.stage for point in tables.curves} == (
        {"network"} if path.stem == "3dcnn" else set()
    )
    scores = np.array([row.probabilities for row in tables.clips])
    assert len({tuple(row) for row in scores.round(6).tolist()}) > 9  # clips are told apart


@pytest.fixture
def given(tmp_path, lossless):
    """A folder of figures that ours meet: whole numbers, and bits inverted as they may be."""
    video = given_figures.volume()
    counts = np.bincount(lpq(video[:1], 7).ravel(), minlength=256)
    np.savetxt(tmp_path / "lpq7_plain.csv", counts, fmt="%d")
    turned = [video.transpose(axes) for axes in given_figures.PLANES.values()]
    codes = [np.bincount(lpq(one, 5).ravel(), minlength=256) for one in turned]
    plain = np.stack([one / one.sum() for one in codes], axis=1)
    np.savetxt(tmp_path / "lpqtop_plain.csv", plain, delimiter=",")
    whitened = LPQTOP(window=5, grid=1).planes(video)[:, np.arange(256) ^ 0b101].T
    np.savetxt(tmp_path / "lpqtop_whitened.csv", whitened, delimiter=",")
    path, _ = lossless(24, 64, 60, name="hog3d-walk-simple.avi")
    points = np.array([[12, 30, 28, 32, 8], [11, 31, 30, 45.25, 5.66]], float)
    cells = given_figures.as_the_program(given_figures.grey(path), points)
    t, y, x, width, length = points.T
    none = np.zeros_like(t)
    place = [x, y, t, none, none, none, width / 16, length / 4]
    rows = np.column_stack([*place, cells.transpose(0, 3, 2, 1, 4).reshape(2, -1)])
    np.savetxt(tmp_path / "hog3d-kth.features.gz", rows)
    return tmp_path


def test_figures_that_are_met_are_said_to_be(given, capsys):
    given_figures.main([str(given), "--rows"])
    shown = capsys.readouterr().out.splitlines()
    assert "smallest 1.0000; 2 above 0.9999; 2 nowhere differ" in shown[-1]
    assert [line.split()[-1] for line in shown[7:9]] == ["1.000000"] * 2
    assert all(": 0 of " in line and "256 of 256" in line for line in shown[:4])
    assert all("0.0000 % of the codes differ, bits 00000101" in line for line in shown[4:7])


def test_figures_that_are_not_met_are_said_not_to_be(given, capsys):
    for name in ("lpq7_plain.csv", "lpqtop_plain.csv", "lpqtop_whitened.csv"):
        values = np.loadtxt(given / name, delimiter=",")
        np.savetxt(given / name, np.roll(values, 1, axis=0), delimiter=",")
    rows = np.loadtxt(given / "hog3d-kth.features.gz")
    rows[0, 8:] = np.roll(rows[0, 8:], 10)
    np.savetxt(given / "hog3d-kth.features.gz", rows)
    given_figures.main([str(given)])
    shown = capsys.readouterr().out.splitlines()
    assert "; 1 above 0.9999; 1 nowhere differ" in shown[-1]
    assert not any(": 0 of " in line or "256 of 256" in line for line in shown)
    assert not any("0.0000 %" in line for line in shown)
