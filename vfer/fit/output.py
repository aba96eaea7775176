"""Where runs go, and whether these folders are free for them: seen before any work.

Nothing here imports torch, so that a folder that is taken is refused at once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from vfer.config.keys import differing
from vfer.config.tree import Config, ProtocolConfig
from vfer.config.version import VERSION
from vfer.results.bundle import MARKER
from vfer.results.runs import GROUPS, SEED, run_folders
from vfer.runtime.console import UsageError
from vfer.runtime.files import read_yaml
from vfer.runtime.pool import launched


def check_output(output: Path, config: Config) -> None:
    """See that an output folder is free for this config, or holds a run of it.

    Raises:
        UsageError: If another config has been run there; names the keys that differ.
    """
    record = output / "config.yaml"
    if record.is_file():
        before = read_yaml(record)
        if not isinstance(before, dict):
            raise UsageError(f"{record} is no config; choose another folder with --output DIR")
        if before.get("config_version") != VERSION:
            raise UsageError(
                f"{output} holds a run made by an earlier version of vfer: finish it with that "
                "version, or choose another folder with --output DIR"
            )
        keys = differing(config.tree, before)
        if keys:
            raise UsageError(
                f"{output} holds a run with another config ({record.name}); differing keys: "
                f"{', '.join(keys)}. "
                "Choose another folder with --output DIR, or remove this one"
            )
    elif any(not _may_be_there(path) for path in output.glob("*")):
        held = "several runs (--seeds N or --regroup N)" if run_folders(output) else "no run"
        raise UsageError(
            f"{output} is not empty and holds {held}; choose another folder with --output DIR"
        )


def _may_be_there(path: Path) -> bool:
    """Tell whether a run may begin beside this: a hidden file, or a fold that was run elsewhere."""
    return path.name.startswith(".") or (path / MARKER).is_file()


def runs_of(config: Config) -> list[Config]:
    """Return the config of each run of a command: itself, or several in folders below.

    Raises:
        UsageError: If an output folder holds something else, there are no other groups, or a final
            model is asked for where none is trained.
    """
    if config.final:
        _check_final(config)
    if config.folds_in_parallel > 1:
        _check_parallel(config)
    if config.seeds == config.regroup == 1:
        check_output(config.output, config)
        return [config]
    if config.seeds > 1 and config.regroup > 1:
        raise UsageError(
            f"--seeds is {config.seeds} and --regroup {config.regroup}: one spread at a time. Run "
            "each into a folder of its own; vfer.report takes both and shows the two side by side"
        )
    if (config.output / "config.yaml").is_file():
        raise UsageError(
            f"{config.output} holds a single run; choose another folder with --output DIR"
        )
    option = "--seeds" if config.seeds > 1 else "--regroup"
    runs = _seeds(config) if config.seeds > 1 else _assignments(config)
    more = set(run_folders(config.output)) - {run.output.name for run in runs}
    if more:  # a run is not left out of the summary
        raise UsageError(
            f"{config.output} holds {', '.join(sorted(more))} as well; ask for these too with "
            f"{option} N, or choose another folder with --output DIR"
        )
    for run in runs:
        check_output(run.output, run)
    return runs


def _check_final(config: Config) -> None:
    """Refuse a final model of several runs, or of a control.

    Raises:
        UsageError: Saying what to do instead.
    """
    several = {"seeds": config.seeds, "regroup": config.regroup}
    for name, count in several.items():
        if count > 1:
            raise UsageError(
                f"--final trains one model, and --{name} is {count}: leave --final out here, and "
                "give it with one of the runs alone (--output its folder, with its seeds)"
            )
    if config.protocol.control is not None:
        raise UsageError(
            f"--final trains a model for use, and protocol.control is {config.protocol.control}, "
            "which takes something away: leave one of the two out"
        )


def _check_parallel(config: Config) -> None:
    """Refuse folds at the same time where there is one, or where each would have several devices.

    Raises:
        UsageError: Saying what to do instead.
    """
    said = f"--folds-in-parallel is {config.folds_in_parallel}"
    if config.fold is not None:
        raise UsageError(f"{said} and --fold {config.fold}: leave one of the two out")
    several = str(config.trainer["devices"]) not in ("1", "-1", "auto")
    if several or config.trainer["num_nodes"] > 1 or launched()[1] > 1:
        raise UsageError(
            f"{said}, which gives each fold one device of this machine: set trainer.devices "
            "and trainer.num_nodes to 1, and start the command without torchrun or srun"
        )


def _seeds(config: Config) -> list[Config]:
    """Return the config of each of several seeds."""
    runs = []
    for seed in range(config.protocol.seed, config.protocol.seed + config.seeds):
        protocol = replace(config.protocol, seed=seed)
        tree = config.tree["protocol"] | {"seed": seed}
        runs.append(_below(config, protocol, tree, f"{SEED}{seed}"))
    return runs


def _assignments(config: Config) -> list[Config]:
    """Return the config of each of several group assignments, the first the config's own.

    Raises:
        UsageError: If the groups are not dealt by a seed.
    """
    folds, runs = config.protocol.folds, []
    if folds == "official" or folds.subjects is not None or folds.groups == "subjects":
        given = "official" if folds == "official" else "given by hand (protocol.folds.subjects)"
        if folds != "official" and folds.subjects is None:
            given = "one of each subject (protocol.folds.groups: subjects)"
        raise UsageError(
            f"--regroup is {config.regroup} and the groups are {given}: there is one assignment. "
            "Set protocol.folds.groups to a number to have them dealt"
        )
    if "sentence" in folds.apart:
        raise UsageError(
            f"--regroup is {config.regroup} and protocol.folds.apart names sentence: each "
            "assignment would be tested on other clips, so that their figures do not compare"
        )
    for seed in range(folds.seed, folds.seed + config.regroup):
        protocol = replace(config.protocol, folds=replace(folds, seed=seed))
        tree = config.tree["protocol"]
        dealt = tree | {"folds": tree["folds"] | {"seed": seed}}
        runs.append(_below(config, protocol, dealt, f"{GROUPS}{seed}"))
    return runs


def _below(config: Config, protocol: ProtocolConfig, tree: dict[str, Any], name: str) -> Config:
    """Return the config of one of several runs, its bundle in a folder below."""
    return replace(
        config,
        protocol=protocol,
        tree=config.tree | {"protocol": tree},
        output=config.output / name,
        seeds=1,
        regroup=1,
    )
