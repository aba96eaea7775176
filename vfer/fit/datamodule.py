"""The LightningDataModule of one stage of one fold."""

from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from vfer.fit.datasets import StepDataset
from vfer.segments.batch import SegmentBatch, StreamInputs

Transform = Callable[[SegmentBatch], StreamInputs]
"""``stream_inputs`` with the settings of one stage."""


class _From(Sampler[int]):
    """The numbers from ``first`` to before ``end``."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.end))

    def __len__(self) -> int:
        return self.end  # Lightning counts the batches before an interruption too


class StepLoader(DataLoader[SegmentBatch]):
    """Loads a stage's steps from a given one on; tells Lightning that it can be resumed."""

    def __init__(self, steps: StepDataset, first: int, workers: int) -> None:
        super().__init__(
            steps,
            batch_size=None,
            sampler=_From(first * len(steps.shares), len(steps)),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            pin_memory=torch.cuda.is_available() and steps.frames.memory is None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the step to begin at is known before the loader is made."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing."""


class StageData(pl.LightningDataModule):
    """Training batches of one stage of one fold; nothing of the test group is in reach here.

    Args:
        steps: The batch of each step.
        transform: What happens to a batch on the device.
        loaders: Processes that load batches; 0 loads in this one, as is done where clips are in
            memory.
    """

    def __init__(self, steps: StepDataset, transform: Transform, loaders: int) -> None:
        super().__init__()
        self.steps, self.transform = steps, transform
        self.loaders = loaders if steps.frames.memory is None else 0

    def train_dataloader(self) -> StepLoader:
        """Load steps 0, 1, 2 …, this process's parts of each; resumed, from the next one."""
        first = 0 if self.trainer is None else self.trainer.global_step
        return StepLoader(self.steps, first, self.loaders)

    def on_after_batch_transfer(self, batch: SegmentBatch, dataloader_idx: int) -> StreamInputs:
        """Augment, compute flow and make the networks' images, on the device."""
        return self.transform(batch)
