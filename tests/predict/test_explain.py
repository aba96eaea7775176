"""What carried a decision: shares that add up, and regions with known answers."""

import json

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from tests.predict import fakes
from tests.predict.test_model import KINDS
from vfer.faces.settings import FaceConfig
from vfer.predict.document import from_json, schema, to_json, write_csv
from vfer.predict.explain import by_region, cells
from vfer.predict.explanation import REGIONS, crop_regions
from vfer.predict.gradcam import class_maps, last_maps
from vfer.predict.load import load_model
from vfer.predict.predictor import Predictor
from vfer.predict.settings import Settings
from vfer.runtime.console import UsageError


def explained(model, frames=12, cam="hirescam", step="3f", **more):
    """A timeline, explained, of a face that is in all of some frames."""
    faces = fakes.Faces([(0, frames - 1)])
    settings = Settings(explain=True, cam=cam, step=step, **more)
    return Predictor(model, settings, faces).predict(fakes.moving(frames), fps=25)


@pytest.mark.parametrize("kind", ["both", "spatial", "frame", "caffe"])
@pytest.mark.parametrize("fold", [0, None])
def test_shares_and_bias_add_up_to_the_logit(kind, fold, fitted):
    model = load_model(fitted(kind, *KINDS[kind]), fold=fold)
    length = model.length
    for start, window in zip((0, 3, 6, 8), explained(model).windows, strict=True):
        crops = np.ascontiguousarray(fakes.moving(12)[start : start + length, :150, :110])
        described = model.describe(np.stack([crops[:-1], crops[1:]], axis=1))
        pairs = torch.arange(length - 1)[None]
        logits = np.mean(
            [
                net.clip_logits(of_one, pairs)[0].numpy()
                for net, of_one in zip(model.networks.values(), described, strict=True)
            ],
            axis=0,
        )
        found, best = window.explanation, model.classes.index(window.prediction)
        assert found.explains == window.prediction
        assert found.logit == pytest.approx(logits[best] - logits.mean(), abs=1e-5)
        shares = [share for one in found.streams.values() for share in one.frames]
        assert len(shares) == len(model.bundle.model.stream_names) * (length - 1)
        assert found.bias + sum(shares) == pytest.approx(found.logit, abs=1e-9)
        assert found.bias + sum(found.frames) == pytest.approx(found.logit, abs=1e-9)
        for one in found.streams.values():
            assert one.share == pytest.approx(sum(one.frames), abs=1e-9)
        if fold == 0:  # the logits are those of the probabilities
            said = np.log(list(window.probabilities.values())) * model.temperature
            assert found.logit == pytest.approx(said[best] - said.mean(), abs=1e-5)


def test_what_raises_all_classes_alike_explains_none(bundle):
    model = load_model(bundle, fold=0)
    before = explained(model).windows[0].explanation
    with torch.no_grad():
        model.networks[0].fc9.weight += 5 * torch.rand(model.networks[0].fc9.in_features)
        model.networks[0].fc9.bias += 3
    after = explained(model).windows[0].explanation
    assert (after.explains, after.streams.keys()) == (before.explains, before.streams.keys())
    np.testing.assert_allclose(after.frames, before.frames, atol=1e-4)
    assert after.bias == pytest.approx(before.bias, abs=1e-6)


def test_frames_that_the_network_does_not_look_at_have_no_share(fitted):
    model = load_model(fitted("frame", *KINDS["frame"]), fold=0)
    with torch.no_grad():  # V keeps frames apart: of three, only the second one counts
        weight = model.networks[0].fc9.weight.view(6, 3, -1)
        weight[:, [0, 2]] = 0
    for window in explained(model, frames=4).windows:
        found = window.explanation
        assert found.frames[[0, 2]].tolist() == [0, 0]
        assert found.frames[1] == pytest.approx(found.logit - found.bias)
        assert found.frames[1] != 0
        assert found.times == (0.0, 0.04, 0.08)
        if found.frames[1] > 0:
            assert found.strongest_time == 0.04


def test_of_a_network_that_sees_only_the_mouth_the_mouth_is_found(fitted, plugs):
    run = fitted("mouth", "--model.backbone", "predict_plugs.Mouth")
    model = load_model(run, fold=0, trust_code=True)
    found = [w.explanation for w in explained(model, 40).windows]
    regions = [one.regions for e in found for one in e.streams.values() if one.regions]
    assert len(regions) > 5
    for one in regions:
        assert sum(one.values()) == pytest.approx(1)
        assert max(one, key=one.get) == "mouth"
        # the maps' cells are 9 px high and drawn smoothly: some of it is beside
        assert one["mouth"] > 0.6
        assert one["brows"] == one["eyes"] == one["forehead"] == 0
    assert {one.strongest for e in found for one in e.streams.values()} <= {"mouth", None}


class Red(nn.Module):
    """How much red is in an image, by one convolution and an average."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.maps.weight.data = torch.tensor([[1.0, -1, 0], [0, 0, 1]])[..., None, None]
        self.relu = nn.ReLU(inplace=True)
        self.requires_grad_(False)

    def forward(self, x):
        return self.relu(self.maps(x)).mean((2, 3))


@pytest.mark.parametrize("cam", ["hirescam", "gradcam"])
def test_a_class_that_is_red_is_found_where_red_is(cam):
    images = torch.zeros(2, 3, 20, 20)
    images[0, 0, 3:6, 10:12] = 1
    images[1, 0, 15, 2] = 0.5
    images[:, 2] = 0.9  # blue, which speaks against it
    stream = Red()
    layer = last_maps(stream, images[:1])
    assert layer is stream.relu
    maps = class_maps(stream, layer, images, torch.tensor([[1.0, 0], [1.0, 0]]), cam)
    torch.testing.assert_close(maps, images[:, 0] / 400)
    lowered = class_maps(stream, layer, images, torch.tensor([[-1.0, 0]] * 2), cam)
    assert not lowered.any()


def test_gradcam_is_the_papers_equations_and_hirescam_adds_up_to_the_score():
    torch.manual_seed(0)
    tail = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5 * 9, 4, bias=False))
    stream = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(inplace=True), tail)
    stream.requires_grad_(False)
    images, weights = torch.rand(3, 3, 6, 6), torch.randn(3, 4)
    assert last_maps(stream, images[:1]) is stream[1]
    maps = stream[:2](images).requires_grad_()
    score = (tail(maps) * weights).sum(dim=1)
    slopes = torch.autograd.grad(score.sum(), maps)[0]
    maps = maps.detach()
    alpha = slopes.sum(dim=(2, 3)) / 36  # Eq. 1 of Selvaraju et al.
    expected = torch.einsum("nc,nchw->nhw", alpha, maps).relu()  # Eq. 2
    found = class_maps(stream, stream[1], images, weights, "gradcam")
    torch.testing.assert_close(found, expected)
    fine = class_maps(stream, stream[1], images, weights, "hirescam")
    against = class_maps(stream, stream[1], images, -weights, "hirescam")
    torch.testing.assert_close(fine.sum((1, 2)) - against.sum((1, 2)), score.detach())


def test_the_last_maps_of_other_networks_are_found():
    network = resnet18()
    network.eval()
    network.fc = nn.Identity()
    layer = last_maps(network, torch.zeros(1, 3, 64, 64))
    assert layer is network.layer4[1].relu  # called twice in its block: the second time counts
    network.requires_grad_(False)
    images, weights = torch.rand(2, 3, 64, 64), torch.randn(2, 512)
    found = class_maps(network, layer, images, weights, "gradcam")
    maps = nn.Sequential(*list(network.children())[:-2])(images)
    expected = torch.einsum("nc,nchw->nhw", weights / 4, maps).relu()  # behind an average of 2x2
    torch.testing.assert_close(found, expected)
    assert last_maps(nn.Flatten(), torch.zeros(1, 3, 64, 64)) is None


def test_each_pixel_of_a_crop_is_in_one_region_and_both_sides_alike():
    found = crop_regions(FaceConfig())
    assert found.shape == (150, 110)
    np.testing.assert_array_equal(found, found[:, ::-1])
    assert set(np.unique(found)) == set(range(len(REGIONS)))
    at = {(50, 28): "eyes", (25, 28): "brows", (8, 55): "forehead", (80, 55): "nose"}
    at |= {(110, 55): "mouth", (145, 55): "chin", (90, 15): "cheeks", (75, 2): "around"}
    for (row, column), name in at.items():
        assert REGIONS[found[row, column]] == name
    smaller = crop_regions(FaceConfig(eye_distance=40, eye_row=0.4))
    assert REGIONS[smaller[60, 35]] == "eyes"  # they are there with these settings
    assert REGIONS[smaller[100, 55]] == "mouth"


def test_a_map_is_kept_in_eye_distances_whatever_the_crop():
    plain = np.zeros((150, 110))
    plain[110:120, 50:60] = 3.0  # the mouth, one cell
    for faces in (FaceConfig(), FaceConfig(eye_distance=44, eye_row=0.4)):
        scale = faces.eye_distance / 55
        top, left = faces.eye_row * 150 + 60 * scale, 55 - 5 * scale
        crop = np.zeros((150, 110))
        crop[round(top) : round(top + 10 * scale), round(left) : round(left + 10 * scale)] = 1
        levels = np.array([list(bytes.fromhex(row)) for row in cells(crop, faces)])
        assert levels.shape == (15, 11)
        assert np.unravel_index(levels.argmax(), levels.shape) == (11, 5)
        assert (levels > 60).sum() == 1
        assert by_region(crop, faces)["mouth"] == 1
    assert by_region(np.zeros((150, 110)), FaceConfig()) == {}
    assert set(cells(np.zeros((150, 110)), FaceConfig())) == {"00" * 11}


def test_explanations_are_written_and_read_back(bundle, tmp_path):
    model = load_model(bundle, fold=0)
    timeline = explained(model)
    value = json.loads(json.dumps(to_json(timeline)))
    jsonschema.validate({"schema": 1, "timelines": [value], "failed": []}, schema())
    assert from_json(value) == timeline
    frame = timeline.to_dataframe()
    first = timeline.windows[0].explanation
    assert frame["explains"][0] == first.explains
    parts = frame[["logit_bias", "logit_spatial", "logit_temporal"]].sum(axis=1)
    np.testing.assert_allclose(parts, frame["logit"], atol=1e-9)
    assert frame["top_region_spatial"][0] == first.streams["spatial"].strongest
    assert frame["top_frame_s"][0] == first.strongest_time
    plain = Predictor(model, Settings(), fakes.Faces([(0, 11)])).predict(fakes.moving(12))
    assert {window.explanation for window in plain.windows} == {None}
    assert "logit" not in plain.to_dataframe().columns
    write_csv(tmp_path / "both.csv", [plain, timeline], model.classes)
    assert (tmp_path / "both.csv").read_text().splitlines()[0].endswith("top_region_temporal")


def test_an_undecided_window_and_a_stream_of_frames_are_explained_too(bundle):
    model = load_model(bundle, fold=0)
    window = explained(model, abstain=1.0).windows[0]
    assert window.prediction is None
    best = max(window.probabilities, key=window.probabilities.get)
    assert window.explanation.explains == best
    assert explained(model, frames=1).windows[0].explanation.times == (0.0, 0.0, 0.0)
    say = Predictor(model, Settings(explain=True), fakes.Faces([(0, 10**9)]))
    assert next(say.stream(iter(fakes.moving(12)), fps=25)).explanation is not None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("network", "is a model.network as a whole"),
        ("descriptor", "is a model.descriptor as a whole"),
        ("flat", "model.backbone of .* has no torch.nn.Conv2d"),
    ],
)
def test_a_model_without_streams_or_maps_is_refused_before_any_work(kind, said, fitted, plugs):
    words = {"flat": ["--model.backbone", "predict_plugs.Flat"], **KINDS}[kind]
    model = load_model(fitted(kind, *words), fold=0, trust_code=True)
    with pytest.raises(UsageError, match=said):
        Predictor(model, Settings(explain=True))
    with pytest.raises(ValueError, match="cam is heat; it must be one of hirescam, gradcam"):
        Settings(cam="heat")
