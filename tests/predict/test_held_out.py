"""Clips of the bundle's own corpus, each by the model that has not seen its subject."""

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest

from vfer.fit.main import main as fit
from vfer.predict.held_out import held_out_clips
from vfer.predict.main import main
from vfer.prepare.corpus import open_corpus
from vfer.results.tables import PREDICTIONS
from vfer.runtime.console import make_console
from vfer.runtime.files import read_json


def rows_of(bundle):
    with (bundle / "predictions.csv").open(newline="") as file:
        return {row["clip"]: row for row in csv.DictReader(file)}


def test_each_clip_goes_to_the_model_that_has_not_seen_its_subject(bundle):
    jobs, rows = held_out_clips(bundle, 6, make_console()), rows_of(bundle)
    clips = [next(clip for clip in rows if str(job.path).endswith(f"{clip}.avi")) for job in jobs]
    assert len(set(clips)) == 6
    assert len({rows[clip]["label"] for clip in clips}) == 6
    assert len({rows[clip]["subject"] for clip in clips}) == 3
    for job, clip in zip(jobs, clips, strict=True):
        record = read_json(bundle / f"fold-{job.fold}" / "vlan" / "stage.json")
        assert rows[clip]["subject"] not in record["trained_on"]
        assert f"labelled {rows[clip]['label']}" in job.notes[0]
    assert jobs == held_out_clips(bundle, 6, make_console())
    assert len(held_out_clips(bundle, 1000, make_console())) == len(rows)


def test_names_that_a_spreadsheet_would_take_for_formulas_are_found(bundle, tmp_path, monkeypatch):
    run = shutil.copytree(bundle, tmp_path / "run")
    classes = read_json(run / "results.json")["classes"]
    rows = PREDICTIONS.read(run, classes)
    PREDICTIONS.write(run, [replace(row, clip=f"={row.clip}") for row in rows], classes)

    def renamed(config, console):
        corpus = open_corpus(config, console)
        return replace(corpus, clips=tuple(replace(c, name=f"={c.name}") for c in corpus.clips))

    monkeypatch.setattr("vfer.prepare.corpus.open_corpus", renamed)
    jobs = held_out_clips(run, 6, make_console())
    monkeypatch.undo()
    assert jobs == held_out_clips(bundle, 6, make_console())


def shown(page):
    text = (page / "list.js").read_text()
    names = [one["name"] for one in json.loads(re.fullmatch(r"vfer\.list\((.*)\);\n", text)[1])]
    data = [(page / "data" / f"{name}.js").read_text() for name in names]
    return [json.loads(re.fullmatch(r"vfer\.show\((.*)\);\n", text)[1]) for text in data]


def test_a_run_ends_with_a_page_of_held_out_clips(bundle, facs_words, tmp_path, capsys):
    output, base = tmp_path / "run", bundle.parent
    shutil.copytree(bundle, output)
    cache = [f"--data.cache={base / 'cache'}", f"--stages.cache={base / 'stages'}"]
    words = ["--config", "configs/tiny.yaml", *facs_words, *cache, "--output", str(output)]
    words += ["--protocol.folds.groups", "3", "--logger.held_out_clips", "3"]
    assert fit(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("watch 3 clips that the model had not seen: open ")
    assert last.endswith(f"{output / 'watch' / 'index.html'} in a browser")
    found = shown(output / "watch")
    assert len(found) == 3
    for one in found:
        assert len(one["model"]["folds"]) == 1
        assert "was held out" in one["notes"][0]
        assert not any("This very video was trained on" in note for note in one["notes"])
    assert not any(name.startswith("watch") for name in read_json(output / "files.json"))


def test_where_the_page_fails_the_run_does_not(bundle, facs_words, tmp_path, capsys):
    output, base = tmp_path / "run", bundle.parent
    shutil.copytree(bundle, output)
    (output / "watch").write_text("in the way")
    cache = [f"--data.cache={base / 'cache'}", f"--stages.cache={base / 'stages'}"]
    words = ["--config", "configs/tiny.yaml", *facs_words, *cache, "--output", str(output)]
    assert fit([*words, "--protocol.folds.groups", "3", "--logger.held_out_clips", "3"]) == 0
    said = capsys.readouterr().out
    assert "could not be made; the bundle is whole: error: --html is " in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--held-out", "2", "x.mp4"], "give videos, or clips of the corpus by --held-out N"),
        ([], "give videos, or clips of the corpus by --held-out N"),
        (["--held-out", "-1"], "--held-out is -1; give a number of clips"),
        (["--held-out", "2", "--fold", "1"], "takes of each clip the fold that tests it"),
    ],
)
def test_what_does_not_go_together_is_refused(bundle, words, said, capsys):
    assert main(["--run", str(bundle), *words]) == 2
    assert said in capsys.readouterr().err


def test_less_than_no_clips_are_refused(capsys):
    assert fit(["--config", "configs/tiny.yaml", "--logger.held_out_clips=-1"]) == 2
    assert "logger.held_out_clips is -1; it must be between 0 and 1000" in capsys.readouterr().err
