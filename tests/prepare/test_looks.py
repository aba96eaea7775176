import shutil
import time
from dataclasses import replace
from io import StringIO

import av
import numpy as np
import pytest
from rich.console import Console

from tests.conftest import crops_of
from tests.prepare.test_sources import manifest_of
from vfer.config.tree import DataConfig
from vfer.corpora import Clip, Corpus
from vfer.prepare.doubts import doubts
from vfer.prepare.fill import print_usable
from vfer.prepare.looks import look, look_alikes
from vfer.prepare.main import main
from vfer.prepare.store import CropStore, Entry


def flipped(rng, one, face, movement):
    """A hash that differs from another in these shares of the bits of its halves."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(one), np.uint8)).reshape(2, -1)
    for half, share in zip(bits, (face, movement), strict=True):
        half[rng.choice(half.size, round(share * half.size), replace=False)] ^= 1
    return np.packbits(bits).tobytes().hex()


def differing(one, other):
    """In which share of the bits of both halves two hashes differ."""
    a, b = (np.unpackbits(np.frombuffer(bytes.fromhex(h), np.uint8)) for h in (one, other))
    return (a != b).reshape(2, -1).mean(axis=1)


@pytest.mark.parametrize("rows", [2, 512])
@pytest.mark.parametrize(
    ("face", "movement", "one_person", "two_people"),
    [(0.11, 0.21, True, True), (0.11, 0.39, False, True), (0.13, 0.1, False, False),
     (0.1, 0.23, False, True), (0.1, 0.41, False, False)],
)  # fmt: skip
def test_hashes_are_alike_by_face_and_movement_both(rows, face, movement, one_person, two_people):
    rng = np.random.default_rng(0)
    one, *others = (rng.bytes(384).hex() for _ in range(5))
    looks = [others[0], one, *others[1:], flipped(rng, one, face, movement)]

    def found(subjects, labels):
        return list(look_alikes(looks, list(subjects), list(labels), rows))

    assert found("aaaaaa", "uvwxyz") == ([(1, 5)] if one_person else [])
    assert found("abcdef", "uuuuuu") == ([(1, 5)] if two_people else [])
    assert found("aaaaaa", "uuuuuu") == []


def test_hashes_of_ten_thousand_clips_are_compared_in_seconds():
    rng = np.random.default_rng(0)
    looks = [rng.bytes(384).hex() for _ in range(10_000)]
    looks[9_999] = flipped(rng, looks[0], 0.1, 0.2)
    subjects, labels = [str(k % 100) for k in range(10_000)], [str(k % 7) for k in range(10_000)]
    begin = time.monotonic()
    assert list(look_alikes(looks, subjects, labels)) == [(0, 9_999)]
    assert time.monotonic() - begin < 60


def test_a_look_bears_light_and_noise_and_tells_other_clips_apart():
    crops = crops_of(20, 1)
    noise = np.random.default_rng(0).normal(0, 4, crops.shape)
    again = np.clip(crops * 0.9 + 10 + noise, 0, 255).astype(np.uint8)
    assert max(differing(look(crops), look(again))) < 0.1
    assert min(differing(look(crops), look(crops_of(20, 2)))) > 0.3
    backwards = differing(look(crops), look(crops[::-1]))
    assert backwards[1] > 0.3  # the same frames, another movement
    assert len(look(crops[:1])) == 768


def encoded_again(video, path):
    """Write the video in H.264."""
    with av.open(str(video)) as source, av.open(str(path), "w") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
        stream = container.add_stream("libx264", rate=25, options={"crf": "23"})
        stream.height, stream.width, stream.pix_fmt = (
            frames[0].shape[0],
            frames[0].shape[1],
            "yuv420p",
        )
        for frame in frames[:-1]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def test_a_video_that_was_encoded_again_under_another_subject_is_doubtful(
    facs_root, tmp_path, capsys
):
    first, second, *_ = sorted((facs_root / "subject 1").rglob("*.avi"))
    rows = {
        "a.avi": ("anna", "fear", b""), "b.avi": ("anna", "anger", b""),
        "c.mp4": ("bo", "fear", b""), "d.mp4": ("anna", "fear", b""),
    }  # fmt: skip
    table = manifest_of(tmp_path, rows)
    shutil.copy(first, tmp_path / "a.avi")
    shutil.copy(second, tmp_path / "b.avi")
    encoded_again(first, tmp_path / "c.mp4")
    encoded_again(first, tmp_path / "d.mp4")
    (tmp_path / "d.mp4").write_bytes((tmp_path / "d.mp4").read_bytes() + b"\0")  # no equal content
    argv = ["--data.corpus=manifest", f"--data.root={table}", f"--data.cache={tmp_path / 'cache'}",
            "--data.workers=1", "--data.flow.cache=false"]  # fmt: skip
    assert main(argv) == 0
    doubtful = [line for line in capsys.readouterr().out.splitlines() if "looks like" in line]
    assert doubtful == [
        "  doubtful: 'a': of subject anna, fear, looks like 'c' of subject bo, fear: "
        "one video, encoded again or cut?",
        "  doubtful: 'c': of subject bo, fear, looks like 'd' of subject anna, fear: "
        "one video, encoded again or cut?",
    ]


def test_takes_of_one_person_and_of_others_are_not_listed_wholesale(facs_root, tmp_path, capsys):
    argv = ["--data.corpus=enterface05", f"--data.root={facs_root}", "--data.workers=1",
            f"--data.cache={tmp_path}", "--data.flow.cache=false"]  # fmt: skip
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "18 clips, 18 usable" in said
    assert "looks like" not in said


def test_clips_of_a_store_without_hashes_are_compared_too(made_store):
    corpus, store = made_store({("1", "fear"): 12, ("2", "anger"): 12})
    first, second = (store.entry(clip.name) for clip in corpus.clips)
    store.add(replace(second, crops=""), np.array(store.crops(first.clip)))
    said = Console(file=StringIO(), width=1000)
    print_usable(corpus, CropStore(store.directory), DataConfig("rml"), said)
    assert f"doubtful: {first.clip!r}" in said.file.getvalue()


def test_what_looks_alike_is_kept_with_the_store_until_a_label_changes(made_store, monkeypatch):
    corpus, store = made_store({("1", "fear"): 9, ("2", "anger"): 9})
    crops = np.array(store.crops(corpus.clips[0].name))
    for clip in corpus.clips:  # one video under two names
        store.add(replace(store.entry(clip.name), look=look(crops)), crops)
    found = list(doubts(corpus, store))
    assert len(found) == 1
    with monkeypatch.context() as patch:
        patch.setattr("vfer.prepare.doubts.look_alikes", lambda *_: pytest.fail("compared again"))
        assert list(doubts(corpus, store)) == found
    same = [replace(clip, subject="1", emotion="fear") for clip in corpus.clips]
    assert list(doubts(replace(corpus, clips=tuple(same)), store)) == []
    monkeypatch.setattr("vfer.prepare.doubts.MOST", 1)
    assert list(doubts(corpus, store)) == []


def test_what_looks_alike_is_found_again_where_its_file_is_damaged(tmp_path):
    store = CropStore(tmp_path / "store")
    crops = np.random.default_rng(0).integers(0, 256, (9, 150, 110, 3), np.uint8)
    for name in ("a", "b"):
        store.add(Entry(name, "ok", frames=9), crops)
    clips = tuple(Clip(n, tmp_path / n, n, "fear") for n in ("a", "b"))
    corpus = Corpus("twins", ("fear", "anger"), clips)
    expected = list(doubts(corpus, store))
    assert any("looks like" in why for _, why in expected)
    path = store.directory / ".alike.json"
    whole = path.read_text()
    for text in ("", "[]", "{}", whole[:-9], whole.replace("pairs", "paiqs"),
                 whole.replace("1", "7"), whole.replace("1", '"x"')):  # fmt: skip
        path.write_text(text)
        assert list(doubts(corpus, store)) == expected
    assert path.read_text() == whole
