"""Takes the decision about a window apart: frames and streams exactly, regions by HiResCAM."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.networks.streams import SegmentNetwork
from vfer.predict.explanation import (
    COLUMNS,
    REGIONS,
    ROWS,
    Explanation,
    StreamShare,
    crop_regions,
)
from vfer.predict.gradcam import class_maps, last_maps
from vfer.predict.load import NetworkModel
from vfer.predict.model import Described, Model
from vfer.predict.settings import Cam
from vfer.runtime.console import UsageError


class Explainer:
    """Says which frames, which stream and which regions of the face carried a decision.

    EmotionalVlan and fc9 are linear, whatever the pool and whatever the streams: what each image's
    features add to a logit is exact. What in an image made its features is not: they are followed
    back to the last convolution to first order, and what lies before it is taken for local.

    Args:
        model: Whose decisions.
        cam: How maps are made.

    Raises:
        UsageError: If the model has no streams, or a stream no convolution.
    """

    def __init__(self, model: Model, cam: Cam = "hirescam") -> None:
        own = model.bundle.model
        if not isinstance(model, NetworkModel) or own.network is not None:
            what = "model.descriptor" if own.network is None else "model.network"
            raise UsageError(
                f"--explain takes the streams' parts of a decision apart; the model of "
                f"{model.bundle.run} is a {what} as a whole, which has none. Leave --explain out"
            )
        self.model, self.cam = model, cam
        self._weights, self._layers = [], []
        self._bias = np.zeros(len(model.classes))
        for network in model.networks.values():
            assert isinstance(network, SegmentNetwork)
            weights = network.feature_weights()
            self._weights.append(weights - weights.mean(dim=0))  # (classes, streams, L−1, features)
            bias = network.fc9.bias.detach().cpu().double().numpy()
            self._bias += (bias - bias.mean()) / len(model.networks)
            self._layers.append({n: self._layer(s) for n, s in network.streams.items()})

    def _layer(self, stream: nn.Module) -> nn.Module:
        size = self.model.bundle.model.input_size
        found = last_maps(stream, torch.zeros(1, 3, size, size, device=self.model.device))
        if found is None:
            raise UsageError(
                f"--explain looks at the last convolution of each stream; model.backbone of "
                f"{self.model.bundle.run} has no torch.nn.Conv2d. Leave --explain out"
            )
        return found

    def explain(
        self, crops: NDArray[np.uint8], described: Described, pairs: Tensor, times: list[float],
        explains: str,
    ) -> Explanation:  # fmt: skip
        """Take the decision about one window apart.

        Args:
            crops: Of the window, ``(L, 150, 110, 3)`` uint8 RGB.
            described: What the networks made of pairs of frames.
            pairs: ``(L−1,)`` int64, the pairs of the window among them.
            times: Of the first L−1 frames, s.
            explains: Which class.
        """
        place = self.model.classes.index(explains)
        shares = self.shares(described, pairs)[place]  # (streams, L−1)
        bias = float(self._bias[place])
        maps = self.maps(crops, place)
        streams = {
            name: _share(of_one, maps[name], self.model.bundle.data.faces)
            for name, of_one in zip(maps, shares.tolist(), strict=True)
        }
        logit = bias + sum(one.share for one in streams.values())
        return Explanation(explains, logit, bias, tuple(times), streams)

    def shares(self, described: Described, pairs: Tensor) -> NDArray[np.float64]:
        """Return what each image adds to each logit, the mean over the folds' models.

        Args:
            described: What the networks made of pairs of frames.
            pairs: ``(L−1,)`` int64, the pairs of one window among them.

        Returns:
            ``(classes, streams, L−1)``; with the biases they sum to the logits, whose sum is 0.
        """
        found = []
        for weights, of_one in zip(self._weights, described, strict=True):
            features = of_one[pairs.to(of_one.device)].cpu().double()
            found.append(torch.einsum("isf,csif->csi", features, weights))
        return np.asarray(torch.stack(found).mean(dim=0))

    def maps(self, crops: NDArray[np.uint8], place: int) -> dict[str, NDArray[np.float64]]:
        """Return where in its images each stream finds what raises a class's logit.

        Args:
            crops: Of one window, ``(L, 150, 110, 3)`` uint8 RGB.
            place: Of the class.

        Returns:
            Stream → ``(L−1, 150, 110)``, at least 0, the mean over the folds' models.
        """
        images = self.model.images(np.stack([crops[:-1], crops[1:]], axis=1))
        found: dict[str, NDArray[np.float64]] = {}
        for weights, layers, network in zip(
            self._weights, self._layers, self.model.networks.values(), strict=True
        ):
            assert isinstance(network, SegmentNetwork)
            for number, (name, stream) in enumerate(network.streams.items()):
                mine = weights[place, number].float().to(self.model.device)
                small = class_maps(stream, layers[name], images[name][:, 0], mine, self.cam)
                large = F.interpolate(small[:, None], (HEIGHT, WIDTH), mode="bilinear")[:, 0]
                more = large.cpu().double().numpy() / len(self._weights)
                found[name] = found[name] + more if name in found else more
        return found


def _share(frames: list[float], maps: NDArray[np.float64], faces: FaceConfig) -> StreamShare:
    """Return the record of one stream from its frames' shares and maps ``(L−1, 150, 110)``."""
    whole = maps.sum(axis=0)
    return StreamShare(sum(frames), tuple(frames), by_region(whole, faces), cells(whole, faces))


def by_region(crop_map: NDArray[np.float64], faces: FaceConfig) -> Mapping[str, float]:
    """Return each region's share of a map ``(150, 110)`` over a crop; empty where all is 0."""
    sums = np.bincount(crop_regions(faces).ravel(), crop_map.ravel(), len(REGIONS))
    if not sums.sum() > 0:
        return {}
    return dict(zip(REGIONS, (sums / sums.sum()).tolist(), strict=True))


def cells(crop_map: NDArray[np.float64], faces: FaceConfig) -> tuple[str, ...]:
    """Return a map over a crop as `StreamShare.map` has it, whatever the crop's place of the eyes.

    What lies outside of the crop is 0.

    Args:
        crop_map: ``(150, 110)``, at least 0.
        faces: How the crop was cut.
    """
    unit = WIDTH / 2  # px an eye distance, of the paper's crop
    across = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / unit * faces.eye_distance * 2 / WIDTH
    down = (np.arange(HEIGHT) + 0.5 - HEIGHT / 3) / unit * faces.eye_distance
    down = (down + faces.eye_row * HEIGHT) * 2 / HEIGHT - 1
    grid = torch.from_numpy(np.stack(np.broadcast_arrays(across[None], down[:, None]), axis=-1))
    given = torch.from_numpy(crop_map)[None, None]
    found = F.grid_sample(given, grid[None], mode="bilinear", align_corners=False)
    means = F.avg_pool2d(found, (HEIGHT // ROWS, WIDTH // COLUMNS))[0, 0].numpy()
    strongest = means.max()
    levels = np.rint(255 * means / strongest if strongest > 0 else means).astype(np.uint8)
    return tuple(row.tobytes().hex() for row in levels)
