"""Both AlexNets against references: torchvision's own, and Caffe's in plain tensor operations."""

from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat
from torch import nn
from torchvision.models import AlexNet_Weights, alexnet

from vfer.networks import AlexNetStream, load_weights

CONVOLUTIONS = (  # of the Caffe network: name, kernel, stride, padding, groups, channels at 1/16
    ("conv1", 11, 4, 0, 1, 6),
    ("conv2", 5, 1, 2, 2, 16),
    ("conv3", 3, 1, 1, 1, 24),
    ("conv4", 3, 1, 1, 2, 24),
    ("conv5", 3, 1, 1, 2, 16),
)


@pytest.fixture(scope="module")
def reference():
    """torchvision's AlexNet with random weights, in eval mode."""
    torch.manual_seed(1)
    return alexnet().eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


COUNTS = {
    ("torchvision", "fc7"): 57_003_840,  # 61 100 840 less fc8's 4096·1000 + 1000
    ("torchvision", "fc6"): 40_222_528,  # less fc7's 4096·4096 + 4096 too
    ("torchvision", "fc7_only"): 40_222_528,  # fc7 takes what fc6 took
    ("caffe", "fc7"): 56_868_224,  # 60 965 224 less fc8's
    ("caffe", "fc6"): 40_086_912,
    ("caffe", "fc7_only"): 40_086_912,
}


@pytest.mark.parametrize(("variant", "insert_after"), COUNTS)
def test_parameter_counts_are_those_of_the_known_networks_without_what_is_cut_off(
    variant, insert_after
):
    with torch.device("meta"):
        stream = AlexNetStream(variant, insert_after=insert_after)
    assert count(stream) == COUNTS[variant, insert_after]


def test_the_reference_has_the_known_number_of_parameters(reference):
    assert count(reference) == 61_100_840 == COUNTS["torchvision", "fc7"] + 4096 * 1000 + 1000


@pytest.mark.parametrize(("insert_after", "cut"), [("fc7", 1), ("fc6", 2)])
def test_names_and_shapes_are_torchvisions(reference, insert_after, cut):
    with torch.device("meta"):
        own = AlexNetStream(insert_after=insert_after).state_dict()
    theirs = list(reference.state_dict().items())[: -2 * cut]
    assert [(n, p.shape) for n, p in own.items()] == [(n, p.shape) for n, p in theirs]


@pytest.mark.parametrize(("insert_after", "end"), [("fc7", 6), ("fc6", 3)])
@pytest.mark.parametrize("size", [227, 224, 96])
def test_features_with_torchvisions_weights_are_those_of_its_layers(
    reference, insert_after, end, size
):
    stream = AlexNetStream(insert_after=insert_after, weights=reference.state_dict()).eval()
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    preset = AlexNet_Weights.IMAGENET1K_V1.transforms()
    normalised = (images - torch.tensor(preset.mean).view(3, 1, 1)) / torch.tensor(preset.std).view(
        3, 1, 1
    )
    with torch.no_grad():
        maps = reference.avgpool(reference.features(normalised)).flatten(1)
        expected = reference.classifier[:end](maps)
        found = stream(images)
    assert found.shape == (2, 4096)
    assert stream.out_features == 4096
    assert (found >= 0).all()
    assert found.std() > 0
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["missing", "shape"])
def test_weights_that_do_not_fit_are_refused_naming_the_parameter(kind):
    weights = AlexNetStream(width=0.02).state_dict()
    name = "classifier.1.weight"
    if kind == "missing":
        del weights[name]
    else:
        weights[name] = weights[name][:-1]
    with pytest.raises(ValueError, match=rf"do not fit.*{name}"):
        AlexNetStream(width=0.02, weights=weights)


def test_full_weights_do_not_fit_a_narrow_network(reference):
    with pytest.raises(ValueError, match=r"model\.width 1\.0"):
        AlexNetStream(width=0.5, weights=reference.state_dict())


def test_width_scales_all_channels_and_features():
    stream = AlexNetStream(width=0.0625)
    shapes = [tuple(p.shape) for n, p in stream.named_parameters() if n.endswith("weight")]
    assert [shape[0] for shape in shapes] == [4, 12, 24, 16, 16, 256, 256]
    assert stream(torch.zeros(2, 3, 64, 64)).shape == (2, stream.out_features) == (2, 256)


@pytest.mark.parametrize("variant", ["torchvision", "caffe"])
def test_the_smallest_legal_image_passes_and_a_smaller_one_is_refused(variant):
    stream = AlexNetStream(variant, width=0.02)
    assert stream(torch.zeros(1, 3, 63, 63)).shape[0] == 1
    for height, width in ((62, 63), (63, 62), (8, 8)):
        with pytest.raises(ValueError, match=f"{height}, {width}.*at least 63"):
            stream(torch.zeros(1, 3, height, width))


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 0},
        {"width": -1},
        {"dropout": 1.0},
        {"insert_after": "fc8"},
        {"variant": "vgg"},
    ],
)
def test_alexnet_refuses_bad_arguments_by_name(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        AlexNetStream(**arguments)


@pytest.mark.parametrize("variant", ["torchvision", "caffe"])
def test_dropout_acts_in_training_only(variant):
    torch.manual_seed(0)
    stream = AlexNetStream(variant, width=0.05, dropout=0.9)
    x = torch.rand(1, 3, 64, 64)
    assert not torch.equal(stream(x), stream(x))
    stream.eval()
    assert torch.equal(stream(x), stream(x))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_loaded_from_a_file(tmp_path, suffix):
    weights = AlexNetStream(width=0.02).state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    found = load_weights(str(path))
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_missing_weight_file_is_named_with_the_option(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.weights: no file .*nowhere\.pth"):
        load_weights(str(tmp_path / "nowhere.pth"))


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"a": 1}, nn.Linear(1, 1)], ids=["list", "numbers", "module"]
)
def test_a_file_without_a_state_dict_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"other\.pth"):
        load_weights(str(path))


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>404: no such file here</html>")
    with pytest.raises(ValueError, match=name):
        load_weights(str(tmp_path / name))


def test_offline_the_imagenet_weights_are_named_with_their_place_source_and_option(
    tmp_path, monkeypatch
):
    def offline(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(FileNotFoundError, match=r"--model\.weights PATH") as caught:
        load_weights("imagenet")
    message = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth") in message
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in message
    assert "no route to host" in message


@pytest.mark.parametrize("variant", ["torchvision", "caffe"])
def test_an_image_of_227_pixels_gives_maps_of_6x6_and_these_go_to_fc7_only_directly(variant):
    stream = AlexNetStream(variant, width=1 / 16, insert_after="fc7_only").eval()
    images = torch.rand(2, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    (linear,) = (layer for layer in stream.classifier if isinstance(layer, nn.Linear))
    with torch.no_grad():
        maps = stream.features(stream.normalise(images))
        assert maps.shape == (2, 16, 6, 6)
        expected = (maps.flatten(1) @ linear.weight.T + linear.bias).clamp(min=0)
        torch.testing.assert_close(stream(images), expected)


@pytest.mark.parametrize("variant", ["torchvision", "caffe"])
def test_fc7_only_takes_the_convolutions_of_given_weights_and_starts_fc7_at_random(variant):
    torch.manual_seed(0)
    weights = AlexNetStream(variant, width=1 / 16).state_dict()
    stream = AlexNetStream(variant, width=1 / 16, insert_after="fc7_only", weights=weights)
    own = stream.state_dict()
    assert all(torch.equal(own[n], weights[n]) for n in own if n.startswith("features"))
    fc6 = next(w for n, w in weights.items() if n.startswith("classifier"))
    (fc7,) = (w for n, w in own.items() if n.startswith("classifier") and n.endswith("weight"))
    assert fc7.shape == fc6.shape
    assert not torch.isclose(fc7, fc6).any(dim=1).all()


@pytest.mark.parametrize(
    ("variant", "order"),
    [
        ("torchvision", ["Dropout", "Linear", "ReLU"] * 2),
        ("caffe", ["Linear", "ReLU", "Dropout"] * 2),
    ],
)
def test_dropout_stands_before_torchvisions_layers_and_after_caffes(variant, order):
    stream = AlexNetStream(variant, width=1 / 16)
    assert [type(layer).__name__ for layer in stream.classifier] == order


@pytest.mark.parametrize("variant", ["torchvision", "caffe"])
def test_random_weights_keep_the_size_of_a_signal(variant):
    torch.manual_seed(0)
    stream = AlexNetStream(variant, width=1 / 4).eval()
    with torch.no_grad():
        assert 0.1 < stream(torch.rand(4, 3, 227, 227)).square().mean().sqrt() < 10


def cell(*items):
    """A MATLAB cell array."""
    made = np.empty((1, len(items)), dtype=object)
    for i, item in enumerate(items):
        made[0, i] = item
    return made


def simple_nn(old=False, mean=None, seed=0):
    """MatConvNet's imagenet-caffe-alex at a sixteenth of the width, as ``savemat`` takes it.

    Newer files have ``weights`` and ``meta``, older ones ``filters``, ``biases`` and
    ``normalization``.
    """
    rng = np.random.default_rng(seed)
    layers, channels = [], 3

    def weighted(name, height, inputs, outputs, stride=1, pad=0):
        filters = rng.normal(
            0, (2 / (height**2 * inputs)) ** 0.5, (height, height, inputs, outputs)
        )
        biases = rng.normal(0, 0.1, (1, outputs))
        pair = (filters.astype(np.float32), biases.astype(np.float32))
        held = {"filters": pair[0], "biases": pair[1]} if old else {"weights": cell(*pair)}
        layers.append({"name": name, "type": "conv", "stride": stride, "pad": pad, **held})
        layers.append({"name": f"relu{name[-1]}", "type": "relu"})

    for name, kernel, stride, pad, groups, outputs in CONVOLUTIONS:
        weighted(name, kernel, channels // groups, outputs, stride, pad)
        if name in ("conv1", "conv2"):
            param = [5.0, 1.0, 2e-5, 0.75]
            layers.append({"name": f"norm{name[-1]}", "type": "normalize", "param": param})
        if name in ("conv1", "conv2", "conv5"):
            pool = {"type": "pool", "method": "max", "pool": [3.0, 3.0], "stride": 2, "pad": 0}
            layers.append({"name": f"pool{name[-1]}", **pool})
        channels = outputs
    weighted("fc6", 6, channels, 256)
    weighted("fc7", 1, 256, 256)
    weighted("fc8", 1, 256, 10)
    layers[-1] = {"name": "prob", "type": "softmax"}
    if mean is None:
        mean = rng.uniform(80, 150, (227, 227, 3)).astype(np.float32)
    normalization = {"normalization": {"averageImage": mean}}
    return {"layers": cell(*layers), **(normalization if old else {"meta": normalization})}


def slow_convolution(x, filters, biases, stride, pad, groups):
    """Filters H×W×in×out on maps ``(in, H, W)``, one sum over the window a filter position."""
    x = torch.nn.functional.pad(x, (pad,) * 4)
    height, width, _, outputs = filters.shape
    rows = (x.shape[1] - height) // stride + 1
    columns = (x.shape[2] - width) // stride + 1
    made = biases.view(-1, 1, 1).repeat(1, rows, columns)
    for g in range(groups):
        inputs = x[g * len(x) // groups : (g + 1) * len(x) // groups]
        out = slice(g * outputs // groups, (g + 1) * outputs // groups)
        for i in range(height):
            for j in range(width):
                seen = inputs[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
                made[out] += torch.einsum("cyx,co->oyx", seen, filters[i, j, :, out])
    return made


def slow_normalisation(x):
    """Each map over (1 + 2e-5 · sum of squares of the two maps either side and itself)^0.75."""
    sums = [(x[max(0, c - 2) : c + 3] ** 2).sum(0) for c in range(len(x))]
    return x / (1 + 2e-5 * torch.stack(sums)) ** 0.75


def slow_pooling(x):
    """The largest of 3×3, every two pixels; where that does not come out even, less at the end."""
    ends = [range(0, max(n - 1, 1), 2) for n in x.shape[1:]]
    rows = [[x[:, i : i + 3, j : j + 3].amax((1, 2)) for j in ends[1]] for i in ends[0]]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def slow_caffe(net, image, last):
    """Features of an image ``(227, 227, 3)`` in 0…255, in float64, from what is in the file."""
    meta = net.get("meta", net)["normalization"]
    settings = {name: (stride, pad, groups) for name, _, stride, pad, groups, _ in CONVOLUTIONS}
    x = (image - torch.from_numpy(meta["averageImage"])).permute(2, 0, 1)
    for layer in net["layers"][0]:
        name = layer["name"]
        if layer["type"] == "conv":
            pair = (
                layer["weights"][0] if "weights" in layer else (layer["filters"], layer["biases"])
            )
            filters, biases = (torch.from_numpy(p).double() for p in pair)
            x = slow_convolution(x, filters, biases, *settings.get(name, (1, 0, 1)))
        elif layer["type"] == "relu":
            x = x.clamp(min=0)
        elif layer["type"] == "normalize":
            x = slow_normalisation(x)
        elif layer["type"] == "pool":
            x = slow_pooling(x)
        if name == last:
            return x.flatten()
    raise AssertionError(last)


@pytest.mark.parametrize(
    ("insert_after", "last", "old"), [("fc7", "relu7", False), ("fc6", "relu6", True)]
)
def test_matconvnets_file_gives_the_activations_of_a_slow_reference(
    insert_after, last, old, tmp_path
):
    net = simple_nn(old)
    savemat(tmp_path / "alex.mat", net)
    weights = load_weights(str(tmp_path / "alex.mat"), "caffe")
    stream = AlexNetStream("caffe", 1 / 16, insert_after, weights=weights).double().eval()
    images = torch.rand(2, 227, 227, 3, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        found = stream(images.permute(0, 3, 1, 2))
        for ours, image in zip(found, images, strict=True):
            expected = slow_caffe(net, 255 * image, last)
            assert expected.std() > 1
            torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-4)


def test_the_average_image_is_saved_with_the_weights_and_scaled_to_other_input_sizes(tmp_path):
    savemat(tmp_path / "alex.mat", simple_nn(mean=np.array([100.0, 120.0, 140.0])))
    weights = load_weights(str(tmp_path / "alex.mat"), "caffe")
    state = AlexNetStream("caffe", 1 / 16, weights=weights).state_dict()
    stream = AlexNetStream("caffe", 1 / 16)
    stream.load_state_dict(state)
    grey = torch.full((1, 3, 100, 100), 0.5)
    expected = (127.5 - torch.tensor([100.0, 120, 140])).view(3, 1, 1).expand(1, 3, 100, 100)
    torch.testing.assert_close(stream.normalise(grey), expected, rtol=0, atol=1e-3)


def swap(net):
    layers = net["layers"][0]
    layers[2], layers[3] = layers[3], layers[2]


def other_norm(net):
    net["layers"][0][2]["param"] = [5.0, 2.0, 2e-5, 0.75]


def no_filters(net):
    del net["layers"][0][0]["weights"]


def no_mean(net):
    del net["meta"]["normalization"]["averageImage"]


def other_mean(net):
    net["meta"]["normalization"]["averageImage"] = np.zeros((224, 224, 3))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (swap, "relu1, pool1, norm1.*not those of MatConvNet's imagenet-caffe-alex.mat"),
        (other_norm, "local response normalisation other than"),
        (no_filters, "has not the structure.*filters"),
        (no_mean, "has not the structure.*averageImage"),
        (other_mean, "average image of.*224, 224, 3.*227×227×3"),
    ],
)
def test_a_file_of_another_network_is_refused_by_name(spoil, said, tmp_path):
    net = simple_nn()
    spoil(net)
    savemat(tmp_path / "other.mat", net)
    with pytest.raises(ValueError, match=rf"other\.mat.*{said}"):
        load_weights(str(tmp_path / "other.mat"), "caffe")


def test_a_file_that_is_no_mat_file_is_refused_by_name(tmp_path):
    savemat(tmp_path / "whole.mat", simple_nn())
    whole = (tmp_path / "whole.mat").read_bytes()
    for content in (b"<html>404: no such file here</html>" * 9, whole[: len(whole) // 2], b""):
        (tmp_path / "other.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.mat cannot be read as weights"):
            load_weights(str(tmp_path / "other.mat"), "caffe")


@pytest.mark.parametrize("source", ["imagenet", "nowhere.mat"])
def test_missing_caffe_weights_are_named_with_their_source_and_option(source):
    said = rf"model\.weights: no file {source};.*imagenet-caffe-alex\.mat, from https://"
    with pytest.raises(FileNotFoundError, match=said):
        load_weights(source, "caffe")


def test_weights_of_the_other_variant_are_refused(tmp_path):
    (tmp_path / "alex.mat").touch()
    (tmp_path / "alex.pth").touch()
    with pytest.raises(ValueError, match=r"alex\.mat and model\.variant torchvision.*\.pth"):
        load_weights(str(tmp_path / "alex.mat"))
    with pytest.raises(ValueError, match=r"alex\.pth and model\.variant caffe.*\.mat"):
        load_weights(str(tmp_path / "alex.pth"), "caffe")
    weights = AlexNetStream("caffe", 1 / 16).state_dict()
    with pytest.raises(ValueError, match=r"features\.0\.weight is missing.*model\.variant"):
        AlexNetStream("torchvision", 1 / 16, weights=weights)
