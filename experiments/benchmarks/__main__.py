"""``python -m experiments.benchmarks``: list the benchmarks, with a line of each."""

import ast
from pathlib import Path


def main() -> None:
    """Print the list."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"python -m experiments.benchmarks.{path.stem:<10} {said.splitlines()[0]}")


if __name__ == "__main__":
    main()
