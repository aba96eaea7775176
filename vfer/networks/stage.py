"""What a network of any stage can be asked: for training, and of whole clips."""

from abc import ABC, abstractmethod
from collections.abc import Collection

import torch
from torch import Tensor, nn


class StageNetwork(nn.Module, ABC):
    """A network that a stage trains.

    Segments of a clip share images: each pair of neighbouring frames is *described* once, and
    every segment's logits are made of its pairs' descriptions.

    Attributes:
        single: Whether a sample is one image, and not a segment.
    """

    single = False

    def logits(self, images: dict[str, Tensor]) -> Tensor:
        """Return the logits of a training batch.

        Args:
            images: ``(B, frames, 3, S, S)`` a stream, 0…1.

        Returns:
            ``(B, classes)``; of a network on single images ``(B·frames, classes)``.
        """
        return self(images)  # type: ignore[no-any-return]

    @abstractmethod
    def describe(self, images: dict[str, Tensor]) -> Tensor:
        """Describe pairs of neighbouring frames, before segments are looked at.

        Args:
            images: ``(P, 1, 3, S, S)`` a stream, 0…1.

        Returns:
            ``(P, …)``: what `clip_logits` needs of each pair.
        """

    @abstractmethod
    def clip_logits(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return the logits of one clip's segments.

        Args:
            described: Of all pairs of the clip, as `describe` gives it.
            segments: ``(S, L−1)`` int64, the pairs of each segment.

        Returns:
            ``(S, classes)``; of a network on single images ``(P, classes)``.
        """

    @torch.inference_mode()
    def clip_probabilities(self, described: Tensor, segments: Tensor) -> Tensor:
        """Return the softmax of `clip_logits`, in 0…1, float64, on the CPU."""
        logits = self.clip_logits(described, segments)
        return logits.cpu().double().softmax(dim=1)  # not every device has float64

    def part_of(self, parameter: str) -> str:
        """Return the part, as ``frozen`` names it, to which a parameter belongs."""
        return parameter.split(".")[0]

    def freeze(self, parts: Collection[str]) -> None:
        """Keep some parts from being trained; what is not trained already stays so.

        Raises:
            ValueError: If the network has no such part.
        """
        names = dict.fromkeys(self.part_of(name) for name, _ in self.named_parameters())
        unknown = sorted(set(parts) - set(names))
        if unknown:
            raise ValueError(
                f"frozen names {', '.join(unknown)}; the network's parts are {', '.join(names)}"
            )
        for name, parameter in self.named_parameters():
            if self.part_of(name) in parts:
                parameter.requires_grad_(False)
