"""One table of what everything costs, each beside a reference that was timed in the same run.

    python -m experiments.benchmarks [--quick] [--gpu] [--demo] [--only PART …] [--out DIR]

`--quick` shows that it runs, not how fast: sizes are tiny. `--gpu` takes what has a GPU's column
alone (flow, step, evaluation). `--demo` runs `configs/demo.yaml` too, which takes minutes. `--out`
leaves a dated JSON file with machine, threads, versions and commit.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from experiments.benchmarks import faces, flow, predict, prepare, startup, step
from vfer.config.tree import DataConfig
from vfer.corpora import EMOTIONS, Clip
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.faces.tracking import track
from vfer.fit.datasets import EvaluatedClips, Part
from vfer.fit.evaluation import evaluate
from vfer.fit.frames import Frames, Memory
from vfer.flow.solver import horn_schunck
from vfer.networks.build import build_frame_network, build_segment_network
from vfer.networks.settings import ModelConfig
from vfer.prepare.clip import prepare_clip
from vfer.prepare.store import CropStore, Entry, flow_key
from vfer.results.tables import STREAMS
from vfer.runtime.environment import made_with
from vfer.runtime.files import write_json
from vfer.segments.images import stream_inputs
from vfer.segments.indices import Starts
from vfer.video import MARKS, decode

ROOT = Path(__file__).parents[2]
DEMO = step.Size(batch=24, micro_batch=24, length=8, width=0.25, pixels=112)
TINY = step.Size(batch=2, micro_batch=1, length=3, width=0.0625, pixels=64)


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        part: Of the work.
        what: Was measured.
        value: With its unit.
        unit: Of the value.
        beside: What it is held against.
        ratio: The value over the reference's, or how many times faster it is.
        means: ``×`` of the time, or ``times as fast``.
    """

    part: str
    what: str
    value: float
    unit: str
    beside: str = ""
    ratio: float | None = None
    means: str = ""


def _best(*ways: Callable[[], object], rounds: int) -> list[float]:
    """Return the median seconds of several ways, which take turns, after a round to warm up."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds + 1):
        for way, found in zip(ways, times, strict=True):
            begun = time.perf_counter()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            found.append(time.perf_counter() - begun)
    return [median(found[1:]) for found in times]


def _drawn(quick: bool) -> np.ndarray:
    size = {"width": 160, "height": 128} if quick else {"width": 720, "height": 576}
    return draw_clip(FacsConfig(frames=16 if quick else 60, **size), 1, EMOTIONS[0], 1)[0]


def start_up(quick: bool) -> list[Row]:
    """Time `vfer fit --help` and the import of torch."""
    names = (startup.BASE, "vfer fit --help")
    ways = [partial(startup.seconds, *startup.CASES[name]) for name in names]
    base, ours = _best(*ways, rounds=1 if quick else 5)
    return [Row("start-up", names[1], ours, "s", names[0], ours / base, "×")]


def decoding(quick: bool) -> list[Row]:
    """Time the decoding of MPEG-4 and H.264, on one thread."""
    rows, frames = [], _drawn(quick)
    with tempfile.TemporaryDirectory() as folder:
        for codec, name in (("mpeg4", "mpeg4.avi"), ("libx264", "h264.mp4")):
            path = prepare.write(Path(folder, name), frames, codec)
            ways = [partial(way, path) for way in (prepare.ours, prepare.one_by_one, prepare.pyav)]
            ours, *others = _best(*ways, rounds=1 if quick else 5)
            rows.append(Row("decoding", name, len(frames) / ours, "frames/s",
                            "the fastest of decord and PyAV", min(others) / ours,
                            "times as fast"))  # fmt: skip
    return rows


def detection(quick: bool) -> list[Row]:
    """Time the default's search for faces and plain MTCNN on every frame."""
    frames = _drawn(quick)
    ways = (partial(faces.by(FaceConfig()), frames), partial(faces.plain, frames))
    ours, plain = _best(*ways, rounds=1)
    return [Row("detection", f"default, {len(frames)} frames", len(frames) / ours, "frames/s",
                "MTCNN.detect on each", plain / ours, "times as fast")]  # fmt: skip


def preparing(quick: bool) -> list[Row]:
    """Time a clip from its file to its crops beside decoding and plain MTCNN, and its parts."""
    frames, config = _drawn(quick), FaceConfig()
    with tempfile.TemporaryDirectory() as folder:
        path = prepare.write(Path(folder, "mpeg4.avi"), frames, "mpeg4")
        clip, search = Clip("clip", path, "1", EMOTIONS[0]), partial(faces.plain, frames)

        def plain() -> None:
            prepare.one_by_one(path)
            search()

        ours, theirs = _best(partial(prepare_clip, clip, config), plain, rounds=1)
        parts: dict[str, Callable[[], object]] = {
            "decoding": partial(prepare.ours, path),
            "libav's marks of damage": lambda: list(decode(path, MARKS)),
            "finding and following the face": lambda: track([frames], config),
            "cutting crops": partial(align, frames, track([frames], config).eyes, config),
        }
        whole, *took = _best(
            partial(prepare_clip, clip, config), *parts.values(), rounds=1 if quick else 5
        )
    rows = [Row("prepare", f"a clip of {len(frames)} frames", len(frames) / ours, "frames/s",
                "decord and MTCNN.detect on each", theirs / ours, "times as fast")]  # fmt: skip
    for name, seconds in zip(parts, took, strict=True):
        each = seconds / len(frames) * 1e3
        rows.append(Row("prepare", f"… {name}", each, "ms a frame", "all", seconds / whole, "×"))
    return rows


def feeding(quick: bool) -> list[Row]:
    """Time the reading of a batch of segments out of memory, and a copy of as many bytes."""
    size = TINY if quick else DEMO
    segments = step.Segments(4, size.batch, size.length, flow=True, turned=False)
    batch = segments[0]
    given = [one for one in (batch.frames, batch.flow) if one is not None]
    room = [torch.empty_like(one) for one in given]

    def copy() -> None:
        for place, one in zip(room, given, strict=True):
            place.copy_(one)

    ours, bare = _best(lambda: segments[1], copy, rounds=2 if quick else 20)
    megabytes = sum(one.nbytes for one in room) / 1e6
    return [Row("feed", f"a batch of {megabytes:.0f} MB from RAM", ours * 1e3, "ms",
                "a copy of as many bytes", ours / bare, "×")]  # fmt: skip


def optical_flow(quick: bool) -> list[Row]:
    """Time the default flow and SciPy's, and a batch of pairs on a GPU."""
    draw = np.random.default_rng(0)
    shape = (2, 32, 24) if quick else (15, HEIGHT, WIDTH)
    first, second = draw.uniform(0, 255, (2, *shape)).astype(np.float32)
    way = partial(flow.vfer_flow, first, second, None, "cpu")
    ours, scipy = _best(way, partial(flow.scipy_flow, first, second), rounds=1 if quick else 3)
    rows = [Row("flow", f"a pair of {shape[1]}×{shape[2]}", ours / shape[0] * 1e3, "ms",
                "scipy.ndimage, 100 iterations", scipy / ours, "times as fast")]  # fmt: skip
    if torch.cuda.is_available():
        pairs = draw.uniform(0, 255, (2, 600, *shape[1:])).astype(np.float32)
        on_gpu = [torch.from_numpy(x)[:, None].cuda() for x in pairs]
        (took,) = _best(partial(horn_schunck, *on_gpu, check=False), rounds=5)
        rows.append(Row("flow", "600 pairs on the GPU", took * 1e3, "ms"))
    return rows


def training(quick: bool) -> list[Row]:
    """Time steps of the third stage and bare ones."""
    rows = []
    sizes = {"tiny": TINY} if quick else {"the demo's size": DEMO, "full size": step.Size()}
    if torch.cuda.is_available() and not quick:
        sizes["full size"] = step.Size(micro_batch=40)
    for name, size in sizes.items():
        steps, plain = 1 if quick else 8 if size.width < 1 else 2, 0.0
        for fly, turned in ((False, False), (True, False), (False, True)):
            whole, bare = step.measure(size, steps, "auto", flow_on_the_fly=fly, turned=turned)
            what = f"{name}, flow {'on the fly' if fly else 'from the store'}"
            if not turned:
                rows.append(Row("step", what, whole, "s", "bare, bf16", whole / bare, "×"))
                plain = plain or whole / bare
            else:
                what += ", all rotated, scaled and lit"
                row = Row("step", what, whole, "s", "not so", whole / bare / plain, "×")
                rows.append(row)
    return rows


def evaluation(quick: bool) -> list[Row]:
    """Time a clip with 15 windows and its windows one by one, times the share of frames."""
    length, frames = (3, 6) if quick else (16, 80)
    size = TINY if quick else step.Size()
    model = ModelConfig(width=size.width, input_size=size.pixels, weights=None)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    streams = {name: build_frame_network(model, 6) for name in STREAMS}
    network = build_segment_network(model, 6, length - 1, streams).to(where).eval()
    data = DataConfig("facs", segment_length=length)
    transform = partial(stream_inputs, streams=STREAMS, size=size.pixels, config=data.flow)
    images = torch.rand(1, length - 1, 3, size.pixels, size.pixels, device=where)
    with tempfile.TemporaryDirectory() as folder:
        store, draw = CropStore(Path(folder)), np.random.default_rng(0)
        crops = draw.integers(256, size=(frames, HEIGHT, WIDTH, 3), dtype=np.uint8)
        store.add(Entry("clip", "ok", frames=frames), crops)
        moved = draw.normal(size=(frames - 1, 2, HEIGHT, WIDTH)).astype(np.float16)
        store.add_flow("clip", flow_key(data.flow), moved)
        clip = Clip("clip", Path("clip"), "1", EMOTIONS[0])
        starts = Starts(np.array([frames]), length, data.windows)
        kept = Frames(store, data, memory=Memory({"clip": frames}, True, where))
        dataset = EvaluatedClips(Part((clip,), (0,), starts), kept, EMOTIONS)

        @torch.inference_mode()
        def alone() -> None:
            for _ in range(15):
                network(dict.fromkeys(STREAMS, images))

        ours, each = _best(partial(evaluate, network, dataset, transform), alone,
                           rounds=1 if quick else 3)  # fmt: skip
    share = (2 * frames - 1) / (2 * 15 * (length - 1))
    what = f"a clip of {frames} frames, 15 windows of {length}"
    return [Row("evaluation", what, ours, "s", "its windows alone × share of frames",
                ours / (share * each), "×")]  # fmt: skip


def prediction(quick: bool) -> list[Row]:
    """Predict a video by a full-size fold model."""
    width, height = (160, 128) if quick else (1280, 720)
    drawn = FacsConfig(frames=25 if quick else 100, width=width, height=height)
    with tempfile.TemporaryDirectory() as folder:
        once = Path(folder, "once.mp4")
        prepare.write(once, draw_clip(drawn, 1, EMOTIONS[0], 1)[0], "libx264")
        video = predict.loop(once, 1 if quick else 20, Path(folder, "video.mp4"))
        run = predict.make_bundle(Path(folder, "run"), 0.0625 if quick else 1.0, 1)
        speed, _, _ = predict.shares(run, video, 0)
    what = f"{width}×{height}, one face, one fold's model"
    return [Row("predict", what, speed, "s of video a s", "real time", speed, "times as fast")]


def demo() -> list[Row]:
    """Run the demo, from nothing, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("-m", "vfer.fit", "--config", str(ROOT / "configs" / "demo.yaml"))
        begun = time.perf_counter()
        command = [sys.executable, *words, "--logger.wandb", "disabled"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return [Row("demo", "the whole command", time.perf_counter() - begun, "s")]


PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "start-up": start_up,
    "decoding": decoding,
    "detection": detection,
    "prepare": preparing,
    "flow": optical_flow,
    "feed": feeding,
    "step": training,
    "evaluation": evaluation,
    "predict": prediction,
}
ON_GPU = ("flow", "step", "evaluation")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: that it runs")
    parser.add_argument("--gpu", action="store_true", help="only what has a GPU's column")
    parser.add_argument("--demo", action="store_true", help="the whole demo too")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="only these parts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, metavar="DIR", help="leave a dated JSON file here")
    given = parser.parse_args(argv)
    if given.gpu and not torch.cuda.is_available():
        parser.error("--gpu wants a CUDA GPU, and torch sees none")
    torch.set_num_threads(given.threads)
    wanted = given.only or (ON_GPU if given.gpu else PARTS)
    rows = [row for name in wanted for row in PARTS[name](given.quick)]
    if given.demo:
        rows += demo()
    said = "tiny sizes: no measure of speed" if given.quick else None
    table = Table("part", "what", "value", "beside", "ratio", title=said)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} {row.means}"
        table.add_row(row.part, row.what, f"{row.value:.3g} {row.unit}", row.beside, ratio)
    Console(width=140).print(table)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        about = made_with() | {"quick": given.quick, "time": now.isoformat(timespec="seconds")}
        kind = "gpu" if torch.cuda.is_available() else "cpu"
        path = given.out / f"{now:%Y-%m-%d-%H%M}-{kind}.json"
        write_json(path, about | {"rows": [asdict(row) for row in rows]})
        print(path)
