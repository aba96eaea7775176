import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vfer.networks import AlexNetStream, EmotionalVlan, FrameNetwork, SegmentNetwork

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


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 2), st.integers(1, 4), st.integers(1, 5), st.sampled_from(POOLS),
    st.integers(0, 99),
)  # fmt: skip
def test_features_times_their_weights_and_the_bias_are_the_logits(
    streams, frames, features, pool, seed
):
    torch.manual_seed(seed)
    nets = [nn.Flatten() for _ in range(streams)]
    for net in nets:
        net.out_features = features
    network = SegmentNetwork(dict(zip("ab", nets, strict=False)), frames, 3, pool).double()
    nn.init.normal_(network.vlan.a)
    x = torch.rand(4, streams, frames, features).double()
    weights = network.feature_weights()
    assert weights.shape == (3, streams, frames, features)
    found = network.fc9.bias + torch.einsum("bsif,csif->bc", x, weights)
    torch.testing.assert_close(found, network.fc9(network.vlan(x)))


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
@pytest.mark.parametrize("a", [-10.0, 10.0, 0.7])
def test_in_bfloat16_v_and_its_gradients_are_as_good_as_rounding_allows(pool, a):
    """For |a| ≤ 10, against float64; features and the gradient that comes back are bfloat16's."""
    torch.manual_seed(0)
    vlan = EmotionalVlan(64, 15, pool=pool, start=a)
    x = torch.rand(4, 2, 15, 64).bfloat16().requires_grad_()
    g = torch.randn(4, vlan.out_features).bfloat16()
    exact = EmotionalVlan(64, 15, pool=pool, start=a).double()
    exact.load_state_dict(vlan.state_dict())
    y = x.detach().double().requires_grad_()
    found, expected = vlan(x), exact(y)
    found.backward(g)
    expected.backward(g.double())
    half = 2**-8  # half a unit in bfloat16's last place
    torch.testing.assert_close(found.double(), expected, rtol=half, atol=0)
    torch.testing.assert_close(x.grad.double(), y.grad, rtol=half, atol=0)
    torch.testing.assert_close(vlan.a.grad.double(), exact.a.grad, rtol=1e-4, atol=1e-4 * 2.8**a)


@pytest.mark.parametrize("pool", POOLS)
def test_gradients_are_those_of_eq_1(pool):
    torch.manual_seed(0)
    vlan = EmotionalVlan(4, 3, pool=pool).double()
    a = nn.init.normal_(vlan.a).detach().clone()
    x = torch.rand(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    v = vlan(x)
    g = torch.randn_like(v)
    v.backward(g)
    # Each x_{s,i,k} enters one component of V, times e^{a_k}: of g, each x sees that component's.
    of_x = {"sum": (2, 1, 1, 4), "frame": (2, 1, 3, 4), "stream": (2, 2, 3, 4)}[pool]
    seen = g.view(of_x).expand(2, 2, 3, 4)
    torch.testing.assert_close(x.grad, a.exp() * seen)
    torch.testing.assert_close(vlan.a.grad, (a.exp() * seen * x.detach()).sum((0, 1, 2)))


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


def count(module):
    return sum(p.numel() for p in module.parameters())


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
    images = {name: images[name] for name in images if name in names}
    with torch.no_grad():
        for b in range(2):
            x = torch.stack(
                [
                    torch.stack([nets[n](images[n][b, i : i + 1])[0] for i in range(3)])
                    for n in names
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
