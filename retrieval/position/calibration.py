"""From the network's score in mm to DeepLesion's z, and the error of all three coordinates."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError


class CalibrationError(LesionSearchError):
    """A calibration that cannot be read, or that belongs to another network."""


Triple = tuple[float, float, float]

HALF_WITHIN, MOST_WITHIN = 0.674, 1.645
"""Standard deviations of a normal distribution within which half and nine tenths of it lie."""


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """How far an estimate lies from the truth, measured on real images left out of training.

    Attributes:
        half: half of all estimates lie within this (x, y, z) of the truth.
        most: 90 % of them do.
    """

    half: tuple[float, float, float]
    most: tuple[float, float, float]

    def widened(self, z_by: float) -> ErrorModel:
        """The same with ``z_by`` added to z: for heights at which nothing was measured."""
        return ErrorModel(
            (self.half[0], self.half[1], self.half[2] + z_by),
            (self.most[0], self.most[1], self.most[2] + z_by),
        )

    def with_more(self, standard_error: Triple) -> ErrorModel:
        """The same with another, independent error of each axis, normally distributed."""

        def both(own: Triple, deviations: float) -> Triple:
            x, y, z = (
                math.hypot(a, deviations * b) for a, b in zip(own, standard_error, strict=True)
            )
            return x, y, z

        return ErrorModel(both(self.half, HALF_WITHIN), both(self.most, MOST_WITHIN))


@dataclass(frozen=True)
class HeightCalibration:
    """A monotone curve from score to z, and the errors of what comes out.

    Attributes:
        scores_mm: rising scores of the knots, towards the head.
        z: DeepLesion's z at the knots, falling.
        measured_z: least and greatest z at which errors were measured.
        error: of one slice, in HU or as a windowed picture.
        fingerprint: of the network whose scores these are.
        sources: what it was made from, in words and numbers.
    """

    scores_mm: tuple[float, ...]
    z: tuple[float, ...]
    measured_z: tuple[float, float]
    error: ErrorModel
    fingerprint: str
    sources: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.scores_mm) != len(self.z) or len(self.z) < 2:
            raise CalibrationError(f"{len(self.scores_mm)} scores and {len(self.z)} z: 2 or more")
        if not (np.all(np.diff(self.scores_mm) > 0) and np.all(np.diff(self.z) < 0)):
            raise CalibrationError("scores must rise and z fall from knot to knot: calibrate again")

    def z_of(self, scores_mm: NDArray[Any]) -> NDArray[np.float64]:
        """z in [0, 1] of scores in mm; beyond the knots the end pieces go on."""
        scores = np.asarray(scores_mm, np.float64)
        z = np.interp(scores, self.scores_mm, self.z)
        for end, inner in ((0, 1), (-1, -2)):
            slope = (self.z[end] - self.z[inner]) / (self.scores_mm[end] - self.scores_mm[inner])
            outside = scores < self.scores_mm[0] if end == 0 else scores > self.scores_mm[-1]
            beyond = self.z[end] + slope * (scores - self.scores_mm[end])
            z = np.where(outside, beyond, z)
        return np.asarray(z.clip(0.0, 1.0))

    def error_at(self, z: float) -> ErrorModel:
        """The error of an estimate: wider by the distance from where errors were measured."""
        low, high = self.measured_z
        return self.error.widened(max(low - z, z - high, 0.0))

    def write(self, path: Path) -> None:
        """Writes JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> HeightCalibration:
        """The inverse of ``write``; raises CalibrationError."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            low, high = fields["measured_z"]
            return cls(
                scores_mm=tuple(fields["scores_mm"]),
                z=tuple(fields["z"]),
                measured_z=(low, high),
                error=_error_model(fields["error"]),
                fingerprint=fields["fingerprint"],
                sources=fields["sources"],
            )
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise CalibrationError(
                f"calibration {path} cannot be read ({error}): copy it again, or calibrate"
            ) from None


def _error_model(fields: Mapping[str, Any]) -> ErrorModel:
    half_x, half_y, half_z = fields["half"]
    most_x, most_y, most_z = fields["most"]
    return ErrorModel((half_x, half_y, half_z), (most_x, most_y, most_z))
