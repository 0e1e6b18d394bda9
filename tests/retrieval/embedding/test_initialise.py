from __future__ import annotations

import numpy as np
import pytest
import torch

from retrieval.embedding.initialise import initialise, plain_views
from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.embedding.recipe import load_recipe
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> DLGNetwork:
    """ImageNet features, as the bundled encoder starts with, on the tiny recipe's patches."""
    return DLGNetwork(NetworkConfig(), load_recipe("tiny").patch, pretrained=True)


def cosines(vectors: torch.Tensor) -> np.ndarray:
    unit = torch.nn.functional.normalize(vectors, dim=1)
    upper = np.triu_indices(len(vectors), k=1)
    return np.asarray((unit @ unit.T).numpy()[upper])


@torch.no_grad()
def test_the_embedding_starts_as_the_frozen_multi_scale_features(
    network: DLGNetwork, phantom_training: TrainingData
) -> None:
    rows = phantom_training.rows(Split.TRAIN)
    initialise(network, phantom_training, rows, np.random.default_rng(0))
    for asked in (rows, phantom_training.rows(Split.TEST)):
        hu, boxes = plain_views(phantom_training, asked, network, CPU)
        features = network.features(hu, boxes)
        vectors = network.heads(features).vectors
        assert np.corrcoef(cosines(vectors), cosines(features))[0, 1] > 0.95


@torch.no_grad()
def test_the_groups_are_centred_on_the_training_lesions(
    network: DLGNetwork, phantom_training: TrainingData
) -> None:
    rows = phantom_training.rows(Split.TRAIN)
    initialise(network, phantom_training, rows, np.random.default_rng(0))
    hu, boxes = plain_views(phantom_training, rows, network, CPU)
    for scale, group in zip(network.group_scales, network.pooled(hu, boxes), strict=True):
        torch.testing.assert_close(scale.mean, group.mean(dim=0), atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_projection_keeps_lengths_and_right_angles(
    network: DLGNetwork, phantom_training: TrainingData
) -> None:
    """Fewer lesions than dimensions: the remaining directions are orthogonal to the rest too."""
    rows = phantom_training.rows(Split.TRAIN)[:5]
    initialise(network, phantom_training, rows, np.random.default_rng(0))
    weight = network.project.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(256), atol=1e-4, rtol=0)
