from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from retrieval.detection.parts.masks import (
    DenseMaskHead,
    ellipse_masks,
    ellipse_of_box,
    mask_loss,
    mirrored_ellipses,
    scaled_ellipses,
)
from retrieval.lesion import Box


def test_a_mask_has_the_ellipses_area_and_place() -> None:
    ellipse = torch.tensor([[60.0, 40, 30, 12, 0.6]])
    mask = ellipse_masks(ellipse, (90, 120), 1.0)
    assert mask.sum().item() == pytest.approx(math.pi * 30 * 12, rel=0.02)
    rows, columns = mask.nonzero(as_tuple=True)
    assert rows.float().mean().item() == pytest.approx(40, abs=0.2)
    assert columns.float().mean().item() == pytest.approx(60, abs=0.2)
    coarse = ellipse_masks(ellipse, (23, 30), 4.0)
    assert coarse.sum().item() * 16 == pytest.approx(math.pi * 30 * 12, rel=0.08)


def test_a_lesion_smaller_than_a_cell_marks_one() -> None:
    tiny = torch.tensor([[20.0, 20, 1, 1, 0.0]])
    assert ellipse_masks(tiny, (8, 8), 8.0).sum() == 1
    assert ellipse_masks(torch.zeros(0, 5), (8, 8), 8.0).sum() == 0


def test_ellipses_move_with_their_picture() -> None:
    ellipse = np.array([[30.0, 20, 12, 5, 0.5]], np.float32)
    drawn = ellipse_masks(torch.from_numpy(ellipse), (50, 80), 1.0)
    mirrored = ellipse_masks(torch.from_numpy(mirrored_ellipses(ellipse, 80)), (50, 80), 1.0)
    torch.testing.assert_close(mirrored, drawn.flip(1))
    larger = ellipse_masks(torch.from_numpy(scaled_ellipses(ellipse, 2.0)), (100, 160), 1.0)
    assert larger.sum().item() == pytest.approx(4 * drawn.sum().item(), rel=0.05)
    box = ellipse_of_box(Box(10, 20, 40, 60), 5.0)
    np.testing.assert_allclose(box, [25, 40, 10, 15, 0])


def test_the_head_learns_a_mask_by_heart() -> None:
    torch.manual_seed(0)
    head = DenseMaskHead(8)
    maps = torch.randn(1, 8, 12, 12)
    wanted = ellipse_masks(torch.tensor([[5.0, 6, 4, 2, 0.3]]), (12, 12), 1.0)[None, None]
    known = torch.ones_like(wanted, dtype=torch.bool)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        loss = mask_loss(head(maps), wanted, known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_where_nobody_looked_nothing_is_learnt() -> None:
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    known = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    known[..., :2] = True
    mask_loss(logits, torch.zeros(1, 1, 4, 4), known).backward()
    assert logits.grad is not None
    assert logits.grad[..., 2:].abs().sum() == 0
    assert logits.grad[..., :2].abs().sum() > 0
    assert mask_loss(logits, torch.zeros(1, 1, 4, 4), torch.zeros_like(known)).item() == 0
