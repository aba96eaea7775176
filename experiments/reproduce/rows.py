"""The rows of the paper's tables and what stands beside them: which config each is.

All are laid over a corpus's config. The trained schema, after fc7, with both streams is one model
in three tables, and is run once.
"""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from vfer.config.tree import Config

EXPERIMENTS = Path(__file__).parents[1]
WHOLE = "whole"
"""The row of the paper's own method."""
LONGER = "longer"
"""The row of the paper's own method with more iterations than the paper's."""

PARTS = {
    "table1": "Table 1: trained and non-trained schema",
    "table2": "Table 2: EmotionalVlan after fc7 and after fc6",
    "table3": "Table 3: streams",
    "table4": "Table 4: other methods",
    "table5": "Table 5: the state of the art of its time",
    "fig2": "Figures 2 to 7: accuracy over iterations",
    "fig9": "Figure 9: accuracy over the length of a segment",
    "fig10": "Figures 10 and 11: face crops",
    "fig12": "Figures 12 and 13: confusion matrix",
    "frozen": "EmotionalVlan's aₖ, trained and frozen",
    "yardsticks": "Yardsticks: networks of torchvision",
    "future": "The paper's future work: fewer parameters, less time",
}
"""The parts of the page that have runs: what ``--only`` takes, and their headings."""
ALIASES = {
    **{f"fig{number}": "fig2" for number in range(3, 8)},
    "fig11": "fig10",
    "fig13": "fig12",
}
"""Figures of the paper that are drawn together with another."""


@dataclass(frozen=True)
class Row:
    """One model: its settings and where it stands.

    Attributes:
        name: Of its folder, without the seed.
        title: In tables.
        parts: Of the page, which need it; keys of `PARTS`.
        configs: Files below ``experiments/``, laid over the corpus's config in this order.
        words: Further options of ``vfer.fit``.
    """

    name: str
    title: str
    parts: tuple[str, ...]
    configs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def over(self) -> list[str]:
        """Return its part of a command line of ``vfer.fit``."""
        paths = [f"--config={EXPERIMENTS / path}.yaml" for path in self.configs]
        return [*paths, *self.words]

    def over_shown(self) -> list[str]:
        """Return the same for a reader, with paths from the project's folder."""
        return [word.replace(str(EXPERIMENTS), "experiments") for word in self.over()]


def _table(name: str, title: str, *parts: str) -> Row:
    return Row(name, title, parts, (f"tables/{name}",))


def length_row(length: int) -> Row:
    """Return the row of Figure 9 with so many frames in a segment."""
    words = (f"--data.segment_length={length}",)
    return Row(f"length_{length}", f"L = {length}", ("fig9",), words=words)


_MODELS = (
    Row(
        WHOLE,
        "spatial-temporal, trained, after fc7",
        tuple(PARTS),
        ("tables/trained", "tables/fc7", "tables/both"),
    ),
    _table("non_trained", "non-trained schema", "table1"),
    _table("fc6", "after fc6", "table2", "future"),
    _table("spatial", "spatial stream alone", "table3"),
    _table("temporal", "temporal stream alone", "table3"),
    _table("frozen_vlan", "aₖ frozen at their start", "frozen"),
    Row("hog3d", "HOG 3D", ("table4",), ("baselines/hog3d",)),
    Row("3dcnn", "3DCNN", ("table4",), ("baselines/3dcnn",)),
    Row("lpq_peaks", "LPQ of peak frames", ("table5",), ("baselines/lpq_peaks",)),
    Row("lpq_top", "LPQ-TOP", ("table5",), ("baselines/lpq_top",)),
)
YARDSTICKS = (
    Row("resnet18", "ResNet-18 for AlexNet", ("yardsticks", "future"), ("yardsticks/resnet18",)),
    Row("r2plus1d_18", "R(2+1)D-18", ("yardsticks",), ("yardsticks/r2plus1d_18",)),
    Row("swin3d_t", "Swin3D-T", ("yardsticks",), ("yardsticks/swin3d_t",)),
)
_SMALLEST = f"--config={EXPERIMENTS / 'yardsticks/smallest.yaml'}"
SMALLER: dict[str, dict[str, tuple[str, ...]]] = {
    "tiny": {
        "hog3d": (
            "--model.descriptor.init_args.points=40",
            "--model.classifier.init_args.words=24",
        ),
        **{row.name: ("--model.input_size=64",) for row in YARDSTICKS},
    },
    "demo": {row.name: (_SMALLEST,) for row in YARDSTICKS},
}
"""What is made smaller of a row at a size, as further options of ``vfer.fit``."""


def _smaller_rows(base: Config) -> list[Row]:
    """Return the rows with narrower networks, one for both inputs, and of bf16."""
    rows = [
        Row(f"width_{name}", f"width {title} of it", ("future",),
            words=(f"--model.width={share * base.model.width}", "--model.weights=null"))
        for name, title, share in (("half", "½", 0.5), ("quarter", "¼", 0.25))
    ]  # fmt: skip
    bf16 = Row("bf16", "bf16", ("future",), words=("--trainer.precision=bf16-mixed",))
    return [*rows, _one_stream_row(base), bf16]


def _longer_row(base: Config) -> Row:
    """Return the row with twice the iterations of the third stage."""
    words = (f"--stages.vlan.iterations={2 * base.stages.vlan.iterations}",)
    return Row(LONGER, "third stage twice as long", ("fig2",), words=words)


def _one_stream_row(base: Config) -> Row:
    """Return the row with one network for both inputs; it sees as many images as `WHOLE`."""
    stages, model = base.stages, base.model
    step = stages.network.batch_size * 2 * (base.data.segment_length - 1)
    singles = sum(one.iterations * one.batch_size for one in (stages.spatial, stages.temporal))
    segments = stages.vlan.iterations * stages.vlan.batch_size * 2 * (base.data.segment_length - 1)
    given = {
        "width": model.width,
        "dropout": model.dropout,
        "vlan_start": model.vlan_start,
        "weights": "null" if model.weights is None else model.weights,
    }
    words = [f"--model.network.init_args.{key}={value}" for key, value in given.items()]
    words.append(f"--stages.network.iterations={ceil((singles + segments) / step)}")
    title = "one network for both inputs"
    return Row("one_stream", title, ("future",), ("yardsticks/one_stream",), tuple(words))


def rows_of(size: str, lengths: tuple[int, ...], base: Config) -> list[Row]:
    """List all rows in the order in which they are run.

    Args:
        size: ``tiny``, ``demo`` or ``full``.
        lengths: The frames of a segment of Figure 9.
        base: What all rows are laid over; `WHOLE` has its length of a segment.
    """
    length = base.data.segment_length
    rows = [*_MODELS, _longer_row(base), *(length_row(one) for one in lengths if one != length)]
    rows += [*YARDSTICKS, *_smaller_rows(base)]
    smaller = SMALLER.get(size, {})
    return [replace(row, words=(*row.words, *smaller.get(row.name, ()))) for row in rows]
