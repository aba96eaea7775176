"""RAVDESS (Livingstone and Russo 2018): 24 actors, 8 classes, speech or song, in MP4.

Names are ``modality-channel-emotion-intensity-statement-repetition-actor``. Modalities 01
(audio-video) and 02 (video only) hold the same takes, so one of the two is read for each.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

from vfer.corpora import Clip, Corpus, Facts, files_below, name_below, whole

Channel = Literal["speech", "song"]
_EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FACTS = Facts(
    name="ravdess",
    title="RAVDESS",
    paper="Livingstone and Russo 2018, The Ryerson Audio-Visual Database of Emotional Speech "
    "and Song",
    licence="CC BY-NC-SA 4.0",
    obtain="the corpus is open for non-commercial use on Zenodo: https://zenodo.org/record/1188976",
    layout="Actor_01/02-01-06-01-02-01-01.mp4",
    per_class=dict.fromkeys(sorted(_EMOTIONS), 192) | {"neutral": 96},
    subjects=24,
    beside={".wav": "audio only"},
)
SONG = replace(
    FACTS,
    per_class={
        name: 92 if name == "neutral" else 184
        for name in FACTS.per_class
        if name not in ("disgust", "surprise")
    },
    subjects=23,  # actor 18 does not sing
)
_NAME = re.compile(r"(0[12])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.mp4", re.IGNORECASE)


def read(root: Path, channel: Channel = "speech") -> Corpus:
    """Read a copy of RAVDESS; song has six classes, no disgust and no surprise.

    Args:
        root: The folder of the copy; archives may have unpacked into folders of their own.
        channel: ``speech`` or ``song``; the takes of the other are only counted.

    Returns:
        The corpus: of each take the video-only file, or the audio-video one where only it is there.

    Raises:
        FileNotFoundError: If no take of the channel is there.
    """
    takes: dict[tuple[str, ...], dict[str, Path]] = {}  # by modality
    unexpected: list[tuple[Path, str]] = []
    aside: Counter[str] = Counter()
    for path in files_below(root):
        found = _NAME.fullmatch(path.name)
        if found is None or not 1 <= int(found[7]) <= 24:
            unexpected.append((path, "not named as a video of RAVDESS"))
            continue
        if path.parent.name.lower().startswith("actor_") and path.parent.name[-2:] != found[7]:
            unexpected.append((path, f"of actor {found[7]}, in the folder {path.parent.name}"))
            continue
        if (found[2] == "01") != (channel == "speech"):
            aside[f"not {channel}"] += 1
            continue
        there = takes.setdefault(found.groups()[1:], {})
        if found[1] in there:
            unexpected.append((path, f"the take is there already: {there[found[1]]}"))
        else:
            there[found[1]] = path
    aside["audio-video twins of video-only takes"] = sum(len(f) - 1 for f in takes.values())
    read_from = {take: there.get("02") or there["01"] for take, there in takes.items()}
    clips = [
        Clip(
            name_below(path, root),
            path,
            take[5],
            _EMOTIONS[int(take[1]) - 1],
            gender="male" if int(take[5]) % 2 else "female",
            sentence=take[3],
        )
        for take, path in read_from.items()
    ]
    return whole(FACTS if channel == "speech" else SONG, root, clips, unexpected, aside=aside)
