"""The LightningDataModule of one stage of one fold."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from vfer.config.tree import DataConfig, StageConfig
from vfer.fit.datasets import Frames, Part, StepDataset
from vfer.results.tables import STREAMS
from vfer.runtime.ranks import rank, world
from vfer.segments.batch import SegmentBatch, StreamInputs
from vfer.segments.images import stream_inputs


class Transform:
    """``stream_inputs`` with the settings of one stage.

    Args:
        stage: Which.
        input_size: Side of the networks' input, pixels.
        data: The data config.
        streams: Those of ``vlan``; the other stages have the one that they are named after.
    """

    def __init__(
        self, stage: str, input_size: int, data: DataConfig, streams: Sequence[str] = STREAMS
    ) -> None:
        self.streams = streams if stage == "vlan" else (stage,)
        self.size, self.flow = input_size, data.flow

    def __call__(self, batch: SegmentBatch) -> StreamInputs:
        """The images of the stage's streams."""
        return stream_inputs(batch, self.streams, self.size, self.flow)


class _From(Sampler[int]):
    """The numbers from ``first`` to before ``end``."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.end))

    def __len__(self) -> int:
        return self.end  # Lightning counts the batches before an interruption too


class StepLoader(DataLoader[SegmentBatch]):
    """Loads a stage's steps from a given one on; tells Lightning that it can be gone on with."""

    def __init__(self, steps: StepDataset, first: int, workers: int) -> None:
        super().__init__(
            steps,
            batch_size=None,
            sampler=_From(first * len(steps.shares), len(steps)),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the step to begin at is known before the loader is made."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""


class StageData(pl.LightningDataModule):
    """Training batches of one stage of one fold; nothing of the test group is in reach here.

    Args:
        train: The fold's training part.
        frames: Where frames live.
        classes: The class names.
        data: The data config.
        settings: The stage's config.
        transform: What happens to a batch on the device.
        stage: ``spatial``, ``temporal`` or ``vlan``.
        seed: Of the run.
        fold: The fold's number.
    """

    def __init__(
        self, train: Part, frames: Frames, classes: Sequence[str], data: DataConfig,
        settings: StageConfig, transform: Transform, stage: str, seed: int, fold: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.steps = StepDataset(
            train, frames, classes, settings, stage, seed, fold, rank(), world()
        )
        self.transform = transform
        self.loaders = data.loaders

    def train_dataloader(self) -> StepLoader:
        """Steps 0, 1, 2 …, this process's parts of each; gone on with, from the next one."""
        first = 0 if self.trainer is None else self.trainer.global_step
        return StepLoader(self.steps, first, self.loaders)

    def on_after_batch_transfer(self, batch: SegmentBatch, dataloader_idx: int) -> StreamInputs:
        """Augment, compute flow and make the networks' images, on the device."""
        return self.transform(batch)
