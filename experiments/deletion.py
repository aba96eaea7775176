"""Does what --explain names carry the decision? What it names is removed, and parts elsewhere.

Of test clips of each fold one window, drawn from those of the bundle's rule: by how much does its
class's logit fall when the frames or places that are said to matter most are removed, and when as
many, or the same shape, are removed elsewhere?

    python -m experiments.deletion --run runs/demo --crops cache/crops/facs-…
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from vfer.predict.explain import Explainer
from vfer.predict.load import NetworkModel, load_model
from vfer.predict.settings import Cam
from vfer.prepare.store import CropStore
from vfer.results.tables import read_tables

CAMS: tuple[Cam, ...] = ("hirescam", "gradcam")
ELSEWHERE = 5  # parts of the same size that are drawn for each
Falls = dict[tuple[str, str], list[tuple[float, float]]]  # what, how → by how much: said, elsewhere


@dataclass
class Window:
    """One window, and what its class's logit is without parts of it."""

    model: NetworkModel
    explainers: dict[Cam, Explainer]
    crops: NDArray[np.uint8]  # (L, 150, 110, 3)
    mean: dict[str, Tensor]  # of the training clips' images, (1, 3, S, S) a stream

    def __post_init__(self) -> None:
        """Find the class and its logit."""
        self.images = self.model.images(_pairs(self.crops))
        self.shares = self._shares(self.images)
        self.place = int(self.shares.sum((1, 2)).argmax())

    def _shares(self, images: dict[str, Tensor]) -> NDArray[np.float64]:
        (network,) = self.model.networks.values()
        pairs = torch.arange(len(self.crops) - 1)
        return self.explainers["hirescam"].shares((network.describe(images),), pairs)

    def falls(self, images: dict[str, Tensor]) -> float:
        """Return by how much the logit is lower with these images."""
        return float((self.shares - self._shares(images))[self.place].sum())

    def without_frames(self, frames: NDArray[np.int64]) -> float:
        """Put the window's mean image in the place of some."""
        changed = {name: one.clone() for name, one in self.images.items()}
        for one in changed.values():
            one[frames] = one.mean(dim=0)
        return self.falls(changed)

    def without_colour(self, mask: NDArray[np.bool_]) -> float:
        """Put the mean colour at some places of the crops, before flow is computed."""
        crops = self.crops.copy()
        crops[:, mask] = crops.mean((0, 1, 2)).round()
        return self.falls(self.model.images(_pairs(crops)))

    def without_places(self, stream: str, mask: NDArray[np.bool_]) -> float:
        """Put the mean training image at some places of one stream's images."""
        given = torch.from_numpy(mask)[None, None].float()
        hidden = F.interpolate(given, self.images[stream].shape[-2:])[None] > 0
        changed = torch.where(hidden, self.mean[stream], self.images[stream])
        return self.falls({**self.images, stream: changed})


def _pairs(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([crops[:-1], crops[1:]], axis=1)


def measure(window: Window, share: float, rng: np.random.Generator, found: Falls) -> None:
    """Add what falls a window's logit by."""
    order = window.shares[window.place].sum(axis=0).argsort()[::-1]
    count = max(1, round(share * len(order)))
    drawn = [rng.choice(len(order), count, replace=False) for _ in range(ELSEWHERE)]
    others = np.mean([window.without_frames(one) for one in drawn])
    found["frames", "exact"].append((window.without_frames(order[:count].copy()), float(others)))
    for cam, explainer in window.explainers.items():
        maps = {n: one.sum(axis=0) for n, one in explainer.maps(window.crops, window.place).items()}
        for name, one in {**maps, "both": np.sum(list(maps.values()), axis=0)}.items():
            mask = one > np.quantile(one, 1 - share)
            if not mask.any():
                continue
            moves = rng.integers((150, 110), size=(ELSEWHERE, 2)).tolist()
            masks = [mask, *(np.roll(mask, move, (0, 1)) for move in moves)]
            if name == "both":
                falls = [window.without_colour(each) for each in masks]
            else:
                falls = [window.without_places(name, each) for each in masks]
            found[name, cam].append((falls[0], float(np.mean(falls[1:]))))


def main(argv: Sequence[str] | None = None) -> None:
    """Print by how much the logit falls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a bundle of the paper's model")
    parser.add_argument("--crops", type=Path, required=True, help="the crop store of its corpus")
    parser.add_argument("--share", type=float, default=0.2, help="of places or frames removed")
    parser.add_argument("--every", type=int, default=4, help="take every so many clips")
    given = parser.parse_args(argv)
    store, rng = CropStore(given.crops), np.random.default_rng(0)
    found: Falls = defaultdict(list)
    for fold in load_model(given.run, device="cpu").info().folds:
        model = load_model(given.run, fold=fold, device="cpu")
        assert isinstance(model, NetworkModel)
        clips = [
            row for row in read_tables(given.run, model.classes).clips if row.status == "scored"
        ]

        def drawn(clip: str, model: NetworkModel = model) -> NDArray[np.uint8]:
            crops: NDArray[np.uint8] = np.array(store.crops(clip))
            frames: NDArray[np.int64] = rng.choice(model.clip_windows(len(crops)))
            return crops[frames]

        training = [drawn(row.clip) for row in clips if row.fold != fold][:: 2 * given.every]
        images = model.images(np.concatenate([_pairs(one) for one in training]))
        mean = {name: one.mean(dim=0) for name, one in images.items()}
        explainers = {cam: Explainer(model, cam) for cam in CAMS}
        for row in [row for row in clips if row.fold == fold][:: given.every]:
            measure(Window(model, explainers, drawn(row.clip), mean), given.share, rng, found)
    table = Table("removed", "found by", "windows", "logit falls by", "elsewhere", "falls more in")
    for (what, how), falls in found.items():
        said, others = np.array(falls).T
        more = f"{(said > others).mean():.0%}"
        table.add_row(what, how, str(len(said)), f"{said.mean():.2f}", f"{others.mean():.2f}", more)
    Console().print(table)


if __name__ == "__main__":
    main()
