"""Exported models, each made once a run from the bundles of the tests of prediction."""

import contextlib
import io
import os

import pytest
from filelock import FileLock

from tests.predict.conftest import bundle, fitted, plugs, store
from vfer.export.main import main

__all__ = ["bundle", "fitted", "plugs", "store"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function that exports a bundle, and returns the file and what was printed."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(run, *words):
        name = "-".join([run.name, *words]).replace("--", "")
        path, said = base / "onnx" / f"{name}.onnx", base / f"{name}.txt"
        with FileLock(base / f"{name}.lock"):
            if not said.is_file():
                text = io.StringIO()
                with contextlib.redirect_stdout(text):
                    assert main(["--run", str(run), str(path), *words]) == 0
                said.write_text(text.getvalue())
        return path, said.read_text()

    return make
