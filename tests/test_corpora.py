import csv
import random
from collections import Counter
from pathlib import Path

import openpyxl
import pytest

from vfer.catalogue import check_root, read_copy, restrict
from vfer.cli import parse
from vfer.config import DataConfig
from vfer.corpora import EMOTIONS, baum1s, cremad, manifest, ravdess, rml, savee

CONFIGS = sorted(Path(__file__).parent.parent.joinpath("configs").glob("*.yaml"))
BASIC = {"anger": 56, "disgust": 80, "fear": 37, "happiness": 173, "sadness": 134, "surprise": 41}


def touch(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_is_parsed(path):
    assert parse("vfer.fit", ["--config", str(path)]).output.name == path.stem


def ravdess_takes(modality, channel):
    return [
        f"Actor_{a:02}/{modality}-{channel}-{e:02}-{i:02}-{s:02}-{r:02}-{a:02}.mp4"
        for a in range(1, 25)
        for e in range(1, 9)
        for i in (1, 2)
        for s in (1, 2)
        for r in (1, 2)
        if not (e == 1 and i == 2) and not (channel == "02" and (a == 18 or e > 6))
    ]


def test_ravdess_takes_are_read_once_and_by_channel(tmp_path):
    touch(tmp_path / "extra", *ravdess_takes("02", "01"), *ravdess_takes("01", "01"))
    touch(tmp_path / "extra", *ravdess_takes("02", "02"), "Actor_01/odd.mp4", "Thumbs.db")
    corpus = ravdess.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == dict(ravdess.FACTS.per_class)
    assert len(corpus.clips) == 1440
    assert all(c.path.name.startswith("02") for c in corpus.clips)
    assert {c.gender for c in corpus.clips if int(c.subject) % 2} == {"male"}
    assert [p.name for p, _ in corpus.unexpected] == ["odd.mp4"]
    song = ravdess.read(tmp_path, "song")
    assert Counter(c.emotion for c in song.clips) == dict(ravdess.SONG.per_class)


def test_savee_codes_of_two_letters_are_not_taken_for_those_of_one(tmp_path):
    for subject in ("DC", "je", "JK", "KL"):
        names = [f"{c}{i}.AVI" for c in ("sa", "su", *"adfh") for i in range(1, 16)]
        touch(tmp_path / "x" / subject, *names, *(f"n{i:02}.avi" for i in range(1, 31)))
    corpus = savee.read(tmp_path)
    assert Counter(c.emotion for c in corpus.clips) == dict(savee.FACTS.per_class)
    assert len(corpus.clips) == 480


def test_rml_subjects_may_have_a_folder_for_each_language(tmp_path):
    for s in range(1, 9):
        folders = ["english", "urdu", "farsi"] if s < 4 else ["."]
        each = 15 // len(folders)
        touch(
            tmp_path / f"s{s}",
            *(
                f"{f}/{c}{i}.avi"
                for f in folders
                for c in ("an", "di", "fe", "ha", "sa", "su")
                for i in range(1, each + 1)
            ),
        )
    assert len(rml.read(tmp_path).clips) == 720


def test_cremad_has_7442_clips(tmp_path):
    names = []
    for code, emotion in cremad._CODES.items():
        for n in range(cremad.FACTS.per_class[emotion]):
            letters = chr(65 + n // 91) * 3
            names.append(f"VideoFlash/{1001 + n % 91}_{letters}_{code}_XX.flv")
    touch(tmp_path, *names, "VideoFlash/1001_x.flv")
    corpus = cremad.read(tmp_path)
    assert len(corpus.clips) == 7442
    assert len({c.subject for c in corpus.clips}) == 91
    assert len(corpus.unexpected) == 1


def baum(root, suffix):
    rest = {c: 88 for c in baum1s.CLASSES if c not in BASIC}
    rest["unsure"] += 1134 - 521 - sum(rest.values())
    labels = [name for name, count in (BASIC | rest).items() for _ in range(count)]
    random.Random(0).shuffle(labels)
    subjects = [i for i in range(1, 32) if i != 5]
    rows = [["no", "subject", "x", "clip", "emotion", "code"]]
    for n, name in enumerate(labels):
        s = subjects[n % 30]
        clip = f"S{s:03}_{n:03}"
        touch(root, f"BAUM1s_MP4 - All/s{s:03}/{clip}.mp4")
        rows.append([n, s, "", clip, "Hapiness", baum1s.CLASSES.index(name) + 1])
    table = root / f"Annotations_BAUM1s{suffix}"
    if suffix == ".csv":
        with table.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    elif suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(table)
    else:
        table.write_bytes(b"old")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_baum1s_has_521_clips_of_the_basic_classes_by_their_code(tmp_path, suffix):
    baum(tmp_path, suffix)
    touch(tmp_path, "BAUM1s_MP4 - All/s001/S001_999.mp4")
    config = DataConfig("baum1s", root=tmp_path)
    whole = read_copy(config)
    corpus = restrict(whole, config)
    assert len(whole.clips) == 1134
    assert Counter(c.emotion for c in corpus.clips if not c.excluded) == BASIC
    assert corpus.classes == EMOTIONS
    assert [p.name for p, _ in corpus.unexpected] == ["S001_999.mp4"]
    whole.clips[0].path.unlink()
    assert len(read_copy(config).missing) == 1


def test_old_excel_and_the_acted_set_are_refused(tmp_path):
    baum(tmp_path / "a", ".xls")
    with pytest.raises(ValueError, match="save it as"):
        baum1s.read(tmp_path / "a")
    touch(tmp_path / "b", "BAUM1a_MP4/s001/S001_001.mp4", "Annotations_BAUM1a.xlsx")
    with pytest.raises(ValueError, match="acted"):
        baum1s.read(tmp_path / "b")


def test_a_manifest_keeps_its_columns_and_names_bad_rows(tmp_path):
    touch(tmp_path, "a.mp4")
    file = tmp_path / "m.csv"
    file.write_text("path,subject,emotion,fold,light\na.mp4,x,joy,1,dim\nb.mp4,y,fear,0,\n")
    corpus = manifest.read(file)
    (clip,) = corpus.clips
    assert (clip.emotion, clip.fold, clip.extra) == ("happiness", 1, (("light", "dim"),))
    assert [name for name, _ in corpus.missing] == ["b"]
    file.write_text("path,subject,emotion\na.mp4,x,fear\na.mp4,,fear\n")
    with pytest.raises(ValueError, match="row 3: subject is empty"):
        manifest.read(file)


def test_unknown_classes_are_refused_with_the_legal_ones(tmp_path):
    touch(tmp_path, "s1/an1.avi")
    with pytest.raises(ValueError, match=r"no class joy; it has anger"):
        check_root(DataConfig("rml", root=tmp_path, classes=["joy", "fear"]))
