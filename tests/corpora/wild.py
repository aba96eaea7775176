"""Small copies of the corpora in the wild, in the layouts in which they are published."""

from pathlib import Path

from tests.corpora.test_enterface import touch
from vfer.corpora import dfew, mafw

CODES = {name: code for code, name in enumerate(dfew._CODES, 1)}


def dfew_lists(root, labels, folds):
    """The ten lists: ``labels`` number → class, ``folds`` number → the set that tests it, 1 to 5.

    As published: numbers without leading zeros.
    """
    for k in range(1, 6):
        for side in ("train", "test"):
            path = root / f"EmoLabel_DataSplit/{side}(single-labeled)/set_{k}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [
                f"{n},{CODES[labels[n]]}" for n in labels if (folds[n] == k) == (side == "test")
            ]
            path.write_text("\n".join(["video_name,label", *rows]) + "\n")


def mafw_lists(root, labels, folds):
    """As `dfew_lists`, in MAFW's format and folders."""
    for k in range(1, 6):
        for side in ("train", "test"):
            path = root / f"Train & Test Set/single/no_caption/set_{k}/{side}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [
                f"{n:05}.mp4 {labels[n]}" for n in labels if (folds[n] == k) == (side == "test")
            ]
            path.write_text("\n".join(rows) + "\n")


def small_copy(corpus: str, root: Path, count: int = 14):
    """A copy of clips 1 to ``count``, tested in turn by the five sets; the labels by number."""
    classes = {"dfew": dfew, "mafw": mafw}[corpus].CLASSES
    labels = {n: classes[n % len(classes)] for n in range(1, count + 1)}
    folds = {n: (n - 1) % 5 + 1 for n in labels}
    place = {"dfew": "Clip/original", "mafw": "data/clips"}[corpus]
    {"dfew": dfew_lists, "mafw": mafw_lists}[corpus](root, labels, folds)
    touch(root, *(f"{place}/{n:05}.mp4" for n in labels))
    return labels
