"""``python -m vfer.prepare --check``: a copy of a corpus beside what is known of it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vfer.config.tree import DataConfig
from vfer.corpora import Clip, Corpus
from vfer.prepare.clip import PRELOAD
from vfer.prepare.corpus import hints, read_copy, rendered, restrict
from vfer.prepare.damage import Damage, watch
from vfer.prepare.sources import outside, same_content, similar_subjects, wrong_head
from vfer.runtime.console import bar, make_console
from vfer.runtime.pool import Died, cores, impatient, outcomes
from vfer.video import ATTEMPTS, MIN_PROMISED, Chunk, VideoError, decode, probe


@dataclass(frozen=True)
class Count:
    """One row of the table; ``expected`` is None where nothing is known."""

    what: str
    found: int
    expected: int | None


@dataclass(frozen=True)
class Comparison:
    """What a check found.

    Attributes:
        corpus: Its name.
        counts: Subjects, clips and each class, excluded clips not counted.
        missing: Clips that are annotated or listed and not on disk, as (clip, reason).
        unexpected: Files that do not fit the layout.
        unreadable: Clips that cannot be decoded.
        doubtful: Clips that may be decoded and want a look.
        excluded: Clips that take no part.
        aside: Files that belong to the corpus and are not read, as (what, how many).
        paper_clips: Clips that the paper counts, or None.
        paper_accuracy: The paper's accuracy, %, or None.
        hints: Labels that look like one of the six basic classes in another word, and that class.
        linked: Clips that links lead to and that lie outside of the copy's folder.
    """

    corpus: str
    counts: tuple[Count, ...]
    missing: tuple[tuple[str, str], ...]
    unexpected: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]
    doubtful: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...]
    aside: tuple[tuple[str, int], ...]
    paper_clips: int | None
    paper_accuracy: float | None
    hints: tuple[tuple[str, str], ...] = ()
    linked: int = 0

    @property
    def fits(self) -> bool:
        """Whether all counts are the expected ones and nothing is missing or unreadable."""
        return not (self.missing or self.unreadable) and all(
            c.expected in (None, c.found) for c in self.counts
        )


def _decoded(seconds: float, decoders: Sequence[str], clip: Clip) -> tuple[str, str] | None:
    """Return what is wrong with a video by its frames; runs in a worker process."""

    def in_time(path: Path, decoder: str) -> Iterator[Chunk]:
        return impatient(decode(path, decoder), seconds)

    reasons: list[str] = []
    for k, decoder in enumerate(decoders):
        damage = Damage()
        try:
            frames = sum(len(run) for run in watch(clip.path, decoders[k:], in_time, damage))
        except VideoError as error:
            reasons += error.reasons
            continue
        promised = probe(clip.path)[1]
        said = f"{frames} frames, the file's header promises {promised}"
        if frames >= MIN_PROMISED * promised:
            doubts = [said] if frames < promised else []
            doubts += [f"damaged: {damage}"] if str(damage) else []
            return ("doubtful", "; ".join(doubts)) if doubts else None
        reasons.append(f"{decoder}: {said}")
    return "unreadable", str(VideoError(clip.path, *reasons))


def decode_all(
    clips: Sequence[Clip], config: DataConfig, console: Console
) -> dict[str, tuple[str, str]]:
    """Decode clips, in processes of which one may crash or hang.

    Returns:
        Of each clip in which something is wrong: (``unreadable`` or ``doubtful``, why).
    """
    wrong: dict[str, tuple[str, str]] = {}
    work = partial(_decoded, config.decode_timeout)
    with bar(console) as progress:
        task = progress.add_task("decoding clips", total=len(clips))
        for clip, said in outcomes(work, clips, ATTEMPTS, config.workers or cores(), PRELOAD):
            if isinstance(said, Died):
                wrong[clip.name] = ("unreadable", f"the process that read it {said.reason}")
            elif said is not None:
                wrong[clip.name] = said
            progress.advance(task)
    return wrong


def compare_copy(corpus: Corpus, config: DataConfig, deep: Console | None = None) -> Comparison:
    """Compare a copy, all its classes, with what is known of its corpus.

    Args:
        corpus: The copy, before ``data.classes`` restricts it.
        config: Of the corpus.
        deep: Decode every clip, with the progress shown here; None decodes nothing.

    Returns:
        What was found; clips of equal content are doubtful.
    """
    facts = corpus.facts
    taken = restrict(corpus, config)
    used = [clip for clip in taken.clips if clip.excluded is None]
    found = Counter(clip.emotion for clip in used)
    per_class: dict[str, int] = dict(facts.per_class) if facts else {}
    subjects = facts.subjects if facts else None
    known = [per_class.get(name) for name in taken.classes]
    total = None if None in known else sum(n for n in known if n is not None)
    if facts and taken.classes == corpus.classes and facts.clips is not None:
        total = facts.clips
    whole = {clip.subject for clip in corpus.clips if clip.excluded is None}
    counts = [Count("clips", len(used), total)]
    if corpus.subjects_known:
        counts.insert(0, Count("subjects", len(whole), subjects))
    counts += [Count(name, found[name], per_class.get(name)) for name in taken.classes]

    seen = {clip.name: wrong_head(clip.path) for clip in corpus.clips}
    if deep is not None:
        whole_clips = [clip for clip in corpus.clips if seen[clip.name] is None]
        seen |= decode_all(whole_clips, config, deep)
    wrong: dict[str, list[tuple[str, str]]] = {"missing": [], "unreadable": [], "doubtful": []}
    for clip in corpus.clips:
        if facts and clip.path.stem in facts.broken:
            wrong["doubtful"].append((clip.name, "known to be broken in the corpus"))
        said = seen[clip.name]
        if said is not None:
            wrong[said[0]].append((clip.name, said[1]))
    for same in same_content(corpus.clips):
        others = ", ".join(repr(clip.name) for clip in same[1:])
        wrong["doubtful"].append((same[0].name, f"the same content as {others}"))
    for names in similar_subjects(taken.clips):
        others = ", ".join(map(repr, names[1:]))
        said_of = f"differs from {others} by case, blanks or leading zeros alone"
        wrong["doubtful"].append((f"subject {names[0]}", said_of))
    return Comparison(
        corpus.name,
        tuple(counts),
        (*corpus.missing, *wrong["missing"]),
        tuple((str(path), reason) for path, reason in corpus.unexpected),
        tuple(wrong["unreadable"]),
        tuple(wrong["doubtful"]),
        tuple((c.name, c.excluded) for c in taken.clips if c.excluded is not None),
        corpus.aside,
        facts.paper_clips if facts else None,
        facts.paper_accuracy if facts else None,
        hints(corpus),
        outside(corpus.clips, config.root),
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison as a table and lists."""
    table = Table(title=f"{comparison.corpus}: this copy and what is known")
    for column in ("", "found", "expected", "paper"):
        table.add_column(column, justify="left" if not column else "right")
    for row in comparison.counts:
        paper = comparison.paper_clips if row.what == "clips" else None
        cells = ["–" if n is None else str(n) for n in (row.found, row.expected, paper)]
        style = None if row.expected in (None, row.found) else "bold red"
        table.add_row(row.what, *cells, style=style)
    if comparison.paper_accuracy is not None:
        table.add_row("accuracy, %", "–", "–", f"{comparison.paper_accuracy}")
    console.print(table)
    for kind in ("missing", "unexpected", "unreadable", "doubtful", "excluded"):
        listed: tuple[tuple[str, str], ...] = getattr(comparison, kind)
        console.print(f"{kind}: {len(listed)}")
        for name, reason in listed:
            console.print(f"  {name!r}: {reason}", soft_wrap=True)
    for what, files in comparison.aside:
        console.print(f"passed over: {what}: {files}")
    if comparison.linked:
        console.print(f"linked: {comparison.linked} clips lie outside the copy's folder")
    for label, word in comparison.hints:
        console.print(f"hint: the label {label} stays as it is; elsewhere the word is {word}")


def check_copy(config: DataConfig, options: frozenset[str], console: Console) -> bool:
    """Compare a copy with what is known of its corpus, and print what is found: ``--check``.

    Args:
        config: Of the corpus.
        options: With ``json``, JSON alone is printed; with ``deep``, every clip is decoded.
        console: Where to print; progress goes to the error output.

    Returns:
        Whether the copy fits.
    """
    aside = make_console(stderr=True)
    corpus = read_copy(rendered(config, aside))
    comparison = compare_copy(corpus, config, aside if "deep" in options else None)
    if "json" in options:
        record = asdict(comparison) | {"fits": comparison.fits}
        console.file.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    else:
        print_comparison(comparison, console)
    return comparison.fits
