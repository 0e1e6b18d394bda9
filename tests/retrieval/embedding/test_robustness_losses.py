from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retrieval.embedding.robustness.distillation import relational_divergence
from retrieval.embedding.robustness.view_loss import VectorMemory, ViewLoss


def units(seed: int, count: int, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


def naive_view_loss(first, second, tracks, known, of_known, temperature):
    total = 0.0
    for asked, answers in ((first, second), (second, first)):
        for i in range(len(asked)):
            own = float(asked[i] @ answers[i]) / temperature
            weights = [np.exp(own)]
            for j in range(len(answers)):
                if j != i and tracks[j] != tracks[i]:
                    weights.append(np.exp(float(asked[i] @ answers[j]) / temperature))
            for vector, track in zip(known, of_known, strict=True):
                if track >= 0 and track != tracks[i]:
                    weights.append(np.exp(float(asked[i] @ vector) / temperature))
            total -= np.log(weights[0] / sum(weights)) / len(asked) / 2
    return total


def test_the_view_loss_is_the_naive_sum_with_memory_and_without_own_tracks() -> None:
    first, second = units(1, 5), units(2, 5)
    tracks = torch.tensor([7, 7, 8, 9, 10])
    memory = VectorMemory(6, 8)
    loss = ViewLoss(0.2)
    empty = naive_view_loss(first, second, tracks.tolist(), [], [], 0.2)
    assert float(loss(first, second, tracks, memory)) == pytest.approx(empty, rel=1e-5)
    memory.push(units(3, 3), torch.tensor([8, 11, 12]))
    told = naive_view_loss(
        first, second, tracks.tolist(), memory.vectors, memory.tracks.tolist(), 0.2
    )
    assert float(loss(first, second, tracks, memory)) == pytest.approx(told, rel=1e-5)
    assert told > empty


def test_equal_views_of_lesions_far_apart_cost_least() -> None:
    first = torch.eye(4, 8)
    memory = VectorMemory(2, 8)
    tracks = torch.arange(4)
    same = ViewLoss()(first, first, tracks, memory)
    assert same < 0.001
    assert ViewLoss()(first, first.roll(1, 0), tracks, memory) > 5


def test_the_memory_keeps_the_newest_and_is_part_of_the_state() -> None:
    memory = VectorMemory(4, 8)
    vectors = units(4, 6)
    memory.push(vectors[:3], torch.tensor([0, 1, 2]))
    assert memory.tracks.tolist() == [0, 1, 2, -1]
    memory.push(vectors[3:], torch.tensor([3, 4, 5]))
    assert memory.tracks.tolist() == [3, 4, 5, 0]
    assert torch.equal(memory.vectors[0], vectors[3])
    again = VectorMemory(4, 8)
    again.load_state_dict(memory.state_dict())
    assert torch.equal(again.vectors, memory.vectors)


def test_the_divergence_is_zero_for_the_teachers_own_neighbourhoods_in_any_turn() -> None:
    teacher = units(5, 6)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0))).Q
    assert float(relational_divergence(teacher @ turn, teacher)) == pytest.approx(0, abs=1e-5)
    student = units(6, 6)
    told = 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        p = torch.softmax(teacher[others] @ teacher[i] / 0.1, 0)
        q = torch.softmax(student[others] @ student[i] / 0.1, 0)
        told += float((p * (p / q).log()).sum()) / 6
    assert float(relational_divergence(student, teacher)) == pytest.approx(told, rel=1e-4)


def test_two_lesions_have_no_neighbourhoods() -> None:
    vectors = units(7, 2).requires_grad_()
    loss = relational_divergence(vectors, units(8, 2))
    loss.backward()
    assert float(loss.detach()) == 0
