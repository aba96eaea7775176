"""The list of commands, their names in help, and what they import before there is work."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from vfer.__main__ import commands, main
from vfer.config.parser import build_parser

ROOT = Path(__file__).parents[1]
HEAVY = {
    *("torch", "pytorch_lightning", "lightning_fabric", "torchvision", "kornia", "sklearn"),
    *("matplotlib", "wandb"),
}
FIT = ("vfer", "fit", "--config", "configs/tiny.yaml")


def test_alone_it_lists_every_command_and_where_to_begin(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert {"fit", "prepare", "report", "sweep", "verify"} <= commands().keys()
    for name, (_, does) in commands().items():
        assert f"  vfer {name}" in said
        assert does in said
    assert "vfer fit --config configs/demo.yaml" in said
    assert len(said.splitlines()) < 25
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == said


def test_every_folder_with_a_main_is_a_command():
    assert {path.parent.name for path in (ROOT / "vfer").glob("*/main.py")} <= commands().keys()


def test_a_misspelt_command_is_status_2_and_told_which_may_be_meant(capsys):
    assert main(["prepar"]) == 2
    assert "no command 'prepar'; did you mean vfer prepare?" in capsys.readouterr().err
    assert main(["zzz"]) == 2
    assert "there are " in capsys.readouterr().err


def test_the_version_and_the_script(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vfer {version('vfer')}\n"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"vfer": "vfer.__main__:main"}


@pytest.mark.parametrize("name", sorted(commands()))
@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("/usr/bin/vfer", "vfer {}"),
        ("/home/x/vfer/__main__.py", "python -m vfer {}"),
        ("/home/x/vfer/{}/__main__.py", "python -m vfer.{}"),
    ],
)
def test_a_command_is_named_as_it_was_called(name, called, shown, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [called.format(name)])
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {shown.format(name)} ")


@pytest.mark.parametrize("name", ["fit", "prepare"])
def test_help_is_a_screen_with_the_commonest_keys_and_all_keys_are_asked_for(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    short = capsys.readouterr().out
    lines = short.splitlines()
    assert len(lines) <= 45
    assert max(len(line) for line in lines) <= 100
    known = set(build_parser(f"vfer.{name}").get_defaults().keys())
    named = {line.split()[0] for line in lines if line.startswith("  --")}
    assert {key[2:].replace("STAGE", "vlan").replace("-", "_") for key in named} - {
        "print_config",
        "help=all",
    } <= known
    assert "--data.segment_length       16 " in short
    with pytest.raises(SystemExit):
        main([name, "--help=all"])
    every = capsys.readouterr().out
    options = {key.replace("from_", "from") for key in known if "folds." not in key}
    every = every.replace("--folds-in-parallel", "--folds_in_parallel")  # by its own spelling
    assert all(re.search(rf"--{key}[ ,]", every) for key in options)
    assert "from_" not in every


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("vfer",), 0),
        *(((f"vfer.{name}", "--help"), 0) for name in sorted(commands())),
        (("vfer.fit", "--help=all"), 0),
        ((*FIT, "--data.segment_lenght", "3"), 2),
        ((*FIT, "--data.segment_length", "30"), 2),
        ((*FIT, "--output", "configs"), 2),
        (("vfer.fit", "--config", "configs/enterface.yaml"), 2),
        (("vfer.fit", "--config", "configs/enterface.yaml", "--data.root", "nowhere"), 2),
        (("vfer.prepare", "--config", "configs/enterface.yaml"), 2),
        (("vfer.prepare", "--config", "configs/enterface.yaml", "--check"), 2),
        (("vfer.sweep", "nowhere.yaml"), 2),
        (("vfer.sweep", "configs/sweeps/pool.yaml", "--stages.vlan.iterations=-1"), 2),
        (("vfer.predict", "--run", "nowhere", "x.mp4"), 2),
        (("vfer.predict", "--run", "configs", "nowhere.mp4"), 2),
        (("vfer.pack", "--run", "nowhere", "new"), 2),
        (("vfer.report", "nowhere"), 2),
        (("vfer.verify", "nowhere"), 2),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_before_there_is_work_nothing_is_imported_that_only_the_work_needs(words, status, tmp_path):
    """In a fresh interpreter, as each module stays loaded where it once was."""
    log = tmp_path / "modules"
    run = (
        "import atexit, pathlib, runpy, sys; module, *words = sys.argv[2:]; log = sys.argv[1];"
        "atexit.register(lambda: pathlib.Path(log).write_text(' '.join(sys.modules)));"
        "sys.argv[1:] = words; runpy.run_module(module, run_name='__main__')"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", run, log, *words], cwd=ROOT, env=environment, capture_output=True
    )
    assert done.returncode == status, done.stderr.decode()
    assert not HEAVY & set(log.read_text().split())
