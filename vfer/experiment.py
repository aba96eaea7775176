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
    """One fold: its number and its sides, no two of which share a subject.

    Attributes:
        number: From 0.
        train: Clips that are trained on.
        test: Clips of the fold's group.
        validation: Clips of the next group, if that is held out to choose an iteration.
    """

    number: int
    train: Part
    test: Part
    validation: Part | None = None


def held_out(groups: Groups, number: int, validation: bool) -> tuple[int, ...]:
    """The groups that a fold does not train on: its own, and the next one for validation."""
    return (number, (number + 1) % len(groups)) if validation else (number,)


def split(run: Run, number: int, validation: bool = False) -> Fold:
    """The sides of a fold.

    Args:
        run: What all folds share.
        number: The fold.
        validation: Whether the next group is held out as well.

    Raises:
        ValueError: If there is no such fold, a side has no usable clip, or a subject is on two.
    """
    if not 0 <= number < len(run.groups):
        raise ValueError(f"fold {number}: there are folds 0 to {len(run.groups) - 1}")
    held = held_out(run.groups, number, validation)
    others = frozenset().union(*(g for k, g in enumerate(run.groups) if k not in held))
    train, *sides = (
        part(run.corpus, run.store, subjects, run.config.data)
        for subjects in (others, *(run.groups[k] for k in held))
    )
    if not all(side.clips for side in (train, *sides)):
        raise ValueError(f"fold {number} has no usable clips to train on, to validate or to test")
    subjects = [{clip.subject for clip in side.clips} for side in (train, *sides)]
    if len(set().union(*subjects)) < sum(len(names) for names in subjects):
        raise ValueError(f"fold {number}: a subject is on two sides")
    return Fold(number, train, *sides)
