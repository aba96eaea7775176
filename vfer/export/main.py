"""``python -m vfer.export --run DIR FILE.onnx``: write a trained model as one ONNX graph.

From windows of face crops to calibrated probabilities, optical flow inside; onnxruntime runs it
without this package (docs/export.md). It is written when onnxruntime has said the same as torch.
Exit status: 0 done, 1 the work failed, 2 the command line or the bundle is wrong, 130 interrupted.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vfer.predict.main import fold_of
from vfer.runtime.console import UsageError, program, run_command

NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""What the extra ``export`` brings."""

_EXAMPLES = """\
examples:
  vfer export --run runs/demo demo.onnx
  vfer export --run runs/enterface enterface-fold0.onnx --fold 0 --int8

How the file is used without this package: docs/export.md. Exit status: 0 done, 1 the work failed,
2 the command line or the bundle is wrong, 130 interrupted."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program("vfer.export"),
        description="Write a trained model as one ONNX graph: face crops to probabilities.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE.onnx", help="is written; replaced if there"
    )
    parser.add_argument(
        "--run", type=Path, metavar="DIR", required=True, help="the bundle that vfer fit has left"
    )
    parser.add_argument(
        "--fold", type=fold_of, metavar="K",
        help="one fold's model, or final; by default the mean of all folds' models, in one graph",
    )  # fmt: skip
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
    parser.add_argument(
        "--trust-code", action="store_true",
        help="import the classes that the bundle names (a backbone of somebody's own, say): this "
        "runs their code",
    )  # fmt: skip
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = _parser().parse_args(argv)

    def command() -> None:
        if not given.run.is_dir():
            raise UsageError(f"--run is {given.run}, which is no folder; vfer fit leaves one")
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
