"""The command's work: one video after the other, each kept when it is done."""

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from vfer.corpora import not_a_file
from vfer.predict.bundle import Fold
from vfer.predict.document import write_csv, write_timelines
from vfer.predict.finished import Finished
from vfer.predict.frames import Advance
from vfer.predict.held_out import Job, held_out_clips
from vfer.predict.html import PAGE, add_to_page, pages
from vfer.predict.inputs import real
from vfer.predict.load import load_model
from vfer.predict.overlay import overlays, write_overlay
from vfer.predict.predictor import Predictor
from vfer.predict.settings import Settings
from vfer.predict.timeline import Timeline
from vfer.results.bundle import FINAL
from vfer.runtime.console import bar, make_console
from vfer.runtime.files import lock, remove_leftovers
from vfer.video import VideoError

SHOWN = 12
"""Faces of one video that are listed on the terminal."""

Output = Callable[[Timeline, Path, Advance], Sequence[str]]
"""Makes something of one finished video: from its timeline and its file, telling how far it is.

It returns what a user should know, a sentence each.
"""
_BROKEN = (MemoryError, OSError, RuntimeError, ValueError)
"""What may happen to one video, and costs nothing but itself."""


@dataclass(frozen=True)
class Request:
    """What a command line asks for; see its help."""

    videos: Sequence[Path]
    run: Path
    fold: Fold | None
    device: str
    trust_code: bool
    settings: Settings
    cache: Path
    json: Path | None
    csv: Path | None
    overlay: Path | None = None
    html: Path | None = None
    held_out: int = 0

    def outputs(self) -> dict[str, Output]:
        """Return what is made of each video as soon as it is finished, by what it is called."""
        made: dict[str, Output] = {}
        if self.overlay is not None:
            made["overlay"] = partial(write_overlay, overlays(self.overlay))
        if self.html is not None:
            made["page"] = partial(add_to_page, pages(self.html))
        return made


@dataclass(frozen=True)
class Done:
    """What has become of the videos so far.

    Attributes:
        timelines: Of those that were predicted.
        failed: Of each that was not, why.
        unmade: Of each output that could not be made, why.
        remarks: What else a user should know, a sentence each.
    """

    timelines: list[Timeline] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unmade: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def predict_videos(request: Request) -> None:
    """Predict all videos; what is finished is written also where the rest is interrupted.

    Raises:
        UsageError: If the bundle has no such model.
        RuntimeError: If a video could not be read; the others are done.
    """
    console = make_console()
    jobs = [Job(path, request.fold) for path in request.videos]
    if request.held_out:
        jobs = held_out_clips(request.run, request.held_out, console)
    models = _Models(request)
    say = models.of(jobs[0].fold)
    _print_model(say, console)
    done = Done()
    _remove_leftovers(request)
    with _alone(request):  # before anything that may be there is written over
        try:
            with bar(console) as progress:
                whole = progress.add_task("videos", total=len(jobs))
                for job in jobs:
                    _predict_one(models.of(job.fold), job, request, done, progress)
                    progress.advance(whole)
        finally:
            _write(request, done, len(jobs), say.model.classes, console)
    for timeline in done.timelines:
        _print(timeline, console)
    _end(done, len(jobs), request.html, console)


class _Models:
    """The models that a request needs, one after the other."""

    def __init__(self, request: Request) -> None:
        self.request, self.loaded = request, dict[Fold | None, Predictor]()

    def of(self, fold: Fold | None) -> Predictor:
        """Return what predicts with the model of a fold; None: with the mean of all."""
        if fold not in self.loaded:
            asked = self.request
            model = load_model(
                asked.run, fold=fold, device=asked.device, trust_code=asked.trust_code
            )
            self.loaded = {fold: Predictor(model, asked.settings)}  # one at a time
        return self.loaded[fold]


def _end(done: Done, asked: int, html: Path | None, console: Console) -> None:
    """Say where the page is and what was odd, and fail if something is missing."""
    if html is not None and (html / PAGE).is_file():
        console.print(f"open in a browser: {html / PAGE}")
    for remark in done.remarks:
        console.print(f"note: {remark}", soft_wrap=True)
    for name, why in (done.failed | done.unmade).items():
        console.print(f"not done: {name}: {why}", soft_wrap=True)
    lost = [f"{len(done.failed)} of {asked} videos"] if done.failed else []
    if done.unmade:
        lost.append(f"{len(done.unmade)} of what was to be made of them")
    if lost:
        raise RuntimeError(
            f"{' and '.join(lost)} could not be done; each is listed with its reason"
        )


def _remove_leftovers(request: Request) -> None:
    """Remove what killed processes have left beside what is made here."""
    for path in (request.json, request.csv):
        if path is not None:
            remove_leftovers(path.parent, f".{glob.escape(path.name)}.*.tmp")
    for folder in (request.cache, request.overlay, request.html):
        if folder is not None:
            remove_leftovers(folder)


@contextmanager
def _alone(request: Request) -> Iterator[None]:
    """Hold the folders of what is made, so that no other process writes there."""
    with ExitStack() as stack:
        folders = (request.overlay, request.html)
        for path in {real(path) for path in folders if path is not None}:
            stack.enter_context(lock(path, "the folder"))
        yield


def _predict_one(
    say: Predictor, job: Job, request: Request, done: Done, progress: Progress
) -> None:
    """Predict one video, or find it done; one that cannot be costs nothing but itself."""
    kept, path = Finished(request.cache, say), job.path
    told = str(path).encode(errors="backslashreplace").decode()
    try:
        if told != str(path):  # no JSON and no page could name it
            raise VideoError(path, "its name is not UTF-8: rename it")
        if (why := not_a_file(path)) is not None:  # to open a pipe would wait for ever
            raise VideoError(path, why)
        timeline = kept.find(path)
        if timeline is None:
            with _advancing(progress, path.name) as advance:
                timeline = say.predict(path, advance=advance)
            try:
                kept.keep(timeline)
            except OSError as error:
                done.remarks.append(f"{path}: it will be done again next time: not kept, {error}")
    except VideoError as error:
        done.failed[told] = "; ".join(error.reasons)
    except _BROKEN as error:
        done.failed[told] = f"{type(error).__name__}: {error}"
    else:
        timeline = replace(timeline, notes=(*job.notes, *timeline.notes))
        done.timelines.append(timeline)
        _show(timeline, path, request.outputs(), done, progress)


def _show(
    timeline: Timeline, path: Path, outputs: Mapping[str, Output], done: Done, progress: Progress
) -> None:
    """Make what was asked for of one video."""
    for name, output in outputs.items():
        try:
            with _advancing(progress, f"{name} of {path.name}") as advance:
                said = output(timeline, path, advance)
            done.remarks.extend(f"{path}: {one}" for one in said)
        except _BROKEN as error:
            done.unmade[f"{name} of {path}"] = f"{type(error).__name__}: {error}"


@contextmanager
def _advancing(progress: Progress, what: str) -> Iterator[Advance]:
    """Show how far something is while it is done."""
    task = progress.add_task(what.replace("[", "(")[-40:], total=None)  # a bracket would be markup

    def advance(seconds: float, whole: float) -> None:
        progress.update(task, completed=int(seconds), total=max(1, round(whole)))

    try:
        yield advance
    finally:
        progress.remove_task(task)


def _write(
    request: Request, done: Done, asked: int, classes: Sequence[str], console: Console
) -> None:
    """Write JSON and CSV; where one cannot be written, the other still is."""
    for path in (request.json, request.csv):
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path is request.json:
                write_timelines(path, done.timelines, done.failed)
            else:
                write_csv(path, done.timelines, classes)
            console.print(f"{len(done.timelines)} of {asked} videos: {path}")
        except OSError as error:
            done.unmade[str(path)] = f"{type(error).__name__}: {error}"


def _print_model(say: Predictor, console: Console) -> None:
    """Say what predicts, how sure it may be, and what abstaining does."""
    info = say.model.info()
    folds = ", ".join(map(str, info.folds))
    several = len(info.folds) > 1
    rate = "" if info.frame_rate is None else f", {info.frame_rate:.4g} frames a second"
    console.print(f"{info.run}: trained on {info.corpus}{rate}; classes {', '.join(info.classes)}")
    mean = f"the mean of {len(info.folds)} models (folds {folds}; --fold K takes one)"
    alone = (
        "the final model, of all subjects" if FINAL in info.folds else f"the model of fold {folds}"
    )
    console.print(mean if several else alone)
    if info.calibrated:
        console.print(f"temperature {info.temperature:.3g}, fitted on out-of-fold predictions")
    told = say.abstention()
    if told is not None:
        right = "none decided" if told.accuracy is None else f"{told.accuracy:.1%} of them right"
        console.print(
            f"undecided below {told.below:g}: out of fold {told.coverage:.1%} of the windows are "
            f"decided, {right}"
        )


def _print(timeline: Timeline, console: Console) -> None:
    """Show the faces of a video, their spans and what the model says of them."""
    video, coverage = timeline.video, timeline.coverage
    console.print(f"{video.path}: {video.duration:.1f} s, a face in {coverage.face:.0%} of them")
    table = Table()
    for column in ("face", "from, s", "to, s", "prediction", "probability", "windows", "doubtful"):
        table.add_column(column, justify="left" if column == "prediction" else "right")
    for track in timeline.tracks[:SHOWN]:
        table.add_row(
            f"{track.id}{'' if track.main else ' (beside)'}",
            f"{track.start:.2f}",
            f"{track.end:.2f}",
            track.prediction or "undecided",
            f"{max(track.probabilities.values()):.0%}",
            str(len(track.windows)),
            str(sum(bool(window.doubtful) for window in track.windows)),
        )
    if timeline.tracks:
        console.print(table)
    if len(timeline.tracks) > SHOWN:
        console.print(f"and {len(timeline.tracks) - SHOWN} more faces, in --json and --csv")
    for note in timeline.notes:
        console.print(f"note: {note}", soft_wrap=True)
