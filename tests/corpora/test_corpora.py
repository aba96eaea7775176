import csv
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from rich.console import Console

from tests.corpora.test_enterface import segmented, touch, unsegmented
from tests.corpora.wild import small_copy
from vfer.config.keys import differing
from vfer.config.parser import parse
from vfer.config.tree import DataConfig
from vfer.corpora import EMOTIONS, baum1s, cremad, enterface05, manifest, ravdess, rml, savee
from vfer.fit.opening import groups_of
from vfer.folds import losgo
from vfer.prepare.corpus import check_root, open_corpus, read_copy, restrict
from vfer.runtime.console import UsageError

HERE = Path(__file__).parents[1]
CONFIGS = sorted(HERE.parent.joinpath("configs").glob("*.yaml"))
SPLITS = {  # of a small tree: groups, subjects
    "enterface": (5, 43), "enterface_blocks": (5, 43), "baum1s": (5, 5), "ravdess": (6, 24),
    "cremad": (5, 5), "savee": (4, 4), "rml": (5, 8), "manifest": (5, 5),
    "dfew": (5, 14), "mafw": (5, 14),
}  # fmt: skip
BASIC = {"anger": 56, "disgust": 80, "fear": 37, "happiness": 173, "sadness": 134, "surprise": 41}


def names_of(unexpected):
    return [path.name for path, _ in unexpected]


def savee_clips(sentences=15):
    return [
        f"{subject}/{code}{i:02}.avi"
        for subject in ("DC", "JE", "JK", "KL")
        for code in ("sa", "su", *"adfhn")
        for i in range(1, (sentences if code != "n" else 2 * sentences) + 1)
    ]


def annotate(root, labels):
    """A small BAUM-1s: subjects 1…5, clips with these classes, annotations in CSV."""
    rows = [["no", "subject", "x", "clip", "emotion", "code"]]
    for n, name in enumerate(labels):
        s = n % 5 + 1
        touch(root, f"s{s:03}/S{s:03}_{n:03}.mp4")
        rows.append([n, s, "", f"S{s:03}_{n:03}", "Hapiness", baum1s.CLASSES.index(name) + 1])
    with (root / "Annotations_BAUM1s.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def small_tree(corpus, root):
    """A small copy of a corpus, of enough subjects for its config's groups; its ``data.root``."""
    if corpus == "enterface05":
        subjects = [i for i in range(1, 45) if i != 6]
        touch(root, *(path for s in subjects for path in segmented(s, ["fear", "anger"], [1])))
        touch(root, *unsegmented(6))
    elif corpus == "baum1s":
        annotate(root, ["boredom", *EMOTIONS])
    elif corpus == "ravdess":
        touch(root, *(f"Actor_{a:02}/02-01-0{e}-01-01-01-{a:02}.mp4" for a in range(1, 25)
                      for e in (1, 8)))  # fmt: skip
    elif corpus == "cremad":
        touch(root, *(f"VideoFlash/100{s}_IEO_ANG_HI.flv" for s in range(1, 6)))
    elif corpus == "savee":
        touch(root / "AudioVisualClip", *savee_clips(1))
    elif corpus == "rml":
        touch(root, *(f"s{s}/an1.avi" for s in range(1, 9)))
    elif corpus in ("dfew", "mafw"):
        small_copy(corpus, root)
    elif corpus == "manifest":
        touch(root, *(f"{s}.mp4" for s in "abcde"))
        rows = "".join(f"{s}.mp4,{s},{e},{k % 2}\n" for k, (s, e) in
                       enumerate(zip("abcde", EMOTIONS, strict=False)))  # fmt: skip
        root.joinpath("clips.csv").write_text(f"path,subject,emotion,fold\n{rows}")
        return root / "clips.csv"
    return root


@pytest.mark.parametrize(
    ("stem", "groups", "subjects"),
    [(stem, *counts) for stem, counts in SPLITS.items()],
)
def test_every_config_of_a_corpus_opens_a_copy_and_splits_its_subjects(
    tmp_path, stem, groups, subjects
):
    path = HERE.parent / "configs" / f"{stem}.yaml"
    root = small_tree("enterface05" if stem.startswith("enterface") else stem, tmp_path)
    config = parse("vfer.fit", ["--config", str(path), "--data.root", str(root)])
    corpus = open_corpus(config.data, Console(quiet=True))
    found = groups_of(corpus, config)
    assert (len(found), len(set().union(*found))) == (groups, subjects)
    assert corpus.unexpected == ()
    assert config.output.name == stem


def test_every_other_config_is_of_the_built_in_corpus():
    others = [path for path in CONFIGS if path.stem not in SPLITS]
    assert len(others) == len(CONFIGS) - len(SPLITS)
    for path in others:
        assert parse("vfer.fit", ["--config", str(path)]).data.corpus == "facs"


@pytest.mark.parametrize("stem", sorted(SPLITS))
def test_a_corpus_config_is_the_papers_settings_but_for_what_it_says(stem):
    """``enterface.yaml`` writes them out; the others rely on the defaults being the same."""
    official = {
        "protocol.folds",
        *(f"protocol.folds.{k}" for k in ("apart", "groups", "seed")),
    }
    own = {
        "enterface_blocks": {"protocol.folds.subjects"},
        "baum1s": {"data.windows.per_clip", "data.windows.stride"},
        "ravdess": {"protocol.folds.groups"},
        "savee": {"protocol.folds.groups"},
        "dfew": official,
        "mafw": official,
    }.get(stem, set())
    paper, config = (
        parse("vfer.fit", ["--config", str(HERE.parent / "configs" / f"{name}.yaml")])
        for name in ("enterface", stem)
    )
    assert set(differing(paper.tree, config.tree)) - {"data.corpus"} == own


def test_the_published_blocks_of_enterface_are_taken_without_its_excluded_subject(tmp_path):
    small_tree("enterface05", tmp_path)
    path = HERE.parent / "configs" / "enterface_blocks.yaml"
    config = parse("vfer.fit", ["--config", str(path), "--data.root", str(tmp_path)])
    found = groups_of(open_corpus(config.data, Console(quiet=True)), config)
    blocks = [range(1, 11), range(11, 20), range(20, 29), range(29, 38), range(38, 45)]
    assert found == tuple(frozenset(str(i) for i in block if i != 6) for block in blocks)


@pytest.mark.parametrize(
    "way", [["--protocol.folds", "official"], ["--protocol.folds.groups", "2"]]
)
def test_official_folds_are_asked_for_by_their_name_and_groups_by_their_number(tmp_path, way):
    root = str(small_tree("manifest", tmp_path))
    argv = ["--data.corpus", "manifest", "--data.root", root, *way]
    config = parse("vfer.fit", argv)
    found = groups_of(open_corpus(config.data, Console(quiet=True)), config)
    assert len(found) == 2
    assert (found == (frozenset("ace"), frozenset("bd"))) == ("official" in way)


def test_other_words_for_folds_are_refused_with_the_legal_one():
    with pytest.raises(UsageError, match="official"):
        parse("vfer.fit", ["--data.corpus", "facs", "--protocol.folds", "oficial"])


def ravdess_takes(modality, channel, actors=range(1, 25)):
    return [
        f"Actor_{a:02}/{modality}-{channel}-{e:02}-{i:02}-{s:02}-{r:02}-{a:02}.mp4"
        for a in actors
        for e in range(1, 9)
        for i in (1, 2)
        for s in (1, 2)
        for r in (1, 2)
        if not (e == 1 and i == 2) and not (channel == "02" and (a == 18 or e > 6))
    ]


def test_ravdess_has_1440_takes_of_speech_and_1012_of_song(tmp_path):
    touch(tmp_path / "extra", *ravdess_takes("02", "01"), *ravdess_takes("02", "02"))
    corpus, song = ravdess.read(tmp_path), ravdess.read(tmp_path, "song")
    assert Counter(c.emotion for c in corpus.clips) == {
        "neutral": 96, "calm": 192, "happiness": 192, "sadness": 192, "anger": 192, "fear": 192,
        "disgust": 192, "surprise": 192,
    }  # fmt: skip
    assert Counter(c.emotion for c in song.clips) == {
        "neutral": 92, "calm": 184, "happiness": 184, "sadness": 184, "anger": 184, "fear": 184,
    }  # fmt: skip
    assert (corpus.aside, song.aside) == ((("not speech", 1012),), (("not song", 1440),))
    assert {c.gender for c in corpus.clips if int(c.subject) % 2} == {"male"}
    assert {c.gender for c in corpus.clips if not int(c.subject) % 2} == {"female"}


def test_ravdess_takes_are_read_once_and_every_other_file_is_counted_or_listed(tmp_path):
    both, silent = ravdess_takes("01", "01", [1]), ravdess_takes("02", "01", [1])
    touch(tmp_path, *both, *silent[:-4], "Actor_01/03-01-01-01-01-01-01.wav")
    touch(tmp_path, "Actor_01/odd.mp4", "readme.txt", "Thumbs.db", "b/Actor_01/" + both[0][9:])
    touch(tmp_path, "Actor_02/02-01-01-01-01-01-03.mp4", "Actor_01/02-01-01-02-03-01-01.mp4")
    corpus = ravdess.read(tmp_path)
    assert len(corpus.clips) == len(both) == 60
    assert Counter(c.path.name[:2] for c in corpus.clips) == {"02": 56, "01": 4}
    assert corpus.aside == (("audio only", 1), ("audio-video twins of video-only takes", 56))
    assert sorted(names_of(corpus.unexpected)) == [
        "01-01-01-01-01-01-01.mp4", "02-01-01-01-01-01-03.mp4", "02-01-01-02-03-01-01.mp4",
        "odd.mp4", "readme.txt",
    ]  # fmt: skip


def test_a_second_file_of_a_ravdess_take_in_one_modality_is_unexpected(tmp_path):
    touch(tmp_path, "a/Actor_01/02-01-01-01-01-01-01.mp4", "b/Actor_01/02-01-01-01-01-01-01.mp4")
    corpus = ravdess.read(tmp_path)
    assert len(corpus.clips) == 1
    assert "there already" in corpus.unexpected[0][1]


def test_savee_codes_of_two_letters_are_not_taken_for_those_of_one(tmp_path):
    touch(tmp_path / "AudioVisualClip", *savee_clips())
    touch(tmp_path, "AudioData/DC/a01.wav", "AudioData/Info.txt")
    corpus = savee.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == {
        "anger": 60, "disgust": 60, "fear": 60, "happiness": 60, "neutral": 120, "sadness": 60,
        "surprise": 60,
    }  # fmt: skip
    assert corpus.aside == (("audio", 1),)
    assert names_of(corpus.unexpected) == ["Info.txt"]


def test_rml_subjects_may_have_a_folder_for_each_language(tmp_path):
    for s in range(1, 9):
        folders = ["english", "urdu", "farsi"] if s < 4 else ["."]
        each = 15 // len(folders)
        touch(
            tmp_path / "RML" / f"s{s}",
            *(
                f"{f}/{c}{i}.avi"
                for f in folders
                for c in ("an", "di", "fe", "ha", "sa", "su")
                for i in range(1, each + 1)
            ),
        )
    touch(tmp_path, "notes.pdf", "RML/s1/joy1.avi")
    corpus = rml.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == dict.fromkeys(EMOTIONS, 120)
    assert sorted(names_of(corpus.unexpected)) == ["joy1.avi", "notes.pdf"]


def test_cremad_has_7442_clips_and_its_table_tells_the_actors_gender(tmp_path):
    names = []
    for code, count in {**dict.fromkeys(("ANG", "DIS", "FEA", "HAP", "SAD"), 1271), "NEU": 1087}.items():  # fmt: skip # noqa: E501
        for n in range(count):
            names.append(f"VideoFlash/{1001 + n % 91}_{chr(65 + n // 91) * 3}_{code}_XX.flv")
    touch(tmp_path, *names, "VideoFlash/1001_x.flv", "AudioWAV/1001_DFA_ANG_XX.wav", ".git/a.flv")
    touch(tmp_path, "VideoFlash/1092_IEO_ANG_HI.flv")
    (tmp_path / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex"\n1001,51,"Male"\n1002,21,"Female"\n'
    )
    corpus = cremad.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == dict(cremad.FACTS.per_class)
    assert len(corpus.clips) == 7442
    assert len({c.subject for c in corpus.clips}) == 91
    assert {c.subject: c.gender for c in corpus.clips if c.subject < "1004"} == {
        "1001": "male", "1002": "female", "1003": None,
    }  # fmt: skip
    assert names_of(corpus.unexpected) == ["1001_x.flv", "1092_IEO_ANG_HI.flv"]
    assert corpus.aside == (("audio", 1), ("tables", 1))


def test_a_cremad_table_that_git_lfs_has_not_fetched_tells_no_gender(tmp_path):
    touch(tmp_path, "VideoFlash/1001_IEO_ANG_HI.flv")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    (tmp_path / "VideoDemographics.csv").write_text(pointer)
    assert cremad.read(tmp_path).clips[0].gender is None


def said(read):
    """Values of ``sentence`` in each class, as sets."""
    found = {}
    for clip in read.clips:
        found.setdefault(clip.emotion, set()).add(clip.sentence)
    return found


def test_the_sentences_of_a_corpus_are_known_where_its_names_tell_them(tmp_path):
    roots = {name: tmp_path / name for name in ("enterface05", "ravdess", "cremad", "savee")}
    touch(roots["enterface05"], *segmented(1), *segmented(2), *unsegmented(6))
    touch(roots["ravdess"], *ravdess_takes("02", "01", [1, 2]))
    touch(roots["cremad"], "1001_IEO_ANG_HI.flv", "1001_ieo_SAD_XX.flv", "1002_TIE_ANG_HI.flv")
    touch(roots["savee"], *savee_clips(), "DC/a1.avi")
    enterface = enterface05.read(roots["enterface05"])
    assert {c.sentence for c in enterface.clips if c.excluded} == {None}
    kept = replace(enterface, clips=[c for c in enterface.clips if not c.excluded])
    assert said(kept) == {emotion: set("12345") for emotion in EMOTIONS}
    assert set(map(frozenset, said(ravdess.read(roots["ravdess"])).values())) == {
        frozenset({"01", "02"})
    }
    assert said(cremad.read(roots["cremad"])) == {"anger": {"IEO", "TIE"}, "sadness": {"IEO"}}
    numbers = {str(n) for n in range(1, 31)}
    assert said(savee.read(roots["savee"]))["neutral"] == numbers
    assert said(savee.read(roots["savee"]))["anger"] == {n for n in numbers if int(n) < 16}


@pytest.mark.parametrize("corpus", ["rml", "baum1s", "facs"])
def test_where_names_do_not_tell_what_is_said_there_is_no_sentence(tmp_path, corpus, facs_root):
    root = facs_root if corpus == "facs" else small_tree(corpus, tmp_path)
    assert {c.sentence for c in read_copy(DataConfig(corpus, root=root)).clips} == {None}


def test_a_manifest_may_say_what_is_said(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    file = tmp_path / "m.csv"
    file.write_text("path,subject,emotion,Sentence,light\na.mp4,x,joy, k 1 ,dim\nb.mp4,y,fear,,\n")
    first, second = manifest.read(file).clips
    assert (first.sentence, second.sentence) == ("k 1", None)
    assert first.extra == (("light", "dim"),)


def test_baum1s_has_521_clips_of_the_basic_classes_by_their_code(tmp_path):
    rest = {c: 88 for c in baum1s.CLASSES if c not in BASIC}
    rest["unsure"] += 1134 - 521 - sum(rest.values())
    labels = [name for name, count in (BASIC | rest).items() for _ in range(count)]
    random.Random(0).shuffle(labels)
    subjects = [i for i in range(1, 32) if i != 5]
    book = openpyxl.Workbook()
    book.active.append(["no", "subject", "x", "clip", "emotion", "code"])
    paths = []
    for n, name in enumerate(labels):
        s = subjects[n % 30]
        paths.append(f"BAUM1s_MP4 - All/s{s:03}/S{s:03}_{n:03}.mp4")
        book.active.append(
            [n, s, "", f"S{s:03}_{n:03}", "Hapiness", baum1s.CLASSES.index(name) + 1]
        )
    book.save(tmp_path / "Annotations_BAUM1s.xlsx")
    touch(tmp_path, *paths, "BAUM1s_MP4 - All/s001/S001_999.mp4", "readme.txt")
    touch(tmp_path, "BAUM1s_MP4 - All/s001/S001_000.srt", "BAUM1s_MP4 - All/s002/S002_000.srt")
    config = DataConfig("baum1s", root=tmp_path)
    whole = read_copy(config)
    corpus = restrict(whole, config)
    used = [c for c in corpus.clips if not c.excluded]
    assert len(whole.clips) == 1134
    assert len({c.subject for c in whole.clips}) == 30
    assert (len(used), Counter(c.emotion for c in used)) == (521, BASIC)
    assert corpus.classes == EMOTIONS
    assert names_of(corpus.unexpected) == ["S001_999.mp4", "readme.txt"]
    assert corpus.aside == (("subtitles", 2),)


def test_a_baum1s_table_in_csv_is_read_and_its_lacking_clips_are_missing(tmp_path):
    annotate(tmp_path, baum1s.CLASSES)
    corpus = baum1s.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == dict.fromkeys(baum1s.CLASSES, 1)
    corpus.clips[0].path.unlink()
    assert [key for key, _ in baum1s.read(tmp_path).missing] == ["S001_000"]


def test_baum1s_annotations_in_the_old_excel_format_are_refused_with_the_remedy(tmp_path):
    touch(tmp_path, "s001/S001_005.mp4", "Annotations_BAUM1s.xls")
    with pytest.raises(ValueError, match=r"old Excel format; save it as \.xlsx or \.csv"):
        baum1s.read(tmp_path)


@pytest.mark.parametrize(
    "acted",
    [["BAUM1a_MP4 - All/s001/S001_001.mp4"], ["Annotations_BAUM1a.xlsx", "s001/S001_001.mp4"]],
)
def test_the_acted_set_baum1a_is_refused_and_the_spontaneous_one_asked_for(tmp_path, acted):
    touch(tmp_path, *acted)
    with pytest.raises(ValueError, match=r"BAUM-1a, the acted set.*spontaneous BAUM-1s"):
        baum1s.read(tmp_path)


def test_a_manifest_keeps_its_columns_and_names_bad_rows(tmp_path):
    touch(tmp_path, "a.mp4")
    file = tmp_path / "m.csv"
    file.write_text("path,subject,emotion,fold,light\na.mp4,x,joy,1,dim\nb.mp4,y,fear,0,\n")
    corpus = manifest.read(file)
    clip, absent = corpus.clips
    assert (clip.emotion, clip.fold, clip.extra) == ("happiness", 1, (("light", "dim"),))
    assert (absent.name, absent.excluded) == ("b", None)  # what became of it, preparing tells
    file.write_text("path,subject,emotion\na.mp4,x,fear\na.mp4,,fear\n")
    with pytest.raises(ValueError, match="row 3: subject is empty"):
        manifest.read(file)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x,fe\x1b[31mar,0", "emotion is 'fe\\x1b[31mar', which has a character"),
        ("x\x00y,fear,0", "subject is 'x\\x00y', which has a character"),
        ('"x\ny",fear,0', "subject is 'x\\ny', which has a character"),
        ("x,fear,99999999999999999999", "a number from 0 to 999999, or empty"),
    ],
)
def test_a_manifest_names_what_could_not_be_shown_or_is_no_fold(row, said, tmp_path):
    file = tmp_path / "m.csv"
    file.write_text(f"path,subject,emotion,fold\na.mp4,{row}\n")
    with pytest.raises(ValueError, match="row 2: ") as stop:
        manifest.read(file)
    assert said in str(stop.value)


def test_a_manifests_clips_are_named_by_where_their_files_are_however_the_path_is_written(tmp_path):
    folder, other = tmp_path / "x", tmp_path / "other"
    touch(folder, "a.mp4", "in/b.mp4")
    touch(other, "c.mp4", "d.mp4")
    paths = ["../x/a.mp4", str(folder / "in/b.mp4"), "in/../../other/c.mp4", str(other / "d.mp4")]
    file = folder / "m.csv"
    file.write_text("path,subject,emotion\n" + "".join(f"{p},s,fear\n" for p in paths))
    named = {clip.name: clip.path for clip in manifest.read(file).clips}
    assert named == {
        "a": folder / "a.mp4",
        "in/b": folder / "in/b.mp4",
        "../other/c": other / "c.mp4",
        str(other / "d"): other / "d.mp4",
    }


@pytest.mark.parametrize("again", ["a.mp4", "./a.mp4", "../x/a.mp4", "{absolute}"])
def test_a_file_in_two_rows_of_a_manifest_is_refused_by_both_numbers(tmp_path, again):
    folder = tmp_path / "x"
    touch(folder, "a.mp4", "b.mp4")
    again = again.format(absolute=folder / "a.mp4")
    file = folder / "m.csv"
    file.write_text(f"path,subject,emotion\na.mp4,x,fear\nb.mp4,x,fear\n{again},y,anger\n")
    with pytest.raises(ValueError, match=r"row 4: .*a\.mp4 is the file of row 2"):
        manifest.read(file)


def test_a_manifest_that_is_no_csv_file_is_refused_by_its_name(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text('path,subject,emotion\n"a.mp4"x,s,fear\n')
    with pytest.raises(ValueError, match=r"m\.csv is no CSV file"):
        manifest.read(file)


@pytest.mark.parametrize("second", ["male", ""])
def test_a_subject_whose_rows_differ_in_gender_is_refused_by_name(tmp_path, second):
    touch(tmp_path, *(f"{i}.mp4" for i in range(3)))
    file = tmp_path / "m.csv"
    file.write_text(
        f"path,subject,emotion,gender\n0.mp4,anna,fear,f\n1.mp4,anna,fear,{second}\n2.mp4,bo,fear,m\n"
    )
    with pytest.raises(ValueError, match="subject anna differ in their gender"):
        losgo(manifest.read(file).clips, 2)


def test_a_manifest_that_lacks_some_subjects_gender_is_split_by_clips_alone(tmp_path):
    touch(tmp_path, *(f"{s}.mp4" for s in "abcd"))
    rows = [f"{s}.mp4,{s},fear" for s in "abcd"]
    plain, some = tmp_path / "plain.csv", tmp_path / "some.csv"
    plain.write_text("path,subject,emotion\n" + "\n".join(rows))
    some.write_text("path,subject,emotion,gender\n" + ",\n".join(rows) + ",female\n")
    assert losgo(manifest.read(some).clips, 2) == losgo(manifest.read(plain).clips, 2)


def test_unknown_classes_are_refused_with_the_legal_ones(tmp_path):
    touch(tmp_path, "s1/an1.avi")
    with pytest.raises(ValueError, match=r"no class joy; it has anger"):
        check_root(DataConfig("rml", root=tmp_path, classes=["joy", "fear"]))


def test_files_beside_the_folder_that_an_archive_unpacked_into_are_unexpected(tmp_path):
    touch(tmp_path, *(f"enterface database/{path}" for path in segmented(1)), "readme.txt")
    assert names_of(enterface05.read(tmp_path).unexpected) == ["readme.txt"]


def test_the_documented_way_to_add_a_corpus_reads_a_copy_of_it(tmp_path):
    text = HERE.parent.joinpath("docs/corpora.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    mine = {}
    exec(compile(code, "docs/corpora.md", "exec"), mine)
    touch(tmp_path, "anna/fear1.mp4", "bo/anger2.mp4", "bo/joy1.mp4", "notes.txt")
    corpus = mine["read"](tmp_path)
    assert [(c.name, c.subject, c.emotion) for c in corpus.clips] == [
        ("anna/fear1", "anna", "fear"), ("bo/anger2", "bo", "anger"),
    ]  # fmt: skip
    assert corpus.classes == ("anger", "fear")
    assert names_of(corpus.unexpected) == ["joy1.mp4", "notes.txt"]
    with pytest.raises(FileNotFoundError, match=re.escape("anna/fear1.mp4")):
        mine["read"](tmp_path / "nothing")
