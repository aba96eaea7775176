"""What this process computes with: versions, device, threads, commit."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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
    """Return what is made now is made with: versions, device, threads, commit."""
    import torch  # whoever asks has it loaded

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }
