"""Where runs go, and whether these folders are free for them: seen before any work.

Nothing here imports torch, so that a folder that is taken is refused at once.
"""

from dataclasses import replace
from pathlib import Path

import yaml

from vfer.config.keys import differing
from vfer.config.tree import Config
from vfer.config.version import VERSION
from vfer.results import bundle
from vfer.runtime.console import UsageError


def check_output(output: Path, config: Config) -> None:
    """See that an output folder is free for this config, or holds a run of it.

    Raises:
        UsageError: If another config has been run there; names the keys that differ.
    """
    record = output / "config.yaml"
    if record.is_file():
        before = yaml.safe_load(record.read_text(encoding="utf-8"))
        if before.get("config_version") != VERSION:
            raise UsageError(
                f"{output} holds a run made by an earlier version of vfer: finish it with that "
                "version, or choose another folder with --output DIR"
            )
        keys = differing(config.tree, before)
        if keys:
            raise UsageError(
                f"{output} holds a run with another config; differing keys: {', '.join(keys)}. "
                "Choose another folder with --output DIR, or remove this one"
            )
    elif any(not path.name.startswith(".") for path in output.glob("*")):
        held = "the runs of several seeds (--seeds N)" if bundle.seed_folders(output) else "no run"
        raise UsageError(
            f"{output} is not empty and holds {held}; choose another folder with --output DIR"
        )


def runs_of(config: Config) -> list[Config]:
    """Return the config of each run of a command: itself, or one a seed in a folder below.

    Raises:
        UsageError: If an output folder holds something else.
    """
    if config.seeds == 1:
        check_output(config.output, config)
        return [config]
    if (config.output / "config.yaml").is_file():
        raise UsageError(
            f"{config.output} holds the run of one seed; choose another folder with --output DIR"
        )
    runs = [_with_seed(config, config.protocol.seed + k) for k in range(config.seeds)]
    more = set(bundle.seed_folders(config.output)) - {run.output.name for run in runs}
    if more:  # a seed that was run is not left out of the summary
        raise UsageError(
            f"{config.output} holds {', '.join(sorted(more))} as well; ask for these too with "
            "--seeds N (from protocol.seed on), or choose another folder with --output DIR"
        )
    for run in runs:
        check_output(run.output, run)
    return runs


def _with_seed(config: Config, seed: int) -> Config:
    """Return the config of one of several seeds, its bundle in a folder below."""
    protocol = replace(config.protocol, seed=seed)
    tree = config.tree | {"protocol": config.tree["protocol"] | {"seed": seed}}
    output = config.output / f"seed-{seed}"
    return replace(config, protocol=protocol, tree=tree, output=output, seeds=1)
