"""Frozen features of a toy trunk against means taken by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from retrieval.evaluation.retrieval.frozen import FrozenFeatures
from retrieval.evaluation.retrieval.pixels import cut_patches
from tests.retrieval.evaluation.toy_archive import SPEC, toy_archive


class ToyTrunk(nn.Module):
    """Three maps of 3 channels at full, half and quarter size."""

    def forward(self, pictures):
        return [pictures, *(nn.functional.avg_pool2d(pictures, side) for side in (2, 4))]


@pytest.fixture
def patches():
    archive = toy_archive(4)
    return cut_patches(archive, archive.lesions, SPEC)


def test_groups_are_box_means_of_all_maps_and_context_means_of_the_last_two(patches):
    frozen = FrozenFeatures(ToyTrunk(), name="toy", spec=SPEC)
    described = frozen.describe(patches)
    assert described.shape == (12, 3 * 3 + 2 * 3)
    hu = patches[5].hu[1]
    windows = [((hu - low) / (high - low)).clip(0, 1) for low, high in SPEC.windows]
    context = [window.mean() for window in windows]
    np.testing.assert_allclose(described[5, 9:12], context, rtol=1e-4)
    np.testing.assert_allclose(described[5, 12:15], context, rtol=1e-4)
    box = patches[5].box
    inner = [
        window[int(box.y1) + 1 : int(box.y2) + 1, int(box.x1) + 1 : int(box.x2) + 1].mean()
        for window in windows
    ]
    np.testing.assert_allclose(described[5, :3], inner, atol=0.02)


def test_multi_scale_centres_and_normalises_each_group_over_the_set(patches):
    frozen = FrozenFeatures(ToyTrunk(), name="toy", spec=SPEC)
    described = frozen.describe(patches)
    found = frozen.vectors(described)
    assert list(found) == ["toy frozen, last layer", "toy frozen, multi-scale"]
    for vectors in found.values():
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    groups = described.reshape(len(described), 5, 3)
    naive = groups - groups.mean(axis=0)
    naive /= np.linalg.norm(naive, axis=2, keepdims=True)
    np.testing.assert_allclose(
        found["toy frozen, multi-scale"], naive.reshape(len(naive), -1) / np.sqrt(5), atol=1e-4
    )


def test_batches_do_not_change_a_description(patches):
    frozen = FrozenFeatures(ToyTrunk(), name="toy", spec=SPEC)
    together = frozen.describe(patches * 4)[: len(patches)]
    np.testing.assert_allclose(together, frozen.describe(patches), atol=1e-6)
    assert not torch.is_grad_enabled() or together.dtype == np.float32
