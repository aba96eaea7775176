"""What a run was made with: versions, device, commit, corpus."""

import os
import platform
import secrets
import subprocess
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from vfer.config.tree import Config
from vfer.fit.run import Run
from vfer.results import bundle
from vfer.runtime.console import UsageError
from vfer.runtime.files import key_of, read_json, write_json

_PACKAGES = (
    "vfer", "torch", "torchvision", "pytorch-lightning", "kornia", "numpy",
    "scikit-learn", "facenet-pytorch", "decord", "av", "wandb",
)  # fmt: skip


def _commit() -> str | None:
    """Return the git commit of the code, ``+`` where files differ from it; None outside git."""
    here = Path(__file__).parents[1]  # all of vfer/

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", str(here)) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def made_with() -> dict[str, Any]:
    """Return what a stage that is trained now is made with: versions, device, threads, commit."""
    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _sweep(config: Config) -> dict[str, Any] | None:
    """Return of which sweep a run is a point, which nothing else in its bundle could tell."""
    if config.sweep is not None:
        told = read_json(config.sweep)
        return {"file": told["file"], "keys": told["keys"], "points": len(told["points"])}
    if "WANDB_SWEEP_ID" in os.environ:  # one of its agents' points: how many there are, W&B knows
        return {"file": f"W&B {os.environ['WANDB_SWEEP_ID']}", "keys": None, "points": None}
    return None


def write_environment(run: Run) -> str:
    """Write ``environment.json`` at the first call of a run; later calls leave it as it is.

    Returns:
        The name that the bundle's W&B runs share.

    Raises:
        UsageError: If the output holds a run on another copy of the corpus.
    """
    config, path = run.config, run.config.output / "environment.json"
    fingerprint = run.store.fingerprint(run.corpus)
    name = config.output.name
    if name in bundle.seed_folders(config.output.parent):  # which says little by itself
        name = f"{config.output.parent.name}-{name}"
    group = f"{name}-{secrets.token_hex(3)}"
    if path.is_file():
        before = read_json(path)
        group = before["group"]
        if before["corpus"]["fingerprint"] != fingerprint:
            raise UsageError(
                f"{config.output} holds a run on other videos, subjects or labels than those of "
                "data.root; choose another folder with --output DIR, or remove this one"
            )
        for key, one in run.plugs.items():
            if before.get("plugs", {}).get(key) != one:
                raise UsageError(
                    f"{config.output} holds a run with another source of {key} "
                    f"({one['class_path']}): its file has changed since. Choose another folder "
                    "with --output DIR, or remove this one"
                )
        return str(group)
    entries = [run.store.entry(c.name) for c in run.corpus.clips if c.excluded is None]
    write_json(
        path,
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
                "fingerprint": fingerprint,
            },
        },
    )
    return group


def gather_environments(output: Path) -> None:
    """List in ``environment.json`` with what each stage of each fold was made.

    They differ where folds were run on several machines, or an interrupted run was resumed with
    other versions. Stages that were made with the same are together.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path in sorted(output.glob("fold-*/**/environment.json")):
        one = read_json(path)
        stages = groups.setdefault(key_of(one), {"stages": [], **one})["stages"]
        stages.append(path.parent.relative_to(output).as_posix())
    record = read_json(output / "environment.json")
    write_json(output / "environment.json", record | {"made_with": list(groups.values())})
