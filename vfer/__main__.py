"""``vfer COMMAND …``, the same as ``python -m vfer.COMMAND …``; alone, the list of commands."""

import ast
import difflib
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def commands() -> dict[str, tuple[str, str]]:
    """Find the commands without importing them: modules whose first line names how they are run.

    Returns:
        Of each command its module and what it does.
    """
    here = Path(__file__).parent
    found = {}
    for path in sorted([*here.glob("*.py"), *here.glob("*/main.py")]):
        name = path.parent.name if path.stem == "main" else path.stem
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        line = text.partition("\n")[0]
        if f"python -m vfer.{name}" in line:
            does = re.sub(r"(: )?``python -m [^`]*``(: )?", "", line).removesuffix(".")
            module = ".".join(path.relative_to(here).with_suffix("").parts)
            found[name] = (f"vfer.{module}", does[:1].lower() + does[1:])
    return dict(sorted(found.items()))


def _overview() -> str:
    """Return the commands, a line each, and where a newcomer begins."""
    lines = (f"  vfer {name:<9} {does}" for name, (_, does) in commands().items())
    return "\n".join(
        [
            "Video-based facial expression recognition (Pan et al. 2019), from video files to",
            "numbers that others can check.",
            "",
            *lines,
            "",
            "vfer COMMAND --help explains a command; python -m vfer.COMMAND is the same one.",
            "",
            "New here? This draws a corpus, trains on it and scores it, in about ten minutes:",
            "",
            "  vfer fit --config configs/demo.yaml",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command by its name; return its exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"vfer {version('vfer')}")
        return 0
    found = commands()
    if words[0] not in found:
        near = difflib.get_close_matches(words[0], found, n=1)
        meant = f"did you mean vfer {near[0]}?" if near else f"there are {', '.join(found)}"
        print(f"error: vfer has no command {words[0]!r}; {meant}", file=sys.stderr)
        return 2
    status: int = import_module(found[words[0]][0]).main(words[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
