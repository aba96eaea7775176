"""What is doubtful about the clips of a store: they are used, and want a look."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from vfer.corpora import Corpus
from vfer.prepare.looks import look, look_alikes
from vfer.prepare.sources import called, content_duplicates
from vfer.prepare.store import CropStore
from vfer.runtime.files import key_of, read_json, write_json

MOST = 30_000
"""Usable clips that are compared by their looks: each with each, about a minute and a half."""
_NAMED = 3  # look-alikes of a clip; more are counted


def doubts(corpus: Corpus, store: CropStore) -> Iterator[tuple[str, str]]:
    """Yield what is doubtful in the clips that take part, as (clip, why)."""
    entries = [store.entry(clip.name) for clip in corpus.clips if clip.excluded is None]
    for entry in entries:
        if entry.frames < entry.promised:
            said = f"{entry.frames} frames, the file's header promises {entry.promised}"
            yield entry.clip, said
        if entry.joined:
            times = "once" if entry.joined == 1 else f"{entry.joined} times"
            yield entry.clip, f"the face leaps {times}; it is taken for one person by its looks"
        if entry.damaged:
            yield entry.clip, f"damaged: {entry.damaged}"
    for names in content_duplicates({e.clip: e.source for e in entries if e.source}):
        yield names[0], f"the same content as {', '.join(map(repr, names[1:]))}"
    yield from _near_duplicates(corpus, store)


def part_damaged(corpus: Corpus, store: CropStore) -> Corpus:
    """Exclude the clips whose pictures are damaged; each says which frames."""
    damaged = {clip.name: store.entry(clip.name).damaged for clip in store.usable(corpus)}
    reasons = {name: f"damaged: {said} (data.damaged)" for name, said in damaged.items() if said}
    clips = [replace(c, excluded=reasons.get(c.name, c.excluded)) for c in corpus.clips]
    return replace(corpus, clips=tuple(clips))


def _near_duplicates(corpus: Corpus, store: CropStore) -> Iterator[tuple[str, str]]:
    """Yield usable clips that look like others under another subject or label."""
    clips = list(store.usable(corpus))
    if len(clips) > MOST:
        return
    looks = [store.entry(c.name).look or look(store.crops(c.name)) for c in clips]
    alike = defaultdict(list)
    for i, j in _pairs(looks, [c.subject for c in clips], [c.emotion for c in clips], store):
        alike[i].append(clips[j])
    for i, others in alike.items():
        told = ", ".join(map(called, others[:_NAMED]))
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        of = f"of subject {clips[i].subject}, {clips[i].emotion}"
        yield clips[i].name, f"{of}, looks like {told}{more}: one video, encoded again or cut?"


def _pairs(
    looks: list[str], subjects: list[str], labels: list[str], store: CropStore
) -> list[list[int]]:
    """Return ``look_alikes``, which the store keeps: it takes seconds of thousands of clips."""
    path, key = store.directory / ".alike.json", key_of([looks, subjects, labels])
    with suppress(OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged
        kept = read_json(path)
        if kept["key"] == key_of([key, kept["pairs"]]):
            return list(kept["pairs"])
    pairs = [[i, j] for i, j in look_alikes(looks, subjects, labels)]
    with suppress(OSError):  # a full store may be read-only
        write_json(path, {"key": key_of([key, pairs]), "pairs": pairs})
    return pairs
