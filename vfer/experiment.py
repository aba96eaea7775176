"""What a run is made of: its config, corpus, store and groups, and the two sides of a fold."""

from dataclasses import dataclass

from torch import Tensor

from vfer.cli import Config
from vfer.corpora import Corpus
from vfer.datamodule import Part, part
from vfer.folds import Groups
from vfer.store import CropStore


@dataclass(frozen=True)
class Run:
    """What all folds share.

    Attributes:
        config: The parsed command line.
        corpus: The corpus.
        store: Its crops.
        groups: The subject groups.
        weights: Pretrained AlexNet weights, or None.
        weights_key: A key of these weights; empty without.
    """

    config: Config
    corpus: Corpus
    store: CropStore
    groups: Groups
    weights: dict[str, Tensor] | None
    weights_key: str


@dataclass(frozen=True)
class Fold:
    """One fold: its number and its two sides, which share no subject.

    Attributes:
        number: From 0.
        train: Clips of the other groups.
        test: Usable clips of the fold's group.
        unusable: Clips of the group that are not usable; each is a miss.
    """

    number: int
    train: Part
    test: Part
    unusable: int


def split(run: Run, number: int) -> Fold:
    """The two sides of a fold.

    Raises:
        ValueError: If there is no such fold, a side has no usable clip, or a subject is on both.
    """
    if not 0 <= number < len(run.groups):
        raise ValueError(f"fold {number}: there are folds 0 to {len(run.groups) - 1}")
    tested = run.groups[number]
    others = frozenset().union(*(g for k, g in enumerate(run.groups) if k != number))
    train = part(run.corpus, run.store, others, run.config.data)
    test = part(run.corpus, run.store, tested, run.config.data)
    if not train.clips or not test.clips:
        raise ValueError(f"fold {number} has no usable clips to train on or to test")
    both = {c.subject for c in train.clips} & {c.subject for c in test.clips}
    if both:
        raise ValueError(f"fold {number}: subjects {sorted(both)} are on both sides")
    counted = [c for c in run.corpus.clips if c.excluded is None and c.subject in tested]
    return Fold(number, train, test, len(counted) - len(test.clips))
