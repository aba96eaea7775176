"""A page of held-out clips at the end of a run: ``vfer.predict``, run as its user would run it.

As a command of its own it takes nothing of this one's memory, and what it cannot do costs the run
nothing.
"""

import subprocess
import sys

from rich.console import Console

from vfer.config.tree import Config

FOLDER = "watch"
_STEP = "2f"
"""From a window to the next: the built-in corpus's clips last a second."""


def make_page(config: Config, console: Console) -> None:
    """Show held-out clips of a finished bundle on a page in it, and say where that is.

    Args:
        config: Of the run; ``logger.held_out_clips`` says how many.
        console: Where to print.
    """
    count, page = config.logger.held_out_clips, config.output / FOLDER
    if not count or config.sweep is not None:  # nobody watches each point of a sweep
        return
    console.print(f"predicting {count} held-out clips, to be watched")
    words = ["--run", str(config.output), "--held-out", str(count), "--html", str(page)]
    words += ["--step", _STEP, "--cache", str(config.data.cache / "predict"), "--trust-code"]
    words += ["--device", "cpu"] if config.trainer.get("accelerator") == "cpu" else []
    done = subprocess.run(
        [sys.executable, "-m", "vfer.predict", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        console.print(f"the page of held-out clips could not be made; the bundle is whole: {said}")
        return
    console.print(
        f"watch {count} clips that the model had not seen: open {page / 'index.html'} in a browser"
    )
