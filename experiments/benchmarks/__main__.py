"""``python -m experiments.benchmarks``: one table; ``--list`` names those of single parts."""

import ast
import os
import sys
from pathlib import Path


def list_all() -> None:
    """Print the benchmarks of single parts, with a line of each."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        if path.stem != "table":
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            print(f"python -m experiments.benchmarks.{path.stem:<10} {said.splitlines()[0]}")


def main() -> None:
    """Print the table, or the list."""
    if "--list" in sys.argv[1:]:
        list_all()
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the commands do
    from experiments.benchmarks.table import main as print_table

    print_table()


if __name__ == "__main__":
    main()
