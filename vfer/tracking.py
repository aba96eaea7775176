"""Weights & Biases beside the CSV logger: one run a fold in one group, and one for the whole."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from pytorch_lightning.loggers import WandbLogger

from vfer.config import LoggerConfig
from vfer.processes import rank


def resolve_mode(config: LoggerConfig) -> str:
    """``online``, ``offline`` or ``disabled``.

    ``auto`` follows ``WANDB_MODE`` where it is set; else it is online with a login and offline
    without one: left to itself, W&B without a login would ask, or fail.
    """
    if config.wandb != "auto":
        return config.wandb
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    try:
        known = netrc.netrc().authenticators(host or "")
    except (FileNotFoundError, netrc.NetrcParseError):
        known = None
    return "online" if known else "offline"


class StageLogger(WandbLogger):
    """Lightning's W&B logger, which does not log a step twice when a stage is gone on with.

    Attributes:
        logged: The last step that was logged before an interruption.
    """

    logged = -1

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log, unless it has been done."""
        if step is None or step > self.logged:
            super().log_metrics(metrics, step)


class Tracker:
    """The W&B runs of one bundle; does nothing when W&B is disabled.

    Of several processes only the first has any.

    Args:
        config: The logger config.
        output: The bundle's folder; W&B keeps its files in ``wandb/`` there.
        group: The name that the bundle's runs share.
        tree: The whole config, shown with each run.
    """

    def __init__(
        self, config: LoggerConfig, output: Path, group: str, tree: Mapping[str, Any]
    ) -> None:
        self.mode = resolve_mode(config) if rank() == 0 else "disabled"
        self.project, self.output, self.group, self.tree = config.project, output, group, tree

    def start(self, name: str) -> Any:  # noqa: ANN401 - wandb's run, or None
        """Begin the run of a fold, or of the whole (``losgo``), or go on with it."""
        if self.mode == "disabled":
            return None
        return wandb.init(
            project=self.project,
            group=self.group,
            name=f"{self.output.name} {name}",
            id=f"{self.group}-{name}",
            resume="allow" if self.mode == "online" else None,
            mode=self.mode,  # type: ignore[arg-type]
            dir=self.output,
            config=dict(self.tree),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def stage_logger(self, run: Any, stage: str) -> list[StageLogger]:  # noqa: ANN401
        """Lightning's logger of one stage, its metrics named ``<stage>/…``."""
        return [] if run is None else [StageLogger(experiment=run, prefix=stage, log_model=False)]

    def finish(self, run: Any, summary: Mapping[str, float]) -> None:  # noqa: ANN401
        """End a run with its summary figures."""
        if run is not None:
            run.summary.update(dict(summary))
            run.finish()
