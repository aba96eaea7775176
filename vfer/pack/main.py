"""``python -m vfer.pack --run DIR FOLDER``: make a model folder with a card, to copy or publish.

It holds what ``vfer.predict`` needs of a bundle and ``README.md``, a model card as the Hugging Face
Hub reads it. Exit status: 0 done, 1 the bundle does not verify, 2 the command line or the bundle is
wrong.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vfer.predict.options import add_model, check_run, command_parser
from vfer.runtime.console import make_console, run_command

_EXAMPLES = """\
examples:
  vfer pack --run runs/enterface models/enterface --fold final
  vfer predict --run models/enterface interview.mp4
  hf upload NAME/enterface models/enterface .

What is in the folder: docs/publishing.md. Exit status: 0 done, 1 the bundle does not verify, 2 the
command line or the bundle is wrong."""


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "vfer.pack",
        "Make a model folder of a result bundle: configuration, weights, and a card "
        "with what was measured. It can be copied alone, used by vfer.predict, and uploaded.",
        _EXAMPLES,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the model folder; a new one")
    add_model(
        parser,
        "only one model: of fold K, or final, the one that fit --final has trained on all "
        "subjects; default: those of all folds, and the final one where there is one",
    )
    parser.add_argument(
        "--license", metavar="ID",
        help="the licence that you give the model, by the Hub's identifier (mit, cc-by-nc-sa-4.0 "
        "…); default: other, and the card says what to look at before one is chosen",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = _parser().parse_args(argv)

    def command() -> None:
        check_run(given.run)
        from vfer.pack.folder import check_folder, check_license, pack

        check_license(given.license)
        check_folder(given.folder)
        pack(given.run, given.folder, given.fold, given.license, make_console())

    return run_command(command, argv)
