"""Classes of one's own in a config: named by ``class_path`` and ``init_args``, found, made.

A class may live anywhere that Python imports from, the current folder among it. `docs/extending.md`
has the contracts.
"""

import difflib
import inspect
import sys
from argparse import ArgumentError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

Named = str | dict[str, Any]
"""A class in a config: its import path, or ``{"class_path": …, "init_args": {…}}``."""


class PlugError(ValueError):
    """A class of one's own that cannot be used; the message names the config key and the class."""


@dataclass(frozen=True)
class Plug:
    """A class of one's own.

    Attributes:
        key: The config key that names it, such as ``model.backbone``.
        class_path: Its import path: a class, or a function that returns an object.
        init_args: Its arguments by name.
    """

    key: str
    class_path: str
    init_args: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.key}: {self.class_path}"


def normal(key: str, named: Named | None) -> dict[str, Any] | None:
    """Write a named class in full; arguments beside ``class_path`` go into ``init_args``.

    Raises:
        PlugError: If there is no ``class_path``.
    """
    if named is None:
        return None
    parts = {"class_path": named} if isinstance(named, str) else dict(named)
    path, arguments = parts.pop("class_path", None), parts.pop("init_args", None) or {}
    if not isinstance(path, str) or "." not in path or not isinstance(arguments, Mapping):
        raise PlugError(
            f"{key} is {named}; give class_path, such as mymodule.MyClass, and init_args"
        )
    return {"class_path": path, "init_args": {**arguments, **parts}}


def plug(key: str, named: Named | None) -> Plug | None:
    """Return the class that a config names under a key; None for none."""
    full = normal(key, named)
    return None if full is None else Plug(key, **full)


def load(one: Plug) -> Callable[..., Any]:
    """Import a class.

    Raises:
        PlugError: If it cannot be imported, or is nothing that can be called.
    """
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):  # ``python -m`` has it there, a console script has not
        sys.path.insert(0, here)
    module, _, name = one.class_path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise PlugError(f"{one} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise PlugError(f"{one} is {type(found).__name__}; it must be a class or a function")
    return found  # type: ignore[no-any-return]


def _check_names(one: Plug, parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse arguments that a class does not take.

    Raises:
        PlugError: Naming one, which may be meant, and all there are.
    """
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in one.init_args:
        if name not in parameters:
            near = difflib.get_close_matches(name, parameters, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise PlugError(
                f"{one} takes no argument {name}{meant}; init_args may have "
                f"{', '.join(parameters) or 'none'}"
            )


def make(one: Plug, **given: Any) -> Any:  # noqa: ANN401 - whatever the class is
    """Make an object of a class, its ``init_args`` checked against its signature and types.

    Args:
        one: Which class.
        given: Arguments that the contract gives and a config therefore may not.

    Raises:
        PlugError: If an argument is unknown, missing or of another type, or the class refuses.
    """
    from jsonargparse import ArgumentParser  # takes a while, and is needed by few runs

    found = load(one)
    unknown = set(one.init_args) & set(given)
    if unknown:
        raise PlugError(f"{one}: {', '.join(sorted(unknown))} is given by vfer, not by init_args")
    parameters = inspect.signature(found).parameters
    _check_names(one, parameters)
    if not set(given) <= set(parameters):
        raise PlugError(f"{one} must take the arguments {', '.join(given)} by name")
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in {**given, **one.init_args}
    ]
    if missing:
        raise PlugError(f"{one} also needs {', '.join(missing)}: give it in init_args")
    parser = ArgumentParser(exit_on_error=False)
    add = parser.add_class_arguments if inspect.isclass(found) else parser.add_function_arguments
    try:
        add(found, fail_untyped=False, skip=set(given))
        parsed = parser.instantiate(parser.parse_object(one.init_args))
        return found(**given, **vars(parsed))
    except (ArgumentError, TypeError, ValueError) as error:
        raise PlugError(f"{one}: {' '.join(str(error).split())}") from error
    except (Exception, SystemExit) as error:  # whatever the user's class raises
        raise PlugError(f"{one} cannot be made: {type(error).__name__}: {error}") from error


def identity(one: Plug) -> dict[str, Any]:
    """Return what tells a class from another: path, arguments, SHA-256 of its source file.

    What the source file imports is not in the hash.
    """
    found = load(one)
    try:
        source = inspect.getsourcefile(found)
    except TypeError:  # compiled
        source = None
    digest = None if source is None else sha256(Path(source).read_bytes()).hexdigest()
    return {"class_path": one.class_path, "init_args": one.init_args, "source": digest}
