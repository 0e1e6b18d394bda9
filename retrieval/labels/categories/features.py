"""Lesions as rows of numbers for clustering: appearance, position with its error, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion, LesionSearchError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class CategoryError(LesionSearchError):
    """Categories that cannot be found, or a file of them that does not fit."""


@dataclass(frozen=True, slots=True)
class FeatureWeights:
    """How much position and size count beside the vector, which counts 1.

    Attributes:
        location: of the body position, in units of its spread over the lesions.
        size: of the logarithm of the long diameter, in units of its spread.
    """

    location: float = 0.0
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class FeatureSpace:
    """Turns lesions into rows: what was fitted once serves lesions that come later.

    Every block (vector, position, size) is centred and scaled so that the lesions it was fitted on
    lie at root mean square distance 1 from its mean, then multiplied by its weight. What is not
    known of a lesion lies at the mean, where it says nothing.
    """

    weights: FeatureWeights
    vector_mean: tuple[float, ...]
    vector_scale: float
    location_mean: tuple[float, float, float]
    location_variance: tuple[float, float, float]
    size_mean: float
    size_scale: float

    @classmethod
    def fit(cls, lesions: Sequence[Lesion], vectors: NDArray[Any], weights: FeatureWeights) -> Self:
        """The space of lesions with their (n, d) vectors; raises CategoryError for none."""
        if len(lesions) == 0 or len(vectors) != len(lesions):
            raise CategoryError(
                f"{len(lesions)} lesions with {len(vectors)} vectors: one vector a lesion is needed"
            )
        values = np.asarray(vectors, np.float64)
        mean = values.mean(axis=0)
        places = np.array([one.location for one in lesions if one.location is not None], np.float64)
        has_places = len(places) > 1
        sizes = _log_sizes(lesions)
        sizes = sizes[np.isfinite(sizes)]
        return cls(
            weights,
            tuple(map(float, mean)),
            _inverse(float(((values - mean) ** 2).sum(axis=1).mean()) ** 0.5),
            _triple(places.mean(axis=0) if has_places else np.zeros(3)),
            _triple(places.var(axis=0) if has_places else np.zeros(3)),
            float(sizes.mean()) if len(sizes) else 0.0,
            _inverse(float(sizes.std())) if len(sizes) else 0.0,
        )

    def rows(self, lesions: Sequence[Lesion], vectors: NDArray[Any]) -> FloatArray:
        """(n, d + 4) features of lesions with their (n, d) vectors.

        Raises:
            CategoryError: vectors of another length than those that were fitted.
        """
        values = np.asarray(vectors, np.float64).reshape(len(lesions), -1)
        if values.shape[1] != len(self.vector_mean):
            raise CategoryError(
                f"vectors have {values.shape[1]} numbers, these categories were found on "
                f"{len(self.vector_mean)}: use the encoder that they were found with"
            )
        looks = (values - np.array(self.vector_mean)) * self.vector_scale
        sizes = (_log_sizes(lesions) - self.size_mean) * self.size_scale
        size = np.where(np.isfinite(sizes), sizes, 0.0)[:, None]
        return np.concatenate(
            [looks, self.weights.location * self._positions(lesions), self.weights.size * size],
            axis=1,
        )

    def _positions(self, lesions: Sequence[Lesion]) -> FloatArray:
        """(n, 3) positions; an estimated one is drawn towards the mean by its reliability.

        Reliability is variance over variance plus squared error, as a noisy measurement regresses
        to the mean.
        """
        variance = np.array(self.location_variance)
        total = float(variance.sum())
        if total <= 0:
            return np.zeros((len(lesions), 3))
        known = np.array([one.location is not None for one in lesions], bool).reshape(-1, 1)
        mean = np.array(self.location_mean)
        values = np.array([one.location or self.location_mean for one in lesions], np.float64)
        errors = np.array([one.location_error or (0.0,) * 3 for one in lesions], np.float64)
        spoiled = variance + errors.reshape(-1, 3) ** 2
        reliability = np.divide(variance, spoiled, out=np.zeros_like(spoiled), where=spoiled > 0)
        centred = (values.reshape(-1, 3) - mean) * reliability / total**0.5
        return np.where(known, centred, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises CategoryError naming what is wrong."""
        try:
            return cls(
                FeatureWeights(**fields["weights"]),
                tuple(float(value) for value in fields["vector_mean"]),
                float(fields["vector_scale"]),
                _triple(fields["location_mean"]),
                _triple(fields["location_variance"]),
                float(fields["size_mean"]),
                float(fields["size_scale"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CategoryError(f"the feature space is damaged ({error!r})") from None


@dataclass(frozen=True)
class TrackRows:
    """Lesions put together by track: one row and one vote a track.

    Attributes:
        features: (tracks, d) means over the lesions of a track.
        patients: (tracks,) whole numbers, equal for one patient.
        track: (n,) row of each lesion.
        first: (tracks,) a lesion of each track, by its place among the lesions.
    """

    features: FloatArray
    patients: IntArray
    track: IntArray
    first: IntArray


def by_track(
    lesions: Sequence[Lesion], features: FloatArray, tracks: Mapping[str, str] | None
) -> TrackRows:
    """Rows of tracks from (n, d) rows of lesions, so that a lesion marked often counts once.

    ``tracks`` maps lesion id to a track id within its patient; one that is missing stands alone.
    """
    given = tracks or {}
    keys = [
        f"{one.patient_id}\0{given.get(one.lesion_id, chr(1) + one.lesion_id)}" for one in lesions
    ]
    _, first, track, members = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    means = np.zeros((len(members), features.shape[1]))
    np.add.at(means, track, features)
    _, patients = np.unique([lesions[row].patient_id for row in first], return_inverse=True)
    return TrackRows(
        means / members[:, None],
        patients.astype(np.int64),
        track.astype(np.int64),
        first.astype(np.int64),
    )


def _log_sizes(lesions: Sequence[Lesion]) -> FloatArray:
    sizes = np.array([one.long_mm or np.nan for one in lesions], np.float64)
    return np.log(np.where(sizes > 0, sizes, np.nan))


def _inverse(value: float) -> float:
    return 1.0 / value if value > 0 else 0.0


def _triple(values: Any) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
