import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from vfer.fit.main import main as fit

torch.set_num_threads(1)

TINY = str(Path(__file__).parents[2] / "configs" / "tiny.yaml")  # tests change the folder

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


class Mouth(nn.Module):
    """A backbone that sees nothing but where the mouth is."""

    out_features = 4

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.maps(x)[..., 10:12, 5:11].mean((2, 3))  # of 16x16


class Fine(nn.Module):
    \"\"\"A backbone with maps of 16x16 and a fully connected layer behind them.\"\"\"

    out_features = 32

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        )
        self.full = nn.Sequential(nn.Flatten(), nn.Linear(8 * 16**2, 32), nn.ReLU())

    def forward(self, x):
        return self.full(self.maps(x - 0.5))


class Flat(nn.Module):
    """A backbone without a convolution."""

    out_features = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x.mean((2, 3))).relu()
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
                given = ["--config", TINY, *facs_words, *cache, *words, *more]
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
