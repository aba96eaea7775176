"""EmotionalVlan, the paper's trainable aggregation layer (section 3.1, Eq. 1)."""

import math
from typing import get_args

import torch
from torch import Tensor, nn

from vfer.networks.settings import Pool


class EmotionalVlan(nn.Module):
    """Aggregate the features of all frames and streams of a segment: Eq. 1 of the paper.

    V[k] = Σᵢ e^{a_k} (x_{s,i} + x_{t,i}), k = 1 … features, with aₖ trainable.
    Eq. 1 and Algorithm 1 sum over frames and streams (``sum``). The text also states
    V[k] ∈ R^{4096×15}, which keeps frames apart (``frame``), and 122 880 components, which keeps
    frames and streams apart (``stream``).

    Args:
        features: Components of one feature vector, 4096 in the paper.
        frames: Frames that have features, L − 1, at least 1.
        streams: 2 (spatial and temporal) or 1.
        pool: ``sum``, ``frame`` or ``stream``.
        start: Where every aₖ starts. At 0 the layer adds features up; at −ln(streams · frames)
            it starts as their mean.

    Raises:
        ValueError: If a size or ``pool`` is not legal.
    """

    def __init__(
        self,
        features: int,
        frames: int,
        streams: int = 2,
        pool: Pool = "sum",
        start: float = 0.0,
    ) -> None:
        super().__init__()
        if pool not in get_args(Pool):
            raise ValueError(f"pool is {pool!r}; it must be one of {', '.join(get_args(Pool))}")
        if features < 1 or frames < 1 or streams not in (1, 2):
            raise ValueError(
                f"features={features}, frames={frames}, streams={streams}: the first two must be "
                "at least 1, streams 1 or 2"
            )
        self.shape = (streams, frames, features)
        self.pool = pool
        self.a = nn.Parameter(torch.full((features,), start))

    @property
    def out_features(self) -> int:
        """Components of V: features, × frames under ``frame``, × streams too under ``stream``."""
        return math.prod(self._kept)

    @property
    def _kept(self) -> tuple[int, int, int]:
        """What V keeps apart: streams, frames, features."""
        streams, frames, features = self.shape
        kept = {"sum": (1, 1), "frame": (1, frames), "stream": (streams, frames)}[self.pool]
        return (*kept, features)

    def backwards(self, weight: Tensor) -> Tensor:
        """Carry the weights of a linear layer on V over to the features that V is made of.

        As V is linear in x, ``V(x) @ weight.T`` is the sum of x times these.

        Args:
            weight: ``(n, out_features)``.

        Returns:
            ``(n, streams, frames, features)`` in weight's dtype.
        """
        each = weight.view(len(weight), *self._kept) * self.a.cpu().to(weight).exp()
        return each.expand(-1, *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate.

        Args:
            x: ``(B, streams, frames, features)``, features after ReLU.

        Returns:
            ``(B, out_features)`` in x's dtype, computed in float32, of float64 in float64.

        Raises:
            ValueError: If x has another shape.
        """
        if x.ndim != 4 or tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, *{self.shape})")
        exact = torch.promote_types(x.dtype, torch.float32)  # sums of 30, and e^a up to e^10
        if self.pool == "sum":
            v = x.sum(dim=(1, 2), dtype=exact)  # (B, features)
        elif self.pool == "frame":
            v = x.sum(dim=1, dtype=exact)  # (B, frames, features)
        else:
            v = x.to(exact)
        return (v * self.a.to(exact).exp()).flatten(1).to(x.dtype)
