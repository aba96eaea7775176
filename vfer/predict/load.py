"""From a bundle's files to its models; nothing is unpickled."""

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vfer.config.tree import DataConfig
from vfer.flow.pairs import pair_flow
from vfer.networks.build import build_frame_network, build_segment_network, build_whole_network
from vfer.networks.settings import ModelConfig
from vfer.networks.stage import StageNetwork
from vfer.predict.bundle import Bundle, Fold, read_bundle
from vfer.predict.model import Described, Model
from vfer.runtime.console import UsageError
from vfer.segments.batch import SegmentBatch
from vfer.segments.images import stream_inputs
from vfer.segments.indices import segment_frames, windows

CHUNK = 64
"""Pairs of frames that go through the networks at a time."""


def load_model(
    run: str | Path, *, fold: Fold | None = None, device: str = "auto", trust_code: bool = False
) -> Model:
    """Load the models of a bundle.

    Args:
        run: The bundle's folder.
        fold: Which fold's model, or ``final``, the one that was trained on all subjects; None for
            those of all folds that are finished, whose answers are averaged.
        device: ``cpu``, ``cuda``, ``cuda:1`` …; ``auto`` takes a CUDA device where there is one.
        trust_code: Whether classes that the bundle names may be imported, which runs their code.

    Raises:
        FileNotFoundError: If it is no bundle.
        UsageError: If there is no such device or model, or it is made of a class of somebody's own
            that was not allowed.
        ValueError: If a file is not as it should be; the message names it.
    """
    where = pick_device(device)
    bundle = read_bundle(Path(run), fold, "cuda" if where.type == "cuda" else "cpu", trust_code)
    if bundle.model.descriptor is not None:
        from vfer.predict.descriptor import DescriptorModel  # scikit-learn takes seconds

        return DescriptorModel(bundle)
    networks = {fold: network.to(where) for fold, network in _networks(bundle).items()}
    return NetworkModel(bundle, networks, where)


def pick_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is a CUDA device where there is one.

    Raises:
        UsageError: If it is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise UsageError(
            f"--device is {name}, which is not here ({said}); cpu always is"
        ) from error
    return device


def _networks(bundle: Bundle) -> dict[Fold, StageNetwork]:
    """Build the network of a bundle's last stage once, and fill it with each fold's weights."""
    empty = _build(bundle)
    found = {}
    for fold, stage in bundle.stages.items():
        network = empty if len(bundle.stages) == 1 else copy.deepcopy(empty)
        _fill(network, stage / bundle.file)
        network.eval().requires_grad_(False)
        if bundle.model.own is None:  # a third faster on the CPU
            network.to(memory_format=torch.channels_last)
        found[fold] = network
    return found


def _build(bundle: Bundle) -> StageNetwork:
    model, classes, frames = bundle.model, len(bundle.classes), bundle.data.segment_length - 1
    with torch.random.fork_rng(devices=[]):
        if model.network is not None:
            return build_whole_network(model, classes, frames)
        streams = {name: build_frame_network(model, classes) for name in model.stream_names}
        return build_segment_network(model, classes, frames, streams)


def _fill(network: StageNetwork, path: Path) -> None:
    """Give a network the weights of a file.

    Raises:
        ValueError: If they are of another network, or not finite.
    """
    try:
        weights = load_file(path)
        network.load_state_dict(weights, assign=True)
    except (SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} holds no weights of the config's network: {said}") from error
    for name, value in weights.items():
        if not value.isfinite().all():
            raise ValueError(f"{path}: {name} is not finite; train again")


def stream_images(frames: Tensor, data: DataConfig, model: ModelConfig) -> dict[str, Tensor]:
    """Return what the networks saw of such frames in training.

    Args:
        frames: ``(B, n, 150, 110, 3)`` uint8 RGB, n ≥ 2.
        data: Of the bundle's config.
        model: Of the bundle's config.

    Returns:
        Of each stream its images ``(B, n−1, 3, S, S)`` float32, 0…1.
    """
    flow = None
    if "temporal" in model.stream_names:
        flow = pair_flow(frames, data.flow)
        if data.flow.cache:  # training saw it from the store
            flow = flow.half()
    nothing = torch.zeros(frames.shape[0], dtype=torch.int64, device=frames.device)
    batch = SegmentBatch(frames, flow, nothing, nothing, nothing)
    return stream_inputs(batch, model.stream_names, model.input_size, data.flow).images


class NetworkModel(Model):
    """Networks of the bundle's last stage, in evaluation mode on one device.

    Args:
        bundle: Where from.
        networks: Fold → its network.
        device: Where they run.
    """

    def __init__(
        self, bundle: Bundle, networks: Mapping[Fold, StageNetwork], device: torch.device
    ) -> None:
        super().__init__(bundle, bundle.data.segment_length)
        self.device, self.networks = device, networks

    def images(self, pairs: NDArray[np.uint8]) -> dict[str, Tensor]:
        """Return the images of each stream, ``(P, 1, 3, S, S)`` float32, 0…1; as ``describe``."""
        frames = torch.from_numpy(pairs).to(self.device)
        return stream_images(frames, self.bundle.data, self.bundle.model)

    def clip_windows(self, frames: int) -> NDArray[np.int64]:
        """Return the windows that training took of a clip; see ``Model``."""
        rule = self.bundle.data.windows
        starts = windows(frames, self.length, per_clip=rule.per_clip, stride=rule.stride)
        return np.stack([segment_frames(frames, self.length, at) for at in starts.tolist()])

    @torch.inference_mode()
    def describe(self, pairs: NDArray[np.uint8]) -> Described:
        """Describe pairs of neighbouring frames; see ``Model``."""
        parts = []
        for at in range(0, len(pairs), CHUNK):
            images = self.images(pairs[at : at + CHUNK])
            parts.append([network.describe(images) for network in self.networks.values()])
        return tuple(torch.cat(of_one) for of_one in zip(*parts, strict=True))

    @torch.inference_mode()
    def each_fold(self, described: Described, segments: Tensor) -> NDArray[np.float64]:
        """Return probabilities by each fold's model; see ``Model``."""
        where = segments.to(self.device)
        found = [
            network.clip_probabilities(of_one, where).numpy()
            for network, of_one in zip(self.networks.values(), described, strict=True)
        ]
        return np.stack(found)
