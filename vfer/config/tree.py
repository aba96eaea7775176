"""The config tree of the commands; each part documents its keys, units and legal values.

A part names its own keys in backticks when it refuses a value; on the command line they are written
in full, as in ``stages.spatial.optimizer.lr``.
"""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from vfer.corpora import check_name
from vfer.corpora.facs.settings import FacsConfig
from vfer.corpora.ravdess import Channel
from vfer.faces.settings import FaceConfig
from vfer.flow.settings import FlowConfig
from vfer.networks.settings import ModelConfig
from vfer.plugs import Named, normal
from vfer.segments.indices import WindowConfig, check_length


@dataclass(frozen=True)
class DataConfig:
    """The corpus and what is made of it.

    Attributes:
        corpus: The name of a file in ``vfer/corpora``: ``enterface05``, ``baum1s``, ``ravdess``,
            ``cremad``, ``savee``, ``rml``, ``manifest`` for any collection, or ``facs``, the
            built-in corpus, which is rendered when missing. Or a class of your own: its import
            path, or ``class_path`` and ``init_args``.
        root: Folder of the corpus's copy; of ``manifest`` the CSV file. Of ``facs`` null: a
            folder in the cache.
        cache: Folder of rendered corpora and crop stores, used again by later runs.
        segment_length: Frames of a segment, L, 2…20; the paper's best is 16.
        windows: Which segments a clip gives.
        faces: How faces are found and aligned.
        flow: Optical flow.
        facs: What the built-in corpus is like.
        workers: Processes that render and prepare clips; null takes one a core.
        decode_timeout: Seconds after which a decoder that gives no further frame is given up.
        residency: Where crops and flow live while networks are trained and tested: ``disk``,
            ``ram``, ``device`` (a GPU's memory), or ``auto``, which takes a GPU's or the RAM where
            they fill at most half of what is free there.
        loaders: Processes that load batches from disk beside the training; 0 loads in the training
            process.
        classes: The classes to tell apart; clips of others are excluded. Null takes the corpus's
            own: the six basic ones of ``baum1s``, all of any other.
        channel: Of ``ravdess``: ``speech`` or ``song``.
        duplicates: What becomes of clips that are the same video, by their bytes: ``refuse`` them
            by name, or ``exclude`` every copy.
        damaged: What becomes of clips of which frames are damaged: ``keep`` them and say so, or
            ``exclude`` them.
        name: What the corpus is called in results; null takes its own name, of ``manifest`` that
            of the CSV file without suffix.
    """

    corpus: Named
    root: Path | None = None
    cache: Path = Path("cache")
    segment_length: int = 16
    windows: WindowConfig = field(default_factory=WindowConfig)
    faces: FaceConfig = field(default_factory=FaceConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    facs: FacsConfig = field(default_factory=FacsConfig)
    workers: int | None = None
    decode_timeout: float = 60.0
    residency: Literal["auto", "disk", "ram", "device"] = "auto"
    loaders: int = 0
    classes: list[str] | None = None
    channel: Channel = "speech"
    duplicates: Literal["refuse", "exclude"] = "refuse"
    damaged: Literal["keep", "exclude"] = "keep"
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if self.corpus_is_named:
            check_name(self.corpus_name)
        else:
            normal("data.corpus", self.corpus)
        if self.name is not None and not self.name.strip():
            raise ValueError(f"data.name is {self.name!r}; give a name, or null")
        check_length(self.segment_length)
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"`workers` is {self.workers}; it must be at least 1, or null")
        if not self.decode_timeout > 0:
            raise ValueError(f"`decode_timeout` is {self.decode_timeout}; it must be above 0 s")
        if self.loaders < 0:
            raise ValueError(f"`loaders` is {self.loaders}; it must be at least 0")
        if self.classes is not None and not 2 <= len(set(self.classes)) == len(self.classes):
            raise ValueError(f"`classes` is {self.classes}; give at least two, each once, or null")

    @property
    def corpus_is_named(self) -> bool:
        """Whether the corpus has a file in ``vfer/corpora``, and is no class of one's own."""
        return isinstance(self.corpus, str) and "." not in self.corpus

    @property
    def corpus_name(self) -> str:
        """The corpus's name in the config; of a class of one's own the class's."""
        path = self.corpus if isinstance(self.corpus, str) else self.corpus["class_path"]
        return str(path).rpartition(".")[2]


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser of a stage.

    Attributes:
        name: ``sgd`` or ``adamw``.
        lr: Learning rate, above 0; the paper's is 0.001.
        vlan_lr: In ``vlan``, that of EmotionalVlan's aₖ, above 0; null takes ``lr``.
        momentum: Of SGD, 0…1.
        weight_decay: Of weights, not of biases; at least 0.
        schedule: ``constant``, or ``cosine`` to 0 over the stage's iterations.
        clip_norm: Gradients longer than this are shortened to it; null leaves them.
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.001
    vlan_lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine"] = "constant"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not self.lr > 0:
            raise ValueError(f"`lr` is {self.lr}; it must be above 0")
        if self.vlan_lr is not None and not self.vlan_lr > 0:
            raise ValueError(
                f"`vlan_lr` is {self.vlan_lr}; it must be above 0, or null (to keep aₖ as "
                "they start, stages.vlan.frozen: [vlan])"
            )
        if not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise ValueError(
                f"`momentum` is {self.momentum} (0 ≤ m < 1), "
                f"`weight_decay` is {self.weight_decay} (at least 0)"
            )


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training segments, the same for all frames of one.

    Cached flow follows a flip and a whole-pixel shift. It does not follow the others: with one of
    them the flow of training batches is computed from the changed crops, which costs time.

    Attributes:
        flip: Mirror half of the segments.
        shift: Largest shift in each direction, whole crop pixels, 0…50; 0 for none.
        rotation: Largest rotation either way about the crop's centre, degrees, 0…180.
        scale: Largest enlargement and reduction about the centre, a share of the size, 0 ≤ s < 1.
        light: Largest brightening and darkening, a share of the grey value, 0 ≤ l < 1.
        flow: Where rotation, scale or light change the crops: ``computed`` from the changed crops
            in every batch, or ``turned``: that of the store is rotated and scaled with the crops,
            which costs little and is not quite the same.
    """

    flip: bool = True
    shift: int = 6
    rotation: float = 0.0
    scale: float = 0.0
    light: float = 0.0
    flow: Literal["computed", "turned"] = "computed"

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not 0 <= self.shift <= 50:
            raise ValueError(f"`shift` is {self.shift}; it must be in 0…50 pixels")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"`rotation` is {self.rotation}; it must be in 0…180 °")
        for name in ("scale", "light"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)}; it must be at least 0 and below 1"
                )

    @property
    def changes_crops(self) -> bool:
        """Whether crops are rotated, scaled or lit."""
        return self.rotation > 0 or self.scale > 0 or self.light > 0

    @property
    def computes_flow(self) -> bool:
        """Whether cached flow is of no use."""
        return self.changes_crops and self.flow == "computed"


@dataclass(frozen=True)
class StageConfig:
    """One training stage.

    Attributes:
        iterations: Optimiser steps. At 0 the stage is not trained: its network is left as it
            starts, from the stages before it, from ``from``, or from ``model.weights``.
        from: Start from the same stage and fold of the bundle in this folder, rather than from
            the stages before it (written ``from_`` in Python).
        frozen: Parts that keep their values: ``streams``, the AlexNets, and in ``vlan`` also
            ``vlan``, EmotionalVlan's aₖ; in ``network`` children of the network by their names.
            The paper's classifiers are always trained.
        batch_size: Images a step in ``spatial`` and ``temporal``, segments in ``vlan``.
        micro_batch: Samples that go through the network at a time, to save memory; the gradient is
            that of the whole batch. Null: all of a process's share, or what the free memory does
            for.
        optimizer: Its optimiser.
        augmentation: Its augmentation.
        measure_every: Steps between points of the curves, where the test group is measured too
            (recorded only: nothing is selected by it); 0 measures at the end only.
    """

    iterations: int = 5000
    from_: Path | None = None
    frozen: list[str] = field(default_factory=list)
    batch_size: int = 40
    micro_batch: int | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    measure_every: int = 500

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name, least in (("iterations", 0), ("batch_size", 1), ("measure_every", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` is {getattr(self, name)}; it must be at least {least}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise ValueError(f"`micro_batch` is {self.micro_batch}; it must be at least 1, or null")


@dataclass(frozen=True)
class StagesConfig:
    """The three stages of training (section 3, steps 3 to 5).

    Attributes:
        spatial: Stage 1, the spatial AlexNet on single frames.
        temporal: Stage 2, the temporal AlexNet on single flow images.
        vlan: Stage 3, both streams with EmotionalVlan on segments, end to end.
        network: The only stage of ``model.network``, on segments; not used without it.
        schema: ``trained``, or ``non_trained``: instead of stage 3, logistic regression on what
            EmotionalVlan with aₖ = 0 makes of the streams of stages 1 and 2 (Table 1). Nothing of
            ``vlan`` is used then.
        compile: Compile the networks (``torch.compile``) while they are trained.
        checkpoint_every: Steps between checkpoints, from which a killed run is resumed.
        cache: Folder in which runs share finished stages: one whose inputs are all the same is
            copied from there rather than trained. Null: each run trains its own.
    """

    spatial: StageConfig = field(default_factory=StageConfig)
    temporal: StageConfig = field(default_factory=StageConfig)
    vlan: StageConfig = field(default_factory=StageConfig)
    network: StageConfig = field(default_factory=StageConfig)
    schema: Literal["trained", "non_trained"] = "trained"
    compile: bool = False
    checkpoint_every: int = 500
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        parts = {"spatial": ["streams"], "temporal": ["streams"], "vlan": ["streams", "vlan"]}
        for name, legal in parts.items():
            unknown = sorted(set(getattr(self, name).frozen) - set(legal))
            if unknown:
                raise ValueError(
                    f"`{name}.frozen` names {', '.join(unknown)}; it may name {' and '.join(legal)}"
                )
        for name in ("spatial", "temporal", "network"):
            if getattr(self, name).optimizer.vlan_lr is not None:
                raise ValueError(f"`{name}.optimizer.vlan_lr` is for `vlan` only")
        if self.schema == "non_trained" and (self.vlan.from_ is not None or self.vlan.frozen):
            raise ValueError("`schema` non_trained leaves no `vlan.from` and no `vlan.frozen`")
        if self.checkpoint_every < 1:
            raise ValueError(
                f"`checkpoint_every` is {self.checkpoint_every}; it must be at least 1"
            )


@dataclass(frozen=True)
class FoldsConfig:
    """The subject groups of LOSGO.

    Attributes:
        groups: How many; the paper has five. A number, or ``subjects`` for leave-one-subject-out.
        seed: Which of the equally balanced splits.
        subjects: Instead, the subjects of each group, such as published ones.
        apart: What training and testing never share: ``[subject]``, or ``[subject, sentence]``:
            a fold then tests its group with some of the sentences, and trains on the others with
            the others. A clip that is tested in no fold is excluded from the result.
    """

    groups: int | Literal["subjects"] = 5
    seed: int = 0
    subjects: list[list[str]] | None = None
    apart: list[Literal["subject", "sentence"]] = field(default_factory=lambda: ["subject"])

    def __post_init__(self) -> None:
        """Refuse folds that would share subjects."""
        if sorted(self.apart) not in (["subject"], ["sentence", "subject"]):
            raise ValueError(
                f"`apart` is {self.apart}; it must be [subject] or [subject, sentence]"
            )


@dataclass(frozen=True)
class ProtocolConfig:
    """How the model is judged.

    Attributes:
        folds: The subject groups; or ``official``, those that a manifest's column ``fold`` gives,
            or the lists of a corpus that does not tell who is seen.
        selection: ``last``: the network after the last iteration is the result. ``validation``:
            the next group is held out of the training of every stage, and the measured iteration
            with the best clip accuracy on it is the result; of equals, the earliest.
        retrain: After ``validation``, train again on all training groups, each stage for as many
            iterations as were chosen.
        seed: Of everything random in training.
        control: Null, or what is taken away to see what the model still knows; such a result is
            none of the model. ``permuted_labels``: in training, each subject's labels are permuted
            among its clips. In training and testing: ``shuffled_frames``, a clip's frames in random
            order; ``still_frame``, its first frame repeated; ``no_mouth``, the lower third of the
            crop grey.
    """

    folds: FoldsConfig | Literal["official"] = field(default_factory=FoldsConfig)
    selection: Literal["last", "validation"] = "last"
    retrain: bool = False
    seed: int = 0
    control: Literal["permuted_labels", "shuffled_frames", "still_frame", "no_mouth"] | None = None

    def __post_init__(self) -> None:
        """Refuse to train again what was never chosen."""
        if self.retrain and self.selection != "validation":
            raise ValueError(f"`retrain` goes with `selection` validation, not {self.selection}")


@dataclass(frozen=True)
class TrainerConfig:
    """Where and how precisely Lightning's Trainer computes.

    What a stage decides itself is not among these, nor what would end or thin out a run behind its
    back.

    Attributes:
        accelerator: ``auto`` takes a GPU where there is one; or ``cpu``, ``gpu``, ``mps`` …
        strategy: How several processes train together; the others that Lightning has split the
            network.
        devices: How many of a machine (each then takes a share of every batch), their numbers in a
            list, -1 or ``auto`` for all.
        num_nodes: Machines, at least 1.
        precision: ``32-true`` (also 32, or null); ``bf16-mixed``, float32 weights with bfloat16
            products; or ``auto``, the latter where the device computes with bfloat16 itself. The
            stages' checkpoints and scores are not made for others.
        log_every_n_steps: Steps between rows of ``metrics.csv`` and the loggers; null takes 50.
        enable_progress_bar: False shows no progress of the steps.
        deterministic: Ask torch for operations that repeat their results on a GPU, and stop at one
            that cannot; ``warn`` only says so.
        benchmark: Let cuDNN try which algorithms are fastest.
        detect_anomaly: Find the operation that first gives NaN; slow.
        profile: After each stage say where its time went, how many images and FLOP a second, and
            what share of the device's peak; costs a little.
    """

    accelerator: str = "auto"
    strategy: Literal["auto", "ddp"] = "auto"
    devices: list[int] | str | int = 1  # several change dropout, so that they are asked for
    num_nodes: int = 1
    precision: Literal["auto", 32, "32", "32-true", "bf16-mixed"] | None = "auto"
    log_every_n_steps: int | None = None
    enable_progress_bar: bool | None = None
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    detect_anomaly: bool = False
    profile: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if self.num_nodes < 1:
            raise ValueError(f"`num_nodes` is {self.num_nodes}; it must be at least 1")
        if not self._devices_are_legal():
            raise ValueError(
                f"`devices` is {self.devices!r}; it must be a number from 1, a list of the "
                "devices' numbers from 0, such as [0, 1], or auto or -1 for all"
            )

    def _devices_are_legal(self) -> bool:
        given = self.devices
        if isinstance(given, str):
            return re.fullmatch(r"auto|-1|[1-9]\d*|\d+,(\d+,?)*", given) is not None
        if isinstance(given, list):
            return 0 < len(set(given)) == len(given) and min(given) >= 0
        return given == -1 or given >= 1


@dataclass(frozen=True)
class LoggerConfig:
    """Where curves go, beside CSV files in the bundle.

    Attributes:
        wandb: ``auto`` is online with a login and offline without one; or ``online``, ``offline``,
            ``disabled``.
        project: The W&B project.
        tensorboard: Also for TensorBoard, in ``tensorboard/`` of the bundle; needs the extra
            ``tensorboard``.
        held_out_clips: So many clips, at least 0, are shown at the end on a page in ``watch/`` of
            the bundle, each as the model says that has not seen its subject.
    """

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "vfer"
    tensorboard: bool = False
    held_out_clips: int = 0

    def __post_init__(self) -> None:
        """Refuse TensorBoard where it is not installed, and less than no clips."""
        if self.held_out_clips < 0:
            raise ValueError(
                f"`held_out_clips` is {self.held_out_clips}; give a number of clips, 0 for none"
            )
        if self.tensorboard and find_spec("tensorboard") is None:
            raise ValueError(
                "`tensorboard` is true, which needs TensorBoard: pip install "
                "'vfer[tensorboard]', or set it to false"
            )


PARTS: dict[str, type] = {
    "data": DataConfig,
    "model": ModelConfig,
    "stages": StagesConfig,
    "protocol": ProtocolConfig,
    "logger": LoggerConfig,
    "trainer": TrainerConfig,
}
"""The top of the config tree."""


@dataclass(frozen=True)
class Config:
    """A parsed command line.

    Attributes:
        data: The corpus and what is made of it.
        model: The networks.
        stages: The three stages of training.
        protocol: How the model is judged.
        logger: Where curves go.
        trainer: The values of ``TrainerConfig`` by name, as Lightning's Trainer takes them.
        output: The bundle's folder.
        fold: The one fold to run, or None for all.
        seeds: How many runs to make, each of the next seed; 1 is the run itself.
        regroup: How many group assignments to run, likewise.
        tree: The whole config as plain values, for ``config.yaml`` and for comparing.
        options: Of ``vfer.prepare``: ``check``, and with it ``json`` and ``deep``; of
            ``vfer.fit``: ``plan``, and with it ``json``.
        sheets: Of ``vfer.prepare``: the folder for contact sheets, or None.
        run: Of ``vfer.evaluate``: the trained bundle.
        trust_code: Of ``vfer.evaluate``: whether classes that the bundle names may be imported.
        notes: Of ``vfer.fit``: a file of lines on clips that are not printed again, or None.
        sweep: Of ``vfer.fit``: a file on the sweep of which the run is a point, or None.
        folds_in_parallel: Of ``vfer.fit``: how many folds are trained at the same time.
        final: Of ``vfer.fit``: whether one more model is trained, on all subjects.
    """

    data: DataConfig
    model: ModelConfig
    stages: StagesConfig
    protocol: ProtocolConfig
    logger: LoggerConfig
    trainer: dict[str, Any]
    output: Path
    fold: int | None
    tree: dict[str, Any]
    seeds: int = 1
    regroup: int = 1
    folds_in_parallel: int = 1
    options: frozenset[str] = frozenset()
    sheets: Path | None = None
    notes: Path | None = None
    run: Path | None = None
    trust_code: bool = False
    sweep: Path | None = None
    final: bool = False
