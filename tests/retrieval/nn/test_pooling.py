from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align

from retrieval.nn.pooling import box_means


def test_box_means_are_torchvisions_roi_align_averaged_and_so_are_their_gradients() -> None:
    generator = torch.Generator().manual_seed(3)
    corners = 100 * torch.rand(40, 2, generator=generator) - 10
    boxes = torch.cat([corners, corners + 40 * torch.rand(40, 2, generator=generator)], dim=1)
    level = torch.randn(40, 5, 16, 16, generator=generator, requires_grad=True)
    clipped = (boxes + 0.5).clamp(0, 96)
    rois = torch.cat([torch.arange(40.0)[:, None], clipped], dim=1)
    oracle = roi_align(level, rois, 3, spatial_scale=16 / 96, sampling_ratio=2, aligned=True).mean(
        dim=(2, 3)
    )
    (found,) = box_means([level], boxes, patch_px=96)
    torch.testing.assert_close(found, oracle, atol=1e-5, rtol=1e-5)
    (ours,) = torch.autograd.grad(found.square().sum(), level, retain_graph=True)
    (theirs,) = torch.autograd.grad(oracle.square().sum(), level)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


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
