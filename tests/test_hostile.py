"""Somebody else's bundle or config: reading it follows no link, hangs nowhere, runs nothing."""

import os
import shutil
from pathlib import Path

import pytest

from tests.test_verify import bundle, edit_json, hash_again, made  # noqa: F401 - fixtures
from vfer.fit.main import main as fit
from vfer.report.main import main as report
from vfer.runtime.console import make_console, printable
from vfer.runtime.files import read_json, read_yaml
from vfer.verify import main as verify

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)
DEEP = "a: " + "[" * 100_000


def linked_report(bundle):  # noqa: F811
    (bundle.parent / "private").mkdir()
    (bundle / "report").symlink_to(bundle.parent / "private")


def linked_config(bundle):  # noqa: F811
    private = bundle.parent / "private.yaml"
    shutil.move(bundle / "config.yaml", private)
    (bundle / "config.yaml").symlink_to(private)


def pipe(bundle):  # noqa: F811
    (bundle / "fold-0" / "vlan" / "stage.json").unlink()
    os.mkfifo(bundle / "fold-0" / "vlan" / "stage.json")


def linked_fold(bundle):  # noqa: F811
    shutil.move(bundle / "fold-1", bundle.parent / "elsewhere")
    (bundle / "fold-1").symlink_to(bundle.parent / "elsewhere")


@pytest.mark.parametrize("change", [linked_report, linked_config, pipe, linked_fold])
def test_links_and_pipes_in_a_bundle_are_refused_by_name(bundle, capsys, change):  # noqa: F811
    change(bundle)
    hash_again(bundle)
    assert verify([str(bundle)]) == 1
    name = {"pipe": "fold-0/vlan/stage.json", "linked_config": "config.yaml",
            "linked_fold": "fold-1", "linked_report": "report"}[change.__name__]  # fmt: skip
    assert f"{name}: (whole file): found a " in capsys.readouterr().out
    assert report([str(bundle)]) == 2
    assert f"{bundle / name} is a " in capsys.readouterr().err
    assert not (bundle / "report.html").exists()
    assert not list(bundle.parent.glob("private/*"))


def test_a_report_is_not_written_through_a_link(bundle, tmp_path, capsys):  # noqa: F811
    (tmp_path / "private").mkdir()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "report").symlink_to(tmp_path / "private")
    assert report([str(bundle), f"--output={tmp_path / 'page'}"]) == 2
    assert "report is a link" in capsys.readouterr().err
    assert not [*(tmp_path / "private").iterdir()]


@pytest.mark.parametrize(
    ("text", "said"),
    [(BOMB, "aliases written out"), (DEEP, "nested more than 100 deep"),
     ("a: " + "x" * 1_000_001, "more than 1000000 bytes"), ("a: [", "expected"),
     ("a: 'b\x00'", "special characters")],
)  # fmt: skip
def test_yaml_that_grows_beyond_measure_is_refused_by_every_reader(
    bundle, capsys, text, said  # noqa: F811
):  # fmt: skip
    path = bundle / "config.yaml"
    path.write_text(text)
    hash_again(bundle)
    assert fit(["--config", str(path)]) == 2
    assert said in capsys.readouterr().err
    assert verify([str(bundle)]) == 1
    assert said in capsys.readouterr().out
    assert report([str(bundle)]) == 2
    assert said in capsys.readouterr().err


def test_anchors_of_a_config_are_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: &a {b: 1, c: [1, 2]}\nd: *a\ne: {<<: *a, b: 2}\n")
    assert read_yaml(path)["e"] == {"b": 2, "c": [1, 2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [("[" * 100_000, "nested too deeply"), ('"\\ud800"', "lone surrogate"),
     ('{"\\uDC00": 1}', "lone surrogate"), ("1" + "0" * 400, "more than 64 bits"),
     ('["a\\u0000"]', "NUL"), ("-" + "9" * 5000, "more than 64 bits")],
)  # fmt: skip
def test_json_that_no_vfer_has_written_is_refused(bundle, capsys, text, said):  # noqa: F811
    for name in ("files.json", "fold-0/fold.json", "fold-0/vlan/stage.json", "environment.json",
                 "folds.json"):  # fmt: skip
        before = (bundle / name).read_text()
        (bundle / name).write_text(text)
        with pytest.raises(ValueError, match=said):
            read_json(bundle / name)
        assert verify([str(bundle)]) == 1
        assert said in capsys.readouterr().out
        (bundle / name).write_text(before)


def test_names_in_pairs_of_surrogates_are_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('["\\ud83d\\ude00", -9223372036854775808, "\\\\ud800"]')
    assert read_json(path) == ["😀", -(2**63), "\\ud800"]


def test_no_escape_sequence_reaches_the_terminal(bundle, tmp_path, capsys):  # noqa: F811
    evil = "\x1b]0;title\x07\x1b[2Jx\u202ey"
    edit_json(bundle / "results.json", lambda value: value.update(corpus=evil))
    assert verify([str(bundle)]) == 1
    out = capsys.readouterr().out
    assert r"\x1b]0;title\x07\x1b[2Jx\u202ey" in out
    assert verify([str(tmp_path / evil)]) == 2
    report([str(bundle)])
    console = make_console()
    console.print(f"doubtful: {evil}")
    said = out + "".join(capsys.readouterr())
    assert not set("\x1b\x07\u202e") & set(said)
    assert printable("ä\n\t😀 <b>") == "ä\n\t😀 <b>"


def test_a_link_from_outside_to_a_bundle_is_followed(bundle):  # noqa: F811
    other = Path(f"{bundle}-link")
    other.symlink_to(bundle)
    assert verify([str(other)]) == 0
