"""HeightNetwork: its shape, frozen stages, and the copy that has batch norms folded in."""

from __future__ import annotations

import pytest
import torch

from retrieval.position.network import HeightNetwork, HeightNetworkConfig


@pytest.fixture(scope="module")
def network():
    """Seeded, with batch statistics that differ from channel to channel."""
    torch.manual_seed(0)
    made = HeightNetwork(HeightNetworkConfig())
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    torch.nn.init.normal_(made.head.weight, std=0.1)
    return made


def test_the_folded_copy_gives_the_same_scores(network):
    pictures = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = network.eval()(pictures)
        after = network.folded()(pictures)
    assert before.shape == (3,)
    assert before.std() > 0
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_frozen_stages_get_no_gradient_and_statistics_stay(network):
    network.frozen_stages = 2
    network.train()
    norm = network.stages[3][0].layers[0][1]
    before = norm.running_mean.clone()
    network(torch.rand(2, 64, 64)).sum().backward()
    assert all(
        p.grad is None for p in (*network.stem.parameters(), *network.stages[1].parameters())
    )
    assert all(p.grad is not None for p in network.stages[2].parameters())
    torch.testing.assert_close(norm.running_mean, before)


def test_it_fits_into_five_megabytes_in_half_precision():
    count = sum(p.numel() for p in HeightNetwork(HeightNetworkConfig()).parameters())
    assert count * 2 < 4_500_000
