"""The report: what its page and tables say of bundles, and what it refuses."""

import csv
import errno
import html
import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from rich.console import Console

from tests.test_verify import (
    CLASSES,
    CONFIG,
    GROUPS,
    differences,
    edit_csv,
    edit_json,
    hash_again,
    make_bundle,
    write_config,
    write_stages,
)
from vfer.flow.settings import FlowConfig
from vfer.prepare.store import CropStore, Entry
from vfer.report.figures import confusion_figure, draw_figures, measured_stages
from vfer.report.main import main
from vfer.report.markup import latex
from vfer.report.numbers import difference
from vfer.report.parts import Grid
from vfer.report.published import in_papers_order, paper_row, published
from vfer.report.terminal import print_summary
from vfer.results.bundle import assemble, seal, write_fold
from vfer.results.scoring import Header
from vfer.results.tables import CurvePoint, Tables, read_tables
from vfer.runtime.files import read_json, write_json
from vfer.verify import main as verify


def set_config(bundle, **values):
    """Give a bundle a config with some dotted keys changed."""
    config = json.loads(json.dumps(CONFIG))
    for key, value in values.items():
        part, name = key.split("__")
        config[part][name] = value
    write_config(bundle, config)
    edit_json(bundle / "environment.json", lambda e: e.update(seed=config["protocol"]["seed"]))
    hash_again(bundle)


def rename_corpus(bundle, name):
    edit_json(bundle / "results.json", lambda found: found.update(corpus=name))
    edit_json(bundle / "environment.json", lambda found: found["corpus"].update(name=name))
    hash_again(bundle)


def answer_again(bundle, share, seed=0):
    """Make some scored clips right: a better model on the same clips."""
    rng = np.random.default_rng(seed)
    for fold, subjects in enumerate(GROUPS):
        directory = bundle / f"fold-{fold}"
        tables = read_tables(directory, CLASSES)
        right = {c.clip for c in tables.clips if c.probabilities and rng.random() < share}

        def better(row, right=right):
            scores = tuple(0.9 if c == row.label else 0.05 for c in CLASSES)
            return (
                type(row)(**(vars(row) | {"probabilities": scores})) if row.clip in right else row
            )

        changed = Tables(
            tuple(map(better, tables.clips)), tuple(map(better, tables.segments)),
            tables.streams, tables.curves,
        )  # fmt: skip
        write_fold(bundle, fold, changed, subjects=subjects, classes=CLASSES)
    excluded = [r for r in read_tables(bundle, CLASSES).clips if r.status == "excluded"]
    assemble(bundle, Header.of(read_json(bundle / "results.json")), excluded)
    seal(bundle)


@pytest.fixture(scope="module")
def reported(made, tmp_path_factory):
    """A bundle with its report, only to be read."""
    bundle = shutil.copytree(made, tmp_path_factory.mktemp("reported") / "bundle")
    assert main([str(bundle)]) == 0
    return bundle


def grid(path, name):
    with (path / "report" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def page(path):
    return (path / "report.html").read_text(encoding="utf-8")


def test_the_tables_say_what_the_results_say(reported):
    bundle = reported
    assert "does not verify" not in page(bundle)
    found = read_json(bundle / "results.json")
    result = {row[0]: row for row in grid(bundle, "result")}
    accuracy = found["accuracy"]
    assert result["bundle"][1] == f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['std']:.1f}"
    low, high = accuracy["ci95"]
    pooled = f"{100 * accuracy['pooled']:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    assert result["bundle"][2] == pooled
    assert result["bundle"][5] == f"{100 * found['macro_f1']['pooled']:.1f}"
    assert result["chance"][1] == "33.3"
    names, *rows = grid(bundle, "numbers")
    for row in rows:
        numbers = dict(zip(names, row, strict=True))
        measure = found[numbers["measure"]]
        for key in ("mean", "std", "pooled"):
            assert float(numbers[key]) == measure[key]
        assert [float(numbers["ci95_low"]), float(numbers["ci95_high"])] == measure["ci95"]
    assert len(rows) == 3
    folds = grid(bundle, "folds")[1:]
    assert [row[3] for row in folds] == [f"{100 * f['accuracy']:.1f}" for f in found["folds"]]
    classes = {row[0]: row for row in grid(bundle, "classes")}
    for name in CLASSES:
        assert classes[name][2] == f"{100 * found['recall'][name]:.1f}"
        assert classes[name][3] == f"{100 * found['precision'][name]:.1f}"
    assert [row[0] for row in grid(bundle, "streams")[1:]] == [
        "spatial network alone", "temporal network alone", "the whole model",
    ]  # fmt: skip
    assert grid(bundle, "coverage")[1] == [str(n) for n in found["coverage"].values()]
    missed = grid(bundle, "missed")[1:]
    assert len(missed) == found["coverage"]["no_face"] + found["coverage"]["unreadable"]
    hardest = [float(row[5]) for row in grid(bundle, "hardest")[1:]]
    assert hardest == sorted(hardest)
    text = page(bundle)
    assert "6 subjects: with fewer than 12 the intervals are too narrow" in text
    assert "Optimism gap: had each" in text
    assert "Segments of scored clips by themselves" in text
    markdown = (bundle / "report" / "report.md").read_text(encoding="utf-8")
    assert pooled in markdown


def test_a_bundle_with_a_report_verifies_and_a_second_report_is_the_same(reported, tmp_path):
    assert verify([str(reported)]) == 0
    assert differences(reported) == ""
    assert main([str(reported), "--output", str(tmp_path)]) == 0
    files = {path.name: path.read_bytes() for path in (reported / "report").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == files
    assert page(reported) == page(tmp_path)
    for kind in ("svg", "pdf"):
        for name in ("confusion", "curve-spatial", "curve-vlan", "subjects"):
            assert len(files[f"{name}.{kind}"]) > 1000


def test_the_page_needs_no_network_and_no_other_file(reported):
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', page(reported))
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in page(reported)
    assert not re.search(r"https?://|@import|url\(", page(reported))


def test_each_shown_table_is_latex_too(reported):
    files = {path.stem: path.read_text(encoding="utf-8") for path in reported.glob("report/*.tex")}
    names = {path.stem for path in reported.glob("report/*.csv")}
    assert set(files) == names - {"numbers"}
    result = files["result"]
    assert r"\label{tab:result}" in result
    assert r"\begin{tabular}{lrrrrrl}" in result
    assert r"accuracy, \% & accuracy, pooled, \% &" in result
    cell = dict(zip(*grid(reported, "result")[:2], strict=True))["accuracy, %"]
    assert f"bundle & {cell} & ".replace("±", r"$\pm$") in result


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a&b%c_d#e$f{g}", r"a\&b\%c\_d\#e\$f\{g\}"),
        (r"~^\<>|", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"
                   r"\textless{}\textgreater{}\textbar{}"),
        ("[x] *", "{[}x] {*}"),
        ("1 – 2 − 3 ± 4 …", r"1 -- 2 $-$ 3 $\pm$ 4 \dots{}"),
        ("-1 (-2 to 3), take-2", "$-$1 ($-$2 to 3), take-2"),
        ("--seeds", "-{}-seeds"),
        ("two\nlines\x1b é", "two lines é"),
    ],
)  # fmt: skip
def test_text_is_escaped_for_latex(text, tex):
    table = latex(Grid("t", text, ("", text), [[text, "1"]], text)).splitlines()
    assert rf"\caption{{{tex}}}" in table
    assert rf" & {tex} \\" in table
    assert rf"{tex} & 1 \\" in table
    assert rf"\par\smallskip {tex}" in table


def test_in_latex_numbers_stand_to_the_right_and_long_texts_break():
    rows = [["a", "−1.5 ± 0.2", "1, 2, 3", "word " * 20], ["b", "–", "4", ""]]
    assert r"\begin{tabular}{lrlp{0.3\linewidth}}" in latex(Grid("t", "", [""] * 4, rows))


@pytest.mark.usefixtures("undrawn")
def test_what_a_bundle_says_is_shown_as_text(bundle, tmp_path):
    evil = "<script>alert(1)</script>"
    for name in ("predictions.csv", "segments.csv", "streams.csv"):
        path = bundle / name
        path.write_text(path.read_text().replace("ada/anger", evil).replace(",why,", f",{evil},"))
    (bundle / "config.yaml").write_text(f"data: {{cache: '{evil}'}}\n", encoding="utf-8")
    hash_again(bundle)
    assert main([str(bundle), "--output", str(tmp_path / "out")]) == 0
    text = page(tmp_path / "out")
    assert evil not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert evil not in (tmp_path / "out" / "report" / "report.md").read_text().split("```")[0]


@pytest.mark.usefixtures("undrawn")
def test_a_changed_bundle_is_shown_with_a_warning_and_its_true_figures(bundle, capsys):
    before = read_json(bundle / "results.json")["accuracy"]["mean"]
    edit_json(bundle / "results.json", lambda found: found["accuracy"].update(mean=0.99))
    assert main([str(bundle)]) == 0
    assert "bundle does not verify, 2 differences" in capsys.readouterr().out
    assert "bundle does not verify, 2 differences" in page(bundle)
    assert grid(bundle, "result")[1][1].startswith(f"{100 * before:.1f} ")


def test_crops_of_the_hardest_clips_are_shown_where_they_are_at_hand(bundle, tmp_path):
    set_config(bundle, data__cache=str(tmp_path / "cache"))
    edit_json(bundle / "environment.json", lambda found: found.update(store="toy-1"))
    hash_again(bundle)
    assert main([str(bundle)]) == 0
    assert "The crops of 8 of them are not at hand" in page(bundle)
    assert not (bundle / "report" / "hardest.svg").exists()
    store = CropStore(tmp_path / "cache" / "crops" / "toy-1")
    crops = np.zeros((3, 150, 110, 3), np.uint8)
    for row in grid(bundle, "hardest")[1:4]:
        store.add(Entry(clip=row[1], status="ok", frames=3), crops)
    assert main([str(bundle)]) == 0
    assert "The crops of 5 of them are not at hand" in page(bundle)
    assert (bundle / "report" / "hardest.svg").is_file()
    damaged = sorted((store.directory / "crops").iterdir())
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert main([str(bundle)]) == 0
    assert any(f"{path} is not what was written" in page(bundle) for path in damaged)


def test_an_output_that_is_no_folder_is_refused(bundle, capsys):
    assert main([str(bundle), "--output", str(bundle / "results.json")]) == 2
    assert "--output is" in capsys.readouterr().err


def test_crops_that_cannot_be_read_now_fail_the_report_and_are_named(
    bundle, tmp_path, monkeypatch, capsys
):
    set_config(bundle, data__cache=str(tmp_path / "cache"))
    edit_json(bundle / "environment.json", lambda found: found.update(store="toy-1"))
    hash_again(bundle)
    store = CropStore(tmp_path / "cache" / "crops" / "toy-1")
    assert main([str(bundle)]) == 0
    clip = grid(bundle, "hardest")[1][1]
    store.add(Entry(clip=clip, status="ok", frames=3), np.zeros((3, 150, 110, 3), np.uint8))

    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(np, "load", broken)
    assert main([str(bundle)]) == 1
    assert str(store.directory / "crops") in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_several_bundles_are_tested_against_the_first(bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # so that no cell of the terminal's table is wrapped
    better = shutil.copytree(bundle, tmp_path / "better")
    answer_again(better, 0.9)
    set_config(better, model__insert_after="fc6")
    output = tmp_path / "out"
    assert main([str(bundle), str(better), "--output", str(output)]) == 0
    assert grid(output, "settings") == [
        ["", "model.insert_after"], ["bundle", "fc7"], ["better", "fc6"],
    ]  # fmt: skip
    ((name, accuracy, _),) = grid(output, "paired")[1:]
    gain = (
        read_json(better / "results.json")["accuracy"]["pooled"]
        - read_json(bundle / "results.json")["accuracy"]["pooled"]
    )
    assert name == "better"
    assert accuracy.startswith(f"{100 * gain:+.1f} (")
    printed = capsys.readouterr().out
    assert "Against bundle" in printed
    assert re.search(r"better +│ +" + re.escape(accuracy), printed)
    assert gain > 0.1
    assert (output / "report" / "over-insert-after.pdf").is_file()


@pytest.mark.usefixtures("undrawn")
def test_bundles_of_other_videos_are_not_tested_against_each_other(bundle, tmp_path, capsys):
    """Such as two rendered corpora, whose clips and people have the same names."""
    other = shutil.copytree(bundle, tmp_path / "other")
    edit_csv(other / "clips.csv", lambda rows: rows[0].update(video="f" * 64))
    set_config(other, model__insert_after="fc6")
    output = tmp_path / "out"
    assert main([str(bundle), str(other), "--output", str(output)]) == 0
    said = "other: not compared with bundle: of other videos, such as ada/anger, take 0"
    assert said in " ".join(html.unescape(page(output)).split())
    assert not (output / "report" / "paired.csv").exists()
    set_config(other, model__insert_after="fc7")  # the same config is not the same model then
    assert main([str(bundle), str(other), "--output", str(output)]) == 0
    assert "Against bundle" in page(output)


def test_accuracy_is_drawn_over_a_swept_number_with_a_line_each_of_another(bundle, tmp_path):
    paths = []
    for length in (2, 8, 16):
        for pool in ("sum", "frame"):
            path = shutil.copytree(bundle, tmp_path / f"{length}-{pool}")
            set_config(path, data__segment_length=length, model__pool=pool)
            paths.append(str(path))
    assert main([*paths, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report" / "over-segment-length.svg").is_file()
    assert grid(tmp_path / "out", "settings")[0] == ["", "data.segment_length", "model.pool"]
    assert len(grid(tmp_path / "out", "paired")) == 6


@pytest.mark.usefixtures("undrawn")
def test_a_folder_of_seeds_is_one_model_with_its_spread(bundle, tmp_path):
    seeds = tmp_path / "twice"
    for seed in (0, 1):
        path = shutil.copytree(bundle, seeds / f"seed-{seed}")
        edit_json(path / "results.json", lambda found, seed=seed: found.update(seeds=[seed]))
        answer_again(path, 0.4 * seed)
        set_config(path, protocol__seed=seed)
    assert main([str(seeds)]) == 0
    means = [read_json(seeds / f"seed-{s}" / "results.json")["accuracy"]["mean"] for s in (0, 1)]
    row = grid(seeds, "result")[1]
    assert row[0] == "twice"
    assert row[1] == f"{100 * np.mean(means):.1f} ± {100 * np.std(means, ddof=1):.1f}"
    assert row[6] == "± between 2 seeds"
    assert [r[2] for r in grid(seeds, "runs")[1:]] == [f"{100 * m:.1f}" for m in means]


@pytest.mark.usefixtures("undrawn")
def test_runs_of_one_seed_are_not_taken_for_seeds_of_one_model(bundle, tmp_path):
    again = shutil.copytree(bundle, tmp_path / "again")
    output = tmp_path / "out"
    edit_json(again / "environment.json", lambda found: found.update(commit="def"))
    hash_again(again)
    assert main([str(bundle), str(again), "--output", str(output)]) == 0
    assert grid(output, "environments")[1:] == [["bundle", "abc"], ["again", "def"]]
    assert (output / "report" / "models.pdf").is_file()
    assert [row[0] for row in grid(output, "result")[1:3]] == ["bundle", "again"]
    assert [row[6] for row in grid(output, "result")[1:3]] == ["± between folds"] * 2
    ((name, accuracy, _),) = grid(output, "paired")[1:]
    assert (name, accuracy) == ("again", "+0.0 (+0.0 to +0.0), p = 1.000")


@pytest.mark.usefixtures("undrawn")
def test_runs_that_differ_in_their_seed_are_named_by_what_they_share(bundle, tmp_path):
    paths = []
    for seed in (0, 1):
        path = shutil.copytree(bundle, tmp_path / f"wide-{seed}")
        edit_json(path / "results.json", lambda found, seed=seed: found.update(seeds=[seed]))
        set_config(path, protocol__seed=seed)
        paths.append(str(path))
    assert main([*paths, "--output", str(tmp_path / "out")]) == 0
    assert grid(tmp_path / "out", "result")[1][0] == "wide"
    assert "Hardest clips (seed 0)" in page(tmp_path / "out")


def test_names_are_no_formulas_and_may_hold_any_character(bundle, tmp_path):
    odd = "$\\frac$ \x1b[31m --> 顔"
    for path in (bundle / "predictions.csv", bundle / "segments.csv", bundle / "streams.csv",
                 bundle / "folds.json"):  # fmt: skip
        name = json.dumps(odd)[1:-1] if path.suffix == ".json" else odd
        path.write_text(path.read_text().replace('"ada"', f'"{name}"').replace(",ada,", f",{odd},"))
    hash_again(bundle)
    assert main([str(bundle)]) == 0
    for path in (bundle / "report").glob("*.svg"):
        ElementTree.parse(path)
    assert html.escape(odd) in page(bundle)


@pytest.mark.usefixtures("undrawn")
def test_a_bundle_names_no_file_outside_the_report(bundle, tmp_path, capsys):
    path = bundle / "curves.csv"
    path.write_text(path.read_text().replace(",spatial,", ",../../../evil,"))
    output = tmp_path / "deep" / "er" / "out"
    assert main([str(bundle), "--output", str(output)]) == 2
    assert "stage is '../../../evil'" in capsys.readouterr().err
    assert not [*tmp_path.rglob("*evil*")]


@pytest.mark.usefixtures("undrawn")
def test_what_an_earlier_report_left_is_removed_and_nothing_else(bundle, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "other")
    set_config(other, data__segment_length=8)
    output = tmp_path / "out"
    assert main([str(bundle), str(other), "--output", str(output)]) == 0
    assert (output / "report" / "over-segment-length.svg").is_file()
    (output / "report" / "mine.csv").write_text("a\n")
    assert main([str(bundle), "--output", str(output)]) == 0
    assert not (output / "report" / "over-segment-length.svg").exists()
    assert (output / "report" / "mine.csv").is_file()


@pytest.mark.usefixtures("undrawn")
def test_bundles_of_other_clips_or_corpora_are_not_tested(bundle, tmp_path):
    other = tmp_path / "other"
    make_bundle(other)
    set_config(other)
    rename_corpus(other, "else")
    assert main([str(bundle), str(other), "--output", str(tmp_path / "out")]) == 0
    text = page(tmp_path / "out")
    assert "Result on toy" in text
    assert "Result on else" in text
    names = {path.name for path in (tmp_path / "out" / "report").glob("*.csv")}
    assert {"0-result.csv", "1-result.csv"} <= names
    assert not [name for name in names if "paired" in name]


def without_streams(bundle, *stages):
    """Take the streams from a bundle, and give it curves of other stages."""
    for fold, subjects in enumerate(GROUPS):
        tables = read_tables(bundle / f"fold-{fold}", CLASSES)
        splits = ("train", "test")
        curves = tuple(CurvePoint(fold, s, 10, p, 0.25, None) for s in stages for p in splits)
        write_stages(bundle, fold, stages or ["classifier"], curves)
        bare = Tables(tables.clips, tables.segments, (), curves)
        write_fold(bundle, fold, bare, subjects=subjects, classes=CLASSES)
    answer_again(bundle, 0)
    plugged = {"class_path": "mine.Own"}
    if stages:
        settings = {"iterations": 10, "measure_every": 10}
        set_config(bundle, model__network=plugged, stages__network=settings)
    else:
        set_config(bundle, model__descriptor=plugged)


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_stages_has_no_curves_and_no_streams(bundle, tmp_path, capsys):
    other = shutil.copytree(bundle, tmp_path / "other")
    without_streams(bundle)
    assert verify([str(bundle)]) == 0
    results = read_json(bundle / "results.json")
    assert results["streams"] == {}
    assert [fold["oracle_accuracy"] for fold in results["folds"]] == [None] * 3
    assert main([str(bundle)]) == 0
    assert "No curve was recorded" in page(bundle)
    assert "Optimism gap" not in page(bundle)
    assert not (bundle / "report" / "streams.csv").exists()
    set_config(other, data__segment_length=8)
    assert main([str(bundle), str(other), "--output", str(tmp_path / "out")]) == 0
    print_summary(results, (), bundle, Console())
    out = capsys.readouterr().out
    assert "stage 1 alone" not in out
    assert "optimism gap" not in out


@pytest.mark.usefixtures("undrawn")
def test_a_network_of_ones_own_has_one_stage(bundle, capsys):
    without_streams(bundle, "network")
    assert verify([str(bundle)]) == 0
    results = read_json(bundle / "results.json")
    assert [fold["oracle_accuracy"] for fold in results["folds"]] == [0.25] * 3
    assert main([str(bundle)]) == 0
    assert [path.stem for path in bundle.glob("report/curve-*.pdf")] == ["curve-network"]
    print_summary(results, read_tables(bundle, CLASSES).curves, bundle, Console())
    assert "optimism gap: not measured" in capsys.readouterr().out
    assert "Optimism gap: not measured" in page(bundle)


def test_a_run_without_curves_has_no_figure_of_them(made_store, tmp_path, made):
    corpus, store = made_store({("1", "anger"): 3, ("2", "happiness"): 3})
    results, tables = read_json(made / "results.json"), read_tables(made, CLASSES)
    draw_figures(tmp_path / "all", results, tables, corpus, store, FlowConfig())
    names = {"confusion.png", "crops.png", "curves.png"}
    assert {path.name for path in (tmp_path / "all").iterdir()} == names
    bare = Tables(tables.clips, tables.segments)
    draw_figures(tmp_path / "bare", results, bare, corpus, store, FlowConfig())
    assert {path.name for path in (tmp_path / "bare").iterdir()} == names - {"curves.png"}


def test_stages_stand_in_their_order():
    curves = [
        CurvePoint(0, stage, 1, "test", accuracy, None)
        for stage, accuracy in (("odd", 1.0), ("vlan", 0.5), ("temporal", None), ("spatial", 0.0))
    ]
    assert measured_stages(curves) == ["spatial", "vlan", "odd"]
    assert measured_stages([]) == []


def test_misses_have_a_column_of_the_confusion_matrix_and_rows_are_whole(made):
    results, tables = read_json(made / "results.json"), read_tables(made, CLASSES)
    (axes,) = confusion_figure(results, tables.clips).axes
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == [*CLASSES, "no answer"]
    clips = [sum(r.label == c for r in tables.clips) for c in CLASSES]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [f"{c} ({n})" for c, n in zip(CLASSES, clips, strict=True)]
    cells = np.array([float(text.get_text()) for text in axes.texts]).reshape(3, 4)
    np.testing.assert_allclose(cells.sum(axis=1), 100, atol=0.2)  # each rounded to 0.1
    missed = [sum(r.label == c and r.status != "scored" for r in tables.clips) for c in CLASSES]
    np.testing.assert_allclose(cells[:, 3], 100 * np.array(missed) / clips, atol=0.05)
    answered = [row for row in tables.clips if row.status == "scored"]
    (axes,) = confusion_figure(results, answered).axes
    assert len(axes.get_xticks()) == 3


def test_classes_are_shown_in_the_papers_order():
    classes = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
    shown = ["anger", "happiness", "sadness", "fear", "disgust", "boredom", "neutral"]
    assert in_papers_order(classes) == shown


@pytest.mark.usefixtures("undrawn")
def test_what_was_plugged_in_is_shown_and_a_changed_source_told_apart(bundle, tmp_path):
    def plug_in(path, source):
        plug = {"class_path": "mine.Net", "init_args": {"width": 8}, "source": source}
        plugs = {"plugs": {"model.backbone": plug}}
        edit_json(path / "environment.json", lambda found: found.update(plugs))
        hash_again(path)

    other = shutil.copytree(bundle, tmp_path / "other")
    plain = shutil.copytree(bundle, tmp_path / "plain")
    plug_in(bundle, "a" * 64)
    plug_in(other, "b" * 64)
    edit_json(other / "results.json", lambda found: found.update(seeds=[1]))
    set_config(other, protocol__seed=1)  # another seed, but of another network
    assert main([str(bundle)]) == 0
    assert grid(bundle, "plugs")[1:] == [
        ["bundle", "model.backbone", "mine.Net", "width=8", "a" * 12]
    ]
    assert "Plugged in" in page(bundle)
    paths = [str(bundle), str(other), str(plain)]
    assert main([*paths, "--output", str(tmp_path / "out")]) == 0
    assert [row[0] for row in grid(tmp_path / "out", "plugs")[1:]] == ["bundle", "other"]
    assert grid(tmp_path / "out", "environments") == [
        ["", "plugs.model.backbone"], ["bundle", "a" * 12], ["other", "b" * 12], ["plain", "None"],
    ]  # fmt: skip
    edit_json(bundle / "environment.json", lambda found: found.update(plugs=["x"]))
    assert main([str(bundle)]) == 2


@pytest.mark.parametrize(
    ("interval", "p", "text"),
    [
        ([0.01, 0.09], 0.0312, "+5.0 (+1.0 to +9.0), p = 0.031"),
        ([0.01, 0.09], 0.0001, "+5.0 (+1.0 to +9.0), p < 0.001"),
        (None, 0.125, "+5.0 (no interval), p = 0.125"),
    ],
)
def test_a_difference_as_text(interval, p, text):
    assert difference({"difference": 0.05, "ci95": interval, "p": p}) == text


def test_no_bundle_is_status_2(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    assert "nothing is not a folder" in capsys.readouterr().err
    write_json(tmp_path / "results.json", {})
    assert main([str(tmp_path)]) == 2
    assert "is no result bundle: no folds.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("results.json", "{}", "schema: found None"),
        ("results.json", "[" * 100_000, "nested too deeply"),
        ("predictions.csv", "a\n1\n", "the column 'fold' is missing"),
        ("config.yaml", "- 1\n", "holds no settings"),
        ("config.yaml", "a: &a\n  b: *a\n", "recursion"),
        ("config.yaml", "!!python/object/apply:os._exit [3]", "could not determine a constructor"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_bundle_that_cannot_be_read_is_status_2(bundle, name, text, said, capsys):
    (bundle / name).write_text(text)
    assert main([str(bundle)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (bundle / "report.html").exists()


@pytest.mark.parametrize(
    ("config", "row"),
    [
        ({}, "spatial-temporal, trained, after fc7"),
        ({"stages.schema": "non_trained"}, "non-trained schema"),
        ({"model.streams": "temporal"}, "temporal stream alone"),
        ({"model.insert_after": "fc6"}, "EmotionalVlan after fc6"),
        ({"model.insert_after": "fc7_only"}, None),
        ({"model.pool": "stream"}, None),
    ],
)
def test_a_config_is_of_a_row_of_the_papers_tables(config, row):
    assert paper_row(config) == row


@pytest.mark.usefixtures("undrawn")
def test_published_figures_stand_beside_a_result(bundle, tmp_path):
    rename_corpus(bundle, "enterface05")
    assert main([str(bundle)]) == 0
    rows = {row[0]: row for row in grid(bundle, "result")}
    assert rows["Pan et al. 2019, spatial-temporal, trained, after fc7"][1] == "43.72"
    assert rows["MAE-DFER"][1:4] == ["61.64", "", "61.67"]
    assert rows["MAE-DFER"][6].endswith("of 6 classes, not of 3")
    assert published("savee", {"non-trained schema"}, 7) == []


def test_a_bundle_of_an_earlier_config_version_is_compared_by_the_keys_that_matter(
    bundle, tmp_path
):
    earlier = shutil.copytree(bundle, tmp_path / "earlier")
    config = {"model": {"streams": "both"}, "stages": {"schema": "trained"}}
    (earlier / "config.yaml").write_text(yaml.safe_dump(config))
    later = shutil.copytree(bundle, tmp_path / "later")
    config["model"] |= {"backbone": None, "network": None, "descriptor": None, "classifier": None}
    config |= {"config_version": 2, "data": {"name": None}}
    config["stages"] |= {"network": {"iterations": 3}, "schema": "non_trained"}
    (later / "config.yaml").write_text(yaml.safe_dump(config))
    for one in (earlier, later):
        hash_again(one)
    assert main([str(earlier), str(later), "--output", str(tmp_path / "out")]) == 0
    header, *_ = (tmp_path / "out" / "report" / "settings.csv").read_text().splitlines()
    assert header == ",stages.schema"


def test_a_bundle_whose_stages_were_not_made_alike_says_so(bundle, tmp_path, capsys):
    record = read_json(bundle / "environment.json")
    one = {"threads": 2, "device": "cpu", "packages": {"torch": "2.15.0"}}
    for other, said in (({}, False), ({"threads": 8, "packages": {"torch": "2.14.1"}}, True)):
        made = [{"stages": ["fold-0/vlan"], **one}, {"stages": ["fold-1/vlan"], **one, **other}]
        write_json(bundle / "environment.json", record | {"made_with": made})
        hash_again(bundle)
        assert main([str(bundle), "--output", str(tmp_path / "out")]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert ("they differ in packages.torch, threads" in text) == said
