"""A run from the corpus to its bundle, and several of them that differ in their seed or groups."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import yaml
from rich.console import Console

from vfer.config.tree import Config
from vfer.fit.descriptors import check_descriptor
from vfer.fit.environment import group_of, write_environment
from vfer.fit.final import train_final
from vfer.fit.loggers import Tracker
from vfer.fit.losgo import finish, run_fold
from vfer.fit.opening import groups_of, open_run
from vfer.fit.output import check_output
from vfer.fit.run import Run, run_key
from vfer.fit.trial import try_plugs
from vfer.fit.watch import make_page
from vfer.prepare.corpus import open_corpus
from vfer.report.terminal import print_runs
from vfer.results import bundle
from vfer.results.runs import summarise_runs
from vfer.runtime.console import UsageError
from vfer.runtime.files import BusyError, atomic_write, lock, remove_leftovers, write_json
from vfer.runtime.ranks import first, launch, rank


def fit(config: Config, runs: Sequence[Config], console: Console) -> None:
    """Run the whole command, from the corpus to the bundle; in each process, if there are several.

    Each trains on its share of every batch; only the first writes, prints and logs.

    Args:
        config: The parsed command line.
        runs: Of each seed or group assignment, see ``runs_of``.
        console: Where to print.
    """
    launch(config.trainer)
    if rank() > 0:
        console = Console(quiet=True)
    if config.seeds == config.regroup == 1:
        _fit(config, console)
        return
    if config.regroup > 1:
        first(lambda: _check_assignments(runs, console))
    for number, run in enumerate(runs, 1):
        name = run.output.name.replace("-", " ")
        console.print(f"{name} ({number} of {len(runs)}): {run.output}")
        _fit(run, console)
    waiting = [run.output.name for run in runs if not (run.output / "files.json").is_file()]
    if waiting:
        console.print(f"waiting for folds of {', '.join(waiting)}")
    else:
        first(lambda: _summarise([run.output for run in runs], console))


def _check_assignments(runs: Sequence[Config], console: Console) -> None:
    """Refuse assignments that put the same people together: between them nothing would differ.

    Raises:
        UsageError: Before any training; says how many there were.
    """
    corpus = open_corpus(runs[0].data, console)
    seen: dict[frozenset[frozenset[str]], Config] = {}
    for run in runs:
        groups = frozenset(groups_of(corpus, run))
        if groups in seen:
            seeds = [one.protocol.folds for one in (run, seen[groups])]
            mine, other = (one.seed for one in seeds if one != "official")
            raise UsageError(
                f"--regroup is {len(runs)}, and protocol.folds.seed {mine} gives the groups of "
                f"{other}: of so few subjects there are few groups. Take --regroup {len(seen)}, or "
                "begin with another protocol.folds.seed"
            )
        seen[groups] = run


def _summarise(outputs: Sequence[Path], console: Console) -> None:
    """Write ``results.json`` above the bundles of several runs, and show it."""
    folder = outputs[0].parent
    summary = summarise_runs(folder, [path.name for path in outputs])
    write_json(folder / "results.json", summary)
    print_runs(summary, folder, console)


def _fit(config: Config, console: Console) -> None:
    """Make one bundle, or such of its folds as no other process is at.

    What belongs to the whole is written by one process at a time; whoever finds all folds finished
    assembles them.
    """
    output = config.output
    check_descriptor(config)
    run = open_run(config, console)
    try_plugs(run)

    def begin() -> str:
        with _whole(output, console):
            check_output(output, config)  # again: another process may have begun since
            remove_leftovers(output)
            group = group_of(run)
            bundle.check_sealed(output)
            _check_folds(run)
            atomic_write(output / "config.yaml", yaml.safe_dump(config.tree, sort_keys=False))
            bundle.write_folds(output / "folds.json", run.groups)
            return group or write_environment(run)

    def end() -> None:
        with _whole(output, console):
            finish(run, tracker, console)

    group = first(begin)
    try:
        tracker = Tracker(config.logger, output, group, config.tree)
        numbers = range(len(run.groups)) if config.fold is None else [config.fold]
        for number in numbers:
            with _alone(run, f"fold {number} of", number, console) as free:
                if free:
                    run_fold(run, number, tracker, console)
        waiting = [str(k) for k in range(len(run.groups)) if not bundle.is_complete(output, k)]
        if waiting:
            after = "; the final model is trained after them" * config.final
            console.print(
                f"waiting for folds {', '.join(waiting)}: run each with --fold K, or all that no "
                f"other process is at without; who finishes last writes the bundle{after}"
            )
        else:
            first(end)
            if config.final:
                with _alone(run, "the final model of", len(run.groups), console) as free:
                    if free:
                        train_final(run, tracker, console)
            first(lambda: make_page(config, console))
    except (ValueError, FileNotFoundError) as error:  # not the user's any more: exit status 1
        raise RuntimeError(str(error)) from error


def _whole(output: Path, console: Console) -> AbstractContextManager[None]:
    """Hold what the processes that share a run folder write in turn."""
    return lock(output, "the run folder", console=console)


@contextmanager
def _alone(run: Run, what: str, number: int, console: Console) -> Iterator[bool]:
    """Hold one of the models of a run folder; say so and yield False where another process does.

    Raises:
        BusyError: If one does, and only one fold was asked for.
    """
    with ExitStack() as held:

        def take() -> str:
            try:
                held.enter_context(lock(run.config.output, what, part=number + 1))
            except BusyError as error:
                if run.config.fold is not None:
                    raise
                return str(error)
            return ""

        busy = first(take)
        if busy:
            console.print(busy, markup=False)
        yield not busy


def _check_folds(run: Run) -> None:
    """Refuse folds that were brought here from runs of another config or of other videos.

    Raises:
        UsageError: Naming them.
    """
    output, key = run.config.output, run_key(run)
    other = [
        bundle.fold_directory(output, number).name
        for number in range(len(run.groups))
        if bundle.is_complete(output, number) and not bundle.is_complete(output, number, key)
    ]
    if other:
        raise UsageError(
            f"{', '.join(other)} in {output}: made from another config, other videos or another "
            "version of vfer; remove them to train them again, or choose another --output DIR"
        )
