"""Which type a lesion may have by where it lies: for lesions whose type nobody said.

A normal distribution of locations for each lesion type, fitted on DeepLesion's validation rows
(``benchmarks/matcher_scatter.py``). On its test rows the likeliest type is right in 77 % of exact
locations and in 64 % of those as far off as estimates from an image, and the probabilities are
calibrated. The error of a location widens every distribution, so that a coarse one tells less.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion, LesionType

FloatArray = NDArray[np.float64]

_SCALINGS = 200

TYPES = tuple(kind for kind in LesionType if kind is not LesionType.UNKNOWN)
"""DeepLesion's types 1 to 8, the order of every array of types."""


@dataclass(frozen=True, slots=True, eq=False)
class TypeByPosition:
    """Locations of each type: ``share`` (8,) of all lesions, ``mean`` (8, 3), ``cov`` (8, 3, 3).

    ``apart`` (8, 8) is the share of each pair of unequal types, see ``unequal_pairs``.
    """

    share: FloatArray
    mean: FloatArray
    cov: FloatArray
    apart: FloatArray

    def likelihood(self, lesion: Lesion) -> FloatArray:
        """(8,) how likely what is known of the lesion is for each type, the likeliest 1.

        A known type is certain. An unknown one is told by the location, if there is one; with
        neither all types are alike.
        """
        if lesion.lesion_type is not LesionType.UNKNOWN:
            return np.array([1.0 if kind is lesion.lesion_type else 0.0 for kind in TYPES])
        if lesion.location is None:
            return np.ones(len(TYPES))
        error = np.array(lesion.location_error or (0.0, 0.0, 0.0))
        cov = self.cov + np.diag(error**2)
        off = np.array(lesion.location) - self.mean
        squared = np.einsum("ti,tij,tj->t", off, np.linalg.inv(cov), off)
        log = -(squared + np.linalg.slogdet(cov)[1]) / 2
        return np.asarray(np.exp(log - log.max()))


@cache
def type_by_position() -> TypeByPosition:
    """The bundled distributions (``retrieval/weights/type_by_position.json``)."""
    text = files("retrieval").joinpath("weights", "type_by_position.json").read_text("utf-8")
    numbers = json.loads(text)["types"]
    rows = [numbers[kind.value] for kind in TYPES]
    share = np.array([row["share"] for row in rows])
    share /= share.sum()
    return TypeByPosition(
        share,
        np.array([row["mean"] for row in rows]),
        np.array([row["cov"] for row in rows]),
        unequal_pairs(share),
    )


def unequal_pairs(share: FloatArray) -> FloatArray:
    """(n, n) shares of pairs of unequal types, as independent as can be.

    Zero on the diagonal, and each row and column adds up to the type's own share, by iterative
    scaling (Sinkhorn 1964). No share may be above a half.
    """
    pairs = np.outer(share, share)
    np.fill_diagonal(pairs, 0.0)
    for _ in range(_SCALINGS):
        factor = np.sqrt(share / pairs.sum(axis=1))
        pairs = pairs * np.outer(factor, factor)
    return np.asarray(pairs)
