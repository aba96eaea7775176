"""``python -m vfer.fit``: prepare, train the stages on each fold, score, write the bundle.

Interrupted and run again with the same output, it resumes at the fold and stage it had reached.
"""

import logging
import sys
import warnings
from collections.abc import Iterable

from vfer.config.parser import parse
from vfer.config.ranges import check_groups
from vfer.fit.output import runs_of
from vfer.prepare.corpus import check_root
from vfer.runtime.console import make_console, run_command


def main(argv: Iterable[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = None if argv is None else list(argv)

    def command() -> None:
        config = parse("vfer.fit", arguments)
        check_groups(config)
        runs = [] if "plan" in config.options else runs_of(config)
        if runs or config.data.root is not None:
            check_root(config.data)
        # Lightning and torch take seconds: not before it is known that there is work for them.
        from vfer.fit.command import fit
        from vfer.fit.parallel import fit_in_parallel
        from vfer.fit.planning import print_plan

        # Lightning says at every trainer what devices there are, and that a stage has ended.
        logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
        # Lightning 2.6 calls what torch 2.15 deprecates; nothing a user could do about it.
        warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec", FutureWarning)
        if not runs:
            print_plan(config, make_console())
        elif config.folds_in_parallel > 1:
            fit_in_parallel(config, runs, arguments or sys.argv[1:], make_console())
        else:
            fit(config, runs, make_console())

    return run_command(command, arguments)
