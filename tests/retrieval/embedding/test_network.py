from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from retrieval.embedding.network import (
    DLGNetwork,
    NetworkConfig,
    box_means,
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


def smooth_map(side: int) -> Tensor:
    """(2, 3, side, side): a ramp, a wave of several box widths, and a constant."""
    ys, xs = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    maps = torch.stack([xs + 2.0 * ys, torch.sin(xs / 25) * torch.cos(ys / 30), ys * 0.0 + 7])
    return torch.stack([maps, maps * 2])


def test_box_means_are_the_naive_means_on_a_fine_map() -> None:
    fine = smooth_map(64)
    boxes = torch.tensor([[10.0, 20.0, 30.0, 41.0], [3.0, 5.0, 40.0, 22.0]])
    (found,) = box_means([fine], boxes, patch_px=64)
    for number, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        naive = fine[number, :, y1 : y2 + 1, x1 : x2 + 1].mean(dim=(1, 2))
        torch.testing.assert_close(found[number], naive, atol=0.02, rtol=1e-3)


def test_coarse_maps_are_pooled_over_the_same_place() -> None:
    """Half a pixel of misplacement moves the ramp's mean by 0.5; on the coarsest map by 8."""
    fine = smooth_map(64)[:, :1]
    levels = [torch.nn.functional.avg_pool2d(fine, stride) for stride in (1, 2, 4, 8)]
    boxes = torch.tensor([[10.0, 20.0, 30.0, 41.0], [22.0, 15.0, 40.0, 33.0]])
    for means in box_means(levels, boxes, patch_px=64):
        expected = (boxes[:, 0] + boxes[:, 2]) / 2 + boxes[:, 1] + boxes[:, 3]
        torch.testing.assert_close(means[:, 0], expected * torch.tensor([1.0, 2.0]))


def test_boxes_are_clipped_to_the_patch() -> None:
    fine = smooth_map(64)[:1]
    over = box_means([fine], torch.tensor([[-30.0, 10.0, 99.0, 30.0]]), patch_px=64)[0]
    within = box_means([fine], torch.tensor([[-0.5, 10.0, 63.5, 30.0]]), patch_px=64)[0]
    torch.testing.assert_close(over, within)


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
