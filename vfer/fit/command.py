"""A run from the corpus to its bundle, and several of them that differ in their seed."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from rich.console import Console

from vfer.config.tree import Config
from vfer.fit.descriptors import check_descriptor
from vfer.fit.environment import write_environment
from vfer.fit.loggers import Tracker
from vfer.fit.losgo import finish, run_fold
from vfer.fit.output import check_output
from vfer.fit.run import open_run
from vfer.fit.trial import try_plugs
from vfer.report.terminal import print_seeds
from vfer.results import bundle
from vfer.results.scoring import across_seeds
from vfer.results.tables import read_tables
from vfer.runtime.files import atomic_write, lock, read_json, write_json
from vfer.runtime.ranks import first, launch, rank


def fit(config: Config, runs: Sequence[Config], console: Console) -> None:
    """Run the whole command, from the corpus to the bundle; in each process, if there are several.

    Each trains on its share of every batch; only the first writes, prints and logs.

    Args:
        config: The parsed command line.
        runs: Of each seed, see ``runs_of``.
        console: Where to print.
    """
    launch(config.trainer)
    if rank() > 0:
        console = Console(quiet=True)
    if config.seeds == 1:
        _fit_alone(config, console)
        return
    for number, run in enumerate(runs, 1):
        console.print(f"seed {run.protocol.seed} ({number} of {len(runs)}): {run.output}")
        _fit_alone(run, console)
    waiting = [run.output.name for run in runs if not (run.output / "files.json").is_file()]
    if waiting:
        console.print(f"waiting for folds of {', '.join(waiting)}")
    else:
        first(lambda: _summarise([run.output for run in runs], console))


def _summarise(outputs: Sequence[Path], console: Console) -> None:
    """Write ``results.json`` above the bundles of several seeds, and show it."""
    found = {path.name: read_json(path / "results.json") for path in outputs}
    clips = [read_tables(path, found[path.name]["classes"]).clips for path in outputs]
    summary = across_seeds(found, clips)
    write_json(outputs[0].parent / "results.json", summary)
    print_seeds(summary, outputs[0].parent, console)


def _fit_alone(config: Config, console: Console) -> None:
    """Make one bundle, in a folder that no other process writes to."""
    if rank() > 0:
        _fit(config, console)
        return
    with lock(config.output, "the run folder"):
        _fit(config, console)


def _fit(config: Config, console: Console) -> None:
    """Make one bundle, in each of the processes that train together."""
    output = config.output
    first(lambda: check_output(output, config))
    check_descriptor(config)
    run = open_run(config, console)
    try_plugs(run)

    def begin() -> str:
        atomic_write(output / "config.yaml", yaml.safe_dump(config.tree, sort_keys=False))
        bundle.write_folds(output / "folds.json", run.groups)
        return write_environment(run)

    group = first(begin)
    try:
        tracker = Tracker(config.logger, output, group, config.tree)
        numbers = range(len(run.groups)) if config.fold is None else [config.fold]
        for number in numbers:
            run_fold(run, number, tracker, console)
        waiting = [str(k) for k in range(len(run.groups)) if not bundle.is_complete(output, k)]
        if waiting:
            console.print(f"waiting for folds {', '.join(waiting)}: run each with --fold K")
        else:
            first(lambda: finish(run, tracker, console))
    except (ValueError, FileNotFoundError) as error:  # not the user's any more: exit status 1
        raise RuntimeError(str(error)) from error
