"""The built-in corpus: talking heads drawn from facial action units, written as video files.

It has eNTERFACE'05's folders and file names, so that one adapter reads both::

    ROOT/facs.json                                       the parameters
    ROOT/subject 1/anger/sentence 1/s1_an_1.avi          MPEG-4 in AVI
    ROOT/subject 1/anger/sentence 1/s1_an_1.npz          what is true of it: `load_truth`

The six emotions are the action-unit prototypes of EMFACS (Friesen and Ekman, "EMFACS-7: Emotional
Facial Action Coding System", 1983; Ekman, Friesen and Hager, "Facial Action Coding System:
Investigator's Guide", 2002, table 10-2). Resting faces imitate expressions, each in its own way,
so a still face says less than its change. All randomness is a function of the seed, the subject,
the emotion and the take; see `facs_face` and `facs_warp` for the drawing.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter1d

from vfer.corpora import EMOTIONS
from vfer.corpora import facs_face as drawing
from vfer.corpora.facs_face import ACTION_UNITS, AU, Face, Floats, Pose
from vfer.corpora.facs_warp import box_around, draw, true_motion, warp

PROTOTYPES: dict[str, dict[str, float]] = {
    "anger": {"AU4": 1.0, "AU5": 0.6, "AU7": 0.7, "AU23": 1.0},
    "disgust": {"AU9": 1.0, "AU15": 0.7, "AU16": 0.7, "AU25": 0.35},
    "fear": {"AU1": 0.9, "AU2": 0.5, "AU4": 0.6, "AU5": 0.9, "AU7": 0.3, "AU20": 0.9, "AU26": 0.35},
    "happiness": {"AU6": 0.9, "AU12": 1.0},
    "sadness": {"AU1": 0.9, "AU4": 0.6, "AU15": 0.9},
    "surprise": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU26": 0.8},
}
"""Action units of each emotion with their share of the expression's intensity."""

CODES = {emotion: emotion[:2] for emotion in EMOTIONS}
"""The two letters of an emotion in a file name."""


@dataclass(frozen=True)
class FacsConfig:
    """What the corpus is made of.

    Attributes:
        subjects: Number of people, 1…999.
        clips_per_emotion: Takes of each emotion by each subject, 1…99.
        frames: Frames of a clip, 8…1000.
        width: Frame width in pixels, even, 160…1920.
        height: Frame height in pixels, even, 128…1080.
        fps: Frames per second, 1…120.
        difficulty: 0…1: how much resting faces imitate expressions, how weak expressions may be
            and how much else goes on in the face.
        seed: Any integer from 0 on.
    """

    subjects: int = 24
    clips_per_emotion: int = 5
    frames: int = 60
    width: int = 720
    height: int = 576
    fps: int = 25
    difficulty: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "subjects": (1, 999),
            "clips_per_emotion": (1, 99),
            "frames": (8, 1000),
            "width": (160, 1920),
            "height": (128, 1080),
            "fps": (1, 120),
            "difficulty": (0, 1),
            "seed": (0, 2**63 - 1),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; set it to a value from {low} to {high}")
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ValueError(f"{name} is {getattr(self, name)}; the video format needs it even")


@dataclass(frozen=True)
class Truth:
    """What is true of a clip of T frames.

    Attributes:
        names: Names of the action units.
        au: Intensities ``(T, n_au)`` float32, 0…1, of what the face does on top of its resting
            expression.
        eyes: Centres of the eyes ``(T, 2, 2)`` float32 px: left then right in the image; x, y.
        motion: ``(T − 1, rows, columns, 2)`` float16 px: where the skin at a point of the raster
            goes until the next frame, x and y; 0 where not valid.
        valid: ``(T − 1, rows, columns)`` bool: the raster point shows skin of the face, off the
            edges of eyes and mouth.
        offset: Pixel position (x, y) of the raster's first point, may be fractional.
        step: Spacing of the raster in pixels.
    """

    names: tuple[str, ...]
    au: Floats
    eyes: Floats
    motion: NDArray[np.float16]
    valid: NDArray[np.bool_]
    offset: tuple[float, float]
    step: int


def _pulse(times: Floats, start: float, rise: float, end: float, fall: float) -> Floats:
    """0 before ``start``, 1 from ``start + rise`` to ``end``, 0 from ``end + fall``; smooth."""
    up = np.clip((times - start) / rise, 0, 1)
    down = np.clip((times - end) / fall, 0, 1)
    return (up * up * (3 - 2 * up) * (1 - down * down * (3 - 2 * down))).astype(np.float32)


def _play(config: FacsConfig, emotion: str, rng: np.random.Generator) -> Floats:
    """Intensities of a clip's action units, ``(T, n_au)``."""
    n, hard = config.frames, config.difficulty
    times = np.arange(n, dtype=np.float32)
    second = min(25.0, n / 2)  # in frames: short clips play faster
    au = np.zeros((n, len(ACTION_UNITS)), np.float32)
    intensity = rng.uniform(1 - 0.75 * hard, 1)
    start, rise = rng.uniform(0.06, 0.18) * n, rng.uniform(0.25, 0.6) * second
    end, fall = rng.uniform(0.6, 0.75) * n, rng.uniform(0.3, 0.7) * second
    for name, share in PROTOTYPES[emotion].items():
        level = intensity * share * rng.uniform(1 - 0.6 * hard, 1)
        late = rng.uniform(0, 0.08) * second
        au[:, AU[name]] += level * _pulse(times, start + late, rise, end + late, fall)
    if rng.random() < 0.4 and emotion in ("happiness", "fear"):
        au[:, AU["AU25"]] += 0.6 * intensity * _pulse(times, start, rise, end, fall)
    # What does not belong to the emotion: speech, brows and lips that move by themselves, blinks.
    speech = gaussian_filter1d(rng.standard_normal(n), 2.0) * 2.0
    pause = _pulse(times, rng.uniform(0, 0.3) * n, 6, rng.uniform(0.5, 1) * n, 6)
    au[:, AU["AU25"]] += 0.9 * hard * pause * np.clip(speech, 0, None)
    au[:, AU["AU26"]] += 0.5 * hard * pause * np.clip(speech, 0, None)
    for group in (("AU1", "AU2"), ("AU4",), ("AU12",), ("AU15",), ("AU23",), ("AU20",)):
        level = hard * rng.uniform(0, 0.9) * (rng.random() < 0.5)
        begin = rng.uniform(-0.1, 0.9) * n
        stay = begin + rng.uniform(0.3, 0.8) * second
        other = level * _pulse(times, begin, 0.3 * second, stay, 0.3 * second)
        for name in group:
            au[:, AU[name]] += other - other[0]
    for begin in np.arange(rng.uniform(0, 1.0), 10.0, 2.2) * second:
        blink = _pulse(times, begin + rng.uniform(0, 0.8) * second, 2.0, 2.5 + begin, 3.0)
        au[:, AU["AU45"]] += blink
    return np.clip(au, 0, 1)


def _poses(config: FacsConfig, rng: np.random.Generator) -> list[Pose]:
    """The head's path through a clip."""
    n = config.frames
    scale = rng.uniform(0.13, 0.16) * min(config.width, 1.25 * config.height)
    x, y = config.width * rng.uniform(0.46, 0.54), config.height * rng.uniform(0.38, 0.42)
    phases, speeds = rng.uniform(0, 2 * np.pi, (2, 4)), rng.uniform(0.04, 0.11, 4)
    sway = np.sin(phases[0] + speeds * np.arange(n)[:, None])
    sway += 0.3 * np.sin(phases[1] + 2.7 * speeds * np.arange(n)[:, None])
    reach = rng.uniform(0.3, 1.0, 4) * (0.6 + 0.8 * config.difficulty)
    roll = rng.normal(0, 0.02)
    sway *= reach * np.asarray((0.06, 0.04, 0.01, 0.02))
    return [
        Pose(x + scale * dx, y + scale * dy, scale * (1 + zoom), roll + turn)
        for dx, dy, zoom, turn in sway.tolist()
    ]


@lru_cache(maxsize=2)
def _subject(config: FacsConfig, subject: int) -> Face:
    """A subject's face, unlit."""
    look = drawing.look(config.seed, subject, min(1.0, 1.2 * config.difficulty))
    per_unit = 0.16 * min(config.width, 1.25 * config.height)
    rng = np.random.default_rng([config.seed, subject])
    skin = drawing.texture(look, per_unit, int(rng.integers(2**31)))
    inner = drawing.interior(look, per_unit)
    maps, matrix = drawing.wrinkles(look, per_unit)
    return Face(look, per_unit, skin, inner, drawing.fields(look), maps, matrix)


def _light(face: Face, rng: np.random.Generator) -> tuple[Face, float]:
    """A subject's face under a clip's light, and the light's level."""
    level = float(rng.uniform(0.8, 1.12))
    direction = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.7, 0.1)))
    shade = drawing.light(face.look, face.per_unit, direction, float(rng.uniform(0.35, 0.65)))
    skin = face.texture.copy()
    skin[..., :3] *= level * shade[..., None]
    inner = face.interior * np.float32(level) * np.clip(shade, 0.6, 1)[..., None]
    lit = Face(face.look, face.per_unit, skin, inner, face.fields, face.wrinkles, face.creases)
    return lit, level


def _scene(
    config: FacsConfig, face: Face, pose: Pose, level: float, rng: np.random.Generator
) -> Floats:
    """Background, shoulders and neck: ``(H, W, 3)`` float32, without noise."""
    w, h, look = config.width, config.height, face.look
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    base = rng.uniform(60, 200) + rng.uniform(-25, 25, 3)
    slope = rng.uniform(-0.25, 0.25, 2)
    scene = base * (1 + slope[0] * (x / w - 0.5) + slope[1] * (y / h - 0.5))[..., None]
    for _ in range(int(rng.integers(0, 5))):
        left, top = rng.uniform(-0.2, 1) * w, rng.uniform(-0.2, 0.9) * h
        right, low = left + rng.uniform(0.1, 0.4) * w, top + rng.uniform(0.1, 0.6) * h
        edge = 0.006 * w
        inside = np.clip(np.minimum(x - left, right - x) / edge, 0, 1)
        inside *= np.clip(np.minimum(y - top, low - y) / edge, 0, 1)
        scene *= 1 + (0.5 * inside * rng.uniform(-0.6, 0.4))[..., None]
    qx, qy = pose.to_face(x, y)
    ax = np.abs(qx)
    cloth = rng.uniform(20, 210, 3)
    if look.style == 3:  # long hair falls behind the neck
        back = (ax / (look.width + 0.16)) ** 4 + ((qy - 0.4) / 1.9) ** 4 - 1
        scene += _soft(back, 0.06)[..., None] * (look.hair * 0.75 * level - scene)
    neck = ax - 0.62 - 0.5 * np.clip(qy - 2.2, 0, None) ** 2
    neck = _soft(np.maximum(neck, 1.0 - qy), 0.03) * (1 - 0.4 * np.exp(-(((qy - 1.8) / 0.35) ** 2)))
    scene += (_soft(ax - 0.62 - 0.5 * np.clip(qy - 2.2, 0, None) ** 2, 0.03) * (qy > 1))[
        ..., None
    ] * (look.skin * level * 0.8 * np.clip(neck, 0.5, 1)[..., None] - scene)
    body = 2.35 + 0.10 * ax**2 - 0.35 * np.exp(-((ax / 0.75) ** 4)) * -1 - qy
    body = np.maximum(body, ax - 2.3)
    fold = 1 + 0.06 * np.sin(5 * qx + 2 * qy)
    scene += _soft(body, 0.03)[..., None] * (cloth * level * fold[..., None] - scene)
    return np.clip(scene, 0, 255).astype(np.float32)


def _soft(distance: Floats, edge: float) -> Floats:
    return np.clip(0.5 - distance / (2 * edge), 0, 1)


def draw_clip(
    config: FacsConfig, subject: int, emotion: str, take: int
) -> tuple[NDArray[np.uint8], Truth]:
    """Draw one clip: a pure function of its arguments.

    Args:
        config: The corpus.
        subject: Who, from 1.
        emotion: One of `EMOTIONS`.
        take: Which take, from 1.

    Returns:
        Frames ``(T, H, W, 3)`` uint8 RGB, and what is true of them.

    Raises:
        ValueError: If the emotion is unknown or subject or take are below 1.
    """
    if emotion not in EMOTIONS or subject < 1 or take < 1:
        raise ValueError(
            f"no clip of subject {subject}, emotion {emotion!r}, take {take}: count subjects and "
            f"takes from 1 and choose an emotion from {', '.join(EMOTIONS)}"
        )
    rng = np.random.default_rng([config.seed, subject, EMOTIONS.index(emotion), take])
    au = _play(config, emotion, rng)
    poses = _poses(config, rng)
    face, level = _light(_subject(config, subject), rng)
    scene = _scene(config, face, poses[0], level, rng)
    h, w, n = config.height, config.width, config.frames
    sigma = rng.uniform(1.0, 2.0 + 3.0 * config.difficulty)
    noise = rng.standard_normal((h + 64, w + 64, 3), np.float32) * np.float32(sigma)
    gains = 1 + 0.01 * np.sin(rng.uniform(0, 6) + rng.uniform(0.02, 0.3) * np.arange(n))
    shifts = rng.integers(0, 65, (n, 2))
    box = box_around(poses, w, h)
    frames = np.empty((n, h, w, 3), np.uint8)
    eyes = np.empty((n, 2, 2), np.float32)
    motions, masks = [], []
    before = None
    for t in range(n):
        at = warp(face, poses[t], au[t], box, before)
        canvas = scene.copy()
        draw(canvas, face, at, au[t])
        canvas *= np.float32(gains[t])
        dy, dx = shifts[t]
        canvas += noise[dy : dy + h, dx : dx + w]
        frames[t] = np.clip(canvas, 0, 255, out=canvas)
        eyes[t] = [poses[t].to_pixels(x, drawing.PUPIL_Y) for x in (-drawing.PUPIL_X, drawing.PUPIL_X)]
        if before is not None:
            motion, valid = true_motion(face, before, at)
            motions.append(motion)
            masks.append(valid)
        before = at
    return frames, _truth(au, eyes, np.stack(motions), np.stack(masks), box.x, box.y, box.step)


def _truth(
    au: Floats, eyes: Floats, motion: Floats, valid: NDArray[np.bool_], x: int, y: int, step: int
) -> Truth:
    """Cut the motion to where the face is, at every second raster point."""
    anywhere = valid.any(0)
    rows, columns = np.flatnonzero(anywhere.any(1)), np.flatnonzero(anywhere.any(0))
    first, left = int(rows[0]), int(columns[0])
    cut = (slice(None), slice(first, int(rows[-1]) + 1, 2), slice(left, int(columns[-1]) + 1, 2))
    valid = valid[cut]
    # Steps of 1/64 px keep the sidecar small.
    motion = np.where(valid[..., None], np.round(motion[cut] * 64) / 64, 0)
    centre = (step - 1) / 2
    return Truth(
        ACTION_UNITS,
        au,
        eyes,
        motion.astype(np.float16),
        valid,
        (x + left * step + centre, y + first * step + centre),
        2 * step,
    )


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
    part = path.with_name(f".{path.stem}.part")
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

        workers = min(workers or os.cpu_count() or 1, len(missing))
        if workers <= 1:
            for clip in missing:
                _save(config, root, *clip)
                count()
        else:
            _in_processes(root, missing, workers, count)


def _check_parameters(root: Path, config: FacsConfig) -> None:
    """Write the corpus's parameters, or compare them with those written before."""
    path, wanted = root / "facs.json", asdict(config)
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
    config = FacsConfig(**json.loads((root / "facs.json").read_text()))
    for line in sys.stdin:
        subject, emotion, take = json.loads(line)
        _save(config, root, subject, emotion, take)
        print("done", flush=True)


def contact_sheet(config: FacsConfig, path: Path, subjects: int = 6, take: int = 1) -> None:
    """Write a picture of the corpus: rows are subjects, columns a resting frame and the six apexes.

    Below, one clip of each emotion of the first subject from onset to offset.
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


def apex_frame(truth: Truth, emotion: str) -> int:
    """The frame in which the emotion's action units are strongest together."""
    columns = [truth.names.index(name) for name in PROTOTYPES[emotion]]
    open_eyes = truth.au[:, truth.names.index("AU45")]
    return int(np.argmax(truth.au[:, columns].sum(1) - 2 * open_eyes))


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
    _serve(Path(sys.argv[1]))
