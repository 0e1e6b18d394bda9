from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retrieval.embedding.robustness.rating_loss import rating_divergence
from retrieval.embedding.robustness.view_loss import VectorMemory

NAN = float("nan")


def units(seed: int, count: int, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


def naive(vectors, ratings, tracks, memory, temperature, width):
    gallery = [*vectors, *memory.vectors]
    rated = [*ratings, *memory.ratings]
    of_gallery = [*tracks, *memory.tracks.tolist()]
    total, asked = 0.0, 0
    for vector, own, track in zip(vectors, ratings, tracks, strict=True):
        wanted, found = [], []
        for other, values, label in zip(gallery, rated, of_gallery, strict=True):
            both = torch.isfinite(own) & torch.isfinite(values)
            if label == track or both.sum() < 3:
                continue
            apart = float((own[both] - values[both]).square().mean())
            wanted.append(np.exp(-apart / (2 * width**2)))
            found.append(np.exp(float(vector @ other) / temperature))
        if len(wanted) < 2:
            continue
        p, q = np.array(wanted) / sum(wanted), np.array(found) / sum(found)
        total, asked = total + float((p * np.log(p / q)).sum()), asked + 1
    return total / asked


def test_the_loss_is_the_naive_sum_over_comparable_lesions_of_other_tracks() -> None:
    memory = VectorMemory(5, 8, 4)
    memory.push(
        units(2, 3),
        torch.tensor([1, 7, 8]),
        torch.tensor([[0.1, 0.2, 0.3, NAN], [1.0, NAN, -1.0, 0.5], [NAN, NAN, 1.0, 2.0]]),
    )
    vectors, tracks = units(1, 4), [1, 1, 2, 3]
    ratings = torch.tensor(
        [[0.0, 1.0, 0.5, NAN], [0.0, 1.0, 0.4, 1.0], [-1.0, 0.5, 0.0, 0.2], [NAN, NAN, NAN, 1.0]]
    )
    loss = rating_divergence(
        vectors, ratings, torch.tensor(tracks), memory, temperature=0.2, width=0.6
    )
    told = naive(vectors, ratings, tracks, memory, 0.2, 0.6)
    assert float(loss) == pytest.approx(told, rel=1e-4)
    assert told > 0


def test_lesions_rated_alike_are_drawn_together() -> None:
    ratings = torch.tensor([[0.0] * 3, [0.1] * 3, [2.0] * 3, [2.1] * 3])
    memory = VectorMemory(1, 4, 3)
    tracks = torch.arange(4)
    alike = torch.eye(4)[[0, 0, 1, 1]]
    crossed = torch.eye(4)[[0, 1, 0, 1]]
    near, far = (rating_divergence(v, ratings, tracks, memory, width=0.5) for v in (alike, crossed))
    assert near < 0.1
    assert far > 1


def test_without_ratings_nothing_is_asked() -> None:
    vectors = units(3, 4).requires_grad_()
    unknown = torch.full((4, 7), NAN)
    loss = rating_divergence(vectors, unknown, torch.arange(4), VectorMemory(2, 8, 7))
    assert float(loss.detach()) == 0
    loss.backward()
    assert not vectors.grad.any()
