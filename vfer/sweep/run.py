"""The points of a sweep, each what one of W&B's agents would run.

A point is a process ``python -m vfer.fit`` with the point's values on its command line, and a
bundle of its own.
"""

import csv
import io
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from vfer.config.parser import parse
from vfer.config.tree import Config
from vfer.fit.output import check_output
from vfer.runtime.console import UsageError, heading
from vfer.runtime.files import atomic_write, read_json
from vfer.sweep.points import COMMAND, Sweep, choose, names_of, read_sweep


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        name: Of its folder, such as ``segment_length-12``.
        values: Of each swept key.
        words: Its command line for ``vfer.fit``.
        config: The same, parsed (where stages are shared apart).
    """

    name: str
    values: dict[str, Any]
    words: tuple[str, ...]
    config: Config


def plan(
    sweep: Sweep,
    chosen: Sequence[Mapping[str, Any]],
    output: Path,
    configs: Sequence[str] = (),
    more: Sequence[str] = (),
) -> list[Point]:
    """Name the points and parse the config of each.

    Args:
        sweep: The sweep.
        chosen: The values of each point.
        output: The sweep's folder.
        configs: In place of those that the sweep file's command names.
        more: Further words for every point; the swept keys win over them.

    Raises:
        UsageError: If the config refuses a point's values, or its folder holds another run.
    """
    common = [w for path in configs or sweep.configs for w in ("--config", path)]
    common += [*sweep.words, *more]
    points = []
    for name, values in zip(names_of(chosen), chosen, strict=True):
        words = [*common, *(f"--{key}={value}" for key, value in values.items())]
        words += [f"--output={output / name}", f"--notes={output / 'notes.txt'}"]
        try:
            config = parse("vfer.fit", words)
            if config.fold is not None or config.seeds != 1:
                raise UsageError(
                    "--fold and --seeds are not for sweeps: a point is a whole bundle; sweep "
                    "protocol.seed for several seeds"
                )
            check_output(config.output, config)
        except ValueError as error:
            raise UsageError(f"point {name}: {error}") from error
        if config.stages.cache is None:
            words.append(f"--stages.cache={output / 'stages'}")
        points.append(Point(name, dict(values), tuple(words), config))
    return points


def _is_done(point: Point) -> bool:
    return (point.config.output / "files.json").is_file()


def _last_line(stream: Iterable[str], log: Path) -> Iterator[str]:
    """Pass an error stream on to the terminal and to a log, each line as it comes."""
    with log.open("a", encoding="utf-8") as file:
        for line in stream:
            sys.stderr.write(line)
            file.write(line)
            file.flush()
            yield line


def run_point(point: Point, log: Path) -> str | None:
    """Run a point in a process of its own, which shows its progress on this terminal.

    Args:
        point: The point.
        log: Takes what the process says on its error stream.

    Returns:
        None, or why it failed: the last line of its error stream.

    Raises:
        KeyboardInterrupt: If this process or that one was interrupted; that one has ended then.
    """
    command = [sys.executable, *COMMAND, *point.words]
    said: list[str] = []
    interrupted = False
    # A session of its own: Ctrl-C reaches it once, from here, and not by the terminal as well.
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
        start_new_session=True,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        lines = _last_line(child.stderr, log)
        reader = threading.Thread(
            target=lambda: said.extend(line.strip() for line in lines if line.strip())
        )
        reader.start()
        while True:
            try:
                status = child.wait()
                break
            except KeyboardInterrupt:
                interrupted = True
                child.send_signal(signal.SIGINT)
        reader.join()
    if interrupted or status == 130:
        raise KeyboardInterrupt
    if status < 0:
        return f"ended by signal {-status} ({signal.Signals(-status).name})"
    return None if status == 0 else (said or [f"status {status}"])[-1]


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Take SIGTERM, and a terminal that is closed, for Ctrl-C: no point goes on without us."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = [signal.signal(name, stop) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


def run_points(points: Sequence[Point], output: Path, console: Console) -> dict[str, str]:
    """Run every point that is not done and that no other process is running.

    Returns:
        Of each failed point why.
    """
    failed: dict[str, str] = {}
    for number, point in enumerate(points, 1):
        said = f"point {number} of {len(points)}: {point.name}"
        try:
            with FileLock(output / f".{point.name}.lock", timeout=0):
                if _is_done(point):
                    console.print(f"{said}: done before")
                    continue
                heading(said, console)
                why = run_point(point, output / f"{point.name}.log")
        except Timeout:
            console.print(f"{said}: another process is running it")
            continue
        if why is not None:
            failed[point.name] = why
            console.print(f"{said}: failed")
    return failed


def _row(point: Point, failed: Mapping[str, str]) -> dict[str, Any]:
    """Return what is known of a point: its values, whether it is done, and its accuracy and UAR."""
    row = {"point": point.name, **point.values}
    if not _is_done(point):
        return row | {"status": "failed" if point.name in failed else "waiting"}
    results = read_json(point.config.output / "results.json")
    row["status"] = "done"
    for name in ("accuracy", "uar"):
        low, high = results[name]["ci95"]
        row |= {f"{name}_{key}": results[name][key] for key in ("mean", "std", "pooled")}
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def _show(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    table = Table(title="points of the sweep")
    for column in (
        "",
        "accuracy, mean ± std, %",
        "pooled (95 % interval), %",
        "UAR, mean ± std, %",
    ):
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        cells = [row["status"]]
        if row["status"] == "done":
            share = {k: f"{100 * v:.1f}" for k, v in row.items() if k.startswith(("acc", "uar"))}
            cells = [
                f"{share['accuracy_mean']} ± {share['accuracy_std']}",
                f"{share['accuracy_pooled']} ({share['accuracy_low']}–{share['accuracy_high']})",
                f"{share['uar_mean']} ± {share['uar_std']}",
            ]
        table.add_row(row["point"], *cells)
    console.print(table)


def _write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write ``sweep.csv``: a row a point; what a point has not reached is empty."""
    columns = max(rows, key=len)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue())


def sweep(
    path: Path,
    output: Path,
    console: Console,
    *,
    configs: Sequence[str] = (),
    points: int | None = None,
    seed: int = 0,
    more: Sequence[str] = (),
) -> None:
    """Run a sweep file, or resume it; see `choose` and `plan` for the arguments.

    Raises:
        UsageError: Before anything is run: the file or a point's config is wrong.
        RuntimeError: After all is run: points have failed.
    """
    file = read_sweep(path)
    todo = plan(file, choose(file, points, seed), output, configs, more)
    output.mkdir(parents=True, exist_ok=True)
    console.print(f"{path}: {len(todo)} points, each a bundle in {output}")
    with _ended_like_ctrl_c():
        failed = run_points(todo, output, console)
    # What failed here may have been done elsewhere meanwhile.
    failed = {p.name: failed[p.name] for p in todo if p.name in failed and not _is_done(p)}
    rows = [_row(point, failed) for point in todo]
    _show(rows, console)
    _write(rows, output / "sweep.csv")
    console.print(f"table: {output / 'sweep.csv'}")
    from vfer.report.main import main as report  # takes seconds, and is needed only now

    done = [str(point.config.output) for point in todo if _is_done(point)]
    reported = not done or report([*done, "--output", str(output)]) == 0
    if failed:
        listed = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise RuntimeError(
            f"{len(failed)} of {len(todo)} points failed, the same command tries them again: "
            f"{listed}"
        )
    if not reported:
        raise RuntimeError("the points are done, the report on them is not (the line above)")
