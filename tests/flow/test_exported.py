"""Flow in a graph that torch.export makes: any number of segments and frames."""

import pytest
import torch
from torch import nn

from vfer.flow.pairs import pair_flow
from vfer.flow.settings import FlowConfig


class Flow(nn.Module):
    """Flow between the neighbouring frames of segments, as a module."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def forward(self, frames):
        return pair_flow(frames, self.config)


@pytest.mark.parametrize("config", [FlowConfig(levels=2), FlowConfig(levels=1, rho=1.0)])
def test_flow_of_an_exported_graph_is_that_of_the_solver(config):
    def moving(segments, frames):
        draw = torch.Generator().manual_seed(frames)
        first = torch.rand(segments, 1, 5, 4, 3, generator=draw).repeat_interleave(5, 2)
        wide = first.repeat_interleave(6, 3)  # (…, 25, 24, 3)
        return torch.cat([wide.roll(k, 3) for k in range(frames)], dim=1) * 255

    free = torch.export.Dim.DYNAMIC
    exported = torch.export.export(
        Flow(config), (moving(2, 3),), dynamic_shapes=({0: free, 1: free},), strict=False
    ).module()
    for segments, frames in ((2, 3), (3, 4), (1, 3)):
        images = moving(segments, frames)
        found = exported(images)
        assert found.shape == (segments, frames - 1, 2, 25, 24)
        torch.testing.assert_close(found, pair_flow(images, config), atol=1e-4, rtol=0)
