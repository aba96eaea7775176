"""Leave-one-subject-group-out (LOSGO) cross-validation: who is tested with whom."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from vfer.corpora import Clip

Groups = tuple[frozenset[str], ...]


def losgo(clips: Iterable[Clip], groups: int = 5, seed: int = 0) -> Groups:
    """Split the subjects into groups of about equal clip counts (section 4.2: five groups).

    Subjects are dealt, those with most clips first and ties in seeded random order, to the group
    with fewest clips so far. Where the corpus tells every subject's gender, women are dealt before
    men, each to the group with fewest clips of that gender. The result depends on the set of clips
    and the seed, not on the order of the clips; excluded clips do not count, and a subject with no
    other is in no group.

    Args:
        clips: The corpus's clips.
        groups: How many groups, at least 2; as many as subjects is leave-one-subject-out.
        seed: Which of the equally balanced splits.

    Returns:
        Disjoint, non-empty groups of subjects; fold k tests group k and trains on the others.

    Raises:
        ValueError: If there are fewer than two groups, or more than subjects.
    """
    used = [clip for clip in clips if clip.excluded is None]
    counts = Counter(clip.subject for clip in used)
    gender = {clip.subject: clip.gender for clip in used}
    torn = sorted({clip.subject for clip in used if clip.gender != gender[clip.subject]})
    if torn:
        raise ValueError(f"the clips of subject {', '.join(torn)} differ in their gender")
    if not 2 <= groups <= len(counts):
        raise ValueError(
            f"{groups} groups of {len(counts)} subjects: the number of groups must be between 2 "
            "and the number of subjects (set protocol.folds.groups)"
        )
    names = sorted(counts)
    order = np.random.default_rng(seed).permutation(len(names))
    dealt: list[set[str]] = [set() for _ in range(groups)]
    load = [0] * groups
    by_gender = None not in gender.values()
    dealing = sorted(
        (names[i] for i in order), key=lambda s: (gender[s] or "" if by_gender else "", -counts[s])
    )
    of_gender: Counter[tuple[int, str | None]] = Counter()
    for name in dealing:
        # Fewest subjects breaks a tie, so that no group stays empty when counts are very unequal.
        of = gender[name] if by_gender else None
        k = min(range(groups), key=lambda g: (of_gender[g, of], load[g], len(dealt[g]), g))
        dealt[k].add(name)
        load[k] += counts[name]
        of_gender[k, of] += counts[name]
    return tuple(frozenset(group) for group in dealt)


def explicit(clips: Iterable[Clip], subjects: Sequence[Sequence[str]]) -> Groups:
    """Check groups given by hand, such as published ones, against the corpus.

    Args:
        clips: The corpus's clips.
        subjects: The subjects of each group. One whose clips are all excluded may be named, as
            published groups do, and is in no group.

    Returns:
        The groups.

    Raises:
        ValueError: If a subject is in two groups, in none, or not in the corpus.
    """
    clips = tuple(clips)
    known = {clip.subject for clip in clips}
    present = {clip.subject for clip in clips if clip.excluded is None}
    seen = Counter(str(name) for group in subjects for name in group)
    for what, names in (
        ("in more than one group", {name for name, count in seen.items() if count > 1}),
        ("not in the corpus", set(seen) - known),
        ("in no group", present - set(seen)),
    ):
        if names:
            raise ValueError(f"protocol.folds.subjects: {', '.join(sorted(names))} {what}")
    groups = tuple(frozenset(str(name) for name in group) & present for group in subjects)
    if len(groups) < 2 or not all(groups):
        raise ValueError("protocol.folds.subjects: give at least two groups, none of them empty")
    return groups


def deal_sentences(clips: Iterable[Clip], groups: int) -> tuple[frozenset[str], ...]:
    """Deal the corpus's sentences to the folds, so that a fold tests some and trains on the others.

    Sentences are dealt, those of most clips first and ties in the order of their names, to the set
    with fewest clips so far. There are as many sets as folds, or as sentences where these are
    fewer: then folds share sets in turn.

    Args:
        clips: The corpus's clips; excluded ones do not count.
        groups: How many folds.

    Returns:
        Of each fold, the sentences that it tests.

    Raises:
        ValueError: If a clip's sentence is not known, or all say the same.
    """
    used = [clip for clip in clips if clip.excluded is None]
    unknown = next((clip.name for clip in used if clip.sentence is None), None)
    if unknown is not None:
        raise ValueError(
            f"protocol.folds.apart names sentence, and the corpus does not say what is said in "
            f"{unknown}: leave [subject], or give a manifest with a column sentence"
        )
    counts = Counter(clip.sentence for clip in used if clip.sentence is not None)
    if len(counts) < 2:
        raise ValueError(
            f"protocol.folds.apart names sentence, and all clips have the sentence {[*counts]}: "
            "there is no other to train on"
        )
    dealt: list[set[str]] = [set() for _ in range(min(groups, len(counts)))]
    load = [0] * len(dealt)
    for sentence in sorted(counts, key=lambda name: (-counts[name], name)):
        k = load.index(min(load))
        dealt[k].add(sentence)
        load[k] += counts[sentence]
    return tuple(frozenset(dealt[k % len(dealt)]) for k in range(groups))


def official(clips: Iterable[Clip]) -> Groups:
    """Return the subjects of each official fold, in the folds' order.

    Args:
        clips: The corpus's clips, each with its ``fold``; excluded ones do not count.

    Returns:
        The groups.

    Raises:
        ValueError: If a clip has no fold, a subject is in two, or there are fewer than two.
    """
    used = [clip for clip in clips if clip.excluded is None]
    folds: dict[int, set[str]] = {}
    for clip in used:
        if clip.fold is None:
            raise ValueError(f"protocol.folds is official, and {clip.name} has no fold")
        folds.setdefault(clip.fold, set()).add(clip.subject)
    seen = Counter(subject for group in folds.values() for subject in group)
    torn = sorted(subject for subject, count in seen.items() if count > 1)
    if torn:
        raise ValueError(f"official folds: subject {', '.join(torn)} is in more than one fold")
    if len(folds) < 2:
        raise ValueError("official folds: there must be at least two folds")
    return tuple(frozenset(folds[number]) for number in sorted(folds))
