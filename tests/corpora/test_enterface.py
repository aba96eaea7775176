import re
from collections import Counter

import pytest

from vfer.corpora import EMOTIONS
from vfer.corpora.enterface05 import read


def touch(root, *paths):
    for folder in {(root / path).parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        (root / path).touch()


def segmented(subject, emotions=EMOTIONS, sentences=range(1, 6)):
    return [
        f"subject {subject}/{e}/sentence {k}/s{subject}_{e[:2]}_{k}.avi"
        for e in emotions
        for k in sentences
    ]


def unsegmented(subject):
    return [f"subject {subject}/{e}/s{subject}_{e[:2]}.avi" for e in EMOTIONS]


def lying(path):
    """The path with the file name that the original corpus has there."""
    path = path.replace("/s11_", "/s12_").replace("/s16_su_3.avi", "/s16_su_3avi.avi")
    path = re.sub(r"/s3_(an|di|fe|su_1)", r"/s_3_\1", path)  # sixteen of the thirty
    one, two = (f"subject 2/anger/sentence {k}/s2_an_" for k in (1, 2))
    return {f"{one}1.avi": f"{one}2.avi", f"{two}2.avi": f"{two}1.avi"}.get(path, path)


def test_a_full_copy_gives_43_subjects_and_1287_clips_and_lists_the_unsegmented_subject(tmp_path):
    for subject in range(1, 45):
        if subject == 6:
            touch(tmp_path, *unsegmented(6))
        elif subject == 23:
            others = [e for e in EMOTIONS if e != "happiness"]
            touch(tmp_path, *segmented(23, others), *segmented(23, ["happiness"], [4, 5]))
        else:
            touch(tmp_path, *(lying(path) for path in segmented(subject)))
    (tmp_path / "subject 9" / "neutral").mkdir()
    corpus = read(tmp_path)
    of = Counter(clip.subject for clip in corpus.clips)
    assert of == dict.fromkeys((str(i) for i in range(1, 45)), 30) | {"6": 6, "23": 27}
    assert sorted(
        c.path.parent.name for c in corpus.clips if (c.subject, c.emotion) == ("23", "happiness")
    ) == ["sentence 4", "sentence 5"]
    used = [clip for clip in corpus.clips if clip.excluded is None]
    assert len(corpus.clips) == 1293
    assert Counter(clip.emotion for clip in used) == dict.fromkeys(EMOTIONS, 215) | {
        "happiness": 212
    }
    assert {clip.subject for clip in used} == {str(i) for i in range(1, 45) if i != 6}
    assert {clip.subject for clip in corpus.clips if clip.excluded is not None} == {"6"}
    assert corpus.classes == EMOTIONS == tuple(sorted(EMOTIONS))
    assert corpus.unexpected == ()
    names = [clip.name for clip in corpus.clips]
    assert names == sorted(set(names))


@pytest.mark.parametrize("number", [1, 6, 17])
def test_an_unsegmented_subject_is_told_from_the_layout_whatever_its_number(tmp_path, number):
    for subject in (1, 6, 17):
        touch(tmp_path, *(unsegmented if subject == number else segmented)(subject))
    excluded = [clip for clip in read(tmp_path).clips if clip.excluded is not None]
    assert len(excluded) == 6
    assert {clip.subject for clip in excluded} == {str(number)}
    assert all("not segmented" in clip.excluded for clip in excluded)


@pytest.mark.parametrize("extra", [".", "enterface database"])
def test_the_copy_is_found_below_an_extra_folder(tmp_path, extra):
    touch(tmp_path / extra, *segmented(1))
    touch(tmp_path, "__MACOSX/enterface database/subject 1/._x", "readme.txt")
    clips = read(tmp_path).clips
    assert len(clips) == 30
    assert "subject 1/anger/sentence 1/s1_an_1" in {clip.name for clip in clips}
    assert all(clip.path.is_file() for clip in clips)


def test_subject_and_emotion_are_the_folders_and_not_the_lying_file_names(tmp_path):
    touch(
        tmp_path,
        "subject 11/fear/sentence 2/s12_fe_2.avi",
        "subject 3/anger/sentence 1/s_3_an_1.avi",
        "subject 2/anger/sentence 1/s2_an_2.avi",
        "subject 16/surprise/sentence 3/s16_su_3avi.avi",
        "subject 5/sadness/sentence 1/s5_ha_1.avi",
    )
    found = {(clip.subject, clip.emotion) for clip in read(tmp_path).clips}
    assert found == {
        ("11", "fear"), ("3", "anger"), ("2", "anger"), ("16", "surprise"), ("5", "sadness"),
    }  # fmt: skip


def test_clips_with_one_file_name_have_different_names(tmp_path):
    touch(tmp_path, *(f"subject {s}/fear/sentence 1/s12_fe_1.avi" for s in (11, 12)))
    assert len({clip.name for clip in read(tmp_path).clips}) == 2


def test_repeated_blanks_and_mixed_case_are_read_through(tmp_path):
    touch(
        tmp_path,
        "Subject  4/ANGER/Sentence   1/s4_an_1.AVI",
        "subject 5/Happiness /sentence 2/S5_HA_2.avi",
        "SUBJECT 7/fear/sentence3/s7_fe_3.Avi",
    )
    corpus = read(tmp_path)
    assert {(c.subject, c.emotion, c.excluded) for c in corpus.clips} == {
        ("4", "anger", None), ("5", "happiness", None), ("7", "fear", None),
    }  # fmt: skip
    assert corpus.unexpected == ()


def test_system_files_and_empty_folders_are_passed_over_in_silence(tmp_path):
    touch(
        tmp_path,
        *segmented(1),
        "Thumbs.db",
        "subject 1/Thumbs.db",
        "subject 1/anger/sentence 1/Thumbs.db",
        "subject 1/anger/sentence 1/._s1_an_1.avi",
        "subject 1/anger/._x",
        "subject 1/.DS_Store",
    )
    (tmp_path / "subject 1" / "neutral").mkdir()
    (tmp_path / "subject 2").mkdir()
    corpus = read(tmp_path)
    assert len(corpus.clips) == 30
    assert corpus.unexpected == ()


@pytest.mark.parametrize(
    "stray",
    [
        "subject 1/neutral/sentence 1/s1_ne_1.avi",
        "subject 1/neutral/s1_ne_1.avi",
        "subject 1/anger/sentence 1/notes.txt",
        "subject 1/anger/sentence 1/s1_an_1.mp4",
        "subject 1/s1.avi",
        "subject 1/anger/take 1/s1_an_1.avi",
        "subject 1/anger/sentence 1/more/s1_an_1.avi",
        "subjct 7/anger/sentence 1/s7_an_1.avi",
    ],
)
def test_files_that_do_not_fit_are_listed_with_a_reason_and_are_no_clips(tmp_path, stray):
    touch(tmp_path, *segmented(1), stray)
    corpus = read(tmp_path)
    assert len(corpus.clips) == 30
    assert [path for path, _ in corpus.unexpected] == [tmp_path / stray]
    assert all(reason for _, reason in corpus.unexpected)


@pytest.mark.parametrize("state", ["missing", "empty", "other", "a file", "no clips", "excluded"])
def test_where_there_is_no_corpus_the_error_names_the_place_and_the_layout(tmp_path, state):
    root = tmp_path / "my copy"
    if state == "a file":
        root.write_bytes(b"")
    elif state != "missing":
        root.mkdir()
    if state == "other":
        touch(root, "s001/S001_005.mp4")
    elif state == "no clips":
        touch(root, "subject 1/anger/sentence 1/s1_an_1.txt")
    elif state == "excluded":
        touch(root, *unsegmented(6))
    with pytest.raises(FileNotFoundError, match=re.escape(str(root))) as caught:
        read(root)
    assert "subject 1/anger/sentence 1/s1_an_1.avi" in str(caught.value)


def test_where_there_is_no_corpus_the_error_says_how_to_get_it_and_which_option(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"http://www\.enterface\.net") as caught:
        read(tmp_path)
    assert "--data.root" in str(caught.value)
    assert "scientific research" in str(caught.value)


def test_a_rendered_corpus_is_read_without_anything_unexpected(facs_root, facs_config):
    corpus = read(facs_root)
    assert len(corpus.clips) == 6 * facs_config.subjects
    assert {clip.subject for clip in corpus.clips} == {"1", "2", "3"}
    assert Counter(clip.emotion for clip in corpus.clips) == dict.fromkeys(EMOTIONS, 3)
    assert corpus.unexpected == ()
