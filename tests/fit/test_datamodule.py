from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfer.config.tree import AugmentationConfig, DataConfig, StageConfig
from vfer.corpora import Clip
from vfer.fit.datamodule import StageData
from vfer.fit.datasets import EvaluatedClips, Part, StepDataset, part, shares, thinned
from vfer.fit.frames import Frames
from vfer.fit.plan import Randomness
from vfer.flow.settings import FlowConfig
from vfer.prepare.store import CropStore, Entry, flow_key
from vfer.segments.images import stream_inputs
from vfer.segments.indices import Starts, WindowConfig, fit_length, windows

LENGTHS = {
    ("1", "anger"): 9,
    ("1", "fear"): 3,  # shorter than a segment
    ("2", "anger"): 12,
    ("2", "fear"): 1,  # no motion at all
    ("3", "fear"): 5,
}
CONFIG = DataConfig(
    "enterface05", segment_length=5, windows=WindowConfig(per_clip=3), flow=FlowConfig(cache=False)
)
CACHED = replace(CONFIG, flow=FlowConfig())
VLAN = Randomness(0, 0, "vlan")


def of(subjects):
    """Tell whether a clip is of some subjects."""
    return lambda clip: clip.subject in subjects


def images_of(streams, config):
    return partial(stream_inputs, streams=streams, size=64, config=config.flow)


@pytest.fixture
def made(made_store):
    """A corpus of five clips and its store, with made-up flow that tells clip and pair."""
    corpus, store = made_store(LENGTHS)
    for i, clip in enumerate(corpus.clips):
        t = store.entry(clip.name).frames
        values = 10 * i + np.arange(t - 1) + 1
        flow = np.ones((t - 1, 2, 150, 110), np.float16) * values[:, None, None, None]
        store.add_flow(clip.name, flow_key(CACHED.flow), flow.astype(np.float16))
    return corpus, store


def stage_config(batch_size=4, iterations=50, flip=True, shift=6):
    return StageConfig(
        iterations=iterations,
        batch_size=batch_size,
        augmentation=AugmentationConfig(flip=flip, shift=shift),
    )


def steps_of(made, stage="vlan", subjects="12", config=CONFIG, seed=0, fold=0, **settings):
    corpus, store = made
    store = CropStore(store.directory)  # nothing is shared with another data set
    chosen = part(corpus, store, of(subjects), config)
    frames = Frames(store, config)
    stage_settings = stage_config(**settings)
    single, randomness = stage != "vlan", Randomness(seed, fold, stage)
    return StepDataset(chosen, frames, corpus.classes, stage_settings, single, randomness)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        if isinstance(a, torch.Tensor):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)
        else:
            assert a == b


@pytest.mark.parametrize("stage", ["spatial", "temporal", "vlan"])
@pytest.mark.parametrize("config", [CONFIG, CACHED], ids=["flow later", "flow cached"])
def test_step_n_is_the_same_whatever_was_read_before(made, stage, config):
    first, second = (steps_of(made, stage, config=config, seed=3, fold=1) for _ in range(2))
    in_order = [first[n] for n in range(6)]
    for n in (5, 0, 3, 3):
        assert_same(second[n], in_order[n])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["spatial", "temporal", "vlan"]), st.integers(1, 60), st.integers(0, 2**40))
def test_every_epoch_holds_every_sample_exactly_once(stage, batch_size, seed):
    dataset = bare_steps(stage, batch_size, seed)
    count = 12 if stage == "vlan" else 12 * 4
    steps = -(-3 * count // batch_size)
    drawn = np.concatenate([dataset.samples(n) for n in range(steps)])
    assert len(drawn) == steps * batch_size
    orders = drawn[: 3 * count].reshape(3, count)
    for order in orders:
        assert sorted(order.tolist()) == list(range(count))
    assert len({tuple(order) for order in orders.tolist()}) == 3  # each epoch has its own


def bare_steps(stage, batch_size, seed):
    """Four clips of three segments each, with no store behind them."""
    clips = tuple(Clip(str(i), Path("x.avi"), "1", "fear") for i in range(4))
    starts = Starts(np.full(4, 7), 5, WindowConfig(per_clip=3))
    frames = Frames(CropStore(Path("nowhere")), CONFIG)
    chosen = Part(clips, (0, 1, 2, 3), starts)
    single, randomness = stage != "vlan", Randomness(seed, 0, stage)
    return StepDataset(chosen, frames, ("fear",), stage_config(batch_size), single, randomness)


@pytest.mark.parametrize("other", [{"seed": 1}, {"fold": 1}, {"stage": "temporal"}])
def test_another_seed_fold_or_stage_draws_another_order_and_other_augmentation(made, other):
    base = steps_of(made, **{"stage": "spatial", "batch_size": 30})
    changed = steps_of(made, **({"stage": "spatial", "batch_size": 30} | other))
    assert base.samples(0).tolist() != changed.samples(0).tolist()
    assert not torch.equal(base[0].augment, changed[0].augment)


def test_steps_of_one_run_draw_their_own_augmentation(made):
    dataset = steps_of(made, batch_size=12)
    assert not torch.equal(dataset[0].augment, dataset[1].augment)


def test_a_data_set_has_as_many_items_as_the_stage_has_iterations(made):
    assert len(steps_of(made, iterations=7)) == 7


@pytest.mark.parametrize("stage", ["spatial", "vlan"])
@pytest.mark.parametrize("subjects", ["1", "13", "23"])
def test_batches_hold_clips_of_the_given_subjects_with_their_labels(made, stage, subjects):
    corpus, _ = made
    dataset = steps_of(made, stage, subjects)
    seen = set()
    for n in range(12):
        batch = dataset[n]
        for clip, label in zip(batch.clip.tolist(), batch.label.tolist(), strict=True):
            seen.add(clip)
            assert corpus.clips[clip].subject in subjects
            assert corpus.classes[label] == corpus.clips[clip].emotion
    assert seen == {i for i, clip in enumerate(corpus.clips) if clip.subject in subjects}


def expected_indices(t, length, start):
    return fit_length(t, length) if t < length else np.arange(start, start + length)


def test_segments_are_the_stores_crops_and_the_flow_between_them(made):
    corpus, store = made
    dataset = steps_of(made, "vlan", "123", CACHED)
    for n in range(6):
        batch = dataset[n]
        assert batch.frames.shape == (4, 5, 150, 110, 3)
        assert batch.flow.shape == (4, 4, 2, 150, 110)
        assert (batch.frames.dtype, batch.flow.dtype) == (torch.uint8, torch.float16)
        for b in range(4):
            clip, start = corpus.clips[batch.clip[b]], int(batch.start[b])
            t = store.entry(clip.name).frames
            assert start in windows(t, 5, 3)
            indices = expected_indices(t, 5, start)
            np.testing.assert_array_equal(batch.frames[b], store.crops(clip.name)[indices])
            for i in range(4):
                value = 10 * int(batch.clip[b]) + int(indices[i]) + 1
                moves = indices[i] != indices[i + 1]
                assert batch.flow[b, i].unique().tolist() == [value if moves else 0]


@pytest.mark.parametrize("stage", ["spatial", "temporal"])
def test_a_sample_of_the_first_stages_is_a_frame_of_a_segment_with_the_next(made, stage):
    corpus, store = made
    dataset = steps_of(made, stage, "123", CACHED, batch_size=60)  # all samples of all clips
    batch = dataset[0]
    assert batch.frames.shape == (60, 2, 150, 110, 3)
    assert batch.flow.shape == (60, 1, 2, 150, 110)
    wanted, found = [], []
    for c, clip in enumerate(corpus.clips):
        t = store.entry(clip.name).frames
        crops = store.crops(clip.name)
        for start in windows(t, 5, 3).tolist():
            indices = expected_indices(t, 5, start)
            for first, second in pairwise(indices.tolist()):
                value = 10 * c + first + 1 if first != second else 0
                wanted.append((c, start, value, crops[[first, second]].tobytes()))
    for b in range(60):
        value = int(batch.flow[b].unique().item())
        pair = batch.frames[b].numpy().tobytes()
        found.append((int(batch.clip[b]), int(batch.start[b]), value, pair))
    assert sorted(found) == sorted(wanted)


def test_flow_that_is_not_cached_is_left_to_the_device(made):
    assert steps_of(made)[0].flow is None


def test_repeated_frames_of_short_clips_have_no_flow(made):
    """Clip "1/fear" has three frames: its segment is 0 0 1 2 2."""
    corpus, _ = made
    (index,) = (i for i, c in enumerate(corpus.clips) if (c.subject, c.emotion) == ("1", "fear"))
    dataset = steps_of(made, "vlan", "1", CACHED, batch_size=6)
    batch = dataset[0]
    short = batch.flow[batch.clip == index]
    assert len(short) == 3
    assert (short[:, [0, 3]] == 0).all()
    assert (short[:, [1, 2]] != 0).all()


@pytest.mark.parametrize(
    ("flip", "shift", "mirrors", "shifts"),
    [(True, 2, {0, 1}, {-2, -1, 0, 1, 2}), (True, 0, {0, 1}, {0}), (False, 1, {0}, {-1, 0, 1})],
)
def test_augmentation_draws_the_whole_range_and_nothing_else(made, flip, shift, mirrors, shifts):
    dataset = steps_of(made, batch_size=12, flip=flip, shift=shift)
    drawn = torch.cat([dataset[n].augment for n in range(8)])
    assert drawn.dtype == torch.int64
    assert set(drawn[:, 0].tolist()) == mirrors
    assert set(drawn[:, 1].tolist()) == set(drawn[:, 2].tolist()) == shifts


def test_without_augmentation_none_is_asked_for(made):
    batch = steps_of(made, flip=False, shift=0)[0]
    assert batch.augment is None
    assert batch.warp is None


def test_rotation_scale_and_light_are_drawn_from_their_whole_ranges(made):
    config = AugmentationConfig(rotation=20, scale=0.2, light=0.5)
    dataset = steps_of(made, batch_size=12)
    dataset.config = replace(dataset.config, augmentation=config)
    drawn = torch.cat([dataset[n].warp for n in range(20)])
    low, high = drawn.amin(0), drawn.amax(0)
    for value, bounds, limits in (
        (low, (-20, 0.8, 0.5), (-19, 0.82, 0.53)),
        (high, (20, 1.2, 1.5), (19, 1.18, 1.47)),
    ):
        for found, bound, limit in zip(value.tolist(), bounds, limits, strict=True):
            assert min(bound, limit) - 1e-6 <= found <= max(bound, limit) + 1e-6


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("still_frame", lambda crops: crops[np.zeros(4, int)]),
        ("no_mouth", lambda crops: np.where(np.arange(150)[:, None, None] < 100, crops, 128)[2:6]),
    ],
)
def test_a_control_changes_what_is_read(made, control, expected):
    corpus, store = made
    frames = Frames(store, CACHED, control=control)
    name = max((clip.name for clip in corpus.clips), key=lambda clip: store.entry(clip).frames)
    crops, flow = frames.read(name, np.arange(2, 6))
    assert (crops == expected(np.array(store.crops(name)))).all()
    assert flow is None  # what is cached is of other pictures


def test_shuffled_frames_are_the_same_ones_in_every_segment(made):
    corpus, store = made
    frames = Frames(store, CONFIG, control="shuffled_frames")
    name = max((clip.name for clip in corpus.clips), key=lambda clip: store.entry(clip).frames)
    whole, stored = frames.clip(name), np.array(store.crops(name))
    assert (frames.read(name, np.arange(1, 4))[0] == whole[1:4]).all()
    assert not (whole == stored).all()
    assert sorted(map(bytes, whole)) == sorted(map(bytes, stored))


def test_flow_that_augmentation_changes_is_not_read_from_the_cache(made):
    corpus, store = made
    chosen = part(corpus, store, of("12"), CACHED)
    frames = Frames(store, CACHED, cached_flow=False)
    settings = replace(stage_config(), augmentation=AugmentationConfig(rotation=5))
    steps = StepDataset(chosen, frames, corpus.classes, settings, False, VLAN)
    batch = steps[0]
    assert batch.flow is None
    assert batch.warp.shape == (4, 3)


@pytest.mark.parametrize("config", [CONFIG, CACHED], ids=["flow later", "flow cached"])
@pytest.mark.parametrize(
    "rule", [WindowConfig(per_clip=4), WindowConfig(per_clip=None, stride=2)], ids=["15", "stride"]
)
def test_segments_rebuilt_from_a_clips_pairs_are_those_read_directly(made, config, rule):
    corpus, store = made
    config = replace(config, windows=rule)
    chosen = part(corpus, store, of("123"), config)
    frames = Frames(store, config)
    dataset = EvaluatedClips(chosen, frames, corpus.classes)
    assert len(dataset) == 5
    for i, clip in enumerate(corpus.clips):
        ((item, counts, (segments,)),) = dataset.groups([i], 1)
        t = store.entry(clip.name).frames
        starts = windows(t, 5, rule.per_clip, rule.stride)
        assert segments.shape == (len(starts), 4)
        for segment, start in zip(segments, starts.tolist(), strict=True):
            indices = expected_indices(t, 5, start)
            direct, flow = frames.read(clip.name, indices)
            np.testing.assert_array_equal(item.frames[segment, 0], direct[:-1])
            np.testing.assert_array_equal(item.frames[segment, 1], direct[1:])
            np.testing.assert_array_equal(item.start[segment], indices[:-1])
            if flow is not None:
                np.testing.assert_array_equal(item.flow[segment, 0], flow)
        pairs = [pair.numpy().tobytes() for pair in item.frames]
        assert len(set(pairs)) == len(pairs)  # no pair is read twice
        assert set(segments.flatten().tolist()) == set(range(len(pairs)))
        assert counts == (len(pairs),)
        assert item.label.tolist() == [corpus.classes.index(clip.emotion)] * len(pairs)
        assert item.clip.tolist() == [i] * len(pairs)
        assert item.augment is None
        assert (item.flow is None) == (flow is None)


@pytest.mark.parametrize(("pairs", "sizes"), [(1, [1] * 5), (9, [2, 1, 2]), (999, [5])])
def test_clips_that_are_read_together_are_those_read_alone(made, pairs, sizes):
    corpus, store = made
    chosen = part(corpus, store, of("123"), CACHED)
    dataset = EvaluatedClips(chosen, Frames(store, CACHED), corpus.classes)
    alone = [next(dataset.groups([i], 1)) for i in range(5)]
    groups = list(dataset.groups(range(5), pairs))
    assert [len(group.counts) for group in groups] == sizes
    for field in ("frames", "flow", "label", "clip", "start"):
        found, expected = (
            torch.cat([getattr(group.pairs, field) for group in many]) for many in (groups, alone)
        )
        assert torch.equal(found, expected)
    together = [segments for group in groups for segments in group.segments]
    assert all(
        torch.equal(one, group.segments[0]) for one, group in zip(together, alone, strict=True)
    )


@pytest.mark.parametrize(
    ("rows", "every", "kept"),
    [(7, 1, [*range(7)]), (7, 2, [1, 3, 5]), (7, 3, [1, 4]), (7, 7, [3]), (2, 9, [1]), (1, 9, [0])],
)
def test_fewer_images_of_a_clip_are_spread_over_it_and_one_is_always_there(rows, every, kept):
    assert thinned(np.arange(rows), every).tolist() == kept


def test_a_part_holds_no_clip_of_another_subject_and_none_that_cannot_be_used(made):
    corpus, store = made
    clips = list(corpus.clips)
    clips[0] = replace(clips[0], excluded="not segmented")  # of subject 1
    extra = replace(clips[1], name="bad", subject="1")
    store.add(Entry("bad", "no_face", "nobody"), None)
    corpus = replace(corpus, clips=(*clips, extra))
    train = part(corpus, store, of("13"), CONFIG)
    test = part(corpus, store, of("2"), CONFIG)
    assert {clip.subject for clip in train.clips} == {"1", "3"}
    assert {clip.subject for clip in test.clips} == {"2"}
    names = [clip.name for clip in train.clips + test.clips]
    assert len(set(names)) == len(names) == 4
    for side in (train, test):
        assert [corpus.clips[i] for i in side.index] == list(side.clips)
        assert [len(starts) for starts in side.starts] == [3] * len(side.clips)


@pytest.mark.parametrize("loaders", [0, 1])
def test_the_loader_gives_the_steps_in_order_whatever_the_number_of_processes(made, loaders):
    corpus, store = made
    data = CONFIG
    chosen = part(corpus, store, of("12"), data)
    stage_settings = stage_config(iterations=3)
    steps = StepDataset(chosen, Frames(store, data), corpus.classes, stage_settings, False, VLAN)
    module = StageData(steps, images_of(("spatial", "temporal"), data), loaders)
    batches = list(module.train_dataloader())
    assert len(batches) == 3
    alone = steps_of(made, iterations=3)
    for n, batch in enumerate(batches):
        assert_same(batch, alone[n])
    images = module.on_after_batch_transfer(batches[0], 0).images
    assert {name: tuple(x.shape) for name, x in images.items()} == {
        "spatial": (4, 4, 3, 64, 64), "temporal": (4, 4, 3, 64, 64),
    }  # fmt: skip


@pytest.mark.parametrize(("stage", "name"), [("spatial", "spatial"), ("temporal", "temporal")])
def test_the_first_stages_get_their_own_stream_only(made, stage, name):
    images = images_of((stage,), CACHED)(steps_of(made, stage, config=CACHED)[0]).images
    assert set(images) == {name}
    assert images[name].shape == (4, 1, 3, 64, 64)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.none() | st.integers(1, 12))
def test_the_parts_of_all_processes_make_up_the_batch(size, processes, micro_batch):
    if size < processes:
        with pytest.raises(ValueError, match=f"batch_size is {size}"):
            shares(size, processes, micro_batch)
        return
    found = shares(size, processes, micro_batch)
    assert len(found) == processes
    assert len({len(parts) for parts in found}) == 1  # they take part in the same steps
    assert np.concatenate([p for parts in found for p in parts]).tolist() == list(range(size))
    sizes = [len(part) for parts in found for part in parts]
    assert min(sizes) > 0
    if micro_batch is not None:
        assert max(sizes) <= max(micro_batch, 2 if size % processes else 1)


@pytest.mark.parametrize(("processes", "micro_batch"), [(1, 2), (2, None), (3, 2), (2, 1)])
def test_the_shards_of_a_step_make_up_the_batch_of_one_process(made, processes, micro_batch):
    whole = steps_of(made, batch_size=7)
    config = replace(whole.config, micro_batch=micro_batch)
    shards = [
        StepDataset(
            whole.part, whole.frames, ("anger", "fear"), config, False, VLAN, rank, processes
        )
        for rank in range(processes)
    ]
    count = len(shards[0].shares)
    for step in (0, 3):
        parts = [shard[step * count + i] for shard in shards for i in range(count)]
        joined = [torch.cat([getattr(p, n) for p in parts]) for n in ("frames", "label", "augment")]
        batch = whole[step]
        assert_same(joined, (batch.frames, batch.label, batch.augment))
        # The mean over the parts, as Lightning takes it, is the mean over the samples.
        weights = [p.weight / count / processes * 7 / len(p.label) for p in parts]
        np.testing.assert_allclose(weights, 1)
