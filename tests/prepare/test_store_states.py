"""Whatever happens to a store, in whatever order: what it gives is right, or it says what is wrong.

A machine adds clips, reads them, is killed while it adds, loses and damages files, changes videos
and prepares again.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vfer.corpora import Clip
from vfer.prepare.clip import unprepared
from vfer.prepare.store import CropStore, Entry, entry_id

NAMES = ("a", "b", "ü/ c")


def crops_of(content):
    """The crops of a video: two frames that follow from its content."""
    rng = np.random.default_rng([*hashlib.sha256(content).digest()])
    return rng.integers(0, 256, (2, 1, 1, 3), dtype=np.uint8).repeat(150, 1).repeat(110, 2)


class Store(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clips = [Clip(n, self.folder / f"{k}.avi", "1", "fear") for k, n in enumerate(NAMES)]
        self.store = CropStore(self.folder / "store")
        self.damaged = set()  # clips of which the crops are not what was written
        for number, clip in enumerate(self.clips):
            clip.path.write_bytes(b"first %d" % number)

    def teardown(self):
        shutil.rmtree(self.folder)

    def files(self, clip):
        name = entry_id(clip.name)
        below = self.folder / "store"
        return below / "crops" / f"{name}.npy", below / "clips" / f"{name}.json"

    def prepare(self, clip):
        entry = unprepared(clip)
        self.store.add(
            Entry(clip.name, "ok", source=entry.source, size=entry.size, modified=entry.modified,
                  frames=2), crops_of(clip.path.read_bytes()),
        )  # fmt: skip
        self.damaged.discard(clip.name)

    @rule()
    def prepare_again(self):
        for clip in self.store.missing(self.clips):
            self.prepare(clip)
        assert self.store.missing(self.clips) == []
        for clip in self.clips:
            content = clip.path.read_bytes()
            assert self.store.entry(clip.name).source == hashlib.sha256(content).hexdigest()
            if clip.name not in self.damaged:
                np.testing.assert_array_equal(self.store.crops(clip.name), crops_of(content))

    @rule()
    def another_process(self):
        self.store = CropStore(self.folder / "store")

    @rule(number=st.integers(0, 2), content=st.binary(max_size=3))
    def the_video_changes(self, number, content):
        self.clips[number].path.write_bytes(content)

    @rule(number=st.integers(0, 2), after=st.sampled_from(["crops", "half the record", "nothing"]))
    def killed_while_adding(self, number, after):
        clip = self.clips[number]
        crops, record = self.files(clip)
        self.prepare(clip)
        record.unlink()
        if after == "nothing":
            crops.unlink()
        if after == "half the record":  # as a name that no reader looks for
            record.with_name(f".{record.name}.0.tmp").write_text("{")
        self.another_process()

    @rule(number=st.integers(0, 2), keep=st.integers(0, 200), lost=st.booleans())
    def the_record_is_damaged(self, number, keep, lost):
        _, record = self.files(self.clips[number])
        if record.is_file():
            record.write_bytes(record.read_bytes()[:keep])
            if lost:
                record.unlink()
        self.another_process()

    @rule(number=st.integers(0, 2), at=st.integers(0, 99_127), whole=st.booleans())
    def the_crops_are_damaged(self, number, at, whole):
        clip = self.clips[number]
        crops, record = self.files(clip)
        if crops.is_file() and record.is_file():
            data = bytearray(crops.read_bytes())
            data[at % max(len(data), 1) : None if whole else at + 1] = b"\x07\x08"
            crops.write_bytes(data)
            self.damaged.add(clip.name)
        self.another_process()

    @rule(number=st.integers(0, 2))
    def the_remedy_is_followed(self, number):
        for path in self.files(self.clips[number]):
            path.unlink(missing_ok=True)
        self.damaged.discard(self.clips[number].name)
        self.another_process()

    @invariant()
    def damaged_crops_are_told_by_their_file(self):
        for clip in self.clips:
            files, said = self.files(clip), ""
            try:
                CropStore(self.folder / "store").crops(clip.name)
            except (KeyError, ValueError) as error:
                said = str(error)
            if said:
                assert "is not in the store" in said or any(str(path) in said for path in files)
            else:
                assert clip.name not in self.damaged


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
