"""What this process computes with: versions, machine, threads, commit."""

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


def _processor() -> str:
    """Return the processor's name and the instructions that torch takes: they decide last bits."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    told = next((line.partition(":")[2].strip() for line in lines if "model name" in line), name)
    return f"{told}, {torch.backends.cpu.get_cpu_capability()}"


def made_with() -> dict[str, Any]:
    """Return what is made now is made with: versions, machine, threads, commit."""
    import torch  # whoever asks has it loaded

    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }
