"""What is known of each clip beside its scores: ``clips.csv``, and its checks.

It says which video stands behind a name, so that nobody can be tested on a video that was trained
on under another name, and what groups of people can be told apart.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vfer.results.checks import Difference
from vfer.results.schema import read_stage
from vfer.results.tables import ClipResult, Layout, Tables


@dataclass(frozen=True)
class ClipFacts:
    """One clip of the corpus.

    Attributes:
        clip: Its name, unique in its corpus.
        gender: ``female`` or ``male``, or empty where the corpus does not say.
        sentence: What is said, likewise.
        video: SHA-256 of its video file; empty where it is excluded or could not be opened.
        decoder: Which read it; empty as ``video``.
        frames: Frames decoded, 0 likewise.
        fps: Frames a second, 0 likewise.
    """

    clip: str
    gender: str
    sentence: str
    video: str
    decoder: str
    frames: int
    fps: float


GENDERS = {"female", "male", ""}
CLIPS = Layout(
    "clips.csv",
    ClipFacts,
    ("clip", "gender", "sentence", "video", "decoder", "frames", "fps"),
    scored=False,
)


def find_clips(directory: Path) -> tuple[ClipFacts, ...] | None:
    """Read ``clips.csv`` of a bundle; None of one that an earlier version made without.

    Raises:
        ValueError: As `read_clips`.
    """
    return read_clips(directory) if (directory / CLIPS.name).is_file() else None


def read_clips(directory: Path) -> tuple[ClipFacts, ...]:
    """Read ``clips.csv`` of a bundle.

    Raises:
        ValueError: Its columns or cells are not as they should be; the message names them.
        FileNotFoundError: There is none.
    """
    return CLIPS.read(directory, ())


def write_clips(directory: Path, facts: Sequence[ClipFacts]) -> None:
    """Write ``clips.csv``, in the order of the clips' names."""
    CLIPS.write(directory, sorted(facts, key=lambda one: one.clip), ())


def check_clips(facts: Sequence[ClipFacts], tables: Tables) -> Iterator[Difference]:
    """Check that the clips are those of ``predictions.csv``, videos their own, genders one each."""
    rows = {row.clip: row for row in tables.clips}
    names = [one.clip for one in facts]
    if names != sorted(rows):
        differing = sorted(set(names) ^ set(rows)) or ["their order"]
        yield Difference("clips.csv", "clips", ", ".join(differing), "those of predictions.csv")
        return
    shown: dict[str, list[ClipResult]] = defaultdict(list)
    genders: dict[str, set[str]] = defaultdict(set)
    for one in facts:
        row = rows[one.clip]
        if row.status != "excluded":
            genders[row.subject].add(one.gender)
        if row.status == "scored" and not one.video:
            yield Difference("clips.csv", f"clip {one.clip}: video", "nothing", "its SHA-256")
        if row.status != "excluded" and one.video:
            shown[one.video].append(row)
    for subject, found in genders.items():
        if len(found) > 1 or not found <= GENDERS:
            wanted = "female, male or nothing"
            yield Difference("clips.csv", f"subject {subject}: gender", sorted(found), wanted)
    for same in shown.values():
        if len({(row.subject, row.label) for row in same}) > 1:
            told = ", ".join(f"{row.clip} ({row.subject}, {row.label})" for row in same)
            yield Difference("clips.csv", "one video as different clips", told, "another each")


def check_videos(
    directory: Path, path: Path, held: Collection[str], facts: Sequence[ClipFacts]
) -> Iterator[Difference]:
    """Check that a stage has seen the video of no clip that is held out, whatever it was called.

    Args:
        directory: The bundle's folder.
        path: The stage's record in it.
        held: The clips.
        facts: Of every clip.
    """
    name = path.relative_to(directory).as_posix()
    try:
        seen = set(read_stage(path, "videos")["videos"])
    except ValueError as error:
        yield Difference(name, "videos", error, "the SHA-256 of all videos seen")
        return
    both = [one.clip for one in facts if one.clip in held and one.video in seen]
    if both:
        yield Difference(name, "videos", ", ".join(both), "no clip that is held out")
