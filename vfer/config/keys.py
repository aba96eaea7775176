"""The config's dotted keys, and which of them may change a number."""

from typing import Any

# Keys that change how fast or where, but no number: free to differ when a run goes on. Whether the
# corpus at another root is the same is seen from its fingerprint.
_FREE = (
    "data.root",
    "data.cache",
    "data.workers",
    "data.decode_timeout",
    "data.loaders",
    "logger.",
    "stages.checkpoint_every",
    "stages.cache",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys of a nested config."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The dotted keys in which two configs differ, those left out that change no number."""
    a, b = flatten(ours), flatten(theirs)
    return sorted(
        key for key in a.keys() | b.keys() if a.get(key) != b.get(key) and not key.startswith(_FREE)
    )
