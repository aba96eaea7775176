import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from rich.console import Console

from vfer import video
from vfer.config.tree import DataConfig
from vfer.corpora import Clip, Corpus, baum1s, enterface05
from vfer.faces.settings import FaceConfig
from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig
from vfer.prepare.clip import prepare_clip
from vfer.prepare.corpus import open_corpus
from vfer.prepare.doubts import doubts
from vfer.prepare.fill import fill, open_store, print_usable
from vfer.prepare.main import main
from vfer.prepare.store import CropStore, Entry, flow_key
from vfer.runtime.files import lock, sha256
from vfer.segments.indices import WindowConfig
from vfer.video import MARKS, decode


@pytest.fixture
def corpus(facs_root):
    """Three clips of the built-in corpus."""
    whole = enterface05.read(facs_root)
    return replace(whole, clips=whole.clips[:3])


@pytest.fixture
def console():
    return Console(file=StringIO(), width=1000)  # no line is wrapped


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


def test_a_face_that_leaps_is_followed_and_told_as_doubtful(corpus, tmp_path):
    clip = corpus.clips[0]

    def leaping(path, decoder):
        frames = np.concatenate(list(decode(path, decoder)))
        if decoder == MARKS:
            yield frames
            return
        wide = np.pad(frames, ((0, 0), (0, 0), (0, frames.shape[2]), (0, 0)), mode="edge")
        wide[5:] = np.roll(wide[5:], frames.shape[2], axis=2)
        yield wide

    config = FaceConfig(detect_every=1, max_gap=1)
    entry, crops = prepare_clip(clip, config, decode=leaping)
    assert (entry.status, entry.sampled, entry.detected, entry.joined) == ("ok", 10, 10, 1)
    store = CropStore(tmp_path / "store")
    store.add(entry, crops)
    assert list(doubts(replace(corpus, clips=(clip,)), store)) == [
        (clip.name, "the face leaps once; it is taken for one person by its looks")
    ]


def files(store):
    """Name → bytes of everything in a store but its locks, and what it only saves time by."""
    return {
        str(path.relative_to(store.directory)): path.read_bytes()
        for path in store.directory.rglob("*")
        if path.is_file() and not path.name.startswith((".lock", ".records", ".alike"))
    }


def test_a_store_has_the_same_bytes_with_one_process_and_with_two(corpus, tmp_path, console):
    one = fill(corpus, settings(tmp_path / "1", workers=1), console)
    two = fill(corpus, settings(tmp_path / "2", workers=2), console)
    assert len(files(one)) == 2 * 3 + 1
    assert files(one) == files(two)
    assert {one.entry(clip.name).status for clip in corpus.clips} == {"ok"}


def test_filling_goes_on_where_it_stopped_and_does_nothing_twice(corpus, tmp_path, console):
    config = settings(tmp_path)
    before = fill(replace(corpus, clips=corpus.clips[:2]), config, console)
    written = {path: path.stat().st_mtime_ns for path in before.directory.rglob("*.npy")}
    assert len(written) == 2
    left = before.directory / "crops" / ".x.npy.0123.tmp"  # as a killed process leaves it
    left.write_bytes(b"half")
    store = fill(corpus, config, console)
    again = {path: path.stat().st_mtime_ns for path in store.directory.rglob("*.npy")}
    assert len(again) == 3
    assert again.items() > written.items()
    assert not left.exists()
    fresh = fill(corpus, settings(tmp_path / "fresh"), console)
    assert files(store) == files(fresh)


def test_a_video_that_has_changed_is_prepared_again_with_its_flow(corpus, tmp_path, console):
    videos = []
    for clip in corpus.clips[:2]:
        path = tmp_path / f"{len(videos)}.avi"
        path.write_bytes(clip.path.read_bytes())
        videos.append(replace(clip, path=path))
    own = replace(corpus, clips=tuple(videos))
    config = settings(tmp_path / "cache", flow=FlowConfig(levels=1))
    before = files(fill(own, config, console))
    os.utime(videos[0].path)  # touched, not changed
    assert files(fill(own, config, console)) == before
    videos[0].path.write_bytes(corpus.clips[2].path.read_bytes())
    store = fill(own, config, console)
    changed = {
        name.split("/")[0][:4] for name, data in files(store).items() if data != before[name]
    }
    assert changed == {"crop", "clip", "flow", "mani"}
    assert store.entry(videos[0].name).source == sha256(corpus.clips[2].path)
    expected = prepare_clip(replace(corpus.clips[2], name=videos[0].name), FaceConfig())[1]
    np.testing.assert_array_equal(CropStore(store.directory).crops(videos[0].name), expected)


def with_bad_decoders(clip, faces, decoders, decode):
    """Runs in a worker process: what the decoders do depends on the file's name."""

    def decord(path, chunk):
        if path.stem in ("crash", "both"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.stem == "hang":
            time.sleep(600)
        yield from video._by_pyav(path, chunk)

    def pyav(path, chunk):
        if path.stem == "both":
            os.kill(os.getpid(), signal.SIGKILL)
        yield from video._by_pyav(path, chunk)

    with patch.dict(video._BY, decord=decord, pyav=pyav):
        return prepare_clip(clip, faces, decoders, decode)


@pytest.mark.skipif("decord" not in video.DECODERS, reason="no decord here")
def test_a_clip_that_crashes_or_hangs_decord_is_read_by_pyav_or_costs_itself(
    corpus, tmp_path, console
):
    clips = []
    for name in ("fine", "crash", "hang", "both"):
        path = tmp_path / f"{name}.avi"
        path.write_bytes(corpus.clips[0].path.read_bytes())
        clips.append(Clip(name, path, "1", "fear"))
    own = Corpus("c", ("fear",), tuple(clips))
    config = settings(tmp_path / "cache", decode_timeout=1.0, workers=2)
    store = fill(own, config, console, prepare=with_bad_decoders)
    entries = {name: store.entry(name) for name in ("fine", "crash", "hang", "both")}
    assert [e.status for e in entries.values()] == ["ok", "ok", "ok", "unreadable"]
    assert [e.decoder for e in entries.values()] == ["decord", "pyav", "pyav", ""]
    assert re.search(
        r"both\.avi: cannot be read \(the process that read it died \(exit status -11\) with .*, "
        r"died \(exit status -9\) with \('pyav',\)\)",
        entries["both"].reason,
    )
    assert entries["both"].source == entries["fine"].source
    assert store.crops("crash").tobytes() == store.crops("hang").tobytes()
    assert store.missing(clips) == []


def dies(clip, faces, decoders, decode):
    os._exit(3)


def test_where_every_process_dies_nothing_is_recorded_and_the_error_says_so(
    corpus, tmp_path, console
):
    config = settings(tmp_path)
    with pytest.raises(RuntimeError, match=r"every preparing process died.*exit status 3.*workers"):
        fill(corpus, config, console, prepare=dies)
    assert open_store(corpus, config).missing(corpus.clips) == list(corpus.clips)


def grows(clip, faces, decoders, decode):
    """Runs in a worker process: the video is still being copied."""
    result = prepare_clip(clip, faces, decoders, decode)
    with clip.path.open("ab") as file:
        file.write(b"more")
    return result


def test_a_process_that_is_alone_never_waits_but_names_the_video_that_changes(
    corpus, tmp_path, console, monkeypatch
):
    def waits(seconds):
        raise AssertionError("it waits")

    monkeypatch.setattr("vfer.prepare.fill.time", SimpleNamespace(sleep=waits))
    path = tmp_path / "copied.avi"
    path.write_bytes(corpus.clips[0].path.read_bytes())
    own = Corpus("c", ("fear",), (bare_clip(path),))
    config = settings(tmp_path / "cache")
    with pytest.raises(RuntimeError, match=r"copied\.avi.*changed while.*the same command"):
        fill(own, config, console, prepare=grows)
    store = fill(own, config, console)
    assert store.entry(own.clips[0].name).status == "ok"


def test_a_long_clip_is_decoded_twice_with_the_same_result(corpus, monkeypatch):
    expected = prepare_clip(corpus.clips[0], FaceConfig())
    passes = []

    def counted(path, decoder):
        passes.append(decoder)
        return decode(path, decoder, 4)

    assert prepare_clip(corpus.clips[0], FaceConfig(), decode=counted)[0] == expected[0]
    assert passes.count(expected[0].decoder) == 1
    monkeypatch.setattr("vfer.prepare.clip.KEPT", 500_000)
    found = prepare_clip(corpus.clips[0], FaceConfig(), decode=counted)
    assert passes.count(expected[0].decoder) == 3
    assert found[0] == expected[0]
    assert found[1].tobytes() == expected[1].tobytes()


def test_a_clip_with_less_than_half_of_its_promised_frames_is_unreadable(corpus, monkeypatch):
    monkeypatch.setattr("vfer.prepare.clip.probe", lambda path: (25.0, 21))
    entry, crops = prepare_clip(corpus.clips[0], FaceConfig())
    assert crops is None
    assert entry.status == "unreadable"
    assert "10 frames, the header promises 21" in entry.reason
    monkeypatch.setattr("vfer.prepare.clip.probe", lambda path: (25.0, 20))
    assert prepare_clip(corpus.clips[0], FaceConfig())[0].status == "ok"


def test_a_clip_that_is_gone_is_unreadable_with_the_reason(tmp_path):
    entry, crops = prepare_clip(bare_clip(tmp_path / "gone.avi"), FaceConfig())
    assert crops is None
    assert entry.status == "unreadable"
    assert "gone.avi: cannot be read (No such file" in entry.reason


def test_the_processes_of_a_launcher_share_the_clips_and_make_the_same_store(
    facs_root, tmp_path, console
):
    def arguments(cache):
        return [
            "--data.corpus", "enterface05", "--data.root", str(facs_root), "--data.workers", "1",
            "--data.cache", str(tmp_path / cache), "--data.flow.levels", "1",
        ]  # fmt: skip

    assert main(arguments("alone")) == 0
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "vfer.prepare", *arguments("shared")],
            env={**os.environ, "RANK": str(k), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    said = [process.communicate()[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert "18 clips, 18 usable" in said[0]
    assert "usable" not in said[1]
    (alone,), (shared,) = ((tmp_path / n / "crops").iterdir() for n in ("alone", "shared"))
    assert files(CropStore(alone)) == files(CropStore(shared))
    assert len(files(CropStore(alone))) == 4 * 18 + 1


@pytest.mark.slow
def test_killed_twenty_times_it_still_makes_the_same_store(facs_root, tmp_path):
    def arguments(cache):
        return [
            "--data.corpus", "enterface05", "--data.root", str(facs_root), "--data.workers", "2",
            "--data.cache", str(tmp_path / cache), "--data.flow.levels", "1",
        ]  # fmt: skip

    def written():
        return sum(path.is_file() for path in (tmp_path / "killed").rglob("*"))

    command = [sys.executable, "-m", "vfer.prepare"]
    subprocess.run([*command, *arguments("whole")], check=True, stdout=subprocess.DEVNULL)
    rng, kills = np.random.default_rng(0), 0
    while kills < 20:
        enough = written() + rng.integers(0, 6)
        process = subprocess.Popen(
            [*command, *arguments("killed")], stdout=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None and written() <= enough:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        else:  # it came to its end before
            shutil.rmtree(tmp_path / "killed")
        process.wait()
    subprocess.run([*command, *arguments("killed")], check=True, stdout=subprocess.DEVNULL)
    (whole,), (killed,) = ((tmp_path / n / "crops").iterdir() for n in ("whole", "killed"))
    assert files(CropStore(whole)) == files(CropStore(killed))


def test_a_store_is_hardly_larger_than_its_crops(corpus, tmp_path, console):
    store = fill(corpus, settings(tmp_path), console)
    frames = sum(store.entry(clip.name).frames for clip in corpus.clips)
    assert sum(len(data) for data in files(store).values()) <= 1.02 * frames * 49_500


def test_the_manifest_has_a_row_for_every_clip(corpus, tmp_path, console):
    left_out = replace(corpus.clips[2], excluded="not segmented")
    store = fill(replace(corpus, clips=(*corpus.clips[:2], left_out)), settings(tmp_path), console)
    with (store.directory / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == [clip.name for clip in corpus.clips]
    assert [row["status"] for row in rows] == ["ok", "ok", "excluded"]
    assert rows[2]["reason"] == "not segmented"
    entry = store.entry(corpus.clips[0].name)
    assert (rows[0]["source"], int(rows[0]["frames"])) == (entry.source, entry.frames)
    assert (rows[0]["subject"], rows[0]["emotion"]) == ("1", corpus.clips[0].emotion)


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
    mixed = replace(mixed, aside=(("audio", 7),))
    config = settings(tmp_path / "cache")
    store = fill(mixed, config, console)
    print_usable(mixed, store, config, console)
    assert [store.entry(n).status for n in (corpus.clips[0].name, "bad", "noise")] == [
        "ok", "unreadable", "no_face",
    ]  # fmt: skip
    text = " ".join(console.file.getvalue().split())
    assert "4 clips, 1 usable, 1 excluded, 1 no_face, 1 unreadable" in text
    assert "excluded: 'subject 1/fear/sentence 1/s1_fe_1': not segmented" in text
    for part in (
        "unreadable: 'bad': ",
        "no_face: 'noise': ",
        "stray.txt",
        "not an AVI file",
        "audio: 7",
    ):
        assert part in text


def test_notes_on_clips_that_were_printed_before_are_counted_and_new_ones_are_printed(
    made_store, console, tmp_path
):
    corpus, store = made_store({("1", "fear"): 30, ("2", "anger"): 16})
    first, second = (replace(clip, excluded="not segmented") for clip in corpus.clips)
    notes, config = tmp_path / "sweep" / "notes.txt", DataConfig("rml")

    def said(*clips):
        quiet = Console(file=StringIO(), width=200)
        print_usable(replace(corpus, clips=clips), store, config, quiet, notes)
        return quiet.file.getvalue().splitlines()[1:-1]

    lines = [f"  excluded: {clip.name!r}: not segmented" for clip in (first, second)]
    assert said(first, corpus.clips[1]) == lines[:1]
    assert said(first, corpus.clips[1]) == [f"  1 more as in {notes}"]
    assert said(first, second) == [lines[1], f"  1 more as in {notes}"]
    assert notes.read_text().splitlines() == [line.strip() for line in lines]
    print_usable(replace(corpus, clips=(first, second)), store, config, console)
    assert console.file.getvalue().splitlines()[1:-1] == lines


def test_the_report_says_which_stride_comes_nearest_the_papers_number_of_segments(
    made_store, console
):
    corpus, store = made_store({("1", "fear"): 30, ("2", "anger"): 16})
    config = DataConfig("baum1s", windows=WindowConfig(None, stride=7))
    print_usable(replace(corpus, facts=baum1s.FACTS), store, config, console)
    text = console.file.getvalue()
    assert "4 segments of 16 frames" in text  # from 0, 7, 14 and from 0
    assert "nearest the paper's 7000: --data.windows.stride 1" in text
    print_usable(corpus, store, DataConfig("rml"), console)
    assert "30 segments of 16 frames" in console.file.getvalue()


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


def test_a_second_writer_waits_until_the_first_is_done(corpus, tmp_path, console):
    one = replace(corpus, clips=corpus.clips[:1])
    config = settings(tmp_path)
    directory = fill(replace(corpus, clips=()), config, console).directory
    second = threading.Thread(target=fill, args=(one, config, console))
    with lock(directory, "the crop store"):
        second.start()
        while "waiting for it" not in console.file.getvalue():
            assert second.is_alive()
            time.sleep(0.01)
        assert str(directory) in console.file.getvalue()
        assert CropStore(directory).missing(one.clips) == list(one.clips)
    second.join()
    assert CropStore(directory).missing(one.clips) == []


def test_a_folder_that_another_process_holds_is_refused(tmp_path):
    refused = pytest.raises(
        RuntimeError, match=r"another process \(process \d+ on .* is using a folder"
    )
    with lock(tmp_path, "a folder"), refused, lock(tmp_path, "a folder"):
        pass


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


def test_a_cache_that_is_full_and_whole_is_only_read(tmp_path, monkeypatch, capsys):
    words = ["--data.corpus=facs", f"--data.cache={tmp_path}", "--data.facs.subjects=1",
             "--data.facs.clips_per_emotion=1", "--data.facs.frames=8",
             "--data.facs.width=240", "--data.facs.height=192"]  # fmt: skip
    assert main(words) == 0

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    for name in ("write_bytes", "write_text", "unlink", "touch", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert main(words) == 0, capsys.readouterr().err
