"""Every table and figure by one command: the plan, the page, what is run and what is not."""

import csv
import re
from math import ceil
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure

from experiments.reproduce import claims
from experiments.reproduce import main as command
from experiments.reproduce import page as reproduced
from experiments.reproduce.expected import Pin, beside_paper, paper
from experiments.reproduce.found import Found
from experiments.reproduce.future import Place, best
from experiments.reproduce.main import main
from experiments.reproduce.plan import Request, base_words, chosen, plan
from experiments.reproduce.rows import PARTS, length_row
from tests.test_verify import make_bundle, write_config
from vfer.config.parser import parse
from vfer.corpora import baum1s, enterface05
from vfer.report.bundles import Bundle, Model
from vfer.report.published import published
from vfer.results.tables import ClipResult, Tables
from vfer.runtime.files import read_json, write_json

TINY = ["--corpus", "facs", "--size", "tiny"]


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch, request):
    """Figures are not drawn, which takes most of a page's time."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: file.write(b"drawn"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def words(folder):
    return [*TINY, "--output", str(folder)]


def fill(folder, *names, seeds=1):
    """Put small bundles in the place of some rows' runs, with these runs' configs."""
    for one in plan(Request("facs", True, folder, seeds)):
        for point in one.points:
            if one.row.name in names:
                make_bundle(point.config.output)
                write_config(point.config.output, point.config.tree)
                results = read_json(point.config.output / "results.json")
                results["seeds"] = [point.config.protocol.seed]
                write_json(point.config.output / "results.json", results)


def table(folder, name):
    with (folder / "page" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("corpus", "facts"), [("baum1s", baum1s), ("enterface05", enterface05)])
def test_what_the_paper_prints_is_what_the_report_carries(corpus, facts):
    ours = {
        "non-trained schema": "non_trained", "EmotionalVlan after fc6": "fc6",
        "spatial stream alone": "spatial", "temporal stream alone": "temporal",
        "HOG 3D": "hog3d", "3DCNN": "3dcnn", "Zhalehpour et al.": "zhalehpour",
        "Mansoorizadeh et al.": "mansoorizadeh", "Bejani et al.": "bejani",
    }  # fmt: skip
    shown = {
        one.who.removeprefix("Pan et al. 2019, "): one.accuracy
        for one in published(corpus, set(ours), 6)
    }
    assert {ours[who]: value for who, value in shown.items() if who in ours} == {
        row: paper(row, corpus) for row in ours.values() if paper(row, corpus) is not None
    }
    assert paper("whole", corpus) == facts.FACTS.paper_accuracy


def test_a_figure_is_held_against_the_papers_and_against_what_is_pinned():
    assert beside_paper(0.4472, "whole", "enterface05") == "+1.0, within 3"
    assert beside_paper(0.4, "whole", "baum1s") == "-6.5, not within 3"
    assert beside_paper(0.4, "whole", "facs") == ""
    pin = Pin("facs", "demo", "whole", 87.1, 4.0)
    assert [pin.met(a) for a in (0.83, 0.832, 0.91, 0.912)] == [False, True, True, False]


@pytest.mark.parametrize(("away", "status"), [(1.0, 1), (0.0, 0)])
def test_a_pinned_figure_that_is_not_met_fails_the_command_which_writes_its_page(
    away, status, folder, words, monkeypatch, capsys
):
    fill(folder, "whole")
    right = 100 * read_json(folder / "whole-seed-0/results.json")["accuracy"]["pooled"]
    pin = Pin("facs", "tiny", "whole", right + away, 0.5)
    monkeypatch.setattr(reproduced, "pins", lambda corpus, size: [pin])
    assert main([*words, "--page"]) == status
    assert ("not met: whole" in capsys.readouterr().err) == bool(status)
    assert f": {'NOT ' if status else ''}met." in (folder / "reproduce.html").read_text()


def test_a_plan_runs_what_tables_share_once_and_only_what_is_asked_for(folder):
    planned = plan(Request("facs", True, folder, 2, frozenset({"table2"})))
    assert [point.name for point in chosen(planned)] == [
        "whole-seed-0", "fc6-seed-0", "whole-seed-1", "fc6-seed-1",
    ]  # fmt: skip
    everything = {one.row.name: one for one in planned}
    assert "length_4" not in everything  # of configs/tiny.yaml itself: it is the whole
    assert everything["length_2"].points[0].config.data.segment_length == 2
    assert everything["fc6"].points[1].config.protocol.seed == 1
    of_two = [everything[name].points[0].config.stages.vlan for name in ("whole", "longer")]
    assert of_two[1].iterations == 2 * of_two[0].iterations
    assert {part for one in planned for part in one.row.parts} == {*PARTS}
    caches = {point.config.stages.cache for one in planned for point in one.points}
    assert caches == {folder / "stages"}  # so that stages 1 and 2 are trained once


@pytest.mark.parametrize("corpus", command.corpora())
def test_each_corpus_with_a_config_has_one_to_begin_with(corpus, folder):
    config = parse("vfer.fit", base_words(Request(corpus, False, folder)))
    assert config.data.corpus_name == corpus


def test_a_corpus_is_run_with_the_papers_lengths(folder):
    planned = {one.row.name: one for one in plan(Request("enterface05", False, folder))}
    assert {f"length_{n}" for n in range(2, 21, 2) if n != 16} < planned.keys()
    assert planned["width_half"].points[0].config.model.width == 0.5
    assert planned["swin3d_t"].points[0].config.model.input_size == 224
    one = planned["one_stream"].points[0].config
    assert one.model.network["init_args"]["weights"] == "imagenet"  # as the whole
    assert one.stages.network.iterations == 5000 + ceil(2 * 5000 * 40 / (40 * 2 * 15))


def test_the_list_of_runs_tells_what_is_done(folder, words, capsys):
    fill(folder, "whole")
    assert main([*words, "--only", "table2", "--plan"]) == 0
    shown = capsys.readouterr().out
    states = dict(re.findall(r"(\w+-seed-0) .* (done|missing|not asked for) ", shown))
    assert states["whole-seed-0"] == "done"
    assert states["fc6-seed-0"] == "missing"
    assert states["spatial-seed-0"] == "not asked for"
    assert "1 of 2 runs are to be done" in shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--corpus", "nobodys"], "nobodys"),
        ([*TINY, "--only", "table9"], "table9"),
        ([*TINY, "--seeds", "0"], "--seeds is 0"),
        ([*TINY, "--protocol.seed=3"], "give --seeds N"),
        ([*TINY, "--fold", "1"], "--fold"),
        ([*TINY, "--weights", "resnet18=nowhere.pth"], "a file that is there"),
        ([*TINY, "--weights", "vgg=README.md"], "one of resnet18"),
        ([*TINY, "--data.segment_lenght=3"], "segment_lenght"),
        (["--corpus", "enterface05", "--size", "tiny"], "data.root is not given"),
        ([*TINY, "--page"], "nothing was run there"),
    ],
)
def test_a_wrong_command_line_is_refused_before_any_work(given, said, folder, capsys):
    assert main([*given, "--output", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()


def test_the_page_has_every_part_and_says_what_was_not_run(folder, words, capsys):
    fill(folder, "whole", "fc6", "length_2")
    assert main([*words, "--page"]) == 0, capsys.readouterr().err
    page = (folder / "reproduce.html").read_text(encoding="utf-8")
    assert all(title.replace("'", "&#x27;") in page for title in PARTS.values())
    fc7, fc6, chance, _ = table(folder, "table2")
    assert [fc7["BAUM-1s, %"], fc6["eNTERFACE'05, %"]] == ["46.51", "42.11"]
    assert re.fullmatch(r"\d+\.\d \(\d+\.\d–\d+\.\d\)", [*fc6.values()][2])
    assert [*fc6.values()][4].startswith("+0.0")
    assert chance["accuracy, %"] == ""
    _, non_trained, *_ = table(folder, "table1")
    assert [*non_trained.values()][1] == "not run"
    quoted = table(folder, "table5")[3]
    assert [quoted["eNTERFACE'05, %"], quoted["BAUM-1s, %"]] == ["39.27", "–"]
    assert quoted["accuracy, %"].startswith("quoted, not run")
    assert {row["L"] for row in table(folder, "fig9")} == {"2", "4"}
    assert {row["run"]: row["state"] for row in table(folder, "runs")}["spatial"] == "not run"


def test_several_seeds_are_shown_with_their_spread_and_a_missing_one_is_named(folder, words):
    fill(folder, "whole", seeds=2)
    fill(folder, "fc6")
    assert main([*words, "--page", "--seeds", "2"]) == 0
    fc7, fc6, *_ = (list(row.values()) for row in table(folder, "table2"))
    assert fc6[0] == "after fc6 (1 of 2 seeds; the others not run)"
    assert [fc7[1][-9:], fc6[1][-7:]] == ["(2 seeds)", "(folds)"]


def test_a_run_that_fails_leaves_the_others_and_a_page(folder, words, monkeypatch, capsys):
    def fail(points, output, console):
        fill(folder, "whole")
        return {point.name: "no memory" for point in points if "fc6" in point.name}

    monkeypatch.setattr(command, "run_points", fail)
    assert main([*words, "--only", "table2"]) == 1
    assert "1 runs failed" in capsys.readouterr().err
    _, fc6, *_ = table(folder, "table2")
    assert [*fc6.values()][1] == "failed: no memory"


def test_a_run_that_another_process_is_at_is_named(folder, words, monkeypatch, capsys):
    monkeypatch.setattr(command, "run_points", lambda points, output, console: {})
    assert main([*words, "--only", "fig10"]) == 0
    assert "another process is at whole-seed-0" in capsys.readouterr().out


def test_an_interruption_is_said_to_be_one(words, monkeypatch, capsys):
    def stop(points, output, console):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_points", stop)
    assert main(words) == 130
    assert "resumes here" in capsys.readouterr().err


def test_another_config_in_the_same_folder_is_refused(folder, words, capsys):
    fill(folder, "whole")
    assert main([*words, "--data.segment_length", "3"]) == 2
    assert "data.segment_length" in capsys.readouterr().err


def model(right, *, people=20, classes=("anger", "fear"), length=None):
    """A model that has `right(person, class, take)` of its clips right, ten of each class."""
    rows = []
    for person in range(people):
        for place, label in enumerate(classes):
            for take in range(10):
                hit = right(person, label, take)
                scores = [0.0] * len(classes)
                scores[place if hit else place - 1] = 1.0
                name = f"{person}/{label}/{take}"
                rows.append(ClipResult(0, str(person), name, label, "scored", "", tuple(scores), 1))
    config = {} if length is None else {"data.segment_length": length}
    name = "toy" if length is None else f"L = {length}"
    tables = Tables(tuple(rows), (), (), ())
    results = {"classes": list(classes)}
    return Model(name, (Bundle(Path(name), results, tables, config, {}, (), {}),))


def share(tenths):
    """Right in so many of ten takes, one more for every other person."""
    return lambda person, _, take: take < tenths + person % 2


@pytest.mark.parametrize(
    ("ahead", "behind", "people", "verdict"),
    [
        (share(7), share(4), 20, claims.SUPPORTED),
        (share(4), share(7), 20, claims.AGAINST),
        (share(5), lambda person, _, take: take < 4 + 3 * (person % 2), 20, claims.CLOSE),
        (share(9), share(0), 5, claims.CLOSE),  # too few to tell
    ],
)
def test_a_claim_is_judged_by_whether_the_difference_is_clear(ahead, behind, people, verdict):
    said, why = claims.judge(model(ahead, people=people), model(behind, people=people))
    assert said == verdict
    assert "p = " in why or "p < " in why


@pytest.mark.parametrize(
    ("tenths", "verdict"),
    [
        ({2: 3, 8: 4, 16: 7}, claims.SUPPORTED),
        ({2: 3, 8: 7, 16: 7}, claims.CLOSE),
        ({2: 3, 8: 9, 16: 7}, claims.AGAINST),
        ({2: 3, 8: 9}, claims.NOT_RUN),
        ({16: 7}, claims.NOT_RUN),
    ],
)
def test_the_best_length_must_be_ahead_of_every_other(tenths, verdict):
    rows = {f"{n}": Found(length_row(n), model(share(t), length=n), "") for n, t in tenths.items()}
    rows["whole"] = Found(length_row(0), None, "not run")
    assert claims.best_length(rows)[0] == verdict


@pytest.mark.parametrize(
    ("fear", "other", "people", "verdict"),
    [
        (3, 7, 20, claims.SUPPORTED),
        (7, 3, 20, claims.AGAINST),
        (5, 5, 20, claims.CLOSE),
        (3, 7, 8, claims.CLOSE),
    ],
)
def test_fear_is_harder_where_its_recall_is_clearly_below_the_others(fear, other, people, verdict):
    def right(person, label, take):
        return take < (fear if label == "fear" else other) + (person + (label == "fear")) % 2

    said, why = claims.hardest(model(right, people=people))
    assert said == verdict
    assert f"{10 * (fear - other):+.1f} points" in why


def test_a_corpus_without_fear_says_so():
    assert claims.hardest(model(share(5), classes=("joy", "anger")))[0] == claims.NOT_HERE


def test_claims_of_rows_that_were_not_run_say_so(folder, words):
    fill(folder, "whole", "fc6")
    assert main([*words, "--page"]) == 0
    said = {row["the paper says"]: row["here"] for row in table(folder, "claims")}
    assert len(said) == len(claims.CLAIMS) + 4
    assert said.pop("EmotionalVlan after fc7 is better than after fc6.") == claims.CLOSE
    assert claims.CLOSE not in said.values()
    assert said["The method is better than 3DCNN."] == claims.NOT_RUN


def test_a_way_is_best_where_no_other_is_as_good_in_everything():
    places = [
        Place("large", 0.9, 50, 10, 3.0),
        Place("small", 0.9, 5, 10, 1.0),
        Place("worse", 0.8, 6, 10, 1.0),
        Place("quick", 0.7, 7, 1, 0.5),
        Place("same", 0.9, 5, 10, 1.05),  # no other time than that of small
    ]
    assert best(places) == ["small", "quick", "same"]


def test_costs_that_were_measured_stand_beside_accuracy_and_others_are_said_to_be_not(
    folder, words
):
    fill(folder, "whole", "fc6")
    told = {"parameters": 5_000_000, "flops": 2_500_000_000, "seconds": 0.25}
    write_json(folder / "measured.json", {"whole": told, "int8": {"why": "no extra"}})
    assert main([*words, "--page"]) == 0
    whole, fc6, *others, int8 = (list(row.values()) for row in table(folder, "future"))
    assert whole[3:6] == ["5.00", "2.50", "0.250"]
    assert fc6[5] == "not measured"
    assert {row[1] for row in others} == {"not run"}
    assert int8[1] == "not measured: no extra"


@pytest.mark.slow
def test_what_models_cost_is_measured_once(folder, words, facs_words, capfd):
    words += [*facs_words, "--data.cache", str(folder / "cache"), "--only", "future"]
    assert main(words) == 0, capfd.readouterr().err
    found = read_json(folder / "measured.json")
    assert not [one for one in found.values() if "why" in one]
    assert found["width_quarter"]["parameters"] < found["width_half"]["parameters"]
    assert found["width_half"]["flops"] < found["whole"]["flops"] == found["bf16"]["flops"]
    assert found["int8"]["clips"] == 18
    capfd.readouterr()
    assert main(words) == 0
    assert "measuring" not in capfd.readouterr().out


@pytest.mark.slow
def test_a_table_is_run_and_the_second_time_taken_as_it_is(folder, words, facs_words, capfd):
    words += [*facs_words, "--data.cache", str(folder / "cache"), "--only", "table2"]
    assert main(words) == 0, capfd.readouterr().err
    fc7, fc6, *_ = (list(row.values()) for row in table(folder, "table2"))
    assert all(re.match(r"\d+\.\d ± \d+\.\d", line[1]) for line in (fc7, fc6))
    stamp = (folder / "whole-seed-0/files.json").stat().st_mtime_ns
    capfd.readouterr()
    assert main(words) == 0
    assert capfd.readouterr().out.count("done before") == 2
    assert (folder / "whole-seed-0/files.json").stat().st_mtime_ns == stamp
    used = [yaml.safe_load((p / "config.yaml").read_text()) for p in Path(folder).glob("*-seed-0")]
    assert {one["stages"]["cache"] for one in used} == {str(folder / "stages")}
