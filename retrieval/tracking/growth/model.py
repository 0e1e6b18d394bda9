"""All that is fitted for forecasts, and the file it ships in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from retrieval.tracking.errors import TrackingError
from retrieval.tracking.growth.climatology import Climatology
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.laws import LawPriors
from retrieval.tracking.growth.mixing import Component

GROWTH_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class GrowthModel:
    """What forecasts are made with.

    Attributes:
        climatology: the population.
        priors: of growth laws.
        weights: of each component in the mixture; of those a lesion has.
        calibration: of the mixture's ranges.
        climatology_calibration: of the climatology's own, where it stands alone.
        fitted_on: what all of it was fitted on, in words.
        steps, patients: how many.
    """

    climatology: Climatology
    priors: LawPriors
    weights: Mapping[Component, float]
    calibration: Calibration
    climatology_calibration: Calibration
    fitted_on: str
    steps: int
    patients: int

    def to_json(self) -> dict[str, Any]:
        """The content of a model file."""
        return {
            "format": GROWTH_FORMAT,
            "fitted_on": self.fitted_on,
            "steps": self.steps,
            "patients": self.patients,
            "climatology": self.climatology.to_json(),
            "law_priors": self.priors.to_json(),
            "weights": {one.value: weight for one, weight in self.weights.items()},
            "calibration": self.calibration.to_json(),
            "climatology_calibration": self.climatology_calibration.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises TrackingError naming what is missing or wrong."""
        if fields.get("format") != GROWTH_FORMAT:
            raise TrackingError(
                f"growth model of format {fields.get('format')!r}: format {GROWTH_FORMAT} is read"
            )
        try:
            return cls(
                climatology=Climatology.from_json(fields["climatology"]),
                priors=LawPriors.from_json(fields["law_priors"]),
                weights={Component(name): float(w) for name, w in fields["weights"].items()},
                calibration=Calibration.from_json(fields["calibration"]),
                climatology_calibration=Calibration.from_json(fields["climatology_calibration"]),
                fitted_on=str(fields["fitted_on"]),
                steps=int(fields["steps"]),
                patients=int(fields["patients"]),
            )
        except KeyError as missing:
            raise TrackingError(f"growth model lacks the field {missing}") from None
        except (TypeError, ValueError) as wrong:
            raise TrackingError(
                f"growth model holds a field that cannot be read: {wrong}"
            ) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model of a file; raises TrackingError unless it is one."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError) as wrong:
            raise TrackingError(f"growth model {path.name} cannot be read: {wrong}") from None


@cache
def bundled_growth() -> GrowthModel:
    """The model that ships with the package (``retrieval/weights/growth.json`` and its card)."""
    text = files("retrieval").joinpath("weights", "growth.json").read_text(encoding="utf-8")
    return GrowthModel.from_json(json.loads(text))
