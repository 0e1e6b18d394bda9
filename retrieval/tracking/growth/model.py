"""All that is fitted for forecasts, and the file it ships in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from retrieval.tracking.growth.climatology import Climatology
from retrieval.tracking.growth.conformal import Calibration
from retrieval.tracking.growth.laws import LawPriors
from retrieval.tracking.growth.mixing import Component
from retrieval.tracking.model_json import bundled_model, finite, load_model, reading_model

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
        with reading_model("growth model", fields, GROWTH_FORMAT):
            weights = fields["weights"]
            return cls(
                climatology=Climatology.from_json(fields["climatology"]),
                priors=LawPriors.from_json(fields["law_priors"]),
                weights={Component(name): finite(weights, name) for name in weights},
                calibration=Calibration.from_json(fields["calibration"]),
                climatology_calibration=Calibration.from_json(fields["climatology_calibration"]),
                fitted_on=str(fields["fitted_on"]),
                steps=int(fields["steps"]),
                patients=int(fields["patients"]),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The model of a file; raises TrackingError unless it is one."""
        return load_model("growth model", path, cls.from_json)


@cache
def bundled_growth() -> GrowthModel:
    """The model that ships with the package (``retrieval/weights/growth.json`` and its card)."""
    return bundled_model("growth", GrowthModel.from_json)
