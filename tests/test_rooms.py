"""The rooms of the package: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOUNS = {"corpora", "video", "faces", "flow", "segments", "folds", "networks", "baselines", "plugs"}
BELOW_PREDICT = {"prepare", "results", "config", "runtime", *NOUNS}
MAY_IMPORT = {
    **dict.fromkeys(NOUNS, NOUNS),
    "runtime": set(),
    "results": {"runtime"},
    "verify": {"results", "runtime"},
    "config": {"runtime", *NOUNS},
    "prepare": {"config", "runtime", *NOUNS},
    "report": {"prepare", "verify", "results", "config", "runtime", *NOUNS},
    "predict": BELOW_PREDICT,
    "evaluate": {"predict", *BELOW_PREDICT},
    "export": {"predict", *BELOW_PREDICT},
    "pack": {"predict", "report", "verify", *BELOW_PREDICT},
    "fit": {"report", "prepare", "verify", "results", "config", "runtime", *NOUNS},
    "sweep": {"fit", "report", "prepare", "verify", "results", "config", "runtime", *NOUNS},
    "__main__": {"runtime"},  # finds the commands by their names
}


def imports(path):
    """Every module that a file imports, wherever in the file, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def room(path):
    return path.relative_to(ROOT / "vfer").with_suffix("").parts[0]


FILES = sorted((ROOT / "vfer").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_room_imports_only_what_it_may(path):
    mine = room(path)
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] != "experiments"
        if parts[0] == "vfer" and mine != "__init__":
            assert parts[1] in {mine, *MAY_IMPORT[mine]}, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_results_and_networks_keep_out_what_they_need_not(path):
    top = {name.split(".")[0] for name in imports(path)}
    if room(path) in ("results", "verify"):
        assert "torch" not in top
    if room(path) in NOUNS | {"results", "config", "prepare"}:
        assert not top & {"pytorch_lightning", "lightning_fabric", "wandb"}


def test_every_file_is_in_a_room_that_the_table_knows():
    assert {room(path) for path in FILES} - {"__init__"} <= MAY_IMPORT.keys()


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("vfer.verify, vfer.results.tables, vfer.results.scoring, vfer.results.bundle", "torch"),
        ("vfer.config.tree, vfer.flow, vfer.networks, vfer.segments, vfer.folds", "torch"),
    ],
)
def test_a_fresh_interpreter_loads_no_torch_for_what_needs_none(modules, absent):
    code = f"import sys, {modules}; sys.exit({absent!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
