"""What a run was made with: versions, device, commit, corpus."""

import os
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

from vfer.config.tree import Config
from vfer.fit.run import Run
from vfer.results.bundle import FINAL
from vfer.results.runs import run_folders
from vfer.runtime.console import UsageError
from vfer.runtime.environment import made_with
from vfer.runtime.files import key_of, read_json, write_json


def _sweep(config: Config) -> dict[str, Any] | None:
    """Return of which sweep a run is a point, which nothing else in its bundle could tell."""
    if config.sweep is not None:
        told = read_json(config.sweep)
        return {"file": told["file"], "keys": told["keys"], "points": len(told["points"])}
    if "WANDB_SWEEP_ID" in os.environ:  # one of its agents' points: how many there are, W&B knows
        return {"file": f"W&B {os.environ['WANDB_SWEEP_ID']}", "keys": None, "points": None}
    return None


def group_of(run: Run) -> str | None:
    """Return the name that the W&B runs of a run that was begun before share; None of a new one.

    Raises:
        UsageError: If the output holds a run on another copy of the corpus, or with other code.
    """
    output = run.config.output
    if not (output / "environment.json").is_file():
        return None
    before = read_json(output / "environment.json")
    if before["corpus"]["fingerprint"] != run.store.fingerprint(run.corpus):
        raise UsageError(
            f"{output} holds a run on other videos, subjects or labels than those of "
            "data.root; choose another folder with --output DIR, or remove this one"
        )
    for key, one in run.plugs.items():
        if before.get("plugs", {}).get(key) != one:
            raise UsageError(
                f"{output} holds a run with another source of {key} "
                f"({one['class_path']}): its file has changed since. Choose another folder "
                "with --output DIR, or remove this one"
            )
    return str(before["group"])


def write_environment(run: Run) -> str:
    """Write ``environment.json`` of a new run; return the name that its W&B runs share."""
    config = run.config
    name = config.output.name
    if name in run_folders(config.output.parent):  # which says little by itself
        name = f"{config.output.parent.name}-{name}"
    group = f"{name}-{secrets.token_hex(3)}"
    entries = [run.store.entry(c.name) for c in run.corpus.clips if c.excluded is None]
    write_json(
        config.output / "environment.json",
        {
            **made_with(),
            "seed": config.protocol.seed,
            "decoder": dict(Counter(e.decoder for e in entries if e.decoder)),
            "plugs": run.plugs,
            "sweep": _sweep(config),
            "group": group,
            "store": run.store.directory.name,
            "corpus": {
                "name": run.corpus.name,
                "classes": list(run.corpus.classes),
                "clips": len(run.corpus.clips),
                "fingerprint": run.store.fingerprint(run.corpus),
                **({} if run.corpus.subjects_known else {"unit": "clip"}),
            },
        },
    )
    return group


def gather_environments(output: Path) -> None:
    """List in ``environment.json`` with what each stage of each fold and the final model was made.

    They differ where folds were run on several machines, or an interrupted run was resumed with
    other versions. Stages that were made with the same are together.
    """
    groups: dict[str, dict[str, Any]] = {}
    found = [
        *output.glob("fold-*/**/environment.json"),
        *output.glob(f"{FINAL}/*/environment.json"),
    ]
    for path in sorted(found):
        one = read_json(path)
        stages = groups.setdefault(key_of(one), {"stages": [], **one})["stages"]
        stages.append(path.parent.relative_to(output).as_posix())
    record = read_json(output / "environment.json")
    write_json(output / "environment.json", record | {"made_with": list(groups.values())})
