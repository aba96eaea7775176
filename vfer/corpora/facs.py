"""The built-in corpus: talking heads drawn from facial action units, written as video files.

It has eNTERFACE'05's folders and file names, so that one adapter reads both::

    ROOT/facs.json                                       the parameters
    ROOT/subject 1/anger/sentence 1/s1_an_1.avi          MPEG-4 in AVI
    ROOT/subject 1/anger/sentence 1/s1_an_1.npz          what is true of it: `load_truth`

The six emotions are the action-unit prototypes of EMFACS (Friesen and Ekman, "EMFACS-7: Emotional
Facial Action Coding System", 1983; Ekman, Friesen and Hager, "Facial Action Coding System:
Investigator's Guide", 2002, table 10-2). Resting faces imitate expressions, each in its own way,
so a still face says less than its change. All randomness is a function of the seed, the subject,
the emotion and the take. `facs_clip` says what happens in a clip, `facs_face` draws the faces and
`facs_warp` moves them.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vfer.corpora import EMOTIONS
from vfer.corpora.facs_clip import PROTOTYPES, FacsConfig, Truth, apex_frame, draw_clip
from vfer.corpora.facs_face import Floats

__all__ = [
    "CODES",
    "PROTOTYPES",
    "FacsConfig",
    "Truth",
    "apex_frame",
    "contact_sheet",
    "draw_clip",
    "load_truth",
    "render",
    "settings",
    "video_path",
]

CODES = {emotion: emotion[:2] for emotion in EMOTIONS}
"""The two letters of an emotion in a file name."""
_FORMAT = 1  # to be raised when the same settings give other pixels


def settings(config: FacsConfig) -> dict[str, Any]:
    """All that a rendered corpus depends on, as ``facs.json`` beside it keeps it."""
    return {"format": _FORMAT, **asdict(config)}


def video_path(root: Path, subject: int, emotion: str, take: int) -> Path:
    """Where a clip lies; subject and take count from 1."""
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


def _save(config: FacsConfig, root: Path, subject: int, emotion: str, take: int) -> None:
    """Draw a clip and write it, the truth first: a video that is there is complete."""
    path = video_path(root, subject, emotion, take)
    frames, truth = draw_clip(config, subject, emotion, take)
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
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw every clip that is missing below ``root``; go on after an interruption.

    Args:
        root: The corpus's folder, made where missing.
        config: What to draw.
        workers: Number of processes, from 1; None takes the number of cores.
        progress: Called with the number of clips present and in total, at first and after each.

    Raises:
        ValueError: If the folder holds a corpus with other parameters, or workers is below 1.
        RuntimeError: If a process fails; the clips drawn so far stay.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more, or None for every core")
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".facs.lock"):
        _check_parameters(root, config)
        for left in root.rglob(".*.part"):  # of a run that was killed
            left.unlink()
        clips = [
            (subject, emotion, take)
            for subject in range(1, config.subjects + 1)
            for emotion in EMOTIONS
            for take in range(1, config.clips_per_emotion + 1)
        ]
        missing = [clip for clip in clips if not video_path(root, *clip).is_file()]
        done = len(clips) - len(missing)
        if progress is not None:
            progress(done, len(clips))

        def count() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, len(clips))

        cores = os.cpu_count() or 1
        workers = min(cores if workers is None else workers, len(missing))
        if workers <= 1:
            for clip in missing:
                _save(config, root, *clip)
                count()
        else:
            _in_processes(root, missing, workers, count)


def _check_parameters(root: Path, config: FacsConfig) -> None:
    """Write the corpus's parameters, or compare them with those written before."""
    path, wanted = root / "facs.json", settings(config)
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


def _in_processes(
    root: Path, clips: list[tuple[int, str, int]], workers: int, count: Callable[[], None]
) -> None:
    """Draw clips in processes of their own.

    They are plain child processes that read clips from their input: unlike ``multiprocessing``
    they do not import the caller's main module, with torch and all, and need no guard in it.
    """
    todo: queue.SimpleQueue[tuple[int, str, int]] = queue.SimpleQueue()
    for clip in clips:
        todo.put(clip)
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        for _ in range(workers)
    ]

    def feed(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            while True:
                process.stdin.write(json.dumps(todo.get_nowait()) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                done.put(answer)
                if not answer:
                    return
        except queue.Empty:
            pass
        except OSError:
            done.put("")

    threads = [threading.Thread(target=feed, args=(process,)) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in clips:
            if not done.get():
                raise RuntimeError("a process that draws clips ended early; see its message above")
            count()
    finally:
        for process in processes:
            process.terminate()
        for thread in threads:
            thread.join()
        for process in processes:
            process.communicate()


def _serve(root: Path) -> None:
    """Draw the clips named on the input, one a line, and answer each with a line."""
    there = json.loads((root / "facs.json").read_text())
    config = FacsConfig(**{key: value for key, value in there.items() if key != "format"})
    for line in sys.stdin:
        subject, emotion, take = json.loads(line)
        _save(config, root, subject, emotion, take)
        print("done", flush=True)


def contact_sheet(config: FacsConfig, path: Path, subjects: int = 6, take: int = 1) -> None:
    """Write a picture of the corpus as a PNG.

    Rows are subjects, columns a first frame and the six apexes; below, one clip of each emotion of
    the first subject from its first to its last frame.

    Args:
        config: The corpus; frames are drawn, not read.
        path: Where to write; folders are made.
        subjects: Number of rows, from 1.
        take: Which take, from 1.
    """
    size, strip = 180, 7
    rows: list[list[NDArray[np.uint8]]] = []
    strips: list[list[NDArray[np.uint8]]] = []
    for subject in range(1, subjects + 1):
        row: list[NDArray[np.uint8]] = []
        for emotion in EMOTIONS:
            frames, truth = draw_clip(config, subject, emotion, take)
            apex = apex_frame(truth, emotion)
            if not row:
                row.append(_portrait(frames[0], truth.eyes[0], size))
            row.append(_portrait(frames[apex], truth.eyes[apex], size))
            if subject == 1:
                picks = np.linspace(0, config.frames - 1, strip).round().astype(int)
                strips.append([_portrait(frames[t], truth.eyes[t], size) for t in picks])
        rows.append(row)
    head = 22
    titles = ("first frame", *EMOTIONS)
    sheet = Image.new("RGB", (size * 7 + 80, head * 2 + size * (len(rows) + len(strips))), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((84 + column * size, 5), title, fill="black")
    for r, row in enumerate(rows):
        pen.text((4, head + r * size + size // 2), f"subject {r + 1}", fill="black")
        for c, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (80 + c * size, head + r * size))
    top = head * 2 + size * len(rows)
    pen.text((84, top - head + 5), "subject 1, the clip from first to last frame", fill="black")
    for r, row in enumerate(strips):
        pen.text((4, top + r * size + size // 2), EMOTIONS[r], fill="black")
        for c, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (80 + c * size, top + r * size))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _portrait(frame: NDArray[np.uint8], eyes: Floats, size: int) -> NDArray[np.uint8]:
    """A square cut around the head, for the contact sheet."""
    distance = float(eyes[1, 0] - eyes[0, 0])
    x, y = eyes.mean(0)
    half = 1.9 * distance
    box = (x - half, y - half * 0.85, x + half, y + half * 1.15)
    image = Image.fromarray(frame).resize(
        (size, size), Image.Resampling.BICUBIC, box=_within(box, frame)
    )
    return np.asarray(image)


def _within(
    box: tuple[float, float, float, float], frame: NDArray[np.uint8]
) -> tuple[float, float, float, float]:
    h, w = frame.shape[:2]
    return max(0.0, box[0]), max(0.0, box[1]), min(float(w), box[2]), min(float(h), box[3])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # the parent says what was interrupted
        _serve(Path(sys.argv[1]))
