import pytest
import torch

from vfer.baselines.cnn3d import CHANNELS, Subsample, ThreeDCNN, hardwired
from vfer.flow.images import flow_image


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def images(batch=2, frames=7, size=120, seed=0):
    torch.manual_seed(seed)
    return {name: torch.rand(batch, frames, 3, size, size) for name in ("spatial", "temporal")}


def test_the_layers_have_the_parameters_that_the_paper_counts():
    network = ThreeDCNN(classes=3, frames=7)
    assert count(network) == 295_458
    layers = [network.c2, network.s3, network.c4, network.s5, network.c6, network.output]
    counts = [count(layer) for layer in layers]
    counts[4] += network.c6_bias.numel()
    assert counts == [1_480, 92, 3_810, 156, 289_536, 384]


def test_the_first_layer_is_grey_values_their_slopes_and_the_flow():
    down = torch.linspace(0, 1, 120).view(120, 1).expand(120, 120)
    spatial = down.expand(1, 7, 3, 120, 120)
    flow = torch.zeros(7, 2, 120, 120)
    flow[:, 0], flow[:, 1] = 2.5, -1.0
    temporal = flow_image(flow, limit=5.0)[None]
    grey, right, below, x, y = hardwired(spatial, temporal)
    assert [len(maps[0]) for maps in (grey, right, below, x, y)] == [7, 7, 7, 6, 6]
    assert {maps.shape[2:] for maps in (grey, right, below, x, y)} == {(60, 40)}
    torch.testing.assert_close(grey[0, 0, :, 0], torch.linspace(-1, 1, 60), atol=0.02, rtol=0)
    torch.testing.assert_close(right, torch.zeros_like(right), atol=1e-5, rtol=0)
    inner = below[:, :, 2:-2]
    torch.testing.assert_close(inner, torch.full_like(inner, 2 / 59.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(x, torch.full_like(x, 0.5))
    torch.testing.assert_close(y, torch.full_like(y, -0.2))


def test_flow_behind_the_last_frame_is_not_used():
    network, given = ThreeDCNN(6, 7).eval(), images()
    with torch.no_grad():
        before = network(given)
        given["temporal"][:, -1] = 0
        torch.testing.assert_close(network(given), before)
        given["temporal"][:, -2] = 0
        assert not torch.allclose(network(given), before)


def test_channels_and_sets_have_kernels_of_their_own():
    network = ThreeDCNN(6, 7)
    assert len(network.c2) == len(network.c4) == len(CHANNELS)
    x = torch.rand(1, 2, 5, 27, 17, requires_grad=True)
    network.c4[0](x)[:, :3].sum().backward()
    assert x.grad[:, 0].abs().sum() > 0
    assert (x.grad[:, 1] == 0).all()


def test_a_square_is_its_mean_by_the_factor_and_with_the_bias_of_its_map():
    layer = Subsample((2, 3), 2)
    with torch.no_grad():
        layer.factor.copy_(torch.arange(6.0).view(2, 3, 1, 1))
        layer.bias.fill_(0.5)
    x = torch.arange(2 * 3 * 5 * 4, dtype=torch.float32).view(1, 2, 3, 5, 4)
    found = layer(x)
    assert found.shape == (1, 2, 3, 2, 2)  # the fifth row fills no square
    assert found[0, 1, 0, 0, 0] == 3 * x[0, 1, 0, :2, :2].mean() + 0.5


@pytest.mark.parametrize("frames", [6, 7, 15])
def test_every_parameter_is_trained_at_each_length(frames):
    network = ThreeDCNN(6, frames)
    loss = torch.nn.functional.cross_entropy(network(images(frames=frames)), torch.tensor([0, 3]))
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_it_learns_to_tell_motion_from_its_opposite():
    torch.manual_seed(0)
    network = ThreeDCNN(2, 7)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    given, label = images(8), torch.arange(8) % 2
    given["temporal"] = torch.full((8, 7, 3, 120, 120), 0.5)
    given["temporal"][:, :, 0] += 0.2 * (2 * label - 1).view(-1, 1, 1, 1)
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(network(given), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (network(given).argmax(1) == label).all()


def test_too_few_frames_or_streams_are_refused_with_the_key_to_change():
    with pytest.raises(ValueError, match=r"5 frames; .* set data\.segment_length to 7"):
        ThreeDCNN(6, 5)
    with pytest.raises(ValueError, match=r"set model\.streams to both"):
        ThreeDCNN(6, 7)({"spatial": images()["spatial"]})
