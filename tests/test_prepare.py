from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from vfer.config import DataConfig
from vfer.corpora import Clip, Corpus, enterface
from vfer.faces import FaceConfig
from vfer.files import sha256
from vfer.prepare import fill, lock, open_corpus, prepare_clip, report
from vfer.store import CropStore, Entry
from vfer.transforms import FlowConfig, flow_key, pair_flow


@pytest.fixture
def corpus(facs_root):
    """Three clips of the built-in corpus."""
    whole = enterface.read(facs_root)
    return replace(whole, clips=whole.clips[:3])


@pytest.fixture
def console():
    return Console(file=StringIO(), width=200)


def settings(cache, **others):
    return DataConfig(
        "enterface05", cache=cache, **{"workers": 1, "flow": FlowConfig(cache=False)} | others
    )


def bare_clip(path):
    return Clip("subject 1/fear/x", Path(path), "1", "fear")


def test_a_drawn_clip_becomes_crops_of_every_frame_and_a_full_record(corpus):
    clip = corpus.clips[0]
    entry, crops = prepare_clip(clip, FaceConfig())
    assert crops.shape == (10, 150, 110, 3)
    assert crops.dtype == np.uint8
    assert crops.std() > 10
    assert (entry.clip, entry.status, entry.reason) == (clip.name, "ok", "")
    assert entry.source == sha256(clip.path)
    assert (entry.frames, entry.promised, entry.fps) == (10, 10, 25.0)
    assert (entry.sampled, entry.detected) == (4, 4)
    assert 28 < entry.eye_distance < 40
    assert 0.9 < entry.confidence <= 1


def test_preparing_a_clip_again_gives_the_same_bytes(corpus):
    first, again = (prepare_clip(corpus.clips[1], FaceConfig()) for _ in range(2))
    assert first[0] == again[0]
    assert first[1].tobytes() == again[1].tobytes()


@pytest.mark.parametrize("kind", ["empty", "text", "cut"])
def test_a_clip_that_cannot_be_decoded_is_unreadable_with_the_reason(lossless, kind):
    path, _ = lossless(20, name="clip.avi")
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"no video", "cut": data[: len(data) * 6 // 10]}[kind])
    entry, crops = prepare_clip(bare_clip(path), FaceConfig())
    assert crops is None
    assert (entry.status, entry.frames) == ("unreadable", 0)
    assert "clip.avi" in entry.reason
    assert entry.source == sha256(path)


def test_a_clip_without_a_face_is_no_face_with_the_reason(lossless):
    path, _ = lossless(5, 96, 128)
    entry, crops = prepare_clip(bare_clip(path), FaceConfig())
    assert crops is None
    assert (entry.status, entry.frames) == ("no_face", 5)
    assert "0 of 2 sampled frames" in entry.reason


def files(store):
    """Name → bytes of everything in a store but its lock."""
    return {
        str(path.relative_to(store.directory)): path.read_bytes()
        for path in store.directory.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_store_has_the_same_bytes_with_one_process_and_with_two(corpus, tmp_path, console):
    one = fill(corpus, settings(tmp_path / "1", workers=1), console)
    two = fill(corpus, settings(tmp_path / "2", workers=2), console)
    assert len(files(one)) == 6
    assert files(one) == files(two)
    assert {one.entry(clip.name).status for clip in corpus.clips} == {"ok"}


def test_filling_goes_on_where_it_stopped_and_does_nothing_twice(
    corpus, tmp_path, console, monkeypatch
):
    config = settings(tmp_path)
    before = files(fill(replace(corpus, clips=corpus.clips[:2]), config, console))
    seen = []

    def note(clip, faces):
        seen.append(clip.name)
        return prepare_clip(clip, faces)

    monkeypatch.setattr("vfer.prepare.prepare_clip", note)
    store = fill(corpus, config, console)
    fill(corpus, config, console)
    assert seen == [corpus.clips[2].name]
    assert files(store).items() > before.items()


def test_a_bad_clip_does_not_stop_the_others_and_the_report_names_it(
    corpus, tmp_path, console, lossless
):
    path, _ = lossless(3, 96, 128)
    garbage = tmp_path / "garbage.avi"
    garbage.write_bytes(b"no video")
    left_out = replace(corpus.clips[2], excluded="not segmented")
    noise = Clip("noise", path, "7", "fear")
    bad = Clip("bad", garbage, "7", "fear")
    stray = (tmp_path / "stray.txt", "not an AVI file")
    mixed = Corpus("c", corpus.classes, (corpus.clips[0], bad, noise, left_out), (stray,))
    store = fill(mixed, settings(tmp_path / "cache"), console)
    report(mixed, store, console)
    assert [store.entry(n).status for n in (corpus.clips[0].name, "bad", "noise")] == [
        "ok", "unreadable", "no_face",
    ]  # fmt: skip
    text = " ".join(console.file.getvalue().split())
    assert "4 clips, 1 usable, 1 excluded, 1 no_face, 1 unreadable" in text
    assert "excluded: subject 1/fear/sentence 1/s1_fe_1: not segmented" in text
    for part in ("unreadable: bad: ", "no_face: noise: ", "stray.txt", "not an AVI file"):
        assert part in text


def test_stores_of_other_face_settings_and_other_copies_lie_elsewhere(tmp_path, console):
    nothing = Corpus("c", ("fear",), ())
    configs = [
        settings(tmp_path),
        settings(tmp_path, faces=FaceConfig(stabilise="clip")),
        settings(tmp_path, root=tmp_path / "a"),
        settings(tmp_path, root=tmp_path / "b"),
    ]
    folders = {fill(nothing, config, console).directory for config in configs}
    assert len(folders) == 4
    assert fill(nothing, settings(tmp_path, segment_length=4), console).directory in folders


def test_cached_flow_is_the_flow_between_neighbouring_crops_to_float16(tmp_path, console):
    """Longer than what is computed at a time, so that no pair is lost at a seam."""
    flow = FlowConfig(levels=1)
    config = settings(tmp_path, flow=flow)
    store = fill(Corpus("c", ("fear",), ()), config, console)
    base = np.random.default_rng(0).integers(0, 256, (190, 150, 3), dtype=np.uint8)
    crops = np.stack([base[i : i + 150, :110] for i in range(35)])
    store.add(Entry("x", "ok", frames=35), crops)
    store.add(Entry("y", "ok", frames=1), crops[:1])
    clips = tuple(Clip(n, Path(n), "1", "fear") for n in "xy")
    store = fill(Corpus("c", ("fear",), clips), config, console)
    found = store.flow("x", flow_key(flow))
    assert found.shape == (34, 2, 150, 110)
    assert found.dtype == np.float16
    for t in (0, 15, 31, 32, 33):
        pair = torch.from_numpy(crops[None, t : t + 2])
        np.testing.assert_array_equal(found[t], pair_flow(pair, flow)[0, 0].half().numpy())
    assert store.flow("y", flow_key(flow)).shape == (0, 2, 150, 110)


def test_a_second_writer_is_refused_until_the_first_is_done(corpus, tmp_path, console):
    one = replace(corpus, clips=corpus.clips[:1])
    config = settings(tmp_path)
    directory = fill(replace(corpus, clips=()), config, console).directory
    with lock(directory, "the crop store"):
        with pytest.raises(RuntimeError, match="another process") as caught:
            fill(one, config, console)
        assert str(directory) in str(caught.value)
        assert CropStore(directory).missing(one.clips) == list(one.clips)
    assert fill(one, config, console).missing(one.clips) == []


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="mine"), lock(tmp_path, "a folder"):
        raise ValueError("mine")
    with lock(tmp_path, "a folder"):
        pass


def test_without_a_root_the_option_and_the_way_to_the_corpus_are_named(console):
    with pytest.raises(ValueError, match=r"--data\.root PATH.*enterface\.net"):
        open_corpus(DataConfig("enterface05"), console)


def test_the_built_in_corpus_is_opened_under_its_own_name(facs_root, facs_config, console):
    config = DataConfig("facs", root=facs_root, facs=facs_config, workers=1)
    corpus = open_corpus(config, console)
    assert corpus.name == "facs"
    assert len(corpus.clips) == 18
    with pytest.raises(ValueError, match="seed is 0, wanted 1"):
        open_corpus(replace(config, facs=replace(facs_config, seed=1)), console)
