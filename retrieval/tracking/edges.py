"""How alike two lesions of one patient are: the terms of a pair and the logistic over them.

Five terms, each reported beside the score so that a match can be explained: the cosine of the two
embeddings, the distance of the two locations in the body's plane and along its height, the ratio
of the sizes, and whether the types agree. A small logistic regression with one set of weights for
given, one for estimated and one for absent locations adds them up. A term that is not known for a
pair adds nothing: each term is counted from its neutral value, half way between pairs of the same
and pairs of different lesions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion, LesionType
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.matcher import TERM_NAMES, LocationSource, MatcherModel

FloatArray = NDArray[np.float64]

NOMINAL_BODY_MM = (375.0, 310.0, 1090.0)
"""Millimetres for one unit of DeepLesion's location along x, y, z.

Medians over pairs of lesions of one series in DeepLesion's official validation and test rows; a
body is 30 % wider or narrower, so distances from locations are nominal millimetres.
"""

DISTANCE_SCALE_MM = 10.0
"""Distances far below this tell nothing more; far above it they count by their logarithm."""

_SOURCES = tuple(LocationSource)


@dataclass(frozen=True, slots=True)
class TrackNode:
    """A lesion with its embedding ``vector`` (d,) and the encoder's estimate of its location.

    The estimate, in the units of ``Lesion.location``, is used only where the lesion has none.
    """

    lesion: Lesion
    vector: NDArray[np.float32]
    location_estimate: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class MatchTerms:
    """What speaks for and against one pair being the same lesion.

    ``log_size_ratio`` is the natural logarithm of the second lesion's size over the first's, the
    size being the geometric mean of the diameters. Distances are nominal mm. ``contributions`` are
    log-odds, with ``intercept``: their sum is the pair's log-odds before other lesions compete.
    None stands for not known.
    """

    similarity: float
    in_plane_mm: float | None
    height_mm: float | None
    location_source: LocationSource
    log_size_ratio: float | None
    same_type: bool | None
    contributions: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The terms as JSON values, rounded to four decimals."""
        return {
            "similarity": _rounded(self.similarity),
            "in_plane_mm": _rounded(self.in_plane_mm),
            "height_mm": _rounded(self.height_mm),
            "location_source": self.location_source.value,
            "log_size_ratio": _rounded(self.log_size_ratio),
            "same_type": self.same_type,
            "contributions": {name: round(v, 4) for name, v in self.contributions.items()},
        }


@dataclass(frozen=True, slots=True)
class PairTerms:
    """The terms of every pair of n lesions; NaN where a term is not known for a pair.

    ``similarity``, ``in_plane_mm``, ``height_mm``, ``log_size_ratio`` (of column over row) and
    ``type_agreement`` (1 same, -1 different) are (n, n); ``source`` (n, n) numbers LocationSource.
    """

    similarity: FloatArray
    in_plane_mm: FloatArray
    height_mm: FloatArray
    log_size_ratio: FloatArray
    type_agreement: FloatArray
    source: NDArray[np.int8]

    @classmethod
    def of(cls, nodes: Sequence[TrackNode]) -> Self:
        """All pairs of the nodes; raises TrackingError for vectors that cannot be compared."""
        unit = _unit_vectors(nodes)
        position, source = _locations(nodes)
        offset = position[:, None, :] - position[None, :, :]
        log_size = np.array([_log_size(node.lesion) for node in nodes])
        kinds = np.array([node.lesion.lesion_type.code for node in nodes])
        known = (kinds[:, None] != LesionType.UNKNOWN.code) & (kinds != LesionType.UNKNOWN.code)
        agreement = np.where(kinds[:, None] == kinds, 1.0, -1.0)
        return cls(
            similarity=np.clip(unit @ unit.T, -1.0, 1.0),
            in_plane_mm=np.hypot(offset[..., 0], offset[..., 1]),
            height_mm=np.abs(offset[..., 2]),
            log_size_ratio=log_size[None, :] - log_size[:, None],
            type_agreement=np.where(known, agreement, np.nan),
            source=np.maximum(source[:, None], source[None, :]),
        )

    def features(self) -> FloatArray:
        """(n, n, 5): the terms as the logistic takes them, in TERM_NAMES' order."""
        return np.stack(
            [
                self.similarity,
                np.log1p((self.in_plane_mm / DISTANCE_SCALE_MM) ** 2),
                np.log1p((self.height_mm / DISTANCE_SCALE_MM) ** 2),
                np.abs(self.log_size_ratio),
                self.type_agreement,
            ],
            axis=-1,
        )

    def contributions(self, model: MatcherModel) -> FloatArray:
        """(n, n, 6): log-odds added by the intercept, then by each term."""
        sets = [model.terms[source] for source in _SOURCES]
        intercepts = np.array([terms.intercept for terms in sets])[self.source]
        weights = np.array([terms.weights for terms in sets])[self.source]
        centres = np.array([terms.centres for terms in sets])[self.source]
        added = np.nan_to_num(weights * (self.features() - centres), nan=0.0)
        return np.concatenate([intercepts[..., None], added], axis=-1)

    def explain(self, row: int, column: int, contributions: FloatArray) -> MatchTerms:
        """One pair's terms, from the lesion of ``row`` to that of ``column``.

        ``contributions`` are those of the method of this name; their sum over the last axis is
        the pair's log-odds before other lesions compete for either.
        """
        agreement = _known(self.type_agreement[row, column])
        added = contributions[row, column].tolist()
        return MatchTerms(
            similarity=float(self.similarity[row, column]),
            in_plane_mm=_known(self.in_plane_mm[row, column]),
            height_mm=_known(self.height_mm[row, column]),
            location_source=_SOURCES[int(self.source[row, column])],
            log_size_ratio=_known(self.log_size_ratio[row, column]),
            same_type=None if agreement is None else agreement > 0,
            contributions=dict(zip(("intercept", *TERM_NAMES), added, strict=True)),
        )


def _unit_vectors(nodes: Sequence[TrackNode]) -> FloatArray:
    shapes = {node.vector.shape for node in nodes}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise TrackingError(f"embeddings have the shapes {sorted(shapes)}: one (d,) is needed")
    vectors = np.stack([node.vector for node in nodes]).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    for node, norm in zip(nodes, norms[:, 0], strict=True):
        if not (math.isfinite(norm) and norm > 0):
            raise TrackingError(
                f"the embedding of lesion {node.lesion.lesion_id} has the norm {norm}: a finite "
                "vector other than zero is needed"
            )
    return np.asarray(vectors / norms)


def _locations(nodes: Sequence[TrackNode]) -> tuple[FloatArray, NDArray[np.int8]]:
    """(n, 3) nominal mm with NaN where unknown, and (n,) the number of the LocationSource."""
    position = np.full((len(nodes), 3), np.nan)
    source = np.full(len(nodes), _SOURCES.index(LocationSource.ABSENT), dtype=np.int8)
    for row, node in enumerate(nodes):
        for origin, where in (
            (LocationSource.ESTIMATED, node.location_estimate),
            (LocationSource.GIVEN, node.lesion.location),
        ):
            if where is not None:
                position[row] = where
                source[row] = _SOURCES.index(origin)
    return position * np.array(NOMINAL_BODY_MM), source


def _log_size(lesion: Lesion) -> float:
    diameters = [d for d in (lesion.long_mm, lesion.short_mm) if d is not None and d > 0]
    if lesion.long_mm is None or not diameters:
        return math.nan
    return sum(math.log(d) for d in diameters) / len(diameters)


def _known(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
