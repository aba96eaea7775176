"""What the report says of chance: from what was measured, and what was not."""

import math
import shlex
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tests.report.test_report import answer_again, grid, page, set_config
from tests.results.test_runs import make_assignments
from tests.test_verify import edit_json, hash_again
from vfer.config.parser import parse
from vfer.report.main import main
from vfer.report.noise import exceeded_by_chance, spread_within
from vfer.report.published import PAPERS_LEAD
from vfer.runtime.files import read_json

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def seeds(made, tmp_path):
    """Three seeds of one model."""
    for seed in range(3):
        path = shutil.copytree(made, tmp_path / "seeds" / f"seed-{seed}")
        edit_json(path / "results.json", lambda found, seed=seed: found.update(seeds=[seed]))
        answer_again(path, 0.2 * seed, seed)
        set_config(path, protocol__seed=seed)
    return tmp_path / "seeds"


def accuracies(folder):
    return [read_json(p)["accuracy"]["pooled"] for p in sorted(folder.glob("*/results.json"))]


def run_of(accuracy, seed, groups):
    return SimpleNamespace(results={"accuracy": {"pooled": accuracy}}, seed=seed, groups=groups)


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_two_figures_are_further_apart_in_one_of_twenty_cases(runs):
    rng = np.random.default_rng(runs)
    known, pairs = rng.normal(0.5, 0.02, (20_000, runs)), rng.normal(0.5, 0.02, (20_000, 2))
    bounds = exceeded_by_chance(1.0, runs - 1) * known.std(axis=1, ddof=1)
    further = np.mean(np.abs(pairs[:, 0] - pairs[:, 1]) > bounds)
    assert further == pytest.approx(0.05, abs=0.006)
    normal = 1.96 * math.sqrt(2) * 0.02
    assert exceeded_by_chance(0.02, math.inf) == pytest.approx(normal, rel=1e-3)


def test_a_spread_is_among_runs_that_share_the_rest():
    runs = [run_of(a, *k) for a, k in (
        (0.50, (0, "x")), (0.54, (1, "x")), (0.60, (0, "y")), (0.62, (1, "y")), (0.9, (0, "z")),
    )]  # fmt: skip
    std, freedom = spread_within(runs, lambda run: run.groups)
    assert freedom == 2  # z has one seed, and nothing to be held against
    assert std == pytest.approx(math.sqrt((0.04**2 / 2 + 0.02**2 / 2) / 2))
    std, freedom = spread_within(runs, lambda run: run.seed)
    within = [[0.50, 0.60, 0.9], [0.54, 0.62]]
    squares = sum(np.var(values) * len(values) for values in within)
    assert (freedom, std) == (3, pytest.approx(math.sqrt(squares / 3)))
    assert spread_within(runs[:1], lambda run: run.groups) is None


def test_the_papers_lead_is_one_and_a_half_points():
    assert pytest.approx((46.51 - 45.04 + 43.72 - 42.16) / 2) == PAPERS_LEAD


def test_of_a_single_run_people_are_measured_and_the_rest_is_told_how(bundle, capsys):
    assert main([str(bundle)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("What of a difference is chance")  # the first lines
    low, high = read_json(bundle / "results.json")["accuracy"]["ci95"]
    people, *others = grid(bundle, "chance")[1:]
    std = (high - low) / (2 * 1.96)
    assert people[:3] == ["people", f"{100 * 1.96 * 2**0.5 * std:.1f}", f"{100 * std:.1f}"]
    assert "bootstrap over 6 people: too few, it is more" in people[3]
    assert [row[:3] for row in others] == [
        [name, "–", "–"] for name in ("seed", "group assignment", "machine")
    ]
    assert "87.1 % on one processor and 89.2 % on another" in others[2][3]
    text = page(bundle)
    assert text.index("whole lead") < text.index("Result on toy")
    assert "lead over what it compares itself with is 1.5 points. Here people alone sets" in text
    assert "Not measured here: seed, group assignment, machine." in text


def test_the_commands_are_those_of_vfer_fit(tmp_path, bundle):
    assert main([str(bundle)]) == 0
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text("data: {corpus: facs}\n")
    for row, option in ((2, "seeds"), (3, "regroup")):
        said = grid(bundle, "chance")[row][3]
        command = shlex.split(said.removeprefix("not measured: ").partition(", then")[0])
        assert command[:3] == ["python", "-m", "vfer.fit"]
        assert command[4] == str(bundle / "config.yaml")
        config = parse("vfer.fit", [*command[3:4], str(tiny), *command[5:]])
        assert getattr(config, option) == 5
        assert config.output.parent == bundle.parent
        assert config.output != bundle


def test_seeds_are_measured_where_there_are_several(seeds, tmp_path):
    assert main([str(seeds), "--output", str(tmp_path / "out")]) == 0
    _, people, seed, groups, _ = grid(tmp_path / "out", "chance")
    std = np.std(accuracies(seeds), ddof=1)
    assert seed == [
        "seed",
        f"{100 * exceeded_by_chance(std, 2):.1f}",
        f"{100 * std:.1f}",
        "3 seeds",
    ]
    assert groups[1] == "–"
    assert people[1] != "–"
    assert "Not measured here: group assignment, machine." in page(tmp_path / "out")


def test_seeds_and_groups_of_one_model_are_both_measured(bundle, tmp_path):
    regrouped = tmp_path / "regrouped"
    make_assignments(regrouped)
    again = shutil.copytree(regrouped / "groups-0", tmp_path / "seeds" / "seed-1")
    edit_json(again / "results.json", lambda found: found.update(seeds=[1]))
    answer_again(again, 0.3)
    set_config(again, protocol__seed=1)
    assert main([str(regrouped), str(again), "--output", str(tmp_path / "out")]) == 0
    _, _, seed, groups, _ = grid(tmp_path / "out", "chance")
    gap = read_json(again / "results.json")["accuracy"]["pooled"] - accuracies(regrouped)[0]
    assert seed[2] == f"{100 * abs(gap) / math.sqrt(2):.1f}"
    assert groups[2] == f"{100 * np.std(accuracies(regrouped), ddof=1):.1f}"
    assert groups[3].startswith("3 assignments; each is trained anew")


def test_one_config_on_two_machines_measures_the_machine(bundle, tmp_path):
    again = shutil.copytree(bundle, tmp_path / "again")
    answer_again(again, 0.1)
    for path, processor in ((bundle, "one, AVX2"), (again, "other, AVX512")):
        edit_json(path / "environment.json", lambda e, p=processor: e.update(processor=p))
        hash_again(path)
    assert main([str(bundle), str(again), "--output", str(tmp_path / "out")]) == 0
    *_, machine = grid(tmp_path / "out", "chance")
    one, other = (read_json(p / "results.json")["accuracy"]["pooled"] for p in (bundle, again))
    assert machine[3] == f"{100 * abs(one - other) / math.sqrt(2):.1f}"
    assert machine[4] == "2 runs that differ in processor alone: bundle, again"


def test_a_copy_is_no_other_machine(bundle, tmp_path):
    again = shutil.copytree(bundle, tmp_path / "again")
    assert main([str(bundle), str(again), "--output", str(tmp_path / "out")]) == 0
    assert grid(tmp_path / "out", "chance")[-1][2] == "–"


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ("official", "one: the groups are given"),
        ({"groups": "subjects", "seed": 0}, "one: each subject is a group"),
    ],
)
def test_groups_that_are_given_are_one_assignment(bundle, folds, said):
    set_config(bundle, protocol__folds=folds)
    assert main([str(bundle)]) == 0
    assert grid(bundle, "chance")[3][3] == said


def test_folds_of_several_machines_are_told(bundle):
    made = [{"stages": [f"fold-{k}/vlan"], "processor": p} for k, p in enumerate("ab")]
    edit_json(bundle / "environment.json", lambda e: e.update(made_with=made))
    hash_again(bundle)
    assert main([str(bundle)]) == 0
    assert "The stages of these were made on 2: a; b" in grid(bundle, "chance")[4][3]


def test_what_is_measured_of_one_model_is_not_said_to_be_missing(seeds, bundle, tmp_path):
    set_config(bundle, data__segment_length=8)
    assert main([str(seeds), str(bundle), "--output", str(tmp_path / "out")]) == 0
    rows = [row[:2] for row in grid(tmp_path / "out", "chance")[1:] if row[0] == "seed"]
    assert rows == [["seed", "seeds"], ["seed", "bundle"]]
    assert "Not measured here: group assignment, machine." in page(tmp_path / "out")
