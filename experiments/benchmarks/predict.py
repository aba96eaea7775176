"""How fast videos are predicted, what takes the time, and whether memory grows.

A drawn face, H.264, 25 frames a second, by full-size AlexNets with random weights; two windows a
second. "Real time" is seconds of video a second of work, by one fold's model and by the mean of
several, and once more a second of CPU time of all threads, which others on the machine change less.
Then the video is looped to many minutes and predicted in a process of its own, whose
memory is read every second.

    python -m experiments.benchmarks.predict
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file

from experiments.benchmarks.prepare import write
from vfer.config.parser import parse
from vfer.corpora import EMOTIONS
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.flow.pairs import pair_flow
from vfer.networks.build import build_frame_network, build_segment_network
from vfer.predict import frames, load, predictor
from vfer.predict.predictor import Predictor
from vfer.runtime.files import atomic_write, write_json
from vfer.segments.images import stream_inputs


def make_bundle(folder: Path, width: float, folds: int) -> Path:
    """Write a bundle of the paper's model with random weights, as far as prediction reads it."""
    config = parse("vfer.fit", ["--data.corpus", "facs", f"--model.width={width}"])
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "config.yaml", yaml.safe_dump(config.tree, sort_keys=False))
    count = config.data.segment_length - 1
    for fold in range(folds):
        torch.manual_seed(fold)
        streams = {n: build_frame_network(config.model, 6) for n in ("spatial", "temporal")}
        network = build_segment_network(config.model, 6, count, streams)
        stage = folder / f"fold-{fold}" / "vlan"
        stage.mkdir(parents=True)
        weights = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(weights, stage / "weights.safetensors")
        about = {"stage": stage.name, "fold": fold, "corpus": "facs", "classes": list(EMOTIONS)}
        write_json(stage / "stage.json", about | {"trained_on": []})
    return folder


def loop(video: Path, seconds: float, to: Path) -> Path:
    """Repeat a video until it lasts so long, without encoding it again."""
    with av.open(str(video)) as given, av.open(str(to), "w") as container:
        source = given.streams.video[0]
        stream = container.add_stream_from_template(source)
        packets = [packet for packet in given.demux(source) if packet.size]
        length = sum(packet.duration or 0 for packet in packets)
        period = float(length * source.time_base)  # type: ignore[operator] # a file's has one
        data = [(bytes(p), p.pts or 0, p.dts or 0, p.duration, p.is_keyframe) for p in packets]
        for turn in range(round(seconds / period)):
            for content, pts, dts, duration, key in data:
                packet = av.Packet(content)
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                packet.duration, packet.time_base = duration, source.time_base  # type: ignore[assignment]
                packet.is_keyframe, packet.stream = key, stream
                container.mux(packet)
    return to


class Clock:
    """Wall time by what is done; time of a part within another is the inner part's."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.spent[self._stack[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside as this part."""
        self._turn()
        self._stack.append(name)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def call(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls are counted."""

        def counted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever it takes
            with self.part(name):
                return work(*arguments, **more)

        return counted

    def steps(self, name: str, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return a generator function whose steps are counted."""

        def counted(*arguments: Any, **more: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever
            items = work(*arguments, **more)
            while True:
                with self.part(name):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

        return counted


def shares(run: Path, video: Path, fold: int | None) -> tuple[float, float, dict[str, float]]:
    """Return seconds of video a second of work and of CPU time, and the share of each part."""
    clock = Clock()
    say = Predictor.load(run, fold=fold, device="cpu")
    say = replace(say, follow=clock.steps("faces", say.follow))
    assert isinstance(say.model, load.NetworkModel)
    for network in say.model.networks.values():
        network.describe = clock.call("networks", network.describe)  # type: ignore[method-assign]
    with (
        patch.object(predictor, "read_file", clock.steps("decoding", frames.read_file)),
        patch.object(load, "pair_flow", clock.call("flow", pair_flow)),
        patch.object(load, "stream_inputs", clock.call("resizing", stream_inputs)),
        clock.part("the rest"),
    ):
        cpu = time.process_time()
        timeline = say.predict(video)
        cpu = time.process_time() - cpu
    whole, seconds = sum(clock.spent.values()), timeline.video.duration
    return seconds / whole, seconds / cpu, {k: v / whole for k, v in clock.spent.items()}


def resident() -> float:
    """Return the memory of this process that is in RAM, MB."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(run: Path, video: Path, fold: int | None, threads: int) -> list[tuple[float, float]]:
    """Predict a video; return (s of the video, MB) about once a second, and at the end."""
    torch.set_num_threads(threads)
    say = Predictor.load(run, fold=fold, device="cpu")
    seen: list[tuple[float, float]] = []
    at, stop = [0.0], threading.Event()

    def watch() -> None:
        ended = False
        while not ended:
            ended = stop.wait(1.0)
            seen.append((at[0], resident()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        say.predict(video, advance=lambda done, _: at.__setitem__(0, done))
    finally:
        stop.set()
        thread.join()
    return seen


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of video, for the speed")
    parser.add_argument("--minutes", type=float, default=20.0, help="of video, for the memory")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("W", "H"))
    parser.add_argument("--width", type=float, default=1.0, help="model.width")
    parser.add_argument("--folds", type=int, default=5, help="models that are averaged")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    console = Console(highlight=False)
    width, height = args.size
    with tempfile.TemporaryDirectory() as folder:
        drawn = FacsConfig(frames=round(25 * min(4.0, args.seconds)), width=width, height=height)
        once = write(Path(folder, "once.mp4"), draw_clip(drawn, 1, EMOTIONS[0], 1)[0], "libx264")
        video = loop(once, args.seconds, Path(folder, "video.mp4"))
        run = make_bundle(Path(folder, "run"), args.width, args.folds)
        table = Table(title=f"{args.seconds:g} s of {width}×{height}, {args.threads} threads")
        parts = ("decoding", "faces", "flow", "resizing", "networks", "the rest")
        for column in ("models", "real time", "by CPU time", *parts):
            table.add_column(column, justify="right")
        for fold, models in ((0, 1), (None, args.folds)):
            speed, cpu, spent = shares(run, video, fold)
            cells = (f"{spent.get(part, 0):.0%}" for part in parts)
            table.add_row(str(models), f"{speed:.2f}×", f"{cpu:.2f}×", *cells)
        console.print(table)
        if args.minutes > 0 and sys.platform == "linux":
            long = loop(once, 60 * args.minutes, Path(folder, "long.mp4"))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seen = np.array(pool.apply(memory, (run, long, 0, args.threads)))
            late = seen[seen[:, 0] > 0.25 * seen[-1, 0]]
            slope = np.polyfit(late[:, 0] / 60, late[:, 1], 1)[0] if len(late) > 2 else np.nan
            console.print(
                f"memory over {args.minutes:g} minutes: at most {seen[:, 1].max():.0f} MB, "
                f"{slope:+.2f} MB a minute after the first quarter"
            )


if __name__ == "__main__":
    main()
