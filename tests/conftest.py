import os
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import settings

from vfer.corpora import Clip, Corpus
from vfer.corpora.facs.files import render
from vfer.corpora.facs.settings import FacsConfig
from vfer.prepare.store import CropStore, Entry

settings.register_profile("seeded", derandomize=True)  # a repeated run tries the same
settings.load_profile("seeded")

torch.set_num_threads(1)  # two test processes share two cores

FACS = FacsConfig(subjects=3, clips_per_emotion=1, frames=10, width=240, height=192)


@pytest.fixture(scope="session")
def facs_config():
    return FACS


@pytest.fixture(scope="session")
def facs_root(tmp_path_factory):
    """The built-in corpus, tiny: 3 subjects, a clip an emotion, 10 frames; drawn once a run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # shared by the workers of one run; `render` locks and shares the work
    render(base / "facs", FACS)
    return base / "facs"


@pytest.fixture(scope="session")
def facs_words(facs_root):
    """Options of the commands that take this corpus instead of the one of configs/tiny.yaml."""
    return [f"--data.root={facs_root}", *(f"--data.facs.{k}={v}" for k, v in asdict(FACS).items())]


def save_lossless(path, frames, fps=25):
    """Write exactly these frames, FFV1 in RGB."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def lossless(tmp_path):
    """A function that writes a clip of random pixels: ``(t, height, width)`` → path, frames."""

    def write(t, height=32, width=64, name="clip.mkv", fps=25, seed=0):
        rng = np.random.default_rng(seed)
        frames = rng.integers(0, 256, (t, height, width, 3), dtype=np.uint8)
        return save_lossless(tmp_path / name, frames, fps), frames

    return write


def crops_of(t, seed):
    """Crops with motion: a coarse random pattern that drifts by about a pixel a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (40 + t, 30 + t, 3), dtype=np.uint8)
    fine = coarse.repeat(5, 0).repeat(5, 1)
    return np.stack([fine[i : i + 150, 2 * i : 2 * i + 110] for i in range(t)])


@pytest.fixture
def made_store(tmp_path):
    """A function that makes a store of made-up clips: ``{(subject, emotion): frames}``."""

    def make(lengths):
        store = CropStore(tmp_path / "store")
        clips = []
        for seed, ((subject, emotion), t) in enumerate(lengths.items()):
            name = f"subject {subject}/{emotion}/clip"
            clips.append(Clip(name, Path(f"{name}.avi"), subject, emotion))
            entry = Entry(name, "ok", frames=t, source=f"{seed:064}")
            store.add(entry, crops_of(t, seed))
        classes = tuple(sorted({clip.emotion for clip in clips}))
        return Corpus("made", classes, tuple(sorted(clips, key=lambda c: c.name))), store

    return make
