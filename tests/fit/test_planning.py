"""The planning table: its arithmetic, and what it says beside what a run then takes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vfer.config.parser import parse
from vfer.fit.budget import Costs, Extent, StageCost, extrapolate, lines, points_of
from vfer.fit.main import main
from vfer.fit.planning import duration

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = str(CONFIGS / "tiny.yaml")
EXTENT = Extent(
    clips=100, frames=2100, segments=500, folds=5, clips_from="counted", frames_from="counted",
    segments_from="computed", said="", new_clips=10, new_frames=210, new_pairs=200,
)  # fmt: skip
COSTS = Costs(
    frame=0.5, frame_of="", pair=0.25, processes=3, process=1000, base=5000,
    stages=(
        StageCost("spatial", 2.0, 0.5, weights=100, state=30, activations=7),
        StageCost("vlan", 3.0, 1.0, weights=400, state=50, activations=9),
    ),
)  # fmt: skip


def table(*words, extent=EXTENT):
    # 6 and 4 steps, measured every 3 and 2; of 420 test images every second, as the batch is large
    words = ["--config", TINY, "--stages.spatial.batch_size", "467", *words]
    config = parse("vfer.fit", words)
    return {(line.part, line.what): line for line in lines(config, extent, COSTS)}


def test_the_figures_are_the_counts_times_what_a_piece_costs():
    found = {key: line.value for key, line in table().items()}
    assert found["disk", "crops"] == 2100 * 150 * 110 * 3
    assert found["disk", "flow"] == 2000 * 150 * 110 * 4
    assert found["disk", "a fold of the bundle"] == 100 + 400 + 200 * 100
    assert found["disk", "the bundle"] == 5 * 500 + 2 * 200 * 500
    assert found["disk", "checkpoints"] == 2 * 450
    assert found["memory", "preparing"] == 3000
    assert found["memory", "training"] == 5000 + 100 + 2 * 400 + 50 + 9
    assert found["memory", "what is read, kept"] == 2100 * 150 * 110 * 7
    assert ("memory", "what is read, kept") not in table("--data.residency", "disk")
    assert found["time", "prepare what is missing"] == pytest.approx(210 * 0.5 / 3)
    assert found["time", "flow that is missing"] == 50
    assert found["time", "spatial: the stage"] == 6 * 2 + 1.5 * 20 * 0.5
    assert found["time", "vlan: the stage"] == 4 * 3 + 2 * 20 * 1
    assert found["time", "a fold"] == 27 + 52
    assert found["time", "the whole command"] == pytest.approx(35 + 50 + 5 * 79)


@pytest.mark.parametrize(
    ("words", "models", "fold"),
    [
        (("--fold", "1"), 1, 79),
        (("--final",), 6, 79),
        (("--seeds", "3"), 15, 79),
        (("--protocol.selection", "validation"), 5, 79 + 20 + 40),
        (("--protocol.selection", "validation", "--protocol.retrain", "true"), 5, 2 * 79 + 60),
        (("--stages.schema", "non_trained"), 5, 27 + 20 + 80),  # describes the training clips
    ],
)
def test_what_multiplies_the_work_is_counted(words, models, fold):
    found = table(*words)
    assert found["time", "a fold"].value == fold
    if "validation" in words and "true" in words:
        assert found["disk", "a fold of the bundle"].value == 2 * 500 + 200 * 100
    assert f"{models} models" in found["time", "the whole command"].note
    assert found["time", "the whole command"].value == pytest.approx(35 + 50 + models * fold)


def test_without_cached_flow_there_is_none():
    found = table("--data.flow.cache", "false", extent=replace(EXTENT, new_pairs=0))
    assert not any("flow" in what for _, what in found)
    assert found["time", "the whole command"].value == pytest.approx(35 + 5 * 79)


@pytest.mark.parametrize(
    ("points", "at", "seconds"),
    [
        ([(4, 2.0)], 4, 2.0),
        ([(4, 2.0)], 8, 4.0),
        ([(2, 5.0), (6, 9.0)], 40, 43.0),  # 3 s whatever the batch, and 1 s a sample
        ([(2, 5.0), (6, 18.0)], 12, 36.0),  # nothing is less than free
        ([(2, 5.0), (6, 4.0)], 40, 4.0),
    ],
)
def test_a_step_of_a_batch_is_told_by_smaller_ones(points, at, seconds):
    assert extrapolate(points, at) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("iterations", "every", "points"), [(6, 3, 2), (5, 2, 3), (6, 0, 1), (0, 3, 1), (2, 5, 1)]
)
def test_a_curve_has_a_point_every_so_many_steps_and_at_the_end(iterations, every, points):
    assert points_of(iterations, every) == points


def test_times_are_written_with_three_digits():
    said = [duration(seconds) for seconds in (0.01234, 5.678, 754, 80_000, 4e6)]
    assert said == ["12.3 ms", "5.68 s", "12.6 min", "22.2 h", "1111 h"]


def plan(capsys, *words):
    assert main([*map(str, words), "--plan", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return {(line["part"], line["what"]): line for line in found}


def size(folder, pattern):
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def test_a_plan_touches_nothing_and_is_what_the_run_then_takes(tmp_path, facs_words, capsys):
    cache, output = tmp_path / "cache", tmp_path / "run"
    words = ["--config", TINY, *facs_words, "--data.cache", cache, "--output", output]
    before = plan(capsys, *words)
    assert not cache.exists()
    assert not output.exists()
    assert before["corpus", "clips"]["value"] == 18
    assert before["corpus", "frames"]["value"] == 180
    assert main([*map(str, words)]) == 0
    capsys.readouterr()
    crops, flow = (size(cache, f"{kind}/*.npy") for kind in ("crops", "flow-*"))
    assert before["disk", "crops"]["value"] == pytest.approx(crops, rel=1e-3)
    assert before["disk", "flow"]["value"] == pytest.approx(flow, rel=1e-3)
    weights = size(output, "*.safetensors")
    assert weights < before["disk", "the bundle"]["value"] < 1.05 * weights
    after = plan(capsys, *words)  # on an output that is full
    assert after["corpus", "frames"] == before["corpus", "frames"] | {"how": "counted"}
    for what in ("prepare what is missing", "flow that is missing"):
        assert before["time", what]["value"] > 0
        assert after["time", what]["value"] == 0


SMALL = ("--model.width=0.0625", "--model.input_size=64", "--model.weights=null",
         "--stages.vlan.batch_size=2")  # fmt: skip


def test_without_a_copy_it_is_that_of_a_whole_one_as_it_is_known(capsys):
    found = plan(capsys, "--config", CONFIGS / "baum1s.yaml", *SMALL)
    assert found["corpus", "clips"]["value"] == 521  # the six classes alone
    assert found["corpus", "frames"]["how"] == "assumed"
    assert found["corpus", "segments"]["value"] == 521 * 10  # (80 − 16) / 7


def test_what_cannot_be_planned_is_refused(capsys, tmp_path):
    assert main(["--config", TINY, "--json"]) == 2
    assert "--json needs --plan" in capsys.readouterr().err
    assert main(["--config", str(CONFIGS / "manifest.yaml"), "--plan"]) == 2
    assert "data.root is not given" in capsys.readouterr().err
    gone = ["--config", str(CONFIGS / "savee.yaml"), "--plan", f"--data.root={tmp_path / 'gone'}"]
    assert main(gone) == 2
    assert "no clips of SAVEE" in capsys.readouterr().err
