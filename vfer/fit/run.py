"""What a run is made of: corpus, store, groups, a fold's sides, and what networks have seen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vfer.config.keys import differing, flatten
from vfer.config.tree import Config, StageConfig
from vfer.corpora import Clip, Corpus
from vfer.fit.datasets import Part, part
from vfer.fit.frames import Frames, Memory
from vfer.fit.plan import Stage
from vfer.fit.stage_folder import find_source
from vfer.folds import Groups
from vfer.prepare.store import CropStore
from vfer.results.bundle import FINAL, fold_name
from vfer.runtime.files import key_of
from vfer.segments.controls import PICTURES, permuted_labels


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
        sentences: Those that each fold tests, where training and testing share none; else empty.
        plugs: Of each config key that names a class of one's own, what tells it from another.
        memory: Where clips are kept once they are read; None reads them from disk each time.
    """

    config: Config
    corpus: Corpus
    store: CropStore
    groups: Groups
    weights: dict[str, Tensor] | None
    weights_key: str
    plugs: dict[str, Any] = field(default_factory=dict)
    sentences: tuple[frozenset[str], ...] = ()
    memory: Memory | None = None

    def tests(self, number: int, clip: Clip) -> bool:
        """Tell whether a fold tests a clip, if that takes part."""
        said = not self.sentences or clip.sentence in self.sentences[number]
        return said and clip.subject in self.groups[number]


@dataclass(frozen=True)
class Fold:
    """One fold: its number and its sides, no two of which share a subject.

    Attributes:
        number: From 0.
        train: Clips that are trained on.
        test: Clips of the fold's group.
        validation: Clips of the next group, if that is held out to choose an iteration.
        final: Whether it is no fold but the final model, which nobody is left to test. Its number,
            which what is random follows, is the one after those of the folds.
    """

    number: int
    train: Part
    test: Part
    validation: Part | None = None
    final: bool = False

    @property
    def title(self) -> str:
        """What messages call it."""
        return "the final model" if self.final else f"fold {self.number}"

    @property
    def folder(self) -> str:
        """The name of its folder in a bundle."""
        return FINAL if self.final else fold_name(self.number)


def held_out(groups: Groups, number: int, validation: bool) -> tuple[int, ...]:
    """Return the groups that a fold does not train on: its own, and the next one for validation."""
    return (number, (number + 1) % len(groups)) if validation else (number,)


def split(run: Run, number: int, validation: bool = False) -> Fold:
    """Return the sides of a fold.

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

    tested = run.sentences[number] if run.sentences else frozenset()

    def side(takes: Callable[[Clip], bool]) -> Part:
        return part(run.corpus, run.store, takes, run.config.data)

    def other(subjects: frozenset[str]) -> Part:
        """Return what may be trained on, or chosen by, of some subjects."""
        return side(lambda clip: clip.subject in subjects and clip.sentence not in tested)

    train = other(others)
    sides = [side(lambda clip: run.tests(number, clip)), *(other(run.groups[k]) for k in held[1:])]
    if not all(side.clips for side in (train, *sides)):
        raise ValueError(f"fold {number} has no usable clips to train on, to validate or to test")
    subjects = [{clip.subject for clip in side.clips} for side in (train, *sides)]
    if len(set().union(*subjects)) < sum(len(names) for names in subjects):
        raise ValueError(f"fold {number}: a subject is on two sides")
    if run.config.protocol.control == "permuted_labels":
        within: Literal["subject", "fold"] = "subject" if run.corpus.subjects_known else "fold"
        seed = run.config.protocol.seed
        labels = permuted_labels(run.corpus.clips, seed, number, within=within)
        train = _relabelled(train, labels)
        sides[1:] = [_relabelled(one, labels) for one in sides[1:]]  # nor is chosen by true ones
    return Fold(number, train, sides[0], sides[1] if validation else None)


def _relabelled(side: Part, labels: Mapping[str, str]) -> Part:
    """Return a side of a fold with other labels, by clip name."""
    return replace(side, clips=tuple(replace(c, emotion=labels[c.name]) for c in side.clips))


def frames_of(run: Run, cached_flow: bool = True) -> Frames:
    """Return what reads the frames of a run's clips, as its control leaves them."""
    protocol = run.config.protocol
    control = protocol.control if protocol.control in PICTURES else None
    return Frames(run.store, run.config.data, cached_flow, control, protocol.seed, run.memory)


def run_key(run: Run) -> str:
    """Return a key of what all folds of a bundle must share."""
    counted = differing(run.config.tree, {})  # every key that may change a number
    tree = flatten(run.config.tree)
    inputs = [{k: tree[k] for k in counted}, run.weights_key, run.store.fingerprint(run.corpus)]
    return key_of([*inputs, run.plugs])


@dataclass(frozen=True)
class Seen:
    """Whom and what a network has been trained on.

    Attributes:
        subjects: By their names in the corpus.
        videos: By the SHA-256 of their files, which say who it is whatever the names are.
    """

    subjects: frozenset[str] = frozenset()
    videos: frozenset[str] = frozenset()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Seen":
        """Read what ``stage.json`` says."""
        return cls(frozenset(record["trained_on"]), frozenset(record.get("videos", ())))

    def union(self, *others: "Seen") -> "Seen":
        """Return this and others together."""
        subjects = self.subjects.union(*(other.subjects for other in others))
        return Seen(subjects, self.videos.union(*(other.videos for other in others)))


def seen_in(run: Run, part: Part) -> Seen:
    """Return whom and what the clips of a part show."""
    videos = frozenset(run.store.entry(clip.name).source for clip in part.clips)
    return Seen(frozenset(clip.subject for clip in part.clips), videos)


def source_of(run: Run, fold: Fold, stage: Stage) -> Path | None:
    """Return the folder of another bundle's stage from which one starts; None without ``from``.

    Raises:
        FileNotFoundError: If that bundle has no such stage.
        ValueError: If it is of another task, or has seen somebody or a video held out here.
    """
    held = [clip for side in (fold.test, fold.validation) if side for clip in side.clips]
    settings: StageConfig = getattr(run.config.stages, stage.name)
    people = {clip.subject for clip in held}
    videos = {run.store.entry(clip.name).source for clip in held}
    return find_source(settings, stage.name, fold.folder, run.corpus, people, videos)
