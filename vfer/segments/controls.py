"""Controls: what a model still knows when what it should know is taken away.

``permuted_labels`` takes the labels of training, the others a part of every clip's pictures, in
training and in testing. A result under a control is none of the model; it is a yardstick for one.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vfer.corpora import Clip

PICTURES = ("shuffled_frames", "still_frame", "no_mouth")
"""Controls that change what is seen; cached flow is then of no use."""
MOUTH = 100
"""The first row of the lower third of a crop, 150 rows high."""
GREY = 128


def _draws(seed: int, *name: int | str) -> np.random.Generator:
    """Return what is drawn from for a name; the same whatever was drawn before."""
    words = [part if isinstance(part, int) else list(part.encode()) for part in name]
    return np.random.default_rng([seed, *np.hstack(words).tolist()])


def permuted_labels(
    clips: Iterable[Clip], seed: int, fold: int, *, within: Literal["subject", "fold"] = "subject"
) -> dict[str, str]:
    """Permute the labels of each subject's clips among them.

    How often a subject shows each class stays as it is, so that nothing is left to be learnt but
    the classes' frequencies. Each fold has a permutation of its own: a network that tells the
    classes apart and calls them by wrong names is right by luck, and the folds show how much.

    Args:
        clips: The corpus's clips; excluded ones take no part.
        seed: Which permutations; they do not depend on the order of the clips.
        fold: Of which fold.
        within: Of what clips change labels: a subject's, or those of an official fold where
            subjects are not known.

    Returns:
        Clip name → label to train with.
    """
    together = defaultdict(list)
    for clip in sorted(clips, key=lambda one: one.name):
        if clip.excluded is None:
            together[clip.subject if within == "subject" else str(clip.fold)].append(clip)
    found: dict[str, str] = {}
    for name, own in together.items():
        order = _draws(seed, fold, name).permutation(len(own)).tolist()
        found |= {clip.name: own[i].emotion for clip, i in zip(own, order, strict=True)}
    return found


def frame_order(control: str, clip: str, frames: int, seed: int) -> NDArray[np.int64]:
    """Return which frame of a clip stands at each place.

    Args:
        control: One of `PICTURES`. ``shuffled_frames`` is a permutation of the whole clip,
            ``still_frame`` the first frame throughout; else each is in its place.
        clip: The clip's name.
        frames: How many it has.
        seed: Which permutation.

    Returns:
        ``(frames,)`` int64 indices.
    """
    if control == "shuffled_frames":
        return _draws(seed, clip).permutation(frames)
    if control == "still_frame":
        return np.zeros(frames, np.int64)
    return np.arange(frames)


def mask_mouth(crops: NDArray[Any]) -> None:
    """Make the lower third of crops ``(…, 150, 110, 3)`` grey, in place."""
    crops[..., MOUTH:, :, :] = GREY
