"""The settings of the networks."""

from dataclasses import dataclass
from typing import Literal

from vfer.plugs import Named

Variant = Literal["torchvision", "caffe"]
"""Which AlexNet; see ``AlexNetStream``."""
InsertAfter = Literal["fc7", "fc6", "fc7_only"]
"""The layer whose features a stream gives; see ``AlexNetStream``."""
Pool = Literal["sum", "frame", "stream"]
"""How features are aggregated; see ``EmotionalVlan``."""

MAX_SIZE = 2048
"""Largest input side; crops are far smaller."""
MIN_SIZE = 63
"""Smallest input side, in pixels, that leaves a map behind the last pooling of either variant."""

OWN = ("backbone", "network", "descriptor", "classifier")
"""The keys that name classes of one's own."""
REPLACES_ALEXNET = OWN[:3]
"""Those that stand in AlexNet's place, of which there may be one."""


@dataclass(frozen=True)
class ModelConfig:
    """The networks.

    Attributes:
        variant: ``torchvision``, its single-column AlexNet, or ``caffe``, the two-group network of
            Caffe and MatConvNet.
        width: Factor on all channel and feature counts; 1 is the paper's.
        input_size: Side of the network's input, pixels, 63…2048; the paper's is 227.
        insert_after: The layer whose features EmotionalVlan aggregates, ``fc7``; ``fc6``,
            without fc7; or ``fc7_only``, without fc6.
        streams: ``both``, or only ``spatial`` or ``temporal``; the other is then not trained.
        pool: ``sum`` (Eq. 1), ``frame`` or ``stream``: what EmotionalVlan keeps apart.
        vlan_start: Where EmotionalVlan's aₖ start; 0 adds features up, −ln(2(L−1)) averages them
            (of one stream −ln(L−1)).
        dropout: Probability before fc6 and fc7 (``caffe``: after their ReLUs), 0 ≤ p < 1.
        weights: ``imagenet`` (of ``torchvision``), the path of an AlexNet state dict (of ``caffe``:
            of MatConvNet's ``imagenet-caffe-alex.mat``), or null for random weights.
        backbone: A class of one's own in AlexNet's place in both streams, by ``class_path`` and
            ``init_args``; then nothing of AlexNet's is used. Null: AlexNet.
        network: A class of one's own in the place of streams and EmotionalVlan together, trained
            in one stage, ``network``. Null: the paper's.
        descriptor: A class of one's own that describes whole clips, without training. Null: none.
        classifier: The scikit-learn estimator behind ``descriptor``. Null: multinomial logistic
            regression on standardised descriptors.
    """

    variant: Variant = "torchvision"
    width: float = 1.0
    input_size: int = 227
    insert_after: InsertAfter = "fc7"
    streams: Literal["both", "spatial", "temporal"] = "both"
    pool: Pool = "sum"
    vlan_start: float = 0.0
    dropout: float = 0.5
    weights: str | None = None
    backbone: Named | None = None
    network: Named | None = None
    descriptor: Named | None = None
    classifier: Named | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not 0 < self.width <= 4:
            raise ValueError(f"`width` is {self.width}; it must be above 0 and at most 4")
        if not MIN_SIZE <= self.input_size <= MAX_SIZE:
            raise ValueError(
                f"`input_size` is {self.input_size}; it must be {MIN_SIZE} to {MAX_SIZE} px"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` is {self.dropout}; it must be in 0 ≤ p < 1")
        if self.weights is not None and self.width != 1:
            raise ValueError(
                f"`weights` is {self.weights} and `width` {self.width}: pretrained weights "
                "need width 1.0; set `weights` to null or `width` to 1.0"
            )

        own = [name for name in REPLACES_ALEXNET if getattr(self, name) is not None]
        if len(own) > 1:
            raise ValueError(
                f"model.{' and model.'.join(own)} are given; each stands for what the others would "
                "be part of: give one"
            )
        if own and self.weights is not None:
            raise ValueError(
                f"model.weights is {self.weights} and model.{own[0]} given: they are AlexNet's "
                "weights; set model.weights to null"
            )
        if self.classifier is not None and self.descriptor is None:
            raise ValueError("model.classifier is given without model.descriptor")

    @property
    def own(self) -> str | None:
        """The key of the class of one's own in AlexNet's place; None with AlexNet."""
        return next((name for name in REPLACES_ALEXNET if getattr(self, name) is not None), None)

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The streams that the model has, in their order."""
        return ("spatial", "temporal") if self.streams == "both" else (self.streams,)
