from urllib.error import URLError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torchvision.models import alexnet

from vfer.networks.alexnet import AlexNetStream, load_weights
from vfer.networks.streams import FrameNetwork, SegmentNetwork
from vfer.networks.vlan import EmotionalVlan

POOLS = ("sum", "frame", "stream")


def eq_1(x, a, pool):
    """Eq. 1 by loops: V[k] = Σᵢ e^{a_k}(x_s,i[k] + x_t,i[k]), or what the pool keeps apart."""
    batch, streams, frames, features = x.shape
    rows = []
    for b in range(batch):
        kept = []
        if pool == "sum":
            kept = [
                sum(a[k].exp() * sum(x[b, s, i, k] for s in range(streams)) for i in range(frames))
                for k in range(features)
            ]
        elif pool == "frame":
            for i in range(frames):
                for k in range(features):
                    kept.append(a[k].exp() * sum(x[b, s, i, k] for s in range(streams)))
        else:
            for s in range(streams):
                for i in range(frames):
                    for k in range(features):
                        kept.append(a[k].exp() * x[b, s, i, k])
        rows.append(torch.stack(kept))
    return torch.stack(rows)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 5),
    st.sampled_from(POOLS), st.integers(0, 99),
)  # fmt: skip
def test_emotional_vlan_is_eq_1(batch, streams, frames, features, pool, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(max(batch, 1), streams, frames, features, generator=generator).double()
    vlan = EmotionalVlan(features, frames, streams, pool).double()
    with torch.no_grad():
        vlan.a.copy_(torch.randn(features, generator=generator))
        torch.testing.assert_close(vlan(x), eq_1(x, vlan.a, pool))
        assert vlan(x[:0]).shape == (0, vlan.out_features)


def test_one_stream_is_aggregated_alone():
    x = torch.arange(6.0).view(1, 1, 3, 2)
    assert EmotionalVlan(2, 3, streams=1)(x).tolist() == [[6.0, 9.0]]


@pytest.mark.parametrize(("pool", "size"), [("sum", 4096), ("frame", 61_440), ("stream", 122_880)])
def test_v_has_the_papers_sizes_and_the_layer_one_a_per_feature(pool, size):
    vlan = EmotionalVlan(4096, 15, pool=pool)
    assert vlan.out_features == size
    assert vlan(torch.zeros(1, 2, 15, 4096)).shape == (1, size)
    ((name, a),) = vlan.named_parameters()
    assert (name, tuple(a.shape)) == ("a", (4096,))
    assert not a.any()


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_v_is_in_the_dtype_of_the_features(pool, dtype):
    x = torch.rand(2, 2, 3, 4).to(dtype)
    assert EmotionalVlan(4, 3, pool=pool)(x).dtype == dtype


@pytest.mark.parametrize("pool", POOLS)
def test_gradients_are_those_of_eq_1(pool):
    torch.manual_seed(0)
    vlan = EmotionalVlan(4, 3, pool=pool).double()
    a = nn.init.normal_(vlan.a).detach().clone()
    x = torch.rand(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    vlan(x).sum().backward()
    # Of every pool the components of V add up to Σ e^{a_k} x: dV/da = V, dV/dx = e^{a}.
    torch.testing.assert_close(vlan.a.grad, a.exp() * x.detach().sum((0, 1, 2)))
    torch.testing.assert_close(x.grad, a.exp().expand(2, 2, 3, 4))


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool": "mean"},
        {"features": 0},
        {"frames": 0},
        {"streams": 0},
        {"streams": 3},
    ],
)
def test_emotional_vlan_refuses_bad_arguments_by_name(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        EmotionalVlan(**{"features": 4, "frames": 3} | arguments)


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 1, 3, 4), (1, 2, 4, 4), (1, 2, 3, 5)])
def test_emotional_vlan_refuses_features_of_another_shape(shape):
    with pytest.raises(ValueError, match="expected"):
        EmotionalVlan(4, 3)(torch.zeros(shape))


@pytest.fixture(scope="module")
def reference():
    """torchvision's AlexNet with random weights, in eval mode."""
    torch.manual_seed(1)
    return alexnet().eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


FC7, FC8 = 4096 * 4096 + 4096, 4096 * 1000 + 1000


def test_parameter_counts_are_those_of_torchvisions_alexnet_without_what_is_cut_off(reference):
    assert count(reference) == 61_100_840
    with torch.device("meta"):
        assert count(AlexNetStream()) == 61_100_840 - FC8 == 57_003_840
        assert count(AlexNetStream(insert_after="fc6")) == 57_003_840 - FC7 == 40_222_528


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
    torch.manual_seed(2)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        maps = reference.avgpool(reference.features(images)).flatten(1)
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


def test_the_smallest_legal_image_passes_and_a_smaller_one_is_refused():
    stream = AlexNetStream(width=0.02)
    assert stream(torch.zeros(1, 3, 63, 63)).shape[0] == 1
    for height, width in ((62, 63), (63, 62), (8, 8)):
        with pytest.raises(ValueError, match=f"{height}, {width}.*at least 63"):
            stream(torch.zeros(1, 3, height, width))


@pytest.mark.parametrize(
    "arguments", [{"width": 0}, {"width": -1}, {"dropout": 1.0}, {"insert_after": "fc8"}]
)
def test_alexnet_refuses_bad_arguments_by_name(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        AlexNetStream(**arguments)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    stream = AlexNetStream(width=0.05, dropout=0.9)
    x = torch.randn(1, 3, 64, 64)
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


def narrow(seed):
    torch.manual_seed(seed)
    return AlexNetStream(width=0.02).double().eval()


def test_a_frame_network_is_its_stream_with_a_linear_classifier():
    network = FrameNetwork(narrow(0), 6).double().eval()
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    expected = network.stream(images) @ network.classifier.weight.T + network.classifier.bias
    assert network(images).shape == (3, 6)
    torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("names", [("spatial", "temporal"), ("temporal", "spatial"), ("temporal",)])
def test_a_segment_network_is_the_loop_over_its_frames_and_streams(names, pool):
    nets = {name: narrow(i) for i, name in enumerate(names)}
    network = SegmentNetwork(nets, frames=3, classes=6, pool=pool).double().eval()
    nn.init.normal_(network.vlan.a)
    images = {n: torch.randn(2, 3, 3, 64, 64, dtype=torch.float64) for n in ("temporal", "spatial")}
    order = [name for name in ("spatial", "temporal") if name in names]
    images = {name: images[name] for name in images if name in names}
    with torch.no_grad():
        for b in range(2):
            x = torch.stack(
                [
                    torch.stack([nets[n](images[n][b, i : i + 1])[0] for i in range(3)])
                    for n in order
                ]
            )
            v = eq_1(x[None], network.vlan.a, pool)[0]
            expected = network.fc9.weight @ v + network.fc9.bias
            torch.testing.assert_close(network(images)[b], expected)


def test_a_segment_network_has_one_set_of_weights_a_stream():
    nets = {"spatial": narrow(0), "temporal": narrow(1)}
    network = SegmentNetwork(nets, frames=15, classes=6)
    features = nets["spatial"].out_features
    own = sum(count(net) for net in nets.values()) + features + 6 * features + 6
    assert count(network) == own
