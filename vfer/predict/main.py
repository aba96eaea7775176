"""``python -m vfer.predict --run DIR VIDEO…``: say which emotion is shown when, and by whom.

Files, folders and patterns; interrupted and run again, finished videos are not done again. Exit
status: 0 done, 1 a video could not be read, 2 the command line or the bundle is wrong, 130
interrupted.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from vfer.predict.options import add_model, add_trust_code, check_run, command_parser
from vfer.predict.settings import Cam, Settings
from vfer.runtime.console import UsageError, run_command

_EXAMPLES = """\
examples:
  vfer predict --run runs/demo clip.mp4
  vfer predict --run runs/demo holiday/ 'talks/*.mov' --json out.json --csv out.csv
  vfer predict --run runs/demo clip.mp4 --overlay drawn/ --html page/
  vfer predict --run runs/enterface interview.mp4 --fold 0 --main-face --step 0.25 --abstain 0.6

What the fields of JSON and CSV mean: docs/predict.md. Exit status: 0 done, 1 a video could not be
read, 2 the command line or the bundle is wrong, 130 interrupted."""


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "vfer.predict",
        "Say which emotion is shown in videos, when, and by which face.",
        _EXAMPLES,
    )
    parser.add_argument(
        "videos", metavar="VIDEO", nargs="*",
        help="a file, a folder (all videos below it), or a pattern such as 'talks/*.mov'",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", type=int, metavar="N", default=0,
        help="instead of videos: N clips of the bundle's own corpus, each by the model that has "
        "not seen its subject",
    )  # fmt: skip
    model = parser.add_argument_group("the model")
    add_model(
        model,
        "one fold's model, or final, the one that fit --final has trained on all subjects; by "
        "default the mean of all folds' models, which takes as many times longer",
    )
    model.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 …; default: a GPU where there is one"
    )
    add_trust_code(model)
    said = parser.add_argument_group("what is said")
    said.add_argument(
        "--step", default="0.5",
        help="from a window to the next: seconds (0.25) or frames (6f); default 0.5",
    )  # fmt: skip
    said.add_argument(
        "--abstain", type=float, metavar="P",
        help="leave windows undecided in which no class is as probable as P, 0 to 1",
    )  # fmt: skip
    said.add_argument(
        "--main-face", action="store_true", help="only the main face; default: all faces"
    )
    said.add_argument(
        "--keep-rate", action="store_true",
        help="do not resample a video to the frame rate of the training videos",
    )  # fmt: skip
    said.add_argument(
        "--explain", action="store_true",
        help="say what carried each decision: frames, stream, regions of the face; in all of the "
        "below, and takes more than twice as long",
    )  # fmt: skip
    said.add_argument(
        "--cam", choices=get_args(Cam), default="hirescam",
        help="how regions are found; default hirescam, which finds them better in AlexNet",
    )  # fmt: skip
    out = parser.add_argument_group("where it goes")
    out.add_argument("--json", type=Path, metavar="FILE", help="everything, as JSON")
    out.add_argument("--csv", type=Path, metavar="FILE", help="a row a window and face, as CSV")
    out.add_argument(
        "--overlay", type=Path, metavar="DIR",
        help="of each video an mp4 with boxes, probabilities and a timeline drawn into it, and the "
        "timeline as a PNG",
    )  # fmt: skip
    out.add_argument(
        "--html", type=Path, metavar="DIR",
        help="a page to watch the videos on, with the curves of each face: DIR/index.html, which "
        "needs no network; it keeps the videos that it has already",
    )  # fmt: skip
    out.add_argument(
        "--cache", type=Path, metavar="DIR", default=Path("cache", "predict"),
        help="where finished videos are kept, which are not done again; default cache/predict",
    )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = _parser().parse_args(argv)

    def command() -> None:
        check_run(given.run)
        if given.held_out < 0:
            raise UsageError(f"--held-out is {given.held_out}; give a number of clips, at least 1")
        if bool(given.videos) == bool(given.held_out):
            raise UsageError("give videos, or clips of the corpus by --held-out N, and not both")
        if given.held_out and given.fold is not None:
            raise UsageError(
                f"--fold is {given.fold}, and --held-out takes of each clip the fold that tests it"
            )
        settings = Settings(
            given.step, given.abstain, given.main_face, given.keep_rate, given.explain, given.cam
        )
        from vfer.predict.inputs import check_outputs, find_videos

        videos = find_videos(given.videos)
        files, folders = (
            {f"--{option}": path for option in options if (path := getattr(given, option))}
            for options in (("json", "csv"), ("overlay", "html"))
        )
        check_outputs(files, folders, videos)
        # torch takes seconds: not before it is known that there is work for it
        from vfer.predict.command import Request, predict_videos

        predict_videos(
            Request(
                videos=videos,
                run=given.run,
                fold=given.fold,
                device=given.device,
                trust_code=given.trust_code,
                settings=settings,
                cache=given.cache,
                json=given.json,
                csv=given.csv,
                overlay=given.overlay,
                html=given.html,
                held_out=given.held_out,
            )
        )

    return run_command(command, argv)
