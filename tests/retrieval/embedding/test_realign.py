"""Encoders added up, and a projection aligned with a teacher's vectors."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retrieval.embedding.encoder import load_network
from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.embedding.robustness.realign import (
    RealignError,
    added,
    described,
    realign,
    towards_ratings,
)
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split
from retrieval.patch import PatchSpec
from retrieval.synthesis.degradation.random import DegradationConfig
from tests.retrieval.embedding.conftest import TinyRun


@pytest.fixture
def network(tiny_run: TinyRun) -> DLGNetwork:
    return load_network(tiny_run.out / "encoder.safetensors")[0].eval()


def moved(network: DLGNetwork, by: float) -> DLGNetwork:
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(by)
    return other


def test_shares_of_two_changes_are_added(network: DLGNetwork) -> None:
    total = added(network, [(moved(network, 1.0), 0.25), (moved(network, -2.0), 0.5)])
    for before, after in zip(network.parameters(), total.parameters(), strict=True):
        assert torch.allclose(after, before + 0.25 - 1.0, atol=1e-5)


def test_another_kind_of_network_is_not_added(network: DLGNetwork) -> None:
    other = DLGNetwork(NetworkConfig("mobilenet_v3_small"), PatchSpec(), pretrained=False)
    with pytest.raises(RealignError, match="trained from the same one"):
        added(network, [(other, 0.5)])


def test_a_projection_is_found_again_from_the_vectors_it_gave(network: DLGNetwork) -> None:
    generator = torch.Generator().manual_seed(0)
    width = network.project.weight.shape[1]
    features = torch.randn(4 * width, width, generator=generator)
    true = network.project.weight.detach().clone()
    wanted = F.normalize(features @ true.T, dim=1)
    noise = torch.randn(true.shape, generator=generator) * true.std()
    with torch.no_grad():
        network.project.weight.add_(noise)
        given = F.normalize(features @ network.project.weight.T, dim=1)
    begun = float((given * wanted).sum(dim=1).mean())
    found = realign(network, features, wanted, ridge=1e-6)
    assert begun < 0.8
    assert found > 0.99


def test_a_large_ridge_leaves_the_projection(network: DLGNetwork) -> None:
    before = network.project.weight.detach().clone()
    width = before.shape[1]
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(50, width, generator=generator)
    wanted = F.normalize(torch.randn(50, len(before), generator=generator), dim=1)
    realign(network, features, wanted, ridge=1e9)
    assert torch.allclose(network.project.weight, before, atol=1e-5)
    with pytest.raises(RealignError, match="above 0"):
        realign(network, features, wanted, ridge=0)


def test_lesions_rated_alike_come_nearer_and_unrated_ones_stay() -> None:
    generator = torch.Generator().manual_seed(2)
    wanted = F.normalize(torch.randn(60, 8, generator=generator), dim=1)
    ratings = 3 * wanted[:, :1] + 0.1 * torch.randn(60, 1, generator=generator)
    ratings[40:] = torch.nan
    moved_to = towards_ratings(wanted, ratings, share=0.5)
    assert torch.allclose(moved_to[40:], wanted[40:], atol=1e-6)
    axis = moved_to[:40] - wanted[:40]
    assert float(axis[:, 0].abs().mean()) > 3 * float(axis[:, 1:].abs().mean())
    high, low = int(ratings[:40].argmax()), int(ratings[:40].argmin())
    assert float(moved_to[high] @ moved_to[low]) < float(wanted[high] @ wanted[low])


def test_without_a_known_rating_no_vector_moves() -> None:
    wanted = torch.nn.functional.normalize(torch.randn(6, 8), dim=1)
    unknown = torch.full((6, 2), torch.nan)
    assert torch.equal(towards_ratings(wanted, unknown, share=0.5), wanted)


def test_lesions_are_described_as_they_are_and_on_worse_scans(
    network: DLGNetwork, phantom_training: TrainingData
) -> None:
    rows = phantom_training.rows(Split.TRAIN)[:5]
    config = DegradationConfig(blur_mm=4.0, kernel=1.0)
    plain = described(network, phantom_training, rows, None, np.random.default_rng(0))
    again = described(network, phantom_training, rows, None, np.random.default_rng(1))
    worse = described(network, phantom_training, rows, config, np.random.default_rng(0))
    assert torch.equal(plain, again)
    assert plain.shape == worse.shape == (5, network.project.weight.shape[1])
    assert (plain - worse).abs().max() > 0.01
