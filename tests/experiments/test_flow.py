"""The experiments run, and say what they should on the built-in corpus."""

import numpy as np
import pytest
import torch

from experiments import flow_alpha, turned_flow
from experiments.true_motion import drawn_clips, errors, in_crop, skin_motion
from vfer.corpora.facs.files import video_path
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces.alignment import align
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.flow.pairs import gray
from vfer.flow.solver import horn_schunck

CLIPS = FacsConfig(width=360, height=288, frames=8)


@pytest.fixture(scope="module")
def clips():
    made = []
    for frames, truth in drawn_clips(CLIPS):
        eyes = truth.eyes.astype(np.float64)
        crops = gray(torch.from_numpy(align(frames, eyes, FaceConfig())))[:, None]
        made.append((crops, truth, eyes))
    return made


def motion(clips, **options):
    pairs = []
    for crops, truth, eyes in clips:
        flow = horn_schunck(crops[:-1], crops[1:], **options)
        pairs.append(skin_motion(flow.numpy(), truth, eyes))
    return pairs


def test_the_default_flow_finds_the_true_motion_of_drawn_skin(clips):
    pairs = motion(clips)
    every, fast = errors(pairs)
    still, still_fast = errors((np.zeros_like(true), true) for _, true in pairs)
    assert every < 0.5 * still
    assert fast < 0.4 * still_fast
    _, one_level = errors(motion(clips, levels=1))
    assert fast < 0.7 * one_level  # it sees about a pixel of motion


def test_points_of_a_frame_are_where_the_crop_shows_them():
    # A frame whose colour is the place: what a crop shows is where it was cut.
    x, y = np.meshgrid(np.arange(200), np.arange(160))
    frame = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    eyes = np.array([[[80.0, 60.0], [128.0, 74.0]]])
    crop = align(frame[None], eyes, FaceConfig())[0].astype(float)
    points = np.array([[80.0, 60.0], [128.0, 74.0], [100.0, 90.0], [95.5, 61.25]])
    for point, (column, row) in zip(points, in_crop(points, eyes[0], FaceConfig()), strict=True):
        assert 0 <= column < WIDTH
        assert 0 <= row < HEIGHT
        shown = crop[round(row), round(column), :2]
        np.testing.assert_allclose(shown, point, atol=1.2)  # half a crop pixel and rounding


def test_the_alpha_experiment_prints_its_table_and_draws(facs_root, tmp_path, capsys):
    flow_alpha.main(["--table", "--frames", "8", "--size", "160", "128", "--alphas", "15"])
    (row,) = capsys.readouterr().out.splitlines()[2:]
    alpha, *cells = row.strip("| ").split(" | ")
    assert alpha == "15"
    assert len(cells) == 4
    assert all(float(cell) > 0 for cell in cells)
    video = video_path(facs_root, 1, "happiness", 1)
    for name, more in (("drawn", []), ("filmed", ["--video", str(video), "--pair", "3"])):
        picture = tmp_path / f"{name}.png"
        flow_alpha.main(["--output", str(picture), *more])
        assert picture.stat().st_size > 10_000


def test_flow_that_is_turned_is_much_nearer_than_flow_left_as_it_was(capsys):
    turned_flow.main(["--frames", "8"])
    *_, last = capsys.readouterr().out.splitlines()
    motion, turned, left = (float(cell) for cell in last.split("|")[2:5])
    assert turned < left / 2
    assert turned < motion / 3


def test_the_flow_benchmark_prints_a_row_a_method(capsys):
    pytest.importorskip("cv2")
    pytest.importorskip("skimage")
    from experiments.benchmarks import flow

    quick = ["--without", "TV-L1", "SciPy", "scipy"]
    small = ["--threads", "1", "--repeats", "1", "--frames", "8", "--size", "160", "128"]
    flow.main([*small, *quick])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| vfer")]
    assert len(rows) == 4
    for row in rows:
        cells = row.strip("| ").split(" | ")
        assert len(cells) == 8
        assert all(float(cell) > 0 for cell in cells[1:])
