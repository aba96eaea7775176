"""Weights & Biases and TensorBoard beside the CSV logger; neither ever stops a run.

Of W&B each fold has a run, and the whole one more, all in one group.
"""

import netrc
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from vfer.config.tree import LoggerConfig
from vfer.results.tables import ClipResult
from vfer.runtime.ranks import rank

WHOLE = "losgo"
"""Name of the run that holds the figures of all folds."""

_AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")
_PATIENCE = 30  # seconds to wait for W&B before a run is begun offline
_UPLOAD = 300  # seconds to wait at a run's end for what is not uploaded yet


def resolve_mode(config: LoggerConfig) -> str:
    """Return ``online``, ``offline`` or ``disabled``.

    ``auto`` follows ``WANDB_MODE`` where it is set; else it is online with a login and offline
    without one: left to itself, W&B without a login would ask, or fail.
    """
    if config.wandb != "auto":
        return config.wandb
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    given = os.environ.get("WANDB_BASE_URL")
    servers = (given,) if given else (wandb.Settings().base_url, "https://api.wandb.ai")
    try:
        logins = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return "offline"
    return "online" if any(urlparse(server).hostname in logins for server in servers) else "offline"


class _Once:
    """A Lightning logger that does not log a step twice when a stage is resumed.

    Attributes:
        logged: The last step that was logged before an interruption.
    """

    logged = -1

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log, unless it has been done."""
        if step is None or step > self.logged:
            super().log_metrics(metrics, step)  # type: ignore[misc]


class StageLogger(_Once, WandbLogger):
    """Lightning's W&B logger, whose metrics are named ``<stage>/…``."""

    LOGGER_JOIN_CHAR = "/"


class BoardLogger(_Once, TensorBoardLogger):
    """Lightning's TensorBoard logger."""


def _warn(said: str, error: Exception, files: Path) -> None:
    why = str(error).strip().splitlines()[:1] or [type(error).__name__]
    print(f"W&B: {said} ({why[0]}); upload it later with: wandb sync {files}", file=sys.stderr)


Logger = StageLogger | BoardLogger


class Tracker:
    """The W&B runs of one bundle, and its TensorBoard; does nothing where they are off.

    Of several processes only the first has any. Where W&B cannot be reached, runs go on offline.
    Under a sweep's agent, which names one run for the process, that run is the one of the whole.

    Args:
        config: The logger config.
        output: The bundle's folder; the files are in ``wandb/`` and ``tensorboard/`` there.
        group: The name that the bundle's runs share.
        tree: The whole config, shown with each run.
    """

    def __init__(
        self, config: LoggerConfig, output: Path, group: str, tree: Mapping[str, Any]
    ) -> None:
        self.mode = resolve_mode(config) if rank() == 0 else "disabled"
        self.board = config.tensorboard and rank() == 0
        self.project, self.output, self.group, self.tree = config.project, output, group, tree
        # Else W&B would give every run the agent's id.
        agent = _AGENT if "WANDB_SWEEP_ID" in os.environ else ()
        self.agent = {name: os.environ.pop(name) for name in agent if name in os.environ}

    def start(self, name: str) -> Any:  # noqa: ANN401 - wandb's run, or None
        """Begin the run of a fold, or of the `WHOLE`, or resume it."""
        own: dict[str, Any] = {
            "project": self.project,
            "id": re.sub(r"[^\w.-]", "-", f"{self.group}-{name}"),
        }
        if name == WHOLE and self.agent:
            wandb.teardown()  # it has read the environment without them
            os.environ.update(self.agent)
            own = {}
        while self.mode != "disabled":
            if self.mode != "online":  # else W&B's own process reports on itself to a host
                os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
            try:
                return wandb.init(
                    **own,
                    group=self.group,
                    name=f"{self.group} {name}",
                    resume="allow" if self.mode == "online" else None,
                    mode=self.mode,  # type: ignore[arg-type]
                    dir=self.output,
                    config=dict(self.tree),
                    settings=wandb.Settings(
                        silent=True,
                        console="off",
                        init_timeout=_PATIENCE,
                        finish_timeout=_UPLOAD,
                        finish_timeout_raises=True,
                    ),
                )
            except Exception as error:  # whatever it is, the training is worth more than its log
                offline = self.mode in ("offline", "dryrun")
                self.mode = "disabled" if offline else "offline"
                wandb.teardown()  # else the run's id counts as taken
                files = self.output / "wandb" / "offline-run-*"
                _warn(f"not reached, the log goes on {self.mode}", error, files)
        return None

    def stage_loggers(
        self,
        run: Any,  # noqa: ANN401
        fold: str,
        stage: str,
    ) -> list[Logger]:
        """Return Lightning's loggers of one stage of a fold, which is named by its folder."""
        loggers: list[Logger] = []
        if run is not None:
            loggers.append(StageLogger(experiment=run, prefix=stage, log_model=False))
        if self.board:
            place = self.output / "tensorboard"
            loggers.append(BoardLogger(place, name=fold, version=stage))
        return loggers

    def finish(
        self,
        run: Any,  # noqa: ANN401
        figures: Mapping[str, float],
        clips: Sequence[ClipResult],
        classes: Sequence[str],
        pictures: Mapping[str, Path] | None = None,
    ) -> None:
        """End a run with its figures, its confusion matrix and pictures.

        Args:
            run: Of `start`.
            figures: By the names that they have in the run's summary.
            clips: The rows that the figures are of; misses are not in the matrix. Without any
                there is none.
            classes: In the order of every probability vector.
            pictures: PNG files.
        """
        if run is None:
            return
        scored = [clip for clip in clips if clip.probabilities is not None]
        matrix = {}
        if scored:
            matrix["confusion"] = wandb.plot.confusion_matrix(
                y_true=[classes.index(clip.label) for clip in scored],
                preds=[classes.index(clip.prediction(classes) or "") for clip in scored],
                class_names=list(classes),
            )
        images = {name: wandb.Image(str(path)) for name, path in (pictures or {}).items()}
        try:
            run.log({**figures, **matrix, **images})
            run.finish()
        except Exception as error:  # as in `start`
            _warn("not all is uploaded", error, self.output / "wandb" / "run-*")
