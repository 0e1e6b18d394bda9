"""Intervals of measurements: from the network's own probabilities, calibrated on patients left out.

A measure is taken at three levels of the probability. Half the log ratio between the outer two is
the network's own spread; errors of lesions of left-out patients in units of it, with what a part of
a pixel is worth, give quantiles (split conformal prediction), and those the interval of a new one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from retrieval.lesion import LesionSearchError
from retrieval.measured_size import MeasuredValue

LEVELS = (0.25, 0.5, 0.75)
QUANTILES = (0.05, 0.25, 0.75, 0.95)
PIXEL_SHARE = 0.25
"""This part of a pixel is what a length is uncertain by even where the network is sure."""

LOGARITHMIC = {"long_mm": 1.0, "short_mm": 1.0, "who_mm2": 2.0, "area_mm2": 2.0, "volume_mm3": 3.0}
"""Measures whose errors are shares of them, with their power of length."""

LEAST_HU = 3.0


class MeasureCalibrationError(LesionSearchError):
    """A file of calibrated intervals that cannot be read."""


@dataclass(frozen=True)
class MeasureCalibration:
    """Quantiles of scaled errors by kind of prompt and by measure.

    Attributes:
        quantiles: kind -> measure -> the 5, 25, 75 and 95 % quantiles of (truth - value) / scale.
        reader_long: half widths (50 %, 90 %) of the log ratio between human masks' long diameters
            and the radiologist's line, outside the lungs; an interval there is no narrower.
        facts: what it was fitted on.
    """

    quantiles: Mapping[str, Mapping[str, tuple[float, float, float, float]]]
    reader_long: tuple[float, float]
    facts: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """From a JSON file, or the bundled one; raises MeasureCalibrationError."""
        path = path or Path(str(files("retrieval.weights"))) / "segmentation.json"
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            quantiles = {
                kind: {name: _four(four) for name, four in measures.items()}
                for kind, measures in fields["quantiles"].items()
            }
            first, second = (float(one) for one in fields["reader_long"])
        except (OSError, KeyError, TypeError, ValueError) as wrong:
            raise MeasureCalibrationError(
                f"calibration {path} cannot be read ({wrong}): copy it again"
            ) from None
        return cls(quantiles, (first, second), fields.get("fitted_on", {}))

    def estimate(
        self, kind: str, measure: str, values: tuple[float, float, float], least: Least
    ) -> MeasuredValue:
        """A measure with its intervals.

        Args:
            kind: of the prompt.
            measure: its name.
            values: at the three levels, from the lowest probability on.
            least: what it is uncertain by at the least.
        """
        four = self.quantiles.get(kind, {}).get(measure)
        value = values[1]
        if four is None or (measure in LOGARITHMIC and value <= 0):
            return MeasuredValue(value, None, None)
        scale = scale_of(measure, values, least.length_share)
        offsets = [quantile * scale for quantile in four]
        if measure not in LOGARITHMIC:
            low, lower, upper, high = (value + offset for offset in offsets)
            return MeasuredValue(value, (lower, upper), (low, high))
        power = LOGARITHMIC[measure]
        if least.outside_lung:
            half, wide = (power * one for one in self.reader_long)
            offsets[0], offsets[3] = min(offsets[0], -wide), max(offsets[3], wide)
            offsets[1], offsets[2] = min(offsets[1], -half), max(offsets[2], half)
        low, lower, upper, high = (value * math.exp(offset) for offset in offsets)
        return MeasuredValue(value, (lower, upper), (low, high))


@dataclass(frozen=True)
class Least:
    """What bounds an interval from below.

    Attributes:
        length_share: a pixel over the long diameter.
        outside_lung: whether the lesion's surroundings are no lung, where masks of nodules do not
            say how far readers differ.
    """

    length_share: float
    outside_lung: bool


def scale_of(measure: str, values: tuple[float, float, float], length_share: float) -> float:
    """The unit in which errors of a measure are counted."""
    wide, _, narrow = values
    if measure not in LOGARITHMIC:
        return math.hypot((wide - narrow) / 2, LEAST_HU)
    spread = math.log(max(wide, 1e-9) / max(narrow, 1e-9)) / 2 if narrow > 0 else 1.0
    return math.hypot(min(spread, 1.0), LOGARITHMIC[measure] * PIXEL_SHARE * length_share)


@cache
def bundled_calibration() -> MeasureCalibration:
    """The calibration of the bundled network, read once."""
    return MeasureCalibration.load()


def _four(values: Any) -> tuple[float, float, float, float]:
    a, b, c, d = (float(value) for value in values)
    return a, b, c, d
