"""The built-in corpus: talking heads drawn from facial action units, written as video files.

It has eNTERFACE'05's folders and file names, so that one adapter reads both::

    ROOT/facs.json                                       the parameters
    ROOT/subject 1/anger/sentence 1/s1_an_1.avi          MPEG-4 in AVI
    ROOT/subject 1/anger/sentence 1/s1_an_1.npz          what is true of it: `load_truth`

The six emotions are the action-unit prototypes of EMFACS (Friesen and Ekman, "EMFACS-7: Emotional
Facial Action Coding System", 1983; Ekman, Friesen and Hager, "Facial Action Coding System:
Investigator's Guide", 2002, table 10-2). Resting faces imitate expressions, each in its own way,
so a still face says less than its change. All randomness is a function of the seed, the subject,
the emotion and the take. `clip` says what happens in a clip, `face` draws the faces and `warp`
moves them.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import Truth, draw_clip
from vfer.corpora.facs.settings import FacsConfig

CODES = {emotion: emotion[:2] for emotion in EMOTIONS}
"""The two letters of an emotion in a file name."""
_FORMAT = 1  # to be raised when the same settings give other pixels


class ClipNumber(NamedTuple):
    """Which clip: subject and take count from 1."""

    subject: int
    emotion: str
    take: int


def parameters(config: FacsConfig) -> dict[str, Any]:
    """Return all that a rendered corpus depends on, as ``facs.json`` beside it keeps it."""
    return {"format": _FORMAT, **asdict(config)}


def video_path(root: Path, subject: int, emotion: str, take: int) -> Path:
    """Return where a clip lies; subject and take count from 1."""
    name = f"s{subject}_{CODES[emotion]}_{take}.avi"
    return root / f"subject {subject}" / emotion / f"sentence {take}" / name


def load_truth(video: Path) -> Truth:
    """Read what is true of a clip from the file beside its video.

    Raises:
        FileNotFoundError: If there is no such file, as for videos that were not drawn.
    """
    path = video.with_suffix(".npz")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: only clips of the built-in corpus have one")
    with np.load(path) as data:
        return Truth(
            tuple(str(name) for name in data["names"]),
            data["au"],
            data["eyes"],
            data["motion"],
            data["valid"],
            (float(data["offset"][0]), float(data["offset"][1])),
            int(data["step"]),
        )


def _save(config: FacsConfig, root: Path, clip: ClipNumber) -> None:
    """Draw a clip and write it, the truth first: a video that is there is complete."""
    path = video_path(root, *clip)
    frames, truth = draw_clip(config, *clip)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            names=np.asarray(truth.names),
            au=truth.au,
            eyes=truth.eyes,
            motion=truth.motion,
            valid=truth.valid,
            offset=np.asarray(truth.offset),
            step=np.asarray(truth.step),
        )
    part.replace(path.with_suffix(".npz"))
    write_video(part, frames, config.fps)
    part.replace(path)


def write_video(path: Path, frames: NDArray[np.uint8], fps: int) -> None:
    """Write frames ``(T, H, W, 3)`` uint8 RGB as MPEG-4 in AVI; the same bytes every time."""
    with av.open(str(path), "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=fps, options={"qmin": "2", "qmax": "3"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 20_000_000
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= 1 << 23  # bit exact: no version string in the stream
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def render(
    root: Path,
    config: FacsConfig,
    do: Callable[[Callable[[ClipNumber], None], Sequence[ClipNumber]], Iterable[object]] = map,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw every clip that is missing below ``root``; resume after an interruption.

    Args:
        root: The corpus's folder, made where missing.
        config: What to draw.
        do: Does a piece of work to each of some items and yields once an item, as ``map`` does in
            this process.
        progress: Called with the number of clips present and in total, at first and after each.

    Raises:
        ValueError: If the folder holds a corpus with other parameters.
    """
    clips = [
        ClipNumber(subject, emotion, take)
        for subject in range(1, config.subjects + 1)
        for emotion in EMOTIONS
        for take in range(1, config.clips_per_emotion + 1)
    ]

    def lacking() -> list[ClipNumber]:
        return [clip for clip in clips if not video_path(root, *clip).is_file()]

    root.mkdir(parents=True, exist_ok=True)
    if (root / "facs.json").is_file() and not lacking():  # no lock: it may not be ours to write
        _check_parameters(root, config)
        if progress is not None:
            progress(len(clips), len(clips))
        return
    with FileLock(root / ".facs.lock"):
        _check_parameters(root, config)
        for left in root.rglob(".*.part"):  # of a run that was killed
            left.unlink()
        missing = lacking()
        present = len(clips) - len(missing)
        if progress is not None:
            progress(present, len(clips))
        for done, _ in enumerate(do(partial(_save, config, root), missing), present + 1):
            if progress is not None:
                progress(done, len(clips))


def _check_parameters(root: Path, config: FacsConfig) -> None:
    """Write the corpus's parameters, or compare them with those written before."""
    path, wanted = root / "facs.json", parameters(config)
    if not path.exists():
        part = path.with_name(".facs.json.part")
        part.write_text(json.dumps(wanted, indent=1) + "\n")
        part.replace(path)
        return
    there = json.loads(path.read_text())
    keys = [key for key in {**wanted, **there} if wanted.get(key) != there.get(key)]
    if keys:
        listed = ", ".join(f"{k} is {there.get(k)}, wanted {wanted.get(k)}" for k in keys)
        raise ValueError(
            f"{root} holds a built-in corpus with other parameters: {listed}; choose another "
            "folder, delete this one, or ask for its parameters"
        )
