"""The final model: trained on all subjects, for use on other videos; no fold, and never scored."""

from pathlib import Path

from rich.console import Console

from vfer.fit.datasets import part
from vfer.fit.descriptors import fit_to_descriptors
from vfer.fit.environment import gather_environments
from vfer.fit.loggers import Logger, Tracker
from vfer.fit.losgo import train_stages
from vfer.fit.plan import stages_of
from vfer.fit.run import Fold, Run
from vfer.results import bundle
from vfer.results.final import chosen_iteration
from vfer.runtime.files import lock
from vfer.runtime.ranks import first


def train_final(run: Run, tracker: Tracker, console: Console) -> None:
    """Train on every usable clip, into ``final/`` of a bundle whose folds are finished.

    Where the folds chose their iterations, each stage is trained for the median of those: nobody is
    left to choose by. Interrupted and called again, it resumes.
    """
    config = run.config
    everybody = part(run.corpus, run.store, lambda _: True, config.data)
    fold = Fold(
        len(run.groups),
        everybody,
        part(run.corpus, run.store, lambda _: False, config.data),
        final=True,
    )
    directory = config.output / bundle.FINAL
    subjects = {clip.subject for clip in fold.train.clips}
    of = f" of all {len(subjects)} subjects" if run.corpus.subjects_known else ""
    console.print(f"{fold.title}: {len(fold.train.clips)} clips{of} to train on, none to test")
    experiment = tracker.start(fold.folder)

    def logs(stage: Path) -> list[Logger]:
        return tracker.stage_loggers(experiment, fold.folder, stage.name)

    if config.model.descriptor is not None:
        first(lambda: fit_to_descriptors(run, fold, directory / "classifier", console))
    else:
        ends = {}
        if config.protocol.selection == "validation":
            names = [stage.name for stage in stages_of(config)]
            ends = {name: chosen_iteration(config.output, config.tree, name) for name in names}
            console.print(f"{fold.title}: the folds' chosen iterations, their median {ends}")
        train_stages(run, fold, directory, ends, logs, console)
    tracker.finish(experiment, {}, (), run.corpus.classes)

    def add() -> None:
        with lock(config.output, "the run folder", console=console):
            gather_environments(config.output)
            bundle.seal(config.output)

    first(add)
    console.print(
        f"{fold.title}: {directory}. All accuracies are those of the folds' models: nobody is left "
        "to test this one on"
    )
