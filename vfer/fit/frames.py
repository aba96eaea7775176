"""Crops and flow of clips: where they live, and how batches are taken from them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfer.config.tree import DataConfig
from vfer.faces.settings import HEIGHT, WIDTH
from vfer.prepare.store import CropStore, flow_key
from vfer.segments.controls import frame_order, mask_mouth
from vfer.segments.indices import segment_frames

Residency = Literal["disk", "ram", "device"]


def choose_residency(
    asked: Literal["auto", "disk", "ram", "device"], needed: int, ram: int, device: int
) -> Residency:
    """Return where crops and flow are to live.

    Args:
        asked: ``data.residency``.
        needed: Bytes of all crops and flow.
        ram: Bytes of RAM that this process may count on.
        device: Bytes that are free on a GPU, 0 without one.
    """
    if asked != "auto":
        return asked
    return "device" if 2 * needed <= device else "ram" if 2 * needed <= ram else "disk"


class Memory:
    """Crops and flow of clips in one piece of memory, where a batch is one index operation.

    A clip is put there when it is first asked for; until then its rows cost nothing in RAM.

    Args:
        counts: Frames of each clip.
        flow: Whether flow is kept too.
        device: Where.
    """

    def __init__(self, counts: Mapping[str, int], flow: bool, device: torch.device) -> None:
        self.first = dict(zip(counts, accumulate(counts.values(), initial=0), strict=False))
        self.counts = counts
        rows = sum(counts.values())
        self.crops = torch.empty((rows, HEIGHT, WIDTH, 3), dtype=torch.uint8, device=device)
        # A clip's last frame has no flow: its row is 0, and stands for a frame that is repeated.
        shape = (rows if flow else 0, 2, HEIGHT, WIDTH)
        self.flow = torch.empty(shape, dtype=torch.float16, device=device) if flow else None
        self._there: set[str] = set()

    def missing(self, clips: Sequence[str]) -> list[str]:
        """Return which of some clips are not there yet."""
        return [clip for clip in dict.fromkeys(clips) if clip not in self._there]

    def put(self, clip: str, crops: NDArray[np.uint8], flow: NDArray[np.float16] | None) -> None:
        """Put a clip there: crops ``(T, 150, 110, 3)``, flow ``(T−1, 2, 150, 110)``."""
        first, end = self.first[clip], self.first[clip] + self.counts[clip]
        self.crops[first:end] = torch.tensor(crops)
        if self.flow is not None:
            assert flow is not None
            self.flow[first : end - 1] = torch.tensor(flow)
            self.flow[end - 1] = 0
        self._there.add(clip)

    def take(
        self, clips: Sequence[str], frames: NDArray[np.int64], flow: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return what ``Frames.batch`` does."""
        first = np.array([self.first[clip] for clip in clips])[:, None]
        crops = self._rows(self.crops, first + frames)
        if not flow:
            return crops, None
        assert self.flow is not None
        last = np.array([self.counts[clip] for clip in clips])[:, None] - 1
        moves = frames[:, :-1] != frames[:, 1:]
        return crops, self._rows(self.flow, first + np.where(moves, frames[:, :-1], last))

    def _rows(self, table: Tensor, rows: NDArray[np.int64]) -> Tensor:
        index = torch.from_numpy(rows.ravel()).to(table.device)
        return table.index_select(0, index).view(*rows.shape, *table.shape[1:])


class Frames:
    """Reads frames and cached flow of clips: the one place that knows where they live.

    Args:
        store: Their store.
        config: The data config.
        cached_flow: Whether cached flow is any good: not where augmentation changes it.
        control: One of ``vfer.segments.controls.PICTURES``, which changes what is read, or None.
        seed: What is random in a control follows it.
        memory: Where clips are kept once they are read; None reads them from disk each time.
    """

    def __init__(
        self, store: CropStore, config: DataConfig, cached_flow: bool = True,
        control: str | None = None, seed: int = 0, memory: Memory | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.length = config.segment_length
        self.control, self.seed = control, seed
        self.memory = memory
        cached = config.flow.cache and cached_flow and control is None
        self.flow_key = flow_key(config.flow)
        self.key = self.flow_key if cached else None

    def segment(self, clip: str, start: int) -> NDArray[np.int64]:
        """Return frame indices ``(L,)`` of the segment of a clip that begins at ``start``."""
        return segment_frames(self.store.entry(clip).frames, self.length, start)

    def clip(self, clip: str) -> NDArray[np.uint8]:
        """Return all crops of a clip, ``(T, 150, 110, 3)``."""
        return self._crops(clip, np.arange(self.store.entry(clip).frames))

    def _crops(self, clip: str, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return crops ``(…, 150, 110, 3)`` of some frames, as the control leaves them."""
        stored = self.store.crops(clip)
        if self.control is not None:
            frames = frame_order(self.control, clip, len(stored), self.seed)[frames]
        crops: NDArray[np.uint8] = stored[frames]
        if self.control == "no_mouth":
            mask_mouth(crops)
        return crops

    def read(
        self, clip: str, frames: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Crops and flow of runs of neighbouring frames.

        Args:
            clip: The clip's name.
            frames: ``(…, n)`` frame indices; each run steps by one, or repeats a frame.

        Returns:
            Crops ``(…, n, 150, 110, 3)``, and the flow between neighbours ``(…, n−1, 2, 150,
            110)``, 0 where a frame is repeated; None if flow is not cached.
        """
        crops = self._crops(clip, frames)
        if self.key is None:
            return crops, None
        first, second = frames[..., :-1], frames[..., 1:]
        flow = np.zeros((*first.shape, 2, *crops.shape[-3:-1]), np.float16)
        moves = first != second
        if moves.any():
            flow[moves] = self.store.flow(clip, self.key)[first[moves]]
        return crops, flow

    def batch(
        self, clips: Sequence[str], frames: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor | None]:
        """Crops and flow of runs of neighbouring frames of several clips, where they live.

        Args:
            clips: The clip of each run.
            frames: ``(B, n)`` frame indices, as of `read`.

        Returns:
            Tensors ``(B, n, 150, 110, 3)`` uint8 and ``(B, n−1, 2, 150, 110)`` float16, or None.
        """
        if self.memory is not None:
            for clip in self.memory.missing(clips):
                flow = None if self.memory.flow is None else self.store.flow(clip, self.flow_key)
                self.memory.put(clip, self.clip(clip), flow)
            return self.memory.take(clips, frames, self.key is not None)
        if len(set(clips)) == 1:
            crops, flow = self.read(clips[0], frames)
        else:
            found = [self.read(clip, run) for clip, run in zip(clips, frames, strict=True)]
            crops = np.stack([one for one, _ in found])
            flows = [one for _, one in found if one is not None]
            flow = np.stack(flows) if flows else None
        return torch.from_numpy(crops), None if flow is None else torch.from_numpy(flow)
