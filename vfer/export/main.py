"""``python -m vfer.export --run DIR FILE.onnx``: write a trained model as one ONNX graph.

From windows of face crops to calibrated probabilities, optical flow inside; onnxruntime runs it
without this package (docs/export.md). It is written when onnxruntime has said the same as torch.
Exit status: 0 done, 1 the work failed, 2 the command line or the bundle is wrong, 130 interrupted.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vfer.predict.options import add_model, add_trust_code, check_run, command_parser
from vfer.runtime.console import UsageError, run_command

NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""What the extra ``export`` brings."""

_EXAMPLES = """\
examples:
  vfer export --run runs/demo demo.onnx
  vfer export --run runs/enterface enterface-fold0.onnx --fold 0 --int8

How the file is used without this package: docs/export.md. Exit status: 0 done, 1 the work failed,
2 the command line or the bundle is wrong, 130 interrupted."""


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "vfer.export",
        "Write a trained model as one ONNX graph: face crops to probabilities.",
        _EXAMPLES,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE.onnx", help="is written; replaced if there"
    )
    add_model(
        parser,
        "one fold's model, or final; by default the mean of all folds' models, in one graph",
    )
    parser.add_argument(
        "--int8", action="store_true",
        help="layers of weights alone in 8 bits: a quarter of the size, for the accuracy that is "
        "then measured out of fold, where the crops are at hand",
    )  # fmt: skip
    parser.add_argument(
        "--clips", type=int, metavar="N", default=40,
        help="with --int8: clips of each fold by which the accuracy is measured, evenly spaced "
        "among its test clips; 0 measures nothing; default 40",
    )  # fmt: skip
    add_trust_code(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = _parser().parse_args(argv)

    def command() -> None:
        check_run(given.run)
        if given.file.suffix != ".onnx" or given.file.is_dir():
            raise UsageError(f"FILE is {given.file}; give a file whose name ends in .onnx")
        if given.clips < 0:
            raise UsageError(f"--clips is {given.clips}; it must be at least 0")
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"export needs {', '.join(missing)}: pip install 'vfer[export]' brings it"
            )
        # torch takes seconds: not before it is known that there is work for it
        from vfer.export.command import Request, export_model

        export_model(
            Request(
                file=given.file,
                run=given.run,
                fold=given.fold,
                int8=given.int8,
                clips=given.clips,
                trust_code=given.trust_code,
            )
        )

    return run_command(command, argv)
