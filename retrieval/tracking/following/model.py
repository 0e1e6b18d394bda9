"""FollowModel: how the evidence of a candidate is weighed, and when it is called found."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
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

EVIDENCE_NAMES = (
    "similarity",
    "contrast",
    "location",
    "size",
    "detected",
    "proposed",
    "pixels",
    "kept",
    "with_pixels",
)
"""The order of the weights and of every array of evidence (``evidence.py`` says what each is)."""

FREE_SIGN = frozenset({"proposed", "with_pixels"})
"""Indicators, which shift the odds either way; all else speaks for a candidate or not at all."""

FOLLOW_FORMAT = 1


@dataclass(frozen=True, slots=True)
class FollowModel:
    """The calibrated weights of following a lesion.

    The log-odds of a candidate against "it is at none of these places" are ``intercept`` and the
    weighted evidence; candidates compete, so that their probabilities and that of none add up to 1.

    Attributes:
        intercept: log-odds of a candidate of no evidence, where all of the place is covered.
        weights: in the order of EVIDENCE_NAMES.
        found: a best candidate of this probability or more is `found`.
        gone: where all candidates together have this probability or less, `not found`.
        encoder: fingerprint of the encoder whose cosines were weighed, None for none.
        fitted_on: one line about the cases.
    """

    intercept: float
    weights: tuple[float, ...]
    found: float = 0.9
    gone: float = 0.1
    encoder: str | None = None
    fitted_on: str = ""

    def __post_init__(self) -> None:
        if len(self.weights) != len(EVIDENCE_NAMES):
            raise TrackingError(f"follow weights need {len(EVIDENCE_NAMES)}: {EVIDENCE_NAMES}")
        if not all(math.isfinite(number) for number in (self.intercept, *self.weights)):
            raise TrackingError(f"follow weights {self.weights} are not all finite numbers")
        for name, weight in zip(EVIDENCE_NAMES, self.weights, strict=True):
            if weight < 0 and name not in FREE_SIGN:
                raise TrackingError(
                    f"follow weight of {name} is {weight}: what speaks for a candidate cannot "
                    "count against it"
                )
        if not 0.0 < self.gone < self.found <= 1.0:
            raise TrackingError(
                f"follow thresholds need 0 < gone < found <= 1, not {self.gone} and {self.found}"
            )

    def warning_for(self, encoder: str) -> str | None:
        """One line where another encoder made the vectors, None where it is the fitted one."""
        if self.encoder == encoder:
            return None
        fitted = "no encoder" if self.encoder is None else f"encoder {self.encoder}"
        return (
            f"the search for a followed lesion was calibrated with {fitted}, the vectors are of "
            f"encoder {encoder}: its scores are no probabilities"
        )

    def to_json(self) -> dict[str, Any]:
        """The content of a weights file."""
        return {
            "format": FOLLOW_FORMAT,
            "fitted_on": self.fitted_on,
            "encoder": self.encoder,
            "found": self.found,
            "gone": self.gone,
            "intercept": self.intercept,
            "weights": dict(zip(EVIDENCE_NAMES, self.weights, strict=True)),
        }

    @property
    def fingerprint(self) -> str:
        """Of everything that decides an answer: 16 hexadecimal digits."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises TrackingError naming what is missing or wrong."""
        with reading_model("follow weights", fields, FOLLOW_FORMAT):
            return cls(
                intercept=finite(fields, "intercept"),
                weights=finite_by_name(fields["weights"], EVIDENCE_NAMES),
                found=finite(fields, "found"),
                gone=finite(fields, "gone"),
                encoder=fields.get("encoder"),
                fitted_on=str(fields.get("fitted_on", "")),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model of a weights file; raises TrackingError unless it is one."""
        return load_model("follow weights", path, cls.from_json)


@cache
def bundled_follow_model() -> FollowModel:
    """The model that ships with the package (``retrieval/weights/follow.json`` and its card)."""
    return bundled_model("follow", FollowModel.from_json)
