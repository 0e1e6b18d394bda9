"""The bundled encoder on patches written as formulas: a change of weights moves them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.embedding.encoder import LesionEncoder
from retrieval.embedding.external.opening import STEADY, open_encoder
from retrieval.lesion import Box
from retrieval.patch import Patch, PatchSpec

FINGERPRINT = "a7a9223e5d9a95a0"
NODULE = [-0.0901, -0.2624, -0.0020, 0.3278, -0.0320, -0.1012, -0.0245, 0.0531]
MASS = [-0.3962, -0.1316, -0.1072, -0.2262, -0.0062, -0.1092, 0.0535, -0.0040]
COSINE = 0.3954

STEADY_FINGERPRINT = "f45b613349d62243"
OF_STEADY = [0.8734, 0.7659]
"""Cosines of the steady encoder's two vectors to the bundled encoder's."""


@pytest.fixture(scope="module")
def encoder() -> LesionEncoder:
    return LesionEncoder.load(None)


def grid(spec: PatchSpec) -> tuple[NDArray[np.int64], ...]:
    axes = (np.arange(spec.slices), np.arange(spec.size_px), np.arange(spec.size_px))
    return tuple(np.meshgrid(*axes, indexing="ij"))


def nodule(spec: PatchSpec) -> Patch:
    """A round dense spot, 18 by 16 mm, in a lung-like pattern."""
    _, y, x = grid(spec)
    middle = (spec.size_px - 1) / 2
    radius = np.hypot(x - middle, (y - middle) * 1.2)
    hu = np.where(radius < 9, 40 - 3 * radius, -850 + 60 * np.sin(x / 7) * np.cos(y / 9))
    box = Box(middle - 9, middle - 8, middle + 9, middle + 8)
    return Patch(hu.astype(np.float32), box, 0)


def mass(spec: PatchSpec) -> Patch:
    """A darker oval, 38 by 30 mm, in soft tissue that changes from slice to slice."""
    z, y, x = grid(spec)
    middle = (spec.size_px - 1) / 2
    radius = np.hypot((x - middle) * 0.8, y - middle)
    hu = np.where(radius < 15, 15 + radius, 60 + 25 * np.sin(x / 11 + y / 13)) + 3 * z
    box = Box(middle - 19, middle - 15, middle + 19, middle + 15)
    return Patch(hu.astype(np.float32), box, 0)


def test_the_bundled_encoder_gives_known_vectors_of_known_patches(encoder: LesionEncoder) -> None:
    assert encoder.fingerprint == FINGERPRINT
    vectors = encoder.embed([nodule(encoder.spec), mass(encoder.spec)]).vectors
    np.testing.assert_allclose(vectors[0, :8], NODULE, atol=2e-3)
    np.testing.assert_allclose(vectors[1, :8], MASS, atol=2e-3)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(COSINE, abs=2e-3)


def test_the_steady_encoder_is_bundled_by_name_and_near_the_other(encoder: LesionEncoder) -> None:
    steady = open_encoder(STEADY)
    assert (steady.name, steady.fingerprint) == ("dlg-steady", STEADY_FINGERPRINT)
    assert steady.spec == encoder.spec
    patches = [nodule(steady.spec), mass(steady.spec)]
    vectors, known = steady.embed(patches).vectors, encoder.embed(patches).vectors
    np.testing.assert_allclose((vectors * known).sum(axis=1), OF_STEADY, atol=2e-3)
