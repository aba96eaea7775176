"""The points of a sweep, each what one of W&B's agents would run.

A point is a process ``python -m vfer.fit`` with the point's values on its command line, and a
bundle of its own.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from vfer.runtime.children import child_environment
from vfer.runtime.console import heading
from vfer.runtime.files import write_json
from vfer.sweep.nested import nest
from vfer.sweep.plan import FILE, Point, is_done, plan
from vfer.sweep.points import COMMAND, choose, read_sweep
from vfer.sweep.table import show, write


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
        start_new_session=True, env=child_environment(),
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
                child.send_signal(signal.SIGTERM)  # SIGINT may be ignored: a script's background
        reader.join()
    if interrupted or status == 130:
        raise KeyboardInterrupt
    if status < 0:
        return f"ended by signal {-status} ({signal.Signals(-status).name})"
    return None if status == 0 else (said or [f"status {status}"])[-1]


def run_points(points: Sequence[Point], output: Path, console: Console) -> dict[str, str]:
    """Run every point that is not done and that no other process is running.

    Returns:
        Of each failed point why, unless another process has done it since.
    """
    failed: dict[str, str] = {}
    for number, point in enumerate(points, 1):
        said = f"point {number} of {len(points)}: {point.name}"
        try:
            with FileLock(output / f".{point.name}.lock", timeout=0):
                if is_done(point):
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
    left = {point.name for point in points if not is_done(point)}
    return {name: why for name, why in failed.items() if name in left}


TOLD = (
    "All points were tested on the same clips. Whoever takes the best of these has chosen on the "
    "test groups, and its figure flatters: it is no result."
)


def sweep(
    path: Path,
    output: Path,
    console: Console,
    *,
    configs: Sequence[str] = (),
    points: int | None = None,
    seed: int = 0,
    more: Sequence[str] = (),
    nested: bool = False,
) -> None:
    """Run a sweep file, or resume it; see `choose` and `plan` for the arguments.

    Raises:
        UsageError: Before anything is run: the file or a point's config is wrong.
        RuntimeError: After all is run: points have failed, or give no nested selection.
    """
    file = read_sweep(path)
    todo = plan(file, choose(file, points, seed), output, configs, more, nested)
    output.mkdir(parents=True, exist_ok=True)
    keys = list(file.parameters)
    names = [point.name for point in todo]
    write_json(output / FILE, {"file": path.name, "keys": keys, "points": names})
    console.print(f"{path}: {len(todo)} points, each a bundle in {output}")
    failed = run_points(todo, output, console)
    show(todo, failed, console)
    write(todo, failed, output / "sweep.csv")
    console.print(f"table: {output / 'sweep.csv'}")
    from vfer.report.main import main as report  # takes seconds, and is needed only now

    done = [str(point.config.output) for point in todo if is_done(point)]
    reported = not done or report([*done, "--output", str(output)]) == 0
    if len(done) > 1:
        console.print(TOLD)
    if nested and len(done) == len(todo):
        made = nest(names, keys, output, console)
        reported = report([str(made)]) == 0 and reported
        console.print(f"chosen on no test group, a result: {made}")
    elif nested:
        console.print("no nested selection yet: it needs every point")
    elif len(done) > 1:
        console.print("For one that is a result, run the same command with --nested.")
    if failed:
        listed = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise RuntimeError(
            f"{len(failed)} of {len(todo)} points failed, the same command tries them again: "
            f"{listed}"
        )
    if not reported:
        raise RuntimeError("the points are done, the report on them is not (the line above)")
