"""Batches by step, and clips for evaluation: which frames, and in which order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vfer.config.tree import DataConfig, StageConfig
from vfer.corpora import Clip, Corpus
from vfer.fit.frames import Frames
from vfer.fit.plan import Randomness
from vfer.fit.shuffle import shuffled
from vfer.prepare.store import CropStore
from vfer.segments.batch import SegmentBatch
from vfer.segments.indices import Starts, pairs_of


@dataclass(frozen=True)
class Part:
    """One side of a fold: clips that are usable, and their segments.

    Attributes:
        clips: The clips.
        index: Each clip's index in the corpus.
        starts: The start frames of each clip's segments, by clip.
        unusable: Further clips that take part but are not usable; each is a miss.
    """

    clips: tuple[Clip, ...]
    index: tuple[int, ...]
    starts: Starts
    unusable: int = 0


def part(
    corpus: Corpus, store: CropStore, takes: Callable[[Clip], bool], config: DataConfig
) -> Part:
    """Return the usable clips of those taken, and their segments by the config's window rule."""
    numbers = {clip.name: i for i, clip in enumerate(corpus.clips)}
    clips = tuple(clip for clip in store.usable(corpus) if takes(clip))
    frames = np.array([store.entry(clip.name).frames for clip in clips], np.int64)
    starts = Starts(frames, config.segment_length, config.windows)
    all_clips = sum(c.excluded is None and takes(c) for c in corpus.clips)
    index = tuple(numbers[clip.name] for clip in clips)
    return Part(clips, index, starts, all_clips - len(clips))


def shares(size: int, processes: int, micro_batch: int | None) -> list[list[NDArray[np.int64]]]:
    """Return which samples of a step go through the network together.

    Each process takes a contiguous part of the batch, in equally many parts of its own. Parts
    differ by at most one sample. Where processes have unequally many samples and ``micro_batch``
    is 1, one part may have two.

    Args:
        size: The batch size.
        processes: How many share it.
        micro_batch: The largest part; None for no limit.

    Returns:
        Of each process the places in the batch of each of its parts.

    Raises:
        ValueError: If there are fewer samples than processes.
    """
    if size < processes:
        raise ValueError(f"batch_size is {size}; it must be at least the {processes} processes")
    mine = np.array_split(np.arange(size), processes)
    count = -(-len(mine[0]) // (micro_batch or size))
    return [np.array_split(places, min(count, len(mine[-1]))) for places in mine]


class StepDataset(Dataset[SegmentBatch]):
    """Item n is the batch of training step n, a pure function of (seed, fold, stage, n).

    Where a step has several parts in this process, items are these parts, one step's after the
    other's.

    Samples are dealt from one random order of all samples after the other. A sample is a segment,
    or (``single``) a frame of a segment with the next one, which together make one image of either
    stream.
    """

    def __init__(
        self, part: Part, frames: Frames, classes: Sequence[str], config: StageConfig, single: bool,
        randomness: Randomness, rank: int = 0, world: int = 1,
    ) -> None:  # fmt: skip
        self.shares = shares(config.batch_size, world, config.micro_batch)[rank]
        self.world = world
        self.part, self.frames, self.config = part, frames, config
        self.randomness = randomness
        self.labels = np.array([classes.index(clip.emotion) for clip in part.clips], np.int64)
        counts = part.starts.counts
        self.ends = np.cumsum(counts)  # of each clip's segments among all
        self.begins = self.ends - counts
        self.images = frames.length - 1 if single else 1

    def __len__(self) -> int:
        return self.config.iterations * len(self.shares)

    def samples(self, step: int) -> NDArray[np.int64]:
        """Return the samples of a step, ``(batch_size,)``: segment × images + image."""
        size, count = self.config.batch_size, int(self.ends[-1]) * self.images
        places, order = np.arange(step * size, (step + 1) * size), self.randomness.order
        return np.concatenate(
            [
                shuffled(places[places // count == epoch] % count, count, order(epoch))
                for epoch in np.unique(places // count).tolist()
            ]
        )

    def places(self, samples: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Return of each sample its clip in the part, its segment's start, and its image there."""
        segments, images = np.divmod(samples, self.images)
        clips = np.searchsorted(self.ends, segments, side="right")
        starts = self.part.starts.at(clips, segments - self.begins[clips])
        return clips, starts, images

    def clips(self, step: int) -> list[str]:
        """Return the names of the clips in a step's batch, each once."""
        clips = self.places(self.samples(step))[0]
        return [self.part.clips[clip].name for clip in np.unique(clips).tolist()]

    def __getitem__(self, item: int) -> SegmentBatch:
        step, number = divmod(item, len(self.shares))
        places = self.shares[number]
        names, runs = [], []
        clips, starts, images = self.places(self.samples(step)[places])
        for clip, start, image in zip(clips.tolist(), starts.tolist(), images, strict=True):
            name = self.part.clips[clip].name
            indices = self.frames.segment(name, start)
            if self.images > 1:
                indices = indices[image : image + 2]
            names.append(name)
            runs.append(indices)
        return SegmentBatch(
            *self.frames.batch(names, np.stack(runs)),
            torch.from_numpy(self.labels[clips]),
            torch.tensor([self.part.index[clip] for clip in clips]),
            torch.from_numpy(starts),
            *self._augment(step, places),
            len(places) * len(self.shares) * self.world / self.config.batch_size,
        )

    def _augment(self, step: int, places: NDArray[np.int64]) -> tuple[Tensor | None, Tensor | None]:
        """Return ``augment`` and ``warp`` of some samples of a step, all of which are drawn."""
        count = self.config.batch_size
        config = self.config.augmentation
        rng = self.randomness.augmentation(step)
        flip = rng.integers(0, 2, count) * config.flip
        shift = rng.integers(-config.shift, config.shift + 1, (count, 2))
        reach = np.array([config.rotation, config.scale, config.light])
        warp = np.array([0, 1, 1]) + reach * rng.uniform(-1, 1, (count, 3))
        return (
            torch.from_numpy(np.column_stack([flip, shift]).astype(np.int64)[places])
            if config.flip or config.shift
            else None,
            torch.from_numpy(warp.astype(np.float32)[places]) if config.changes_crops else None,
        )


class ClipGroup(NamedTuple):
    """Some clips for evaluation: each pair of neighbouring frames once, and who uses it.

    Attributes:
        pairs: The pairs of all clips, one clip after the other, as segments of two frames.
        counts: How many pairs each clip has.
        segments: Of each clip ``(S, L−1)`` int64, which of its pairs make up each segment.
    """

    pairs: SegmentBatch
    counts: tuple[int, ...]
    segments: tuple[Tensor, ...]


def thinned(rows: NDArray[Any], every: int) -> NDArray[Any]:
    """Return one of every so many rows, but at least one, away from the ends."""
    return rows[min(every, len(rows)) // 2 :: every]


class EvaluatedClips:
    """The clips of a part, all their segments. Segments overlap; no pair is read twice.

    Args:
        part: One side of a fold.
        frames: Where crops and flow live.
        classes: Of the corpus.
        every: See `thinned`; above 1 segments are incomplete: for networks on single images, which
            do not look at them.
    """

    def __init__(self, part: Part, frames: Frames, classes: Sequence[str], every: int = 1) -> None:
        self.part, self.frames, self.classes, self.every = part, frames, classes, every

    def __len__(self) -> int:
        return len(self.part.clips)

    def groups(self, clips: Iterable[int], pairs: int) -> Iterator[ClipGroup]:
        """Read clips, so many together that they have about so many pairs; at least one."""
        waiting: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []
        count = 0
        for i in clips:
            waiting.append((i, *self._pairs(i)))
            count += len(waiting[-1][1])
            if count >= pairs:
                yield self._read(waiting)
                waiting, count = [], 0
        if waiting:
            yield self._read(waiting)

    def _pairs(self, i: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``pairs_of`` of a clip's segments."""
        name, starts = self.part.clips[i].name, self.part.starts[i].tolist()
        pairs, segments = pairs_of(np.stack([self.frames.segment(name, s) for s in starts]))
        return thinned(pairs, self.every), segments

    def _read(self, clips: Sequence[tuple[int, NDArray[np.int64], NDArray[np.int64]]]) -> ClipGroup:
        counts = [len(pairs) for _, pairs, _ in clips]
        mine = [self.part.clips[i] for i, _, _ in clips]
        names = [clip.name for clip, count in zip(mine, counts, strict=True) for _ in range(count)]
        pairs = np.concatenate([pairs for _, pairs, _ in clips])
        batch = SegmentBatch(
            *self.frames.batch(names, pairs),
            torch.from_numpy(np.repeat([self.classes.index(c.emotion) for c in mine], counts)),
            torch.from_numpy(np.repeat([self.part.index[i] for i, _, _ in clips], counts)),
            torch.from_numpy(pairs[:, 0].copy()),
        )
        segments = tuple(torch.from_numpy(one) for _, _, one in clips)
        return ClipGroup(batch, tuple(counts), segments)
