"""What decoding and preparing cost, and how much memory they take.

Draws a face, writes it as MPEG-4 and as H.264, and decodes both on one thread by each decoder and
by ``vfer.video.decode``, in turns; says what looking for damaged pictures adds; then prepares a
corpus of 8 and of 32 clips in processes of their own and prints the peak memory of each.

    python -m experiments.benchmarks.prepare
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import decord
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vfer.config.tree import DataConfig
from vfer.corpora import EMOTIONS, Clip, Corpus
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.settings import FaceConfig
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.prepare.clip import prepare_clip
from vfer.prepare.damage import Damage, watch
from vfer.prepare.fill import fill
from vfer.prepare.store import Entry
from vfer.video import DECODERS, Decode, decode


def write(path: Path, frames: NDArray[np.uint8], codec: str) -> Path:
    """Write frames ``(T, H, W, 3)`` uint8 RGB at 4 Mbit/s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def one_by_one(path: Path) -> int:
    """decord, frame after frame."""
    reader = decord.VideoReader(str(path), num_threads=1)
    return len([reader.next().asnumpy() for _ in range(len(reader))])


def get_batch(path: Path) -> int:
    """decord, all at once."""
    reader = decord.VideoReader(str(path), num_threads=1)
    return len(reader.get_batch(range(len(reader))).asnumpy())


def pyav(path: Path) -> int:
    """PyAV on one thread."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        return len([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])


def ours(path: Path) -> int:
    """``vfer.video.decode`` by decord."""
    return sum(len(run) for run in decode(path, "decord"))


def decoding(path: Path, rounds: int, console: Console) -> None:
    """Print frames a second of CPU time, best of some rounds in turns."""
    ways: dict[str, Callable[[Path], int]] = {
        "decord one by one": one_by_one,
        "decord get_batch": get_batch,
        "PyAV": pyav,
        "vfer.video.decode": ours,
    }
    speed = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            count = way(path)
            speed[name] = max(speed[name], count / (time.process_time() - start))
    table = Table(title=f"decoding {path.name}, one thread")
    for column in ("", "frames/s", "of the fastest"):
        table.add_column(column)
    for name, value in speed.items():
        table.add_row(name, f"{value:.0f}", f"{value / max(speed.values()):.2f}")
    console.print(table)


def _taken(give: Callable[[], Iterator[NDArray[np.uint8]]]) -> int:
    return sum(len(run) for run in give())


def damage(videos: Sequence[Path], rounds: int, console: Console) -> None:
    """Print CPU seconds of preparing a video, and what of it looking for damaged pictures takes."""
    table = Table(title="looking for damaged pictures, CPU s, one thread")
    for column in ("", "decoding", "with the look", "crops", "flow", "crops ×", "crops and flow ×"):
        table.add_column(column)
    for path in videos:
        clip = Clip(path.stem, path, path.stem, EMOTIONS[0])
        crops = prepare_clip(clip, FaceConfig())[1]
        assert crops is not None
        ways: list[Callable[[], object]] = [
            partial(_taken, partial(decode, path, DECODERS[0])),
            partial(_taken, partial(watch, path, DECODERS, decode, Damage())),
            partial(prepare_clip, clip, FaceConfig()),
            partial(pair_flow, torch.tensor(crops[None]), FlowConfig()),
        ]
        times = [np.inf] * len(ways)
        for _ in range(rounds):
            for k, way in enumerate(ways):
                start = time.process_time()
                way()
                times[k] = min(times[k], time.process_time() - start)
        plain, look, crop, flow = times
        ratios = [whole / (whole - (look - plain)) for whole in (crop, crop + flow)]
        table.add_row(path.name, *(f"{value:.2f}" for value in (*times, *ratios)))
    console.print(table)


def peak() -> float:
    """The most memory this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(
    clip: Clip, config: FaceConfig, decoders: Sequence[str], decode: Decode
) -> tuple[Entry, NDArray[np.uint8] | None]:
    """``prepare_clip`` in a worker process, which leaves its peak memory beside the clip."""
    result = prepare_clip(clip, config, decoders, decode)
    clip.path.with_suffix(".peak").write_text(str(peak()))
    return result


def prepare(clips: int, video: Path, processes: int) -> tuple[float, float, float]:
    """Seconds to prepare copies of a video, peak MB of this process and of the largest worker."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}{video.suffix}" for i in range(clips)]
        for path in paths:
            path.symlink_to(video)
        found = tuple(Clip(path.stem, path, path.stem, EMOTIONS[0]) for path in paths)
        config = DataConfig(
            "facs", cache=Path(folder), workers=processes, flow=FlowConfig(cache=False)
        )
        corpora = (Corpus("first", EMOTIONS, found[:1]), Corpus("benchmark", EMOTIONS, found))
        for corpus in corpora:  # the first alone pays for starting processes and loading networks
            start = time.perf_counter()
            fill(corpus, config, Console(quiet=True), prepare=measured)
            seconds = time.perf_counter() - start
        workers = [float(path.with_suffix(".peak").read_text()) for path in paths]
    return seconds, peak(), max(workers)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="frames of a clip")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 576), metavar=("W", "H"), help="of frames, px"
    )
    parser.add_argument("--rounds", type=int, default=5, help="the best of so many is shown")
    parser.add_argument("--clips", type=int, nargs="+", default=(8, 32), help="clips prepared")
    args = parser.parse_args(argv)
    console = Console(highlight=False)
    torch.set_num_threads(1)
    frames, _ = draw_clip(
        FacsConfig(frames=args.frames, width=args.size[0], height=args.size[1]), 1, EMOTIONS[0], 1
    )
    with tempfile.TemporaryDirectory() as folder:
        videos = [
            write(Path(folder) / "mpeg4.avi", frames, "mpeg4"),
            write(Path(folder) / "h264.mp4", frames, "libx264"),
        ]
        for video in videos:
            decoding(video, args.rounds, console)
        damage(videos, args.rounds, console)
        height, width = frames.shape[1:3]
        table = Table(title=f"preparing clips of {args.frames} frames, {width}×{height}")
        for column in ("clips", "s", "frames/s", "MB, main process", "MB, largest worker"):
            table.add_column(column)
        for clips in args.clips:
            # A fresh process each, so that one peak does not hide in the other.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                work = pool.submit(prepare, clips, videos[0], args.processes)
                seconds, own, worker = work.result()
            rate = clips * args.frames / seconds
            row = (f"{seconds:.1f}", f"{rate:.0f}", f"{own:.0f}", f"{worker:.0f}")
            table.add_row(str(clips), *row)
        console.print(table)


if __name__ == "__main__":
    main()
