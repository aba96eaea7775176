import shutil

import pytest
from matplotlib.figure import Figure

from tests.report.test_report import set_config
from tests.test_verify import make_bundle


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are not drawn, which takes most of a report's time."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: file.write(b"drawn"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small consistent bundle, only to be read."""
    output = tmp_path_factory.mktemp("made") / "bundle"
    make_bundle(output)
    set_config(output)
    return output


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made, tmp_path / "bundle")
