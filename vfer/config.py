"""The config tree of the commands; each part documents its keys, units and legal values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vfer.corpora.facs import FacsConfig
from vfer.corpora.ravdess import Channel
from vfer.faces import FaceConfig
from vfer.networks.alexnet import MIN_SIZE, InsertAfter
from vfer.networks.vlan import Pool
from vfer.segments import check_length
from vfer.transforms import FlowConfig


@dataclass(frozen=True)
class WindowConfig:
    """Which segments a clip gives.

    Attributes:
        per_clip: So many evenly spaced windows a clip (null if stride is given).
        stride: Instead, a window every so many frames.
    """

    per_clip: int | None = 15
    stride: int | None = None

    def __post_init__(self) -> None:
        """Refuse two rules, none, or numbers below 1."""
        if (self.per_clip is None) == (self.stride is None):
            raise ValueError(
                f"windows.per_clip is {self.per_clip} and windows.stride {self.stride}; give one "
                "of the two and set the other to null"
            )
        if min(self.per_clip or 1, self.stride or 1) < 1:
            raise ValueError("windows.per_clip and windows.stride must be at least 1")


@dataclass(frozen=True)
class DataConfig:
    """The corpus and what is made of it.

    Attributes:
        corpus: ``enterface05``, ``baum1s``, ``ravdess``, ``cremad``, ``savee``, ``rml``,
            ``manifest`` for any collection, or ``facs``, the built-in corpus, which is rendered
            when missing.
        root: Folder of the corpus's copy; of ``manifest`` the CSV file. Of ``facs`` null: a
            folder in the cache.
        cache: Folder of rendered corpora and crop stores, used again by later runs.
        segment_length: Frames of a segment, L, 2…20; the paper's best is 16.
        windows: Which segments a clip gives.
        faces: How faces are found and aligned.
        flow: Optical flow.
        facs: What the built-in corpus is like.
        workers: Processes that render and prepare clips; null takes one a core.
        loaders: Processes that load batches beside the training; 0 loads in the training process.
        classes: The classes to tell apart; clips of others are excluded. Null takes the corpus's
            own: the six basic ones of ``baum1s``, all of any other.
        channel: Of ``ravdess``: ``speech`` or ``song``.
    """

    corpus: Literal[
        "enterface05", "baum1s", "ravdess", "cremad", "savee", "rml", "manifest", "facs"
    ]
    root: Path | None = None
    cache: Path = Path("cache")
    segment_length: int = 16
    windows: WindowConfig = field(default_factory=WindowConfig)
    faces: FaceConfig = field(default_factory=FaceConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    facs: FacsConfig = field(default_factory=FacsConfig)
    workers: int | None = None
    loaders: int = 0
    classes: list[str] | None = None
    channel: Channel = "speech"

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        check_length(self.segment_length)
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"data.workers is {self.workers}; it must be at least 1, or null")
        if self.loaders < 0:
            raise ValueError(f"data.loaders is {self.loaders}; it must be at least 0")
        if self.classes is not None and not 2 <= len(set(self.classes)) == len(self.classes):
            raise ValueError(
                f"data.classes is {self.classes}; give at least two, each once, or null"
            )


@dataclass(frozen=True)
class ModelConfig:
    """The networks.

    Attributes:
        variant: ``torchvision``: the single-column AlexNet of torchvision.
        width: Factor on all channel and feature counts; 1 is the paper's.
        input_size: Side of the network's input, pixels, at least 63; the paper's is 227.
        insert_after: The layer whose features EmotionalVlan aggregates, ``fc7`` or ``fc6``.
        pool: ``sum`` (Eq. 1), ``frame`` or ``stream``: what EmotionalVlan keeps apart.
        vlan_start: Where EmotionalVlan's aₖ start; 0 adds features up, −ln(2(L−1)) averages them.
        dropout: Probability before fc6 and fc7, 0 ≤ p < 1.
        weights: ``imagenet``, the path of an AlexNet state dict, or null for random weights.
    """

    variant: Literal["torchvision"] = "torchvision"
    width: float = 1.0
    input_size: int = 227
    insert_after: InsertAfter = "fc7"
    pool: Pool = "sum"
    vlan_start: float = 0.0
    dropout: float = 0.5
    weights: str | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not 0 < self.width <= 4:
            raise ValueError(f"model.width is {self.width}; it must be above 0 and at most 4")
        if self.input_size < MIN_SIZE:
            raise ValueError(
                f"model.input_size is {self.input_size}; it must be at least {MIN_SIZE} px"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout is {self.dropout}; it must be in 0 ≤ p < 1")
        if self.weights is not None and self.width != 1:
            raise ValueError(
                f"model.weights is {self.weights} and model.width {self.width}: pretrained weights "
                "need width 1.0; set model.weights to null or model.width to 1.0"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser of a stage.

    Attributes:
        name: ``sgd`` or ``adamw``.
        lr: Learning rate, above 0; the paper's is 0.001.
        momentum: Of SGD, 0…1.
        weight_decay: At least 0.
        schedule: ``constant``, or ``cosine`` to 0 over the stage's iterations.
        clip_norm: Gradients longer than this are shortened to it; null leaves them.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine"] = "constant"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not self.lr > 0:
            raise ValueError(f"optimizer.lr is {self.lr}; it must be above 0")
        if not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise ValueError(
                f"optimizer.momentum is {self.momentum} (0 ≤ m < 1), "
                f"optimizer.weight_decay is {self.weight_decay} (at least 0)"
            )


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training segments, the same for all frames of one.

    Attributes:
        flip: Mirror half of the segments.
        shift: Largest shift in each direction, whole crop pixels; 0 for none.
    """

    flip: bool = True
    shift: int = 6

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not 0 <= self.shift <= 50:
            raise ValueError(f"augmentation.shift is {self.shift}; it must be in 0…50 pixels")


@dataclass(frozen=True)
class StageConfig:
    """One training stage.

    Attributes:
        iterations: Optimiser steps.
        batch_size: Images a step in ``spatial`` and ``temporal``, segments in ``vlan``.
        optimizer: Its optimiser.
        augmentation: Its augmentation.
        measure_every: Steps between points of the curves, where the test group is measured too
            (recorded only: nothing is selected by it); 0 measures at the end only.
    """

    iterations: int = 5000
    batch_size: int = 40
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    measure_every: int = 500

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name, least in (("iterations", 1), ("batch_size", 1), ("measure_every", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")


@dataclass(frozen=True)
class StagesConfig:
    """The three stages of training (section 3.2).

    Attributes:
        spatial: Stage 1, the spatial AlexNet on single frames.
        temporal: Stage 2, the temporal AlexNet on single flow images.
        vlan: Stage 3, both streams with EmotionalVlan on segments, end to end.
    """

    spatial: StageConfig = field(default_factory=StageConfig)
    temporal: StageConfig = field(default_factory=StageConfig)
    vlan: StageConfig = field(default_factory=StageConfig)


@dataclass(frozen=True)
class FoldsConfig:
    """The subject groups of LOSGO.

    Attributes:
        groups: How many; the paper has five. A number, ``subjects`` for leave-one-subject-out, or
            ``official`` for the folds that a manifest's column ``fold`` gives.
        seed: Which of the equally balanced splits.
        subjects: Instead, the subjects of each group, such as published ones.
    """

    groups: int | Literal["subjects", "official"] = 5
    seed: int = 0
    subjects: list[list[str]] | None = None


@dataclass(frozen=True)
class ProtocolConfig:
    """How the model is judged.

    Attributes:
        folds: The subject groups.
        selection: ``last``: the network after the last iteration is the result.
        seed: Of everything random in training.
    """

    folds: FoldsConfig = field(default_factory=FoldsConfig)
    selection: Literal["last"] = "last"
    seed: int = 0


@dataclass(frozen=True)
class LoggerConfig:
    """Where curves go, beside CSV files in the bundle.

    Attributes:
        wandb: ``auto`` is online with a login and offline without one; or ``online``, ``offline``,
            ``disabled``.
        project: The W&B project.
    """

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "vfer"
