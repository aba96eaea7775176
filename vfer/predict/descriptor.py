"""A bundle by descriptors: its classifiers are fitted to the training clips again."""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from vfer.baselines.descriptor import (
    class_scores,
    classifier_input,
    describe_clip,
    make_classifier,
    make_descriptor,
)
from vfer.baselines.table import unpacked
from vfer.plugs import plug
from vfer.predict.bundle import Bundle
from vfer.predict.model import Described, Model
from vfer.results.schema import STAGE_RECORD
from vfer.runtime.files import read_json


class DescriptorModel(Model):
    """A descriptor, and the classifiers that are fitted to the training clips again.

    Its windows are as long as most clips of the corpus, which it describes as wholes.

    Args:
        bundle: Where from.
    """

    def __init__(self, bundle: Bundle) -> None:
        clips = bundle.faces
        super().__init__(bundle, max(2, clips.frames if clips else bundle.data.segment_length))
        own = plug("model.descriptor", bundle.model.descriptor)
        assert own is not None
        self.own, self.descriptor = own, make_descriptor(own)
        self.classifiers = []
        for stage in bundle.stages.values():
            try:
                described, labels = unpacked(load_file(stage / bundle.file))
                seed = read_json(stage / STAGE_RECORD)["seed"]
            except (KeyError, ValueError, SafetensorError) as error:
                raise ValueError(f"{stage} holds no training descriptors: {error}") from error
            classifier = make_classifier(bundle.model.classifier, seed)
            classifier.fit(classifier_input(described), labels)
            self.classifiers.append(classifier)

    def clip_windows(self, frames: int) -> NDArray[np.int64]:
        """Return the whole clip, as training described it; see ``Model``."""
        return np.arange(max(2, frames)).clip(max=frames - 1)[None]

    def describe(self, pairs: NDArray[np.uint8]) -> Described:
        """Return the frames themselves, ``(P, 2, 150, 110, 3)`` uint8."""
        return (torch.from_numpy(pairs),)

    def each_fold(self, described: Described, segments: Tensor) -> NDArray[np.float64]:
        """Return probabilities by each fold's classifier; see ``Model``."""
        (pairs,) = described
        found = []
        for number, segment in enumerate(segments):
            crops = torch.cat([pairs[segment, 0], pairs[segment[-1:], 1]]).numpy()
            flow, name = self.bundle.data.flow, f"window {number}"
            found.append(describe_clip(self.descriptor, self.own, crops, flow, 0, name))
        return np.stack([class_scores(one, found, len(self.classes)) for one in self.classifiers])
