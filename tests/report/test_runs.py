"""What a report says of several runs of a model: seeds, group assignments, and both."""

import shutil

import numpy as np
import pytest

from tests.report.test_report import answer_again, grid, page, set_config
from tests.results.test_runs import ASSIGNMENTS, make_assignments
from tests.test_verify import edit_json
from vfer.report.bundles import as_models, read_bundle
from vfer.report.main import main
from vfer.report.runs import _order
from vfer.runtime.files import read_json

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "regrouped"
    make_assignments(folder)
    return folder


def pooled(bundle):
    return read_json(bundle / "results.json")["accuracy"]["pooled"]


def test_a_folder_of_groups_is_one_model_with_its_spread(made, tmp_path):
    assert main([str(made), "--output", str(tmp_path)]) == 0
    means = [
        read_json(made / f"groups-{k}" / "results.json")["accuracy"]["mean"] for k in ASSIGNMENTS
    ]
    row = grid(tmp_path, "result")[1]
    assert row[:2] == [
        "regrouped",
        f"{100 * np.mean(means):.1f} ± {100 * np.std(means, ddof=1):.1f}",
    ]
    assert row[6] == "± between 3 group assignments"
    names, *rows = grid(tmp_path, "runs")
    assert names[1:3] == ["seed", "groups"]
    assert [row[2] for row in rows] == ["0", "9", "10"]
    assert [row[3] for row in rows] == [f"{100 * mean:.1f}" for mean in means]
    assert "Hardest clips (groups 0)" in page(tmp_path)


def test_a_run_that_is_in_a_folder_of_seeds_and_one_of_groups_counts_once(made, tmp_path):
    seeds = tmp_path / "seeds"
    for seed in (0, 1):
        bundle = shutil.copytree(made / "groups-0", seeds / f"seed-{seed}")
        edit_json(bundle / "results.json", lambda found, seed=seed: found.update(seeds=[seed]))
        if seed:
            answer_again(bundle, 0.4)
        set_config(bundle, protocol__seed=seed)
    assert main([str(seeds), str(made), "--output", str(tmp_path / "out")]) == 0
    row = grid(tmp_path / "out", "result")[1]
    assert row[0] == "seeds + regrouped"
    assert row[6] == "± between 4 runs of 2 seeds and 3 assignments"
    runs = [row[1:3] for row in grid(tmp_path / "out", "runs")[1:]]
    assert runs == [["0", "0"], ["0", "9"], ["0", "10"], ["1", "0"]]


def test_the_same_run_with_other_answers_is_another_model(made, tmp_path):
    """Say of another machine: it is not left out."""
    bundle = shutil.copytree(made / "groups-0", tmp_path / "seeds" / "seed-0")
    answer_again(bundle, 0.4)
    paths = [bundle, *(made / f"groups-{k}" for k in ASSIGNMENTS)]
    models = as_models([read_bundle(path) for path in paths])
    assert [model.name for model in models] == ["seed-0", "regrouped"]


@pytest.fixture
def better(made, tmp_path):
    """Another model, better in each assignment but in one."""
    folder = tmp_path / "better"

    def change(bundle, dealt):
        if dealt != 10:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tests.report.test_report.GROUPS", ASSIGNMENTS[dealt])
                answer_again(bundle, 0.5)
        config = {"data__segment_length": 8, "protocol__folds": {"groups": 3, "seed": dealt}}
        set_config(bundle, **config)

    make_assignments(folder, change)
    return folder


def test_whether_an_order_holds_in_each_assignment(made, better, tmp_path, capsys):
    assert main([str(made), str(better), "--output", str(tmp_path / "out")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "better is ahead of regrouped in 2 of 3 group assignments, behind in 0, level in 1" in said
    )
    _, *rows = grid(tmp_path / "out", "order")
    assert [row[1] for row in rows] == ["0", "9", "10"]
    for row in rows:
        a, b = (pooled(folder / f"groups-{row[1]}") for folder in (made, better))
        assert row[2:] == [f"{100 * a:.1f}", f"{100 * b:.1f}", f"{100 * (b - a):+.1f}"]


def test_assignments_of_which_only_one_is_of_both_models_say_nothing_of_order(
    made, better, tmp_path
):
    for dealt in (9, 10):
        shutil.rmtree(better / f"groups-{dealt}")
    assert main([str(made), str(better), "--output", str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out" / "report" / "order.csv").exists()


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([0.1, 0.2], "in 2 of 2 group assignments, behind in 0: their order holds in each."),
        ([-0.1, -0.2], "in 0 of 2 group assignments, behind in 2: their order holds in each."),
        ([0.1, -0.2], "behind in 1: their order depends on who is tested with whom."),
        ([0.0, 0.2], "behind in 0, level in 1."),
        ([0.0, 0.0], "behind in 0, level in 2."),
    ],
)
def test_an_order_in_words(gaps, said):
    assert _order("b", "a", gaps).endswith(said)
