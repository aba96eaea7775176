import os

import pytest
import torch
from filelock import FileLock

from vfer.fit.main import main as fit

torch.set_num_threads(1)

PLUGS = '''
import numpy as np
from torch import nn


class Pixels:
    """Grey values of a few places, over time."""

    deterministic = True
    needs_flow = True

    def describe(self, crops, flow):
        grey = crops[:, ::50, ::50].mean(axis=-1).reshape(len(crops), -1)
        return np.concatenate([grey.mean(0), grey.std(0), np.abs(flow).mean((0, 2, 3))])


class Small(nn.Module):
    """A whole network of one layer a stream."""

    def __init__(self, classes, frames, side: int = 6):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(side)
        self.out = nn.Linear(2 * frames * 3 * side**2, classes)

    def forward(self, images):
        parts = [self.pool(x.flatten(0, 1)).reshape(len(x), -1) for x in images.values()]
        return self.out(__import__("torch").cat(parts, dim=1))
'''


@pytest.fixture(scope="session")
def fitted(tmp_path_factory, facs_words):
    """A function that trains a bundle by configs/tiny.yaml and more words, once a run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    (base / "plugs").mkdir(exist_ok=True)
    (base / "plugs" / "predict_plugs.py").write_text(PLUGS)

    def make(name, *words):
        output = base / f"predict-{name}"
        with FileLock(base / f"predict-{name}.lock"):
            if not (output / "files.json").is_file():
                cache = [f"--data.cache={base / 'cache'}", f"--stages.cache={base / 'stages'}"]
                more = ["--protocol.folds.groups", "3", "--output", str(output)]
                given = ["--config", "configs/tiny.yaml", *facs_words, *cache, *words, *more]
                assert fit(given) == 0
        return output

    return make


@pytest.fixture(scope="session")
def bundle(fitted):
    """A bundle of three folds of the paper's model."""
    return fitted("both")


@pytest.fixture
def plugs(tmp_path_factory, monkeypatch):
    """The folder of classes of one's own, found by Python."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    monkeypatch.syspath_prepend(str(base / "plugs"))


@pytest.fixture(scope="session")
def store(tmp_path_factory, fitted):
    """The crop store of all the bundles here."""
    from vfer.prepare.store import CropStore

    fitted("both")
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    (found,) = (base / "cache" / "crops").iterdir()
    return CropStore(found)
