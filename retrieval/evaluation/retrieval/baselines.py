"""Baselines: vectors of lesions that nobody had to learn, beside which every score stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.stats.metrics import FloatArray, IntArray
from retrieval.image import apply_window
from retrieval.patch import Patch, PatchSpec
from retrieval.sources.lesion_table import LesionTable

Vectors = NDArray[np.float32] | FloatArray

BASELINE_SPEC = PatchSpec(size_px=128)
"""How baselines cut patches: 128 mm serves them better than 96, whatever an encoder prefers."""


@dataclass(frozen=True)
class MethodVectors:
    """One method's vectors for a whole table.

    Attributes:
        name: as printed in tables.
        draws: one (n, d) array, or several whose scores are averaged (the random baseline). A row
            of NaN says that the method knows nothing of that lesion.
    """

    name: str
    draws: tuple[Vectors, ...]


def similarity_block(vectors: Vectors, queries: IntArray, gallery: IntArray) -> FloatArray:
    """(queries, gallery) negative squared Euclidean distances, float64.

    For unit vectors this orders exactly as the cosine does: cosine = 1 + similarity / 2.
    """
    # A few numbers of unlike scale need float64 in 2ab - aa - bb; long unit vectors do not.
    if vectors.shape[1] <= 16:
        return _negative_squared_distances(
            vectors[queries].astype(np.float64), vectors[gallery].astype(np.float64)
        )
    return _negative_squared_distances(
        vectors[queries].astype(np.float32), vectors[gallery].astype(np.float32)
    )


def metadata_baselines(table: LesionTable, generator: Generator) -> list[MethodVectors]:
    """Random, body height z, location, size, and location with size; none looks at a pixel.

    Size is the logarithm of both RECIST diameters. For location with size each of the five numbers
    is divided by its deviation over the table. A baseline that no lesion has numbers for is
    left out.
    """
    # One random draw over a handful of lesions is luck; over thousands it is the expectation.
    repeats = int(np.clip(4000 // len(table), 1, 100))
    random = tuple(generator.standard_normal((len(table), 16)) for _ in range(repeats))
    log_size = np.log(np.where(table.diameters_mm > 0, table.diameters_mm, np.nan))
    both = np.concatenate([_standardised(table.locations), _standardised(log_size)], axis=1)
    candidates = [
        MethodVectors("random", random),
        MethodVectors("height z only", (table.locations[:, 2:],)),
        MethodVectors("location only", (table.locations,)),
        MethodVectors("size only", (log_size,)),
        MethodVectors("location and size", (both,)),
    ]
    return [
        baseline for baseline in candidates if not np.isnan(baseline.draws[0]).any(axis=1).all()
    ]


@dataclass(frozen=True)
class RawPixels:
    """The patch itself as a vector: the middle slice under the first window, shrunk twofold."""

    spec: PatchSpec = BASELINE_SPEC

    def describe(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        """(n, pixels) values in [0, 1]."""
        middle = np.stack([patch.hu[self.spec.slices // 2] for patch in patches])
        grey = apply_window(middle, *self.spec.windows[0])
        side = self.spec.size_px // 2
        blocks = grey[:, : 2 * side, : 2 * side].reshape(-1, side, 2, side, 2)
        return np.asarray(blocks.mean(axis=(2, 4)).reshape(len(patches), -1), np.float32)

    def vectors(self, described: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The pixels unchanged, under this baseline's name."""
        return {"raw pixels": described}


def _standardised(numbers: FloatArray) -> FloatArray:
    known = numbers[~np.isnan(numbers).any(axis=1)]
    if len(known) == 0:
        return numbers
    deviation = known.std(axis=0)
    scaled = (numbers - known.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return np.asarray(scaled, np.float64)


def _negative_squared_distances(asked: Vectors, found: Vectors) -> FloatArray:
    distances = np.asarray(asked @ found.T, np.float64)
    distances *= 2
    distances -= np.einsum("ij,ij->i", asked, asked)[:, None]
    distances -= np.einsum("ij,ij->i", found, found)
    return distances
