from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from retrieval.embedding.losses import (
    LossError,
    SequenceLoss,
    SequenceMargins,
    build_identity_loss,
)


def naive_loss(vectors: np.ndarray, present: np.ndarray, margins: tuple[float, ...]) -> float:
    hinges = []
    for sequence, there in zip(vectors, present, strict=True):
        distance = [float(((v - sequence[0]) ** 2).sum()) for v in sequence[1:]]
        for near, far in combinations(range(5), 2):
            if there[1 + near] and there[1 + far]:
                margin = margins[far] - margins[near]
                hinges.append(max(0.0, distance[near] - distance[far] + margin))
    return sum(hinges) / max(1, len(hinges))


@given(seed=st.integers(0, 2**31), sequences=st.integers(1, 6))
def test_the_sequence_loss_is_the_naive_loop(seed: int, sequences: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(sequences, 6, 8))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    present = rng.random((sequences, 6)) < 0.7
    margins = SequenceMargins()
    found = SequenceLoss(margins)(torch.from_numpy(vectors), torch.from_numpy(present))
    assert float(found) == pytest.approx(naive_loss(vectors, present, margins.in_order()), abs=1e-9)


def test_one_triplet_is_torchs_triplet_margin_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = F.normalize(torch.randn(5, 6, 16, generator=generator), dim=2)
    present = torch.zeros(5, 6, dtype=torch.bool)
    present[:, [0, 2, 5]] = True
    ours = SequenceLoss(SequenceMargins(), squared=False)(vectors, present)
    theirs = torch.nn.TripletMarginLoss(margin=0.4)(vectors[:, 0], vectors[:, 2], vectors[:, 5])
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_the_papers_margins_stand_between_b_and_the_weaker_slots() -> None:
    same, alike, size, location, kind = SequenceMargins().in_order()
    assert [round(m - alike, 6) for m in (size, location, kind)] == [0.1, 0.2, 0.4]
    assert same < alike


def test_an_ordered_sequence_costs_nothing_and_a_reversed_one_does() -> None:
    angles = torch.tensor([0.0, 0.1, 0.6, 1.0, 1.4, 2.0])
    ordered = torch.stack([angles.cos(), angles.sin()], dim=1)[None]
    backwards = torch.cat([ordered[:, :1], ordered[:, 1:].flip(1)], dim=1)
    present = torch.ones(1, 6, dtype=torch.bool)
    loss = SequenceLoss(SequenceMargins())
    assert float(loss(ordered, present)) == 0
    assert float(loss(backwards, present)) > 1


def test_missing_lesions_take_no_part_and_get_no_gradient() -> None:
    vectors = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1))
    vectors.requires_grad_()
    present = torch.tensor([[True, True, False, True, False, True]] * 2)
    SequenceLoss(SequenceMargins(other_type=9.0))(vectors, present).backward()
    assert vectors.grad is not None
    assert (vectors.grad[:, [2, 4]] == 0).all()
    assert (vectors.grad[:, 5] != 0).any()


def test_margins_must_grow() -> None:
    with pytest.raises(LossError, match="must grow"):
        SequenceLoss(SequenceMargins(alike=0.4))


@pytest.mark.parametrize("name", ["batch-hard", "multi-similarity"])
def test_identity_losses_prefer_tight_tracks(name: str) -> None:
    loss = build_identity_loss(name)
    assert loss is not None
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    generator = torch.Generator().manual_seed(2)
    apart = F.normalize(torch.randn(6, 32, generator=generator), dim=1)
    tight = F.normalize(torch.eye(32)[labels] + 0.01 * apart, dim=1)
    assert float(loss(tight, labels)) < float(loss(apart, labels))


def test_no_identity_loss_and_unknown_names() -> None:
    assert build_identity_loss("none") is None
    with pytest.raises(LossError, match="unknown"):
        build_identity_loss("centre")
