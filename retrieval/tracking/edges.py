"""How alike two lesions of one patient are: the terms of a pair and the log-odds they add up to.

Four terms, each reported beside the score so that a match can be explained: the cosine of the
embeddings, the distance of the locations, the ratio of the sizes, and whether the types agree. The
last three are log-likelihood ratios that weigh what was seen by its error
(``retrieval.tracking.terms.scatter``); what is not known adds nothing. So one set of weights serves
given, estimated and absent locations, measured sizes and sizes of boxes.
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
from retrieval.tracking.terms.lesion_size import LesionSize, measured_size
from retrieval.tracking.terms.type_by_position import type_by_position

FloatArray = NDArray[np.float64]

NOMINAL_BODY_MM = (375.0, 310.0, 1090.0)
"""Millimetres for one unit of DeepLesion's location along x, y, z.

Medians over pairs of lesions of one series in DeepLesion's official validation and test rows; a
body is 30 % wider or narrower, so distances from locations are nominal millimetres.
"""

_SOURCES = tuple(LocationSource)


@dataclass(frozen=True, slots=True)
class TrackNode:
    """A lesion with its embedding ``vector`` (d,).

    ``lesion.location_error`` tells how far an estimated location may be off. ``size`` stands in
    where the lesion has no diameters, as that of its box.
    """

    lesion: Lesion
    vector: NDArray[np.float32]
    size: LesionSize | None = None

    @property
    def known_size(self) -> LesionSize | None:
        """The size by the diameters, else ``size``."""
        return measured_size(self.lesion) or self.size


@dataclass(frozen=True, slots=True)
class MatchTerms:
    """What speaks for and against one pair being the same lesion.

    ``log_size_ratio`` is the natural logarithm of the second lesion's size over the first's, the
    size being the geometric mean of the diameters. Distances are nominal mm, and
    ``location_error_mm`` is the standard error of a distance that estimated locations bring, 0
    where both are given. ``contributions`` are log-odds, with ``intercept``: their sum is the
    pair's log-odds before other lesions compete. None stands for not known.
    """

    similarity: float
    in_plane_mm: float | None
    height_mm: float | None
    location_error_mm: float | None
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
            "location_error_mm": _rounded(self.location_error_mm),
            "location_source": self.location_source.value,
            "log_size_ratio": _rounded(self.log_size_ratio),
            "same_type": self.same_type,
            "contributions": {name: round(v, 4) for name, v in self.contributions.items()},
        }


@dataclass(frozen=True, slots=True)
class PairTerms:
    """The terms of every pair of n lesions; NaN where a term is not known for a pair.

    ``similarity``, ``log_size_ratio`` (of column over row), ``log_size_error`` and
    ``type_agreement`` (1 same, -1 different, of known types) are (n, n); ``offset_mm`` and
    ``offset_error_mm`` (n, n, 3) are nominal mm along x, y, z; ``type_likelihood`` (n, 8) is what
    is known of each lesion's type; ``source`` (n, n) numbers LocationSource.
    """

    similarity: FloatArray
    offset_mm: FloatArray
    offset_error_mm: FloatArray
    log_size_ratio: FloatArray
    log_size_error: FloatArray
    type_agreement: FloatArray
    type_likelihood: FloatArray
    source: NDArray[np.int8]

    @classmethod
    def of(cls, nodes: Sequence[TrackNode]) -> Self:
        """All pairs of the nodes; raises TrackingError for vectors that cannot be compared."""
        unit = _unit_vectors(nodes)
        position, error, source = _locations(nodes)
        sizes = [node.known_size or LesionSize(math.nan) for node in nodes]
        log_size = np.array([size.log_mm for size in sizes])
        size_error = np.array([size.error for size in sizes])
        types = type_by_position()
        kinds = np.array([node.lesion.lesion_type.code for node in nodes])
        known = (kinds[:, None] != LesionType.UNKNOWN.code) & (kinds != LesionType.UNKNOWN.code)
        agreement = np.where(kinds[:, None] == kinds, 1.0, -1.0)
        return cls(
            similarity=np.clip(unit @ unit.T, -1.0, 1.0),
            offset_mm=position[None, :, :] - position[:, None, :],
            offset_error_mm=np.hypot(error[:, None, :], error[None, :, :]),
            log_size_ratio=log_size[None, :] - log_size[:, None],
            log_size_error=np.hypot(size_error[:, None], size_error[None, :]),
            type_agreement=np.where(known, agreement, np.nan),
            type_likelihood=np.stack([types.likelihood(node.lesion) for node in nodes]),
            source=np.maximum(source[:, None], source[None, :]),
        )

    def features(self, model: MatcherModel) -> FloatArray:
        """(n, n, 4): the terms as the model weighs them, in TERM_NAMES' order."""
        scatter, types = model.scatter, type_by_position()
        return np.stack(
            [
                self.similarity - model.similarity_centre,
                scatter.location_ratio(self.offset_mm, self.offset_error_mm),
                scatter.size_ratio(self.log_size_ratio, self.log_size_error),
                scatter.type_ratio(self.type_likelihood, types.share, types.apart),
            ],
            axis=-1,
        )

    def contributions(self, model: MatcherModel) -> FloatArray:
        """(n, n, 5): log-odds added by the intercept, then by each term."""
        added = np.array(model.weights) * self.features(model)
        intercept = np.full((*added.shape[:-1], 1), model.intercept)
        return np.concatenate([intercept, added], axis=-1)

    def explain(self, row: int, column: int, contributions: FloatArray) -> MatchTerms:
        """One pair's terms, from the lesion of ``row`` to that of ``column``.

        ``contributions`` are those of the method of this name; their sum over the last axis is
        the pair's log-odds before other lesions compete for either.
        """
        agreement = _known(self.type_agreement[row, column])
        x_mm, y_mm, z_mm = self.offset_mm[row, column]
        added = contributions[row, column].tolist()
        return MatchTerms(
            similarity=float(self.similarity[row, column]),
            in_plane_mm=_known(np.hypot(x_mm, y_mm)),
            height_mm=_known(np.abs(z_mm)),
            location_error_mm=_known(np.float64(np.linalg.norm(self.offset_error_mm[row, column]))),
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


def _locations(nodes: Sequence[TrackNode]) -> tuple[FloatArray, FloatArray, NDArray[np.int8]]:
    """(n, 3) nominal mm and (n, 3) their errors, NaN where unknown, and (n,) LocationSources."""
    position = np.full((len(nodes), 3), np.nan)
    error = np.full((len(nodes), 3), np.nan)
    source = np.full(len(nodes), _SOURCES.index(LocationSource.ABSENT), dtype=np.int8)
    for row, node in enumerate(nodes):
        lesion = node.lesion
        if lesion.location is None:
            continue
        given = lesion.location_error is None
        position[row] = lesion.location
        error[row] = 0.0 if given else lesion.location_error
        source[row] = _SOURCES.index(LocationSource.GIVEN if given else LocationSource.ESTIMATED)
    return position * np.array(NOMINAL_BODY_MM), error * np.array(NOMINAL_BODY_MM), source


def _known(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
