"""``python -m vfer.prepare``: render what is built in, and fill the crop store.

Interrupted and run again, it resumes with the clips that are missing.
"""

from collections.abc import Iterable

from vfer.config.parser import parse
from vfer.prepare.corpus import check_root
from vfer.runtime.console import make_console, run_command
from vfer.runtime.pool import launched


def main(argv: Iterable[str] | None = None) -> int:
    """Run the command; return its exit status."""
    fits = True

    def command() -> None:
        nonlocal fits
        config = parse("vfer.prepare", argv)
        check_root(config.data)
        # torch takes seconds: not before it is known that there is work for it.
        from vfer.prepare.check import check_copy
        from vfer.prepare.corpus import open_corpus
        from vfer.prepare.fill import fill, print_usable
        from vfer.prepare.sheets import write_sheets

        console = make_console()
        if "check" in config.options:
            fits = check_copy(config.data, config.options, console)
            return
        corpus = open_corpus(config.data, console)
        share = launched()
        store = fill(corpus, config.data, console, share)
        if share[0] == 0:
            print_usable(corpus, store, config.data, console)
            if config.sheets is not None:
                files = write_sheets(config.sheets, corpus, store, config.data.faces)
                console.print(f"{len(files)} contact sheets in {config.sheets}")

    return run_command(command, argv) or int(not fits)
