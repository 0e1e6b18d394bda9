from __future__ import annotations

from collections import OrderedDict

import torch

from retrieval.detection.parts.slice_attention import SliceAttention
from retrieval.detection.parts.views import ViewFusion, height_loss


def test_slice_attention_starts_as_the_middle_group() -> None:
    torch.manual_seed(0)
    joined = torch.rand(2, 3 * 16, 5, 7)
    fused = SliceAttention(3, 16)(joined)
    torch.testing.assert_close(fused, joined[:, 16:32])


def test_slices_are_weighed_place_by_place() -> None:
    torch.manual_seed(1)
    attention = SliceAttention(3, 16)
    joined = torch.randn(1, 3 * 16, 4, 4)
    weights = attention.weights(joined)
    assert weights.shape == (1, 3, 4, 4)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1, 4, 4))
    # By hand at one place.
    parts = joined[0, :, 2, 3].reshape(3, 16)
    asked = attention.of_middle.weight[:, :, 0, 0] @ parts[1]
    agreement = parts @ attention.of_group.weight[:, :, 0, 0].T @ asked / asked.numel() ** 0.5
    torch.testing.assert_close(weights[0, :, 2, 3], agreement.softmax(dim=0))


def test_every_weight_of_slice_attention_learns() -> None:
    torch.manual_seed(2)
    attention = SliceAttention(3, 16)
    torch.nn.init.constant_(attention.share, 0.5)
    attention(torch.randn(2, 48, 6, 6)).square().sum().backward()
    for name, weight in attention.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_view_fusion_starts_as_the_first_view_and_tells_a_height() -> None:
    torch.manual_seed(3)
    joined = OrderedDict({"0": torch.rand(2, 3 * 8, 8, 6), "1": torch.rand(2, 3 * 8, 4, 3)})
    fused, told = ViewFusion(3, 8)(joined)
    assert told.shape == (2, 4)
    for name, level in joined.items():
        torch.testing.assert_close(fused[name], level[:, :8])


def test_every_weight_of_view_fusion_learns() -> None:
    torch.manual_seed(4)
    fusion = ViewFusion(3, 8)
    torch.nn.init.normal_(fusion.attention[-1].weight, std=0.1)
    joined = OrderedDict({"0": torch.rand(2, 24, 8, 6), "1": torch.rand(2, 24, 4, 3)})
    fused, told = fusion(joined)
    loss = sum(level.square().sum() for level in fused.values())
    (loss + height_loss(told, torch.tensor([0.3, 0.8]))).backward()
    for name, weight in fusion.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_a_height_that_is_not_known_teaches_nothing() -> None:
    told = torch.randn(3, 4, requires_grad=True)
    assert height_loss(told, torch.full((3,), float("nan"))).item() == 0
    known = height_loss(told, torch.tensor([float("nan"), 0.65, float("nan")]))
    known.backward()
    assert told.grad is not None
    assert told.grad[0].abs().sum() == 0
    assert told.grad[1].abs().sum() > 0
    right = torch.tensor([[0.65, -20.0, 20.0, -20.0]])
    assert height_loss(right, torch.tensor([0.65])).item() < 1e-6
