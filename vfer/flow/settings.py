"""The settings of the optical flow and their legal ranges."""

from dataclasses import dataclass

ALPHAS = (1e-3, 1e4)  # grey values per pixel
RHOS = (0.1, 32.0)  # px


@dataclass(frozen=True)
class FlowConfig:
    """Optical flow.

    Attributes:
        alpha: Weight of smoothness, on grey values 0…255; 0.001 to 10 000.
        levels: Pyramid levels; 1 is the paper's classical form, null as many as the size bears.
        warps: Linearisations a level, at least 1.
        rho: Scale over which the local-global variant gathers its data term, px: 0 (without),
            or 0.1 to 32.
        limit: Motion, in crop pixels a frame, at which a flow image saturates; above 0.
        cache: Compute the flow of a clip once, beside its crops in float16, rather than in every
            batch. Flips and whole-pixel shifts are then applied to the flow.
    """

    alpha: float = 15.0
    levels: int | None = None
    warps: int = 1
    rho: float = 0.0
    limit: float = 5.0
    cache: bool = True

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not ALPHAS[0] <= self.alpha <= ALPHAS[1]:
            raise ValueError(f"`alpha` is {self.alpha}; it must be {ALPHAS[0]} to {ALPHAS[1]}")
        if self.rho != 0 and not RHOS[0] <= self.rho <= RHOS[1]:
            raise ValueError(f"`rho` is {self.rho}; it must be 0, or {RHOS[0]} to {RHOS[1]}")
        if not self.limit > 0:
            raise ValueError(f"`limit` is {self.limit}; it must be above 0")
        for name in ("levels", "warps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` is {value}; it must be at least 1")
