from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from retrieval.embedding.network import (
    DLGNetwork,
    NetworkConfig,
    log_size,
    window_channels,
)
from retrieval.patch import PatchSpec

SPEC = PatchSpec(size_px=48)
CONFIG = NetworkConfig(backbone="mobilenet_v3_small", dimension=32)


@pytest.fixture(scope="module")
def network() -> DLGNetwork:
    torch.manual_seed(0)
    return DLGNetwork(CONFIG, SPEC, pretrained=False).eval()


def patches(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hu = torch.randn(count, 3, 48, 48, generator=generator) * 300
    corners = 10 + 8 * torch.rand(count, 2, generator=generator)
    sides = 5 + 15 * torch.rand(count, 2, generator=generator)
    return hu, torch.cat([corners, corners + sides], dim=1)


@torch.inference_mode()
def test_shapes_and_unit_norm(network: DLGNetwork) -> None:
    output = network(*patches(5))
    assert output.vectors.shape == (5, 32)
    assert output.type_logits.shape == (5, 8)
    assert output.locations.shape == (5, 3)
    torch.testing.assert_close(output.vectors.norm(dim=1), torch.ones(5))
    assert len(network.group_widths) == 7


@torch.inference_mode()
def test_a_vector_does_not_depend_on_its_batch(network: DLGNetwork) -> None:
    hu, boxes = patches(6)
    together = network(hu, boxes).vectors
    alone = torch.cat([network(hu[n : n + 1], boxes[n : n + 1]).vectors for n in range(6)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_at_the_start_only_the_key_slice_counts() -> None:
    torch.manual_seed(0)
    network = DLGNetwork(CONFIG, SPEC, pretrained=False).eval()
    hu, boxes = patches(4)
    changed = hu.clone()
    changed[:, [0, 2]] = 500
    before = network(hu, boxes).vectors
    assert torch.equal(before, network(changed, boxes).vectors)
    changed[:, 1] += 50
    assert not torch.allclose(before, network(changed, boxes).vectors, atol=1e-4)
    network.channel_mixer.weight[:, 0] = 0.1
    assert not torch.allclose(
        network(hu, boxes).vectors, network(changed, boxes).vectors, atol=1e-4
    )


def test_windows_become_channels_slice_by_slice() -> None:
    hu = torch.tensor([-2000.0, 40.0, 3000.0]).view(1, 3, 1, 1)
    channels = window_channels(hu, SPEC)[0, :, 0, 0].view(3, 3)
    assert channels[0].tolist() == [0, 0, 0]
    assert channels[2].tolist() == [1, 1, 1]
    expected = [(40 - low) / (high - low) for low, high in SPEC.windows]
    assert channels[1].tolist() == pytest.approx(expected)


def test_size_features_know_long_from_short_and_not_rows_from_columns() -> None:
    found = log_size(torch.tensor([[10.0, 40.0], [40.0, 10.0], [0.0, 20.0]]))
    assert torch.equal(found[0], found[1])
    assert found[0].tolist() == pytest.approx([np.log(2), np.log(0.5)])
    assert torch.isfinite(found).all()
