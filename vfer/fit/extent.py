"""How much a config has to do with: counted in the copy and the crop store, or as it is known."""

from dataclasses import replace

import numpy as np

from vfer.config.tree import Config, DataConfig
from vfer.corpora import EMOTIONS, Clip, Corpus
from vfer.fit.budget import ASSUMED, COMPUTED, COUNTED, Extent
from vfer.fit.opening import groups_of
from vfer.prepare.corpus import adapter_of, drawn_at, read_copy, restrict
from vfer.prepare.fill import open_store
from vfer.prepare.store import CropStore, flow_key
from vfer.segments.indices import windows
from vfer.video import probe

FRAMES = 80
"""Frames of a clip where nothing tells: about what eNTERFACE'05 has."""
FOLDS = 5
HEADERS = 20
"""Videos whose headers are asked for their frames."""


def extent_of(config: Config) -> tuple[Extent, Corpus | None]:
    """Return how much there is, and the corpus where a copy is there.

    Without ``data.root`` it is a whole copy as it is known; the built-in corpus needs none.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If nothing is known of it either, or it does not fit the config.
    """
    data = replace(config.data, root=drawn_at(config.data))
    if config.data.corpus == "facs":
        facs = data.facs
        clips = facs.subjects * len(EMOTIONS) * facs.clips_per_emotion
        if data.root is None or len([*data.root.glob("subject */*/*/*.avi")]) < clips:
            said = "to be rendered"
            return _known(config, clips, facs.frames, facs.subjects, COUNTED, said), None
    elif data.root is None:
        facts = adapter_of(data).FACTS
        wanted = data.classes or facts.defaults or tuple(facts.per_class)
        clips = sum(facts.per_class[name] for name in wanted if name in facts.per_class)
        clips = clips or facts.clips or 0
        if clips:
            said = f"of a whole copy of {facts.title}, {FRAMES} frames a clip; --data.root PATH"
            said += " counts yours"
            return _known(config, clips, FRAMES, facts.subjects, ASSUMED, said), None
    corpus = restrict(read_copy(data), data)
    return _counted(config, corpus), corpus


def _known(
    config: Config, clips: int, frames: int, subjects: int | None, how: str, said: str
) -> Extent:
    """Return the extent of clips of one length, none of them prepared."""
    folds, data = config.protocol.folds, config.data
    count = FOLDS
    if folds != "official":
        given = subjects if folds.groups == "subjects" else folds.groups
        count = len(folds.subjects) if folds.subjects is not None else given or FOLDS
    pairs = clips * (frames - 1) if data.flow.cache else 0
    return Extent(
        clips, clips * frames, clips * _segments(frames, data), count, how, how, COMPUTED, said,
        clips, clips * frames, pairs,
    )  # fmt: skip


def _segments(frames: int, data: DataConfig) -> int:
    return len(windows(frames, data.segment_length, data.windows.per_clip, data.windows.stride))


def _counted(config: Config, corpus: Corpus) -> Extent:
    """Return the extent of a copy: what is prepared is counted, the rest told by headers."""
    data = config.data
    store = open_store(corpus, data)
    clips = [clip for clip in corpus.clips if clip.excluded is None]
    missing = store.missing(clips)
    new = {clip.name for clip in missing}
    there = [store.entry(clip.name) for clip in clips if clip.name not in new]
    frames = [entry.frames for entry in there if entry.status == "ok"]
    each = _headers(missing)
    long = round(each or FRAMES)
    new_frames = round(len(missing) * (each or FRAMES))
    segments = sum(_segments(n, data) for n in frames) + len(missing) * _segments(long, data)
    said = f"{corpus.name}, {len(frames)} of them prepared"
    if missing:
        said += f"; frames of the others {'by the headers of some' if each else 'assumed'}"
    return Extent(
        clips=len(frames) + len(missing),
        frames=sum(frames) + new_frames,
        segments=segments,
        folds=len(groups_of(corpus, config)),
        clips_from=COUNTED,
        frames_from=COUNTED if not missing else COMPUTED if each else ASSUMED,
        segments_from=COMPUTED,
        said=said,
        new_clips=len(missing),
        new_frames=new_frames,
        new_pairs=_pairs(store, data, [e.clip for e in there if e.status == "ok"])
        + (max(new_frames - len(missing), 0) if data.flow.cache else 0),
    )


def _headers(clips: list[Clip]) -> float | None:
    """Return the mean frames of a clip by the headers of some; None where they do not say."""
    if not clips:
        return None
    some = np.unique(np.linspace(0, len(clips) - 1, HEADERS).round().astype(np.int64))
    found = [probe(clips[i].path)[1] for i in some.tolist()]
    told = [n for n in found if n]
    return float(np.mean(told)) if told else None


def _pairs(store: CropStore, data: DataConfig, clips: list[str]) -> int:
    """Count the pairs of prepared clips whose flow is wanted and not there."""
    if not data.flow.cache:
        return 0
    key = flow_key(data.flow)
    return sum(store.entry(name).frames - 1 for name in clips if not store.has_flow(name, key))
