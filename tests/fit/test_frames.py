from pathlib import Path

import numpy as np
import pytest
import torch

from vfer.config.tree import DataConfig
from vfer.fit.frames import Frames, Memory, choose_residency
from vfer.prepare.store import flow_key
from vfer.runtime import memory

CONFIG = DataConfig("enterface05", segment_length=5)
RUNS = [("1/anger", [4, 5, 6, 7, 8]), ("2/fear", [0, 0, 0, 0, 0]), ("1/anger", [0, 1, 2, 3, 4])]
GIB = 2**30


@pytest.fixture
def store(made_store):
    """Two clips of nine frames and one, with made-up flow that tells clip and pair."""
    corpus, store = made_store({("1", "anger"): 9, ("2", "fear"): 1})
    for i, clip in enumerate(corpus.clips):
        frames = store.entry(clip.name).frames
        values = 10 * i + np.arange(frames - 1) + 1
        flow = (np.ones((frames - 1, 2, 150, 110)) * values[:, None, None, None]).astype(np.float16)
        store.add_flow(clip.name, flow_key(CONFIG.flow), flow)
    names = {(clip.subject, clip.emotion): clip.name for clip in corpus.clips}
    return store, {"1/anger": names["1", "anger"], "2/fear": names["2", "fear"]}


def in_memory(store, flow=True, device="cpu"):
    counts = {name: store[0].entry(name).frames for name in store[1].values()}
    return Memory(counts, flow, torch.device(device))


@pytest.mark.parametrize("control", [None, "shuffled_frames", "still_frame", "no_mouth"])
@pytest.mark.parametrize("cached", [True, False], ids=["flow cached", "flow later"])
def test_memory_gives_what_the_disk_gives(store, cached, control):
    made, names = store
    memory = in_memory(store, flow=control is None)
    clips, runs = [names[clip] for clip, _ in RUNS], np.array([run for _, run in RUNS])
    read = Frames(made, CONFIG, cached, control)
    kept = Frames(made, CONFIG, cached, control, memory=memory)
    for chosen in (slice(None), slice(0, 1), slice(1, 2)):
        crops, flow = read.batch(clips[chosen], runs[chosen])
        ours, moved = kept.batch(clips[chosen], runs[chosen])
        assert torch.equal(ours, crops)
        assert (moved is None) == (flow is None) == (not cached or control is not None)
        assert flow is None or (moved.dtype == flow.dtype and torch.equal(moved, flow))


def test_what_is_in_memory_is_not_read_again(store):
    made, names = store
    frames = Frames(made, CONFIG, memory=in_memory(store))
    clip, run = names["1/anger"], np.array([[1, 2, 3]])
    before = frames.batch([clip], run)
    for path in Path(made.directory).rglob("*.npy"):
        path.unlink()
    made._map.cache_clear()
    for ours, theirs in zip(frames.batch([clip], run), before, strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match="cannot be read"):
        frames.batch([names["2/fear"]], np.array([[0, 0, 0]]))


@pytest.mark.parametrize(
    ("asked", "needed", "ram", "device", "chosen"),
    [
        ("auto", GIB, 2 * GIB, 0, "ram"),
        ("auto", GIB + 1, 2 * GIB, 0, "disk"),
        ("auto", GIB, 8 * GIB, 2 * GIB, "device"),
        ("auto", GIB + 1, 8 * GIB, 2 * GIB, "ram"),
        ("disk", 1, GIB, GIB, "disk"),
        ("ram", 9 * GIB, GIB, GIB, "ram"),
        ("device", GIB, GIB, 0, "device"),
    ],
)
def test_where_crops_live_follows_from_sizes_unless_it_is_given(asked, needed, ram, device, chosen):
    assert choose_residency(asked, needed, ram, device) == chosen


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 6 * GIB), (str(5 * GIB), 3 * GIB), (str(50 * GIB), 6 * GIB)]
)
def test_free_memory_is_the_machines_or_what_is_left_to_its_group(
    tmp_path, monkeypatch, limit, free
):
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {6 * GIB // 1024} kB\n")
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB}\n")
    assert memory.free_memory() == free
