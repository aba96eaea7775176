"""The page on extending says what works: its code is run as it stands."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vfer.results.tables import read_tables
from vfer.runtime.files import read_json

ROOT = Path(__file__).parents[2]
PAGE = ROOT.joinpath("docs/extending.md").read_text(encoding="utf-8")
EXAMPLES = {
    title: (re.search(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL), text)
    for title, text in re.findall(r"## (A [^\n]*)\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
}


def commands(text):
    """The lines of the shell blocks."""
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
            for line in block.splitlines()]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, facs_root):
    """A researcher's folder, with the built-in corpus's videos in a layout of their own."""
    where = tmp_path_factory.mktemp("mine")
    shutil.copytree(ROOT / "configs", where / "configs")
    for video in facs_root.rglob("*.avi"):
        subject, emotion, _, name = video.relative_to(facs_root).parts
        to = where / "videos" / emotion / f"{subject.split()[1]}_{name}"
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, to)
    return where


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_runs_as_it_stands_to_a_bundle_that_verifies_and_is_reported(
    title, folder, facs_words
):
    code, text = EXAMPLES[title]
    (folder / code[1]).write_text(code[2])
    fit, *others = commands(text)
    given = [word for word in facs_words if "--data.root" not in word or title != "A corpus"]
    for words in ([*shlex.split(fit), *given], *map(shlex.split, others)):
        assert words[0] == "python"
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    (output,) = [Path(word) for word in shlex.split(others[0])[-1:]]
    results = read_json(folder / output / "results.json")
    tables = read_tables(folder / output, results["classes"])
    assert results["coverage"]["scored"] == 18
    assert (folder / output / "report.html").is_file()
    stages = {point.stage for point in tables.curves}
    streams = {row.stream for row in tables.streams}
    singles = {"spatial", "temporal"}
    assert stages == {
        "A backbone": singles | {"vlan"}, "A whole network": {"network"}, "A descriptor": set(),
        "A corpus": singles | {"vlan"},
    }[title]  # fmt: skip
    assert streams == (singles if "vlan" in stages else set())
    plugs = read_json(folder / output / "environment.json")["plugs"]
    config = yaml.safe_load((folder / output / "config.yaml").read_text())
    module = Path(code[1]).stem
    mine = [key for key, one in plugs.items() if one["class_path"].startswith(f"{module}.")]
    assert len(mine) == 1
    room, key = mine[0].split(".")
    assert config[room][key]["class_path"] == plugs[mine[0]]["class_path"]
