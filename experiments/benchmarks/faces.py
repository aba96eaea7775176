"""How fast faces are found, and where the eyes are, beside plain ``MTCNN.detect`` on every frame.

On the same frames, in one run: facenet-pytorch's ``MTCNN.detect`` with its defaults, the cascade
here on every frame, the default setting, and Viola–Jones. Eyes are compared, after the default
smoothing, with those of the first, and on the built-in corpus with the true ones.

    python -m experiments.benchmarks.faces [--video FILE …] [--threads 2]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.detection import BATCH, detect
from vfer.faces.person import Detection, follow
from vfer.faces.settings import FaceConfig
from vfer.faces.tracking import stabilised
from vfer.video import read_frames

CHUNK = 16  # frames that MTCNN.detect takes at a time


@dataclass(frozen=True)
class Case:
    """A clip: frames ``(T, H, W, 3)`` uint8 RGB, and the true eyes ``(T, 2, 2)`` px if known."""

    name: str
    frames: NDArray[np.uint8]
    eyes: NDArray[np.float64] | None


def plain(frames: NDArray[np.uint8]) -> list[Detection]:
    """facenet-pytorch's own cascade with its defaults, on every frame."""
    mtcnn = MTCNN(keep_all=True, device="cpu")
    found = []
    for start in range(0, len(frames), CHUNK):
        faces = zip(*mtcnn.detect(frames[start : start + CHUNK], landmarks=True), strict=True)
        for i, (boxes, probabilities, points) in enumerate(faces, start):
            if boxes is not None:
                for box, p, point in zip(boxes, probabilities, points, strict=True):
                    eyes = np.asarray(point[:2], float) - 0.5  # from edges to pixel centres
                    found.append(Detection(i, np.asarray(box, float), eyes, float(p)))
    return found


def sampled_of(frames: int, config: FaceConfig) -> list[int]:
    """The frames on which detection runs: every so many, and the last."""
    return sorted({*range(0, frames, config.detect_every), frames - 1})


def by(config: FaceConfig) -> Callable[[NDArray[np.uint8]], list[Detection]]:
    """The detections that ``vfer.faces.tracking.track`` works from."""

    def run(frames: NDArray[np.uint8]) -> list[Detection]:
        sampled = sampled_of(len(frames), config)
        found = []
        for start in range(0, len(sampled), BATCH):
            batch = sampled[start : start + BATCH]
            found += detect(batch, frames[batch], config)
        return found

    return run


def eyes_of(detections: list[Detection], frames: int) -> tuple[NDArray[np.float64], int]:
    """The followed face's eyes in every frame, smoothed, and the frames it was found in.

    Eyes are not a number in frames before the first detection and after the last.
    """
    if not detections:
        return np.full((frames, 2, 2), np.nan), 0
    face = follow(detections)
    at = [d.frame for d in face]
    seen = slice(at[0], at[-1] + 1)
    eyes = np.full((frames, 2, 2), np.nan)
    found = np.stack([d.eyes for d in face])
    eyes[seen] = stabilised([t - at[0] for t in at], found, at[-1] + 1 - at[0], FaceConfig())
    return eyes, len(face)


def apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Mean distance of eyes, px, over the frames in which both are known."""
    distance = np.linalg.norm(a - b, axis=2)
    return float(np.nanmean(distance)) if np.isfinite(distance).any() else float("nan")


def cases(videos: list[Path], subjects: int, config: FacsConfig) -> list[Case]:
    """The given videos, or clips of the built-in corpus."""
    if videos:
        return [Case(path.stem, read_frames(path)[0], None) for path in videos]
    found = []
    for subject in range(1, subjects + 1):
        emotion = EMOTIONS[subject % len(EMOTIONS)]
        clip, truth = draw_clip(config, subject, emotion, 1)
        found.append(Case(f"subject {subject}, {emotion}", clip, truth.eyes.astype(float)))
    return found


def measure(case: Case, console: Console, rounds: int) -> None:
    """Print one clip's table."""
    default = FaceConfig()
    every = replace(default, detect_every=1)
    ways = {"MTCNN.detect, every frame": plain, "cascade, every frame": by(every)}
    ways[f"default, every {default.detect_every} frames"] = by(default)
    if find_spec("cv2"):
        ways["Viola–Jones, every frame"] = by(replace(every, detector="viola_jones"))
    best = dict.fromkeys(ways, float("inf"))
    found: dict[str, list[Detection]] = {}
    for way in ways.values():
        way(case.frames[:BATCH])  # loads the networks
    for _ in range(rounds):
        for name, way in ways.items():  # in turn, so that a busy machine is busy for all
            start = time.perf_counter()
            found[name] = way(case.frames)
            best[name] = min(best[name], time.perf_counter() - start)
    count = len(case.frames)
    height, width = case.frames.shape[1:3]
    table = Table(title=f"{case.name}: {count} frames of {width}×{height}")
    for column in ("", "frames/s", "ratio", "face in", "eyes off MTCNN.detect", "off the truth"):
        table.add_column(column)
    first = next(iter(ways))
    reference = eyes_of(found[first], count)[0]
    for name in ways:
        eyes, faces = eyes_of(found[name], count)
        sampled = count if "every frame" in name else len(sampled_of(count, default))
        truth = "" if case.eyes is None else f"{apart(eyes, case.eyes):.2f} px"
        table.add_row(
            name,
            f"{count / best[name]:.0f}",
            f"{best[first] / best[name]:.1f}",
            f"{faces} of {sampled}",
            f"{apart(eyes, reference):.2f} px",
            truth,
        )
    console.print(table)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, nargs="*", default=[], help="instead of drawn clips")
    parser.add_argument("--subjects", type=int, default=3, help="drawn clips")
    parser.add_argument("--frames", type=int, default=60, help="frames of a drawn clip")
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many is shown")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 576), metavar=("W", "H"), help="of frames, px"
    )
    args = parser.parse_args(argv)
    width, height = args.size
    config = FacsConfig(frames=args.frames, width=width, height=height)
    torch.set_num_threads(args.threads)
    for case in cases(args.video, args.subjects, config):
        measure(case, Console(highlight=False), args.rounds)


if __name__ == "__main__":
    main()
