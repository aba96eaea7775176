"""What trials are run on: a corpus of four clips, the commands, and what they leave undisturbed."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from experiments.faults.child import Child, command, start
from experiments.faults.shim import Fault, operations
from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.files import write_video
from vfer.corpora.facs.settings import FacsConfig

V = TypeVar("V")
KEPT = "predicted"
TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
DRAWN = FacsConfig(subjects=2, clips_per_emotion=1, frames=8, width=160, height=128)
EMOTIONS = ("happiness", "surprise")
SMALL = {
    "stages.spatial.iterations": 3, "stages.temporal.iterations": 3, "stages.vlan.iterations": 2,
    "stages.checkpoint_every": 1, "data.faces.detect_every": 4, "data.workers": 1,
}  # fmt: skip
BEFORE = {"prepare": None, "draw": None, "fit": "prepare", "sweep": "prepare", "report": "fit",
          "predict": "fit"}  # fmt: skip
"""Of each command the one whose work it needs."""


@dataclass
class Row:
    """A row of the table.

    Attributes:
        name: What is tried.
        trials: How many of them.
        lost: Of each that was not survived, what was lost.
        notes: What else there is to say, such as what was measured.
    """

    name: str
    trials: int = 0
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, trial: str, lost: str) -> None:
        """Count a trial, survived if nothing is said to be lost."""
        self.trials += 1
        if lost:
            self.lost.append(f"{trial}: {lost}")


@dataclass(frozen=True)
class Undisturbed:
    """What a command leaves when nothing goes wrong.

    Attributes:
        seconds: How long it took.
        files: Of each file its SHA-256; None where two such runs differ.
        operations: Its file operations, in their order.
    """

    seconds: float
    files: dict[str, str | None]
    operations: list[str]


def tree(world: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a world by its path there, lock files left out."""
    return {
        path.relative_to(world).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(world.rglob("*"))
        if path.is_file() and not (path.name.startswith(".") and _is_lock(path.name))
    }


def _results(files: dict[str, V]) -> dict[str, V]:
    """Leave out what only saves time: hidden files, and predictions kept for the next command."""
    return {
        path: one
        for path, one in files.items()
        if not Path(path).name.startswith(".") and not path.startswith(f"{KEPT}/")
    }


def _is_lock(name: str) -> bool:
    """Return whether a file is a lock's, or says who held one last, which its holder overwrites."""
    return re.fullmatch(r"\.lock\d*(\.by)?|.*\.lock", name) is not None


class Bench:
    """A folder in which trials are made.

    Args:
        folder: Where; empty.
        seed: Of what is random in trials.
        quick: Whether of several commands only the first is tried.
        only: The commands that are tried of several; empty for all.
    """

    def __init__(
        self, folder: Path, seed: int = 0, quick: bool = False, only: Collection[str] = ()
    ) -> None:
        self.folder, self.seed, self.quick = folder.resolve(), seed, quick
        self.only = only
        self.corpus = self.folder / "corpus"
        self.said = self.folder / "said"
        self._left: dict[str, Undisturbed] = {}
        self._draw_corpus()

    def _draw_corpus(self) -> None:
        self.corpus.mkdir(parents=True)
        self.said.mkdir()
        rows = ["path,subject,emotion"]
        for number, subject in enumerate(("anna", "bo"), 1):
            for emotion in EMOTIONS:
                frames, _ = draw_clip(DRAWN, number, emotion, 1)
                write_video(self.corpus / f"{subject}-{emotion}.avi", frames, DRAWN.fps)
                rows.append(f"{subject}-{emotion}.avi,{subject},{emotion}")
        (self.corpus / "manifest.csv").write_text("\n".join(rows) + "\n")
        swept = {"model.pool": {"values": ["sum", "frame"]}}
        command = ["${env}", "python", "-m", "vfer.fit", "${args}"]
        sweep = {"program": "vfer.fit", "command": command, "method": "grid", "parameters": swept}
        (self.corpus / "sweep.yaml").write_text(yaml.safe_dump(sweep))

    def words(self, name: str, **more: Any) -> list[str]:  # noqa: ANN401 - values of a config
        """Return the command line of one of the commands, without ``vfer``."""
        if name == "report":
            return ["report", "run"]
        if name == "predict":
            videos = [str(path) for path in sorted(self.corpus.glob("*.avi"))[:2]]
            kept = [f"--cache={KEPT}", "--device=cpu", "--json=said.json", "--csv=said.csv"]
            return ["predict", "--run=run", *kept, "--html=page", *videos]
        corpus: dict[str, Any] = {
            "data.corpus": "manifest",
            "data.root": self.corpus / "manifest.csv",
        }
        if name == "draw":
            keys = ("subjects", "clips_per_emotion", "frames", "width", "height")
            corpus = {f"data.facs.{key}": getattr(DRAWN, key) for key in keys}
        options = {"data.cache": "cache"} | SMALL | corpus | more
        settings = ["--config", str(TINY), *(f"--{key}={value}" for key, value in options.items())]
        if name == "sweep":
            return ["sweep", str(self.corpus / "sweep.yaml"), "--output=sweep", *settings]
        return [name.replace("draw", "prepare"), *settings] + ["--output=run"] * (name == "fit")

    def some(self, *names: str) -> tuple[str, ...]:
        """Return what to try of several: what is asked for; the first where it must be quick."""
        found = tuple(name for name in names if not self.only or name in self.only)
        return found[:1] if self.quick else found

    def rng(self, *purpose: object) -> np.random.Generator:
        """Return what something is drawn from, the same for the same seed."""
        key = hashlib.sha256(repr(purpose).encode()).digest()
        return np.random.default_rng([self.seed, *key])

    def world(self, command: str, name: str = "world") -> Path:
        """Return a new folder that is as before a command."""
        before = BEFORE[command]
        if before is not None:
            self.left(before)
        world = self.folder / name
        shutil.rmtree(world, ignore_errors=True)
        if before is None:
            world.mkdir()
        else:
            shutil.copytree(self.folder / f"left-{before}", world, copy_function=shutil.copy2)
        return world

    def start(self, name: str, world: Path, said: str = "trial", **how: Any) -> Child:  # noqa: ANN401
        """Start a command in a world; see `child.start`."""
        watched = [self.corpus] if how.get("fault") else []
        work = partial(command, self.words(name))
        return start(work, world, self.said / said, watched=watched, **how)

    def run(self, words: Sequence[str], world: Path) -> Child:
        """Run a command to its end in a world, undisturbed."""
        child = start(partial(command, words), world, self.said / "more")
        child.wait()
        return child

    def left(self, command: str) -> Undisturbed:
        """Return what a command leaves when nothing goes wrong, seen twice."""
        if command not in self._left:
            found: list[tuple[float, dict[str, str]]] = []
            for name in ("other", f"left-{command}"):
                world = self.world(command, name)
                time.sleep(1.1 if found else 0)  # some files name the second of their making
                began = time.monotonic()
                child = self.start(command, world, "undisturbed", fault=Fault())
                if child.wait(900) != 0:
                    raise RuntimeError(f"{command} fails undisturbed: {child.errors()[-1:]}")
                found.append((time.monotonic() - began, tree(world)))
            (_, first), (seconds, second) = found
            files = {path: sha if first.get(path) == sha else None for path, sha in second.items()}
            log = operations(child.said.with_suffix(".log"))
            self._left[command] = Undisturbed(seconds, files, log)
        return self._left[command]

    def difference(self, command: str, world: Path, results: bool = False) -> str:
        """Return how a world differs from what the command leaves undisturbed, if it does.

        Args:
            command: The command.
            world: Where it ran.
            results: Whether to leave out what only saves time.
        """
        wanted, found = self.left(command).files, tree(world)
        if results:
            wanted, found = _results(wanted), _results(found)
        told = [f"{path} is missing" for path in sorted(wanted.keys() - found.keys())]
        told += [f"{path} is left behind" for path in sorted(found.keys() - wanted.keys())]
        told += [
            f"{path} differs"
            for path, sha in wanted.items()
            if sha is not None and found.get(path, sha) != sha
        ]
        return "; ".join(told[:4] + [f"and {len(told) - 4} more"] * (len(told) > 4))

    def again(self, command: str, world: Path) -> str:
        """Run a command once more, undisturbed; return what is lost then, empty if nothing.

        What is left under temporary names is made to look two hours old.
        """
        for path in world.rglob(".*.tmp"):
            os.utime(path, times=(time.time() - 7200,) * 2)
        child = self.start(command, world, "again")
        try:
            status = child.wait()
        except TimeoutError as error:
            return f"the same command hangs: {error}"
        if status != 0:
            return f"the same command ends with {status}: {' / '.join(child.errors()[-1:])}"
        return self.difference(command, world)


def spread(count: int, most: int | None) -> Sequence[int]:
    """Return numbers from 1 to ``count``: all, or ``most`` of them, evenly spread."""
    if most is None or count <= most:
        return range(1, count + 1)
    return sorted({1 + round(k * (count - 1) / max(most - 1, 1)) for k in range(most)})
