"""The matcher's model: term weights, decision thresholds, and the file they ship in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Self

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.model_json import (
    bundled_model,
    finite,
    finite_by_name,
    load_model,
    reading_model,
)
from retrieval.tracking.terms.scatter import PairScatter

TERM_NAMES = ("similarity", "location", "size", "type")
"""The order of the weights and of every array of terms."""

MATCHER_FORMAT = 2


class LocationSource(StrEnum):
    """Where the locations of a pair come from: both given, at least one with an error, or unknown.

    An error have estimated locations, and given ones whose image cuts the body off.
    """

    GIVEN = "given"
    ESTIMATED = "estimated"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class MatcherModel:
    """The calibrated matcher: how the terms of a pair are weighed, and how scores become decisions.

    The log-odds of a pair are ``intercept`` and the weighted terms: the cosine beyond
    ``similarity_centre``, and the log-likelihood ratios of location, size and type by ``scatter``.
    They are the pair's weight in the competition of all lesions of two studies
    (``retrieval.tracking.association``), whose outcome is the score. A score of ``threshold`` or
    more is a match; one within ``abstain`` (low, high) is uncertain. ``encoder`` is the
    fingerprint of the encoder the weights were fitted with, None if they were fitted with none.
    """

    intercept: float
    weights: tuple[float, ...]
    similarity_centre: float = 0.0
    scatter: PairScatter = field(default_factory=PairScatter)
    threshold: float = 0.5
    abstain: tuple[float, float] = (0.35, 0.65)
    encoder: str | None = None
    fitted_on: str = ""

    def __post_init__(self) -> None:
        low, high = self.abstain
        if not 0.0 < self.threshold <= 1.0 or not 0.0 <= low <= self.threshold <= high <= 1.0:
            raise TrackingError(
                f"matcher threshold {self.threshold} and abstention band {self.abstain} need "
                "0 <= low <= threshold <= high <= 1 and a threshold above 0"
            )
        numbers = (self.intercept, self.similarity_centre, *self.weights)
        if len(self.weights) != len(TERM_NAMES):
            raise TrackingError(f"matcher weights need {len(TERM_NAMES)} numbers: {TERM_NAMES}")
        if not all(math.isfinite(number) for number in numbers):
            raise TrackingError(f"matcher weights {numbers} are not all finite numbers")
        if min(self.weights) < 0:
            raise TrackingError(
                f"matcher weights {self.weights} hold a negative one: a term that speaks for a "
                "match cannot count against it"
            )

    def warning_for(self, encoder: str) -> str | None:
        """One line to show beside every score where another encoder made the vectors.

        The matches stay usable, but their scores were calibrated on other similarities, so they
        are no probabilities and the abstention band is a guess. None where ``encoder`` (a
        fingerprint) is the one the weights were fitted with.
        """
        if self.encoder == encoder:
            return None
        fitted = "no encoder" if self.encoder is None else f"encoder {self.encoder}"
        return (
            f"the matcher was calibrated with {fitted}, the vectors are of encoder {encoder}: "
            "scores of matches are not calibrated; `lesion-search fit-matcher` fits one"
        )

    def to_json(self) -> dict[str, Any]:
        """The content of a weights file."""
        return {
            "format": MATCHER_FORMAT,
            "fitted_on": self.fitted_on,
            "encoder": self.encoder,
            "threshold": self.threshold,
            "abstain": list(self.abstain),
            "intercept": self.intercept,
            "similarity_centre": self.similarity_centre,
            "weights": dict(zip(TERM_NAMES, self.weights, strict=True)),
            "scatter": self.scatter.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises TrackingError naming what is missing or wrong."""
        with reading_model("matcher weights", fields, MATCHER_FORMAT):
            low, high = fields["abstain"]
            return cls(
                intercept=finite(fields, "intercept"),
                weights=finite_by_name(fields["weights"], TERM_NAMES),
                similarity_centre=finite(fields, "similarity_centre"),
                scatter=PairScatter.from_json(fields["scatter"]),
                threshold=finite(fields, "threshold"),
                abstain=(float(low), float(high)),
                encoder=fields.get("encoder"),
                fitted_on=str(fields.get("fitted_on", "")),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The matcher of a weights file; raises TrackingError unless it is one."""
        return load_model("matcher weights", path, cls.from_json)


@cache
def bundled_matcher() -> MatcherModel:
    """The matcher that ships with the package (``retrieval/weights/matcher.json`` and its card)."""
    return bundled_model("matcher", MatcherModel.from_json)


def load_matcher(path: Path | None) -> MatcherModel:
    """The matcher of a weights file, the bundled one if None; raises TrackingError."""
    return bundled_matcher() if path is None else MatcherModel.load(path)
