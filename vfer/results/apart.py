"""What keeps the sentences of training and testing apart leaves behind in a bundle, and its checks.

With ``protocol.folds.apart: [subject, sentence]`` a fold tests its subjects with some sentences
only, and trains on other subjects with other sentences. A subject's further clips are tested by no
fold; others train on them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from vfer.results.checks import Difference
from vfer.results.clips import ClipFacts
from vfer.results.tables import Tables

UNTESTED = "apart: the fold of its subject tests other sentences"
"""The reason of an excluded clip that takes part in training."""


def sentences_tested(tables: Tables, facts: Sequence[ClipFacts]) -> dict[int, set[str]]:
    """Return the sentences that each fold tests, by the clips in it."""
    said = {one.clip: one.sentence for one in facts}
    found: dict[int, set[str]] = defaultdict(set)
    for row in tables.clips:
        if row.fold is not None and row.clip in said:
            found[row.fold].add(said[row.clip])
    return found


def held_clips(
    tables: Tables, facts: Sequence[ClipFacts], fold: int, apart: Sequence[str]
) -> set[str]:
    """Return the clips that a fold may not train on: its own, and those of the same sentences."""
    held = {row.clip for row in tables.clips if row.fold == fold}
    if "sentence" in apart:
        said = sentences_tested(tables, facts)[fold]
        held |= {one.clip for one in facts if one.sentence in said}
    return held


def check_apart(
    tables: Tables, facts: Sequence[ClipFacts], folds: Mapping[int, Sequence[str]],
    apart: Sequence[str],
) -> Iterator[Difference]:  # fmt: skip
    """Check that no clip is left untested but for its sentence."""
    said = {one.clip: one.sentence for one in facts}
    home = {subject: fold for fold, group in folds.items() for subject in group}
    of_fold = sentences_tested(tables, facts)
    for row in tables.clips:
        if row.reason != UNTESTED:
            continue
        key, sentence = f"clip {row.clip}: excluded", said.get(row.clip)
        fold = home.get(row.subject)
        if "sentence" not in apart:
            yield Difference("predictions.csv", key, row.reason, "apart is [subject]")
        elif fold is None or sentence in of_fold.get(fold, ()):
            found = f"fold {fold} tests sentence {sentence}"
            yield Difference("predictions.csv", key, row.reason, found)
    anywhere = set().union(*of_fold.values())
    left: dict[str, set[int | None]] = defaultdict(set)
    for row in tables.clips:
        if row.reason == UNTESTED and (sentence := said.get(row.clip)) not in anywhere:
            left[str(sentence)].add(home.get(row.subject))
    for sentence, where in left.items():
        if where == set(folds):
            key = f"sentence {sentence}"
            yield Difference("predictions.csv", key, "tested by no fold", "tested by one")
