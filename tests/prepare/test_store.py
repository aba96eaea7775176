import json
import pickle
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfer.corpora import Clip, Corpus
from vfer.faces.settings import FaceConfig
from vfer.prepare.store import CropStore, Entry, entry_id, store_key
from vfer.runtime.files import read_json, sha256


def random_crops(t, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (t, 150, 110, 3), dtype=np.uint8)


def make_clip(name, subject="1", emotion="fear", excluded=None):
    return Clip(name, Path(f"{name}.avi"), subject, emotion, excluded)


ENTRY = Entry(
    "subject 1/fear/a", "ok", source="5" * 64, decoder="decord", frames=3, promised=4,
    fps=25.0, sampled=2, detected=1, confidence=0.9, eye_distance=31.5,
)  # fmt: skip


def test_what_is_added_is_read_back_by_another_store_object(tmp_path):
    crops = random_crops(3)
    CropStore(tmp_path).add(ENTRY, crops)
    store = CropStore(tmp_path)
    entry = store.entry(ENTRY.clip)
    assert replace(entry, crops="") == ENTRY
    np.testing.assert_array_equal(store.crops(ENTRY.clip), crops)
    (file,) = (tmp_path / "crops").iterdir()
    assert entry.crops == sha256(file)


def test_crops_are_a_read_only_memory_map(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    crops = store.crops(ENTRY.clip)
    assert isinstance(crops, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        crops[0] = 0


def test_a_store_can_be_sent_to_another_process(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    store.crops(ENTRY.clip)
    sent = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(sent.crops(ENTRY.clip), random_crops(3))


def test_a_clip_that_cannot_be_used_has_a_record_with_the_reason_and_no_crops(tmp_path):
    CropStore(tmp_path).add(Entry("x", "no_face", "nobody there"), None)
    store = CropStore(tmp_path)
    assert (store.entry("x").status, store.entry("x").reason) == ("no_face", "nobody there")
    assert list((tmp_path / "crops").iterdir()) == []
    clips = (make_clip("x"),)
    assert store.missing(clips) == []
    assert list(store.usable(Corpus("c", ("fear",), clips))) == []


def test_a_clip_that_was_not_prepared_is_a_key_error_that_names_it(tmp_path):
    with pytest.raises(KeyError, match="who/is it"):
        CropStore(tmp_path).entry("who/is it")


def test_missing_are_the_clips_without_an_entry_that_are_not_excluded(tmp_path):
    clips = [make_clip("a"), make_clip("b"), make_clip("c", excluded="unsegmented"), make_clip("d")]
    store = CropStore(tmp_path)
    assert store.missing(clips) == [clips[0], clips[1], clips[3]]
    store.add(replace(ENTRY, clip="b"), random_crops(3))
    assert store.missing(clips) == [clips[0], clips[3]]


def test_usable_are_the_clips_that_take_part_and_have_crops(tmp_path):
    clips = (make_clip("a"), make_clip("b"), make_clip("c", excluded="unsegmented"), make_clip("d"))
    store = CropStore(tmp_path)
    store.add(replace(ENTRY, clip="a"), random_crops(3))
    store.add(Entry("b", "unreadable", "cut"), None)
    store.add(replace(ENTRY, clip="d"), random_crops(3))
    assert list(store.usable(Corpus("c", ("fear",), clips))) == [clips[0], clips[3]]


def test_the_record_is_written_only_after_the_crops(tmp_path, monkeypatch):
    def fail(path, data):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("vfer.prepare.store.atomic_write", fail)
        with pytest.raises(OSError, match="disk full"):
            CropStore(tmp_path).add(ENTRY, random_crops(3))
    clips = [make_clip(ENTRY.clip)]
    assert CropStore(tmp_path).missing(clips) == clips
    CropStore(tmp_path).add(ENTRY, random_crops(3))
    assert CropStore(tmp_path).missing(clips) == []


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


@given(st.sets(names, min_size=2, max_size=6))
def test_different_names_have_different_ids_that_are_file_names(found):
    ids = {entry_id(name) for name in found}
    assert len(ids) == len(found)
    for name in ids:
        assert Path(name).name == name
        assert len(f".{name}.json.00000000.tmp".encode()) <= 255


@pytest.mark.parametrize(
    ("first", "second"), [("a b", "a_b"), ("a/b", "a b"), ("s 1/x", "s  1/x"), ("A/x", "a/x")]
)
def test_names_that_differ_only_in_odd_characters_keep_their_own_crops(tmp_path, first, second):
    store = CropStore(tmp_path)
    store.add(replace(ENTRY, clip=first), random_crops(3, 1))
    store.add(replace(ENTRY, clip=second), random_crops(3, 2))
    np.testing.assert_array_equal(store.crops(first), random_crops(3, 1))
    np.testing.assert_array_equal(store.crops(second), random_crops(3, 2))
    assert entry_id(first).lower() != entry_id(second).lower()  # also on disks that ignore case


@pytest.mark.parametrize("kept", [0, 5, 40, 128, 1000, 3 * 150 * 110 * 3])
def test_a_truncated_crop_file_is_refused_with_its_name_and_the_remedy(tmp_path, kept):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    (file,) = (tmp_path / "crops").iterdir()
    data = file.read_bytes()
    assert kept < len(data)
    file.write_bytes(data[:kept])
    with pytest.raises(ValueError, match="prepare again") as caught:
        store.crops(ENTRY.clip)
    assert file.name in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        random_crops(2),
        random_crops(3).astype(np.float32),
        random_crops(3)[:, :149],
        np.zeros((3, 110, 150, 3), np.uint8),
    ],
)
def test_a_crop_file_that_is_not_what_its_record_says_is_refused_with_the_remedy(tmp_path, other):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    (file,) = (tmp_path / "crops").iterdir()
    np.save(file, other)
    with pytest.raises(ValueError, match="prepare again") as caught:
        store.crops(ENTRY.clip)
    assert file.name in str(caught.value)


def test_a_crop_file_in_which_one_byte_has_changed_is_refused_when_it_is_first_read(tmp_path):
    CropStore(tmp_path).add(ENTRY, random_crops(3))
    (file,) = (tmp_path / "crops").iterdir()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"is not what was written.*prepare again") as caught:
        CropStore(tmp_path).crops(ENTRY.clip)
    assert file.name in str(caught.value)


def test_a_lost_crop_file_is_refused_with_the_remedy(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    (file,) = (tmp_path / "crops").iterdir()
    file.unlink()
    with pytest.raises(ValueError, match="prepare again"):
        store.crops(ENTRY.clip)


def random_flow(t, seed=0):
    return np.random.default_rng(seed).normal(size=(t, 2, 150, 110)).astype(np.float16)


def test_flow_is_read_back_by_another_store_object(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    assert not store.has_flow(ENTRY.clip, "k")
    store.add_flow(ENTRY.clip, "k", random_flow(2))
    store = CropStore(tmp_path)
    assert store.has_flow(ENTRY.clip, "k")
    assert not store.has_flow(ENTRY.clip, "other")
    np.testing.assert_array_equal(store.flow(ENTRY.clip, "k"), random_flow(2))


def test_flow_without_its_record_is_not_there_as_it_may_be_another_clips(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    store.add_flow(ENTRY.clip, "k", random_flow(2))
    (record,) = tmp_path.glob("flow-k/*.json")
    record.unlink()
    assert not CropStore(tmp_path).has_flow(ENTRY.clip, "k")
    with pytest.raises(ValueError, match=rf"{record.name}.*prepare again"):
        CropStore(tmp_path).flow(ENTRY.clip, "k")


def _flip(folder, own, other):
    data = bytearray((folder / own).with_suffix(".npy").read_bytes())
    data[-1] ^= 1
    (folder / own).with_suffix(".npy").write_bytes(data)


def _take(kinds):
    def change(folder, own, other):
        for kind in kinds:
            shutil.copy((folder / other).with_suffix(kind), (folder / own).with_suffix(kind))

    return change


def _shorten(folder, own, other):
    np.save((folder / own).with_suffix(".npy"), random_flow(1))


@pytest.mark.parametrize(
    "change",
    [_flip, _take([".npy"]), _take([".npy", ".json"]), _shorten],
    ids=["a flipped byte", "another clip's", "another clip's with its record", "shorter"],
)
def test_flow_that_is_not_what_was_written_for_the_clip_is_refused_with_the_remedy(
    tmp_path, change
):
    store = CropStore(tmp_path)
    for seed, name in enumerate((ENTRY.clip, "other")):
        store.add(replace(ENTRY, clip=name), random_crops(3, seed))
        store.add_flow(name, "k", random_flow(2, seed))
    own = entry_id(ENTRY.clip)
    change(tmp_path / "flow-k", own, entry_id("other"))
    with pytest.raises(ValueError, match=rf"{own}.*prepare again"):
        CropStore(tmp_path).flow(ENTRY.clip, "k")
    assert len(CropStore(tmp_path).flow("other", "k")) == 2


def test_flow_of_earlier_crops_is_removed_with_them(tmp_path):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))
    store.add_flow(ENTRY.clip, "k", random_flow(2))
    store.add(ENTRY, random_crops(3, 1))
    assert not store.has_flow(ENTRY.clip, "k")
    assert list((tmp_path / "flow-k").iterdir()) == []


def test_a_clip_of_one_frame_has_flow_of_no_pairs(tmp_path):
    store = CropStore(tmp_path)
    store.add(replace(ENTRY, frames=1), random_crops(1))
    store.add_flow(ENTRY.clip, "k", np.empty((0, 2, 150, 110), np.float16))
    assert CropStore(tmp_path).flow(ENTRY.clip, "k").shape == (0, 2, 150, 110)


OTHER_SETTINGS = {
    "detector": "viola_jones",
    "device": "cuda",
    "follow": "central",
    "max_gap": 30,
    "detect_every": 5,
    "min_face": 0.3,
    "min_detected": 0.4,
    "stabilise": "clip",
    "smooth_sigma": 3.0,
    "eye_distance": 50.0,
    "eye_row": 0.4,
}


@pytest.mark.parametrize("name", [field.name for field in fields(FaceConfig)])
def test_every_face_setting_is_in_the_stores_key(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert store_key(replace(FaceConfig(), **{name: OTHER_SETTINGS[name]})) != store_key(
        FaceConfig()
    )


def test_equal_face_settings_have_one_key():
    assert store_key(FaceConfig()) == store_key(FaceConfig(detect_every=4))


def fingerprint(tmp_path, clips, sources):
    store = CropStore(tmp_path / str(len(list(tmp_path.iterdir()))))
    for clip, source in zip(clips, sources, strict=True):
        if clip.excluded is None:
            store.add(Entry(clip.name, "unreadable", "cut", source), None)
    return store.fingerprint(Corpus("c", ("anger", "fear"), tuple(clips)))


CLIPS = [make_clip("a"), make_clip("b", "2"), make_clip("c", "2", excluded="unsegmented")]


@pytest.mark.parametrize(
    ("clips", "sources"),
    [
        ([replace(CLIPS[0], emotion="anger"), *CLIPS[1:]], "123"),
        ([replace(CLIPS[0], subject="2"), *CLIPS[1:]], "123"),
        ([replace(CLIPS[0], name="A"), *CLIPS[1:]], "123"),
        (CLIPS, "143"),
        (CLIPS[1:], "23"),
    ],
    ids=["label", "subject", "name", "source", "a clip less"],
)
def test_the_fingerprint_changes_with(tmp_path, clips, sources):
    assert fingerprint(tmp_path, clips, sources) != fingerprint(tmp_path, CLIPS, "123")


def test_the_fingerprint_does_not_change_with_where_the_corpus_lies(tmp_path):
    moved = [replace(clip, path=Path("/elsewhere") / clip.path) for clip in CLIPS]
    assert fingerprint(tmp_path, moved, "123") == fingerprint(tmp_path, CLIPS, "123")


def _no_record(folder, own, other):
    own.write_text("[]")


def _lacks(folder, own, other):
    own.write_text(own.read_text().replace('"frames"', '"fames"'))


def _wrong_type(folder, own, other):
    own.write_text(own.read_text().replace('"frames": 3', '"frames": "3"'))


def _swapped(folder, own, other):
    own.write_bytes(other.read_bytes())


def _another_value(folder, own, other):
    own.write_text(own.read_text().replace('"confidence": 0.0', '"confidence": 0.5'))


def _half(folder, own, other):
    own.write_text(own.read_text()[:50])


@pytest.mark.parametrize(
    "damage", [_no_record, _lacks, _wrong_type, _swapped, _another_value, _half]
)
def test_a_record_that_is_none_or_another_clips_is_told_by_its_file_and_made_again(
    tmp_path, damage
):
    store = CropStore(tmp_path)
    for name in "ab":
        store.add(Entry(name, "ok", frames=3), random_crops(3))
    own, other = (tmp_path / "clips" / f"{entry_id(name)}.json" for name in "ab")
    damage(tmp_path, own, other)
    store = CropStore(tmp_path)
    with pytest.raises(ValueError, match=re.escape(str(own))):
        store.entry("a")
    clips = [make_clip("a"), make_clip("b")]
    assert store.missing(clips) == clips[:1]
    store.add(Entry("a", "ok", frames=3), random_crops(3))
    assert CropStore(tmp_path).entry("a").frames == 3


def test_a_full_disk_is_told_with_the_file_that_was_to_be_written(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device.*crops.*npy"):
        CropStore(tmp_path).add(Entry("a", "ok", frames=3), random_crops(3))


def test_a_clip_that_could_not_be_opened_is_made_again_when_it_can_be(tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(b"a video")
    clip = Clip("a", path, "1", "fear")
    about = path.stat()
    failed = Entry("a", "unreadable", "Input/output error", "", about.st_size, about.st_mtime_ns)
    store = CropStore(tmp_path / "store")
    store.add(failed, None)
    assert store.missing([clip]) == [clip]
    path.unlink()  # as little as before can be had of it
    assert CropStore(tmp_path / "store").missing([clip]) == []


def test_all_records_are_read_from_one_file_until_one_is_written_again(made_store):
    corpus, store = made_store({("1", "fear"): 3, ("2", "fear"): 4})
    store.write_records(corpus)
    one, two = (clip.name for clip in corpus.clips)
    record = store.directory / "clips" / f"{entry_id(one)}.json"
    entry = store.entry(one)
    record.write_text("not opened")
    again = CropStore(store.directory)
    again.read_records()
    assert again.entry(one) == entry
    store.add(replace(store.entry(two), frames=5), np.zeros((5, 150, 110, 3), np.uint8))
    again = CropStore(store.directory)
    again.read_records()  # older than a record: not taken
    assert again.entry(two).frames == 5
    with pytest.raises(ValueError, match=r"not JSON|Expecting value"):
        again.entry(one)


def test_one_file_of_records_that_is_broken_off_is_not_taken(made_store):
    corpus, store = made_store({("1", "fear"): 3, ("2", "fear"): 4})
    store.write_records(corpus)
    path = store.directory / ".records.jsonl"
    whole = path.read_text()
    three = '"frames": 3'
    for text in (whole[:-40], "", "{}\n", *(whole.replace(three, f'"frames": {x}') for x in "79")):
        path.write_text(text)
        again = CropStore(store.directory)
        again.read_records()
        assert [again.entry(clip.name).frames for clip in corpus.clips] == [3, 4]


def test_a_record_of_an_earlier_version_has_no_digest_and_is_read(tmp_path):
    CropStore(tmp_path).add(ENTRY, random_crops(3))
    (path,) = tmp_path.glob("clips/*.json")
    record = read_json(path)
    del record["digest"]
    path.write_text(json.dumps(record))
    assert CropStore(tmp_path).entry(ENTRY.clip).frames == 3


def test_crops_that_cannot_be_read_now_are_not_said_to_be_wrong(tmp_path, monkeypatch):
    store = CropStore(tmp_path)
    store.add(ENTRY, random_crops(3))

    def fails(path, **_):
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("numpy.load", fails)
        with pytest.raises(OSError, match=r"Input/output error.*npy"):
            store.crops(ENTRY.clip)
    np.testing.assert_array_equal(store.crops(ENTRY.clip), random_crops(3))


def test_crops_that_are_written_again_are_read_again_by_the_same_store(tmp_path):
    store = CropStore(tmp_path)
    for seed in (3, 4):
        crops = np.full((3, 150, 110, 3), seed, np.uint8)
        store.add(ENTRY, crops)
        np.testing.assert_array_equal(store.crops(ENTRY.clip), crops)
        flow = np.full((2, 2, 150, 110), seed, np.float16)
        store.add_flow(ENTRY.clip, "key", flow)
        np.testing.assert_array_equal(store.flow(ENTRY.clip, "key"), flow)
