"""The config's dotted keys, their types, and which of them may change a number."""

from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from vfer.config.tree import PARTS

# Keys that change how fast or where, but no number: free to differ when a run is resumed. Whether
# the corpus at another root is the same is seen from its fingerprint.
_FREE = (
    "config_version",
    "data.root",
    "data.cache",
    "data.workers",
    "data.decode_timeout",
    "data.loaders",
    "data.residency",
    "logger.",
    "stages.checkpoint_every",
    "stages.cache",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.profile",
)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config's values by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the dotted keys in which two configs differ, without those that change no number."""
    a, b = flatten(ours), flatten(theirs)
    return sorted(
        key for key in a.keys() | b.keys() if a.get(key) != b.get(key) and not key.startswith(_FREE)
    )


def alternatives(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type hint
    """Return the members of a union, or the one type that it is."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def key_types(parts: dict[str, Any] = PARTS, prefix: str = "") -> dict[str, Any]:
    """Return the type of every key of the config tree, by its name in files (``from``)."""
    found: dict[str, Any] = {}
    for name, hint in parts.items():
        key = prefix + name.removesuffix("_")
        found[key] = hint
        for kind in alternatives(hint):
            if is_dataclass(kind):
                found |= key_types(get_type_hints(kind), f"{key}.")
    return found
