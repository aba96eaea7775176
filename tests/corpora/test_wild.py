"""DFEW and MAFW: official folds of clips whose people are not known."""

import shutil
from collections import Counter

import pytest
from rich.console import Console

from tests.corpora.test_enterface import touch
from tests.corpora.wild import small_copy
from vfer.config.parser import parse
from vfer.config.tree import DataConfig
from vfer.corpora import dfew, mafw
from vfer.fit.opening import groups_of
from vfer.prepare.check import compare_copy
from vfer.prepare.corpus import open_corpus
from vfer.runtime.console import UsageError

ADAPTERS = {"dfew": dfew, "mafw": mafw}
FOLDER = {"dfew": "Clip/original", "mafw": "data/clips"}
LIST = {
    "dfew": "EmoLabel_DataSplit/{side}(single-labeled)/set_{k}.csv",
    "mafw": "Train & Test Set/single/no_caption/set_{k}/{side}.txt",
}
ROW = {"dfew": "{n},{code}", "mafw": "{n:05}.mp4 {label}"}
both = pytest.mark.parametrize("corpus", ["dfew", "mafw"])


def rows_of(corpus, root, side, k):
    return (root / LIST[corpus].format(side=side, k=k)).read_text().splitlines()


def rewrite(corpus, root, side, k, rows):
    (root / LIST[corpus].format(side=side, k=k)).write_text("\n".join(rows) + "\n")


@both
def test_a_clip_is_its_own_subject_in_the_fold_of_its_test_list(corpus, tmp_path):
    labels = small_copy(corpus, tmp_path)
    found = ADAPTERS[corpus].read(tmp_path)
    assert not found.subjects_known
    assert found.unexpected == found.missing == ()
    assert {clip.name for clip in found.clips} == {f"{FOLDER[corpus]}/{n:05}" for n in labels}
    for clip in found.clips:
        number = int(clip.path.stem)
        assert (clip.emotion, clip.fold, clip.subject) == (
            labels[number], (number - 1) % 5, clip.name,
        )  # fmt: skip


def test_the_codes_of_dfew_are_the_published_ones():
    published = ["happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"]
    assert list(dfew._CODES) == published
    assert sorted(published) == list(dfew.CLASSES)


@both
def test_quirks_of_a_copy_are_told(corpus, tmp_path):
    inner = tmp_path / "extra folder"
    labels = small_copy(corpus, inner)
    place = FOLDER[corpus]
    touch(
        inner, f"{place}/90000.mp4", f"{place}/trailer.mp4", f"other/{place}/00001.mp4",
        "Clip/clip_224x224/00001/1.jpg", "Clip/clip_224x224/00001/2.jpg",
        "Clip/clip_224x224_avi/00001.avi", "readme.txt", "notes.docx",
    )  # fmt: skip
    (inner / place / "00003.mp4").unlink()
    found = ADAPTERS[corpus].read(tmp_path)
    assert {path.name for path, _ in found.unexpected} == {"trailer.mp4", "00001.mp4", "notes.docx"}
    aside = dict(found.aside)
    assert aside.pop("tables") == 1  # the lists are read
    assert aside == {
        "clips that no list of single labels names": 1,
        "frames as images": 2,
        "videos of faces that are cut already": 1,
    }
    # The folds are of all clips: one that is not there is wrong, and not left out.
    assert len(found.clips) == len(labels)
    (lost,) = (clip for clip in found.clips if not clip.path.is_file())
    assert lost.path.name == "00003.mp4"
    console = Console(quiet=True)
    data = DataConfig(corpus=corpus, root=tmp_path)
    compared = compare_copy(found, data, console)
    assert [name for name, _ in compared.missing] == [lost.name]
    counts = {one.what: one.expected for one in compared.counts}
    assert "subjects" not in counts
    assert counts["clips"] == {"dfew": 11697, "mafw": 9172}[corpus]


@both
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r, w: w("train", 2, r("train", 2) + r("test", 2)[-1:]), "trains on what its set"),
        (lambda r, w: w("test", 1, r("test", 1) + r("train", 1)[-1:]), "trains on what its set"),
        (lambda r, w: w("train", 3, r("train", 3)[:-1]), "it leaves out 000"),
        (lambda r, w: w("train", 3, [*r("train", 3), r("train", 3)[-1]]), "in an earlier row"),
    ],
)
def test_lists_that_are_no_folds_are_refused(corpus, change, words, tmp_path):
    small_copy(corpus, tmp_path)
    change(
        lambda side, k: rows_of(corpus, tmp_path, side, k),
        lambda side, k, rows: rewrite(corpus, tmp_path, side, k, rows),
    )
    with pytest.raises(ValueError, match=words):
        ADAPTERS[corpus].read(tmp_path)


@both
def test_a_clip_in_two_test_lists_or_in_none_is_refused(corpus, tmp_path):
    small_copy(corpus, tmp_path)
    moved = rows_of(corpus, tmp_path, "test", 1)[-1]
    rewrite(corpus, tmp_path, "test", 2, [*rows_of(corpus, tmp_path, "test", 2), moved])
    rest = [row for row in rows_of(corpus, tmp_path, "train", 2) if row != moved]
    rewrite(corpus, tmp_path, "train", 2, rest)
    with pytest.raises(ValueError, match="an earlier set tests too"):
        ADAPTERS[corpus].read(tmp_path)
    rewrite(corpus, tmp_path, "test", 2, rows_of(corpus, tmp_path, "test", 2)[:-1])
    rewrite(corpus, tmp_path, "test", 1, rows_of(corpus, tmp_path, "test", 1)[:-1])
    with pytest.raises(ValueError, match="no set tests"):
        ADAPTERS[corpus].read(tmp_path)


@pytest.mark.parametrize(
    ("corpus", "row", "words"),
    [
        ("dfew", "77,8", "label is '8'; it must be in 1…7"),
        ("dfew", "x7,1", "video_name is 'x7'"),
        ("dfew", "3,7", "00003 is happiness, and fear in"),
        ("mafw", "00077.mp4 joy", "the class 'joy' is none of"),
        ("mafw", "00077.mp4", "is no clip and class"),
        ("mafw", "00077.mp4 anger sadness", "is no clip and class"),
    ],
)
def test_a_wrong_row_is_named(corpus, row, words, tmp_path):
    small_copy(corpus, tmp_path)
    rows = rows_of(corpus, tmp_path, "train", 1)
    if row.startswith("3,"):
        rows.remove(next(r for r in rows if r.startswith("3,")))
    rewrite(corpus, tmp_path, "train", 1, [*rows, row])
    with pytest.raises(ValueError, match=words) as caught:
        ADAPTERS[corpus].read(tmp_path)
    assert "set_" in str(caught.value)


@both
def test_lists_that_are_not_there_are_named(corpus, tmp_path):
    small_copy(corpus, tmp_path)
    (tmp_path / LIST[corpus].format(side="test", k=4)).unlink()
    with pytest.raises(FileNotFoundError, match="missing: test of set 4"):
        ADAPTERS[corpus].read(tmp_path)


@both
def test_a_copy_of_frames_alone_says_what_is_read(corpus, tmp_path):
    small_copy(corpus, tmp_path)
    shutil.rmtree(tmp_path / FOLDER[corpus])
    with pytest.raises(FileNotFoundError, match="no clips of") as caught:
        ADAPTERS[corpus].read(tmp_path)
    assert "images" not in str(caught.value)
    touch(tmp_path, "frames/00001/1.png")
    with pytest.raises(FileNotFoundError, match="frames as images, which are not read"):
        ADAPTERS[corpus].read(tmp_path)


@both
@pytest.mark.parametrize("folds", ["--protocol.folds.groups=5", "--protocol.folds.groups=subjects"])
def test_groups_of_subjects_are_refused_where_nobody_is_known(corpus, folds, tmp_path):
    small_copy(corpus, tmp_path)
    config = parse("vfer.fit", ["--data.corpus", corpus, "--data.root", str(tmp_path), folds])
    opened = open_corpus(config.data, Console(quiet=True))
    with pytest.raises(UsageError, match=r"Give --protocol\.folds official"):
        groups_of(opened, config)


@both
def test_classes_that_are_left_out_leave_their_folds(corpus, tmp_path):
    small_copy(corpus, tmp_path, 35)
    words = ["--config", f"configs/{corpus}.yaml", "--data.root", str(tmp_path)]
    config = parse("vfer.fit", [*words, "--data.classes", "[anger, fear]"])
    opened = open_corpus(config.data, Console(quiet=True))
    used = [clip for clip in opened.clips if clip.excluded is None]
    assert {clip.emotion for clip in used} == {"anger", "fear"}
    sizes = Counter(clip.fold for clip in used)
    assert [len(group) for group in groups_of(opened, config)] == [sizes[k] for k in sorted(sizes)]
