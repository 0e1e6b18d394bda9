"""What the mask of a lesion measures: values with their intervals, as they are kept and answered.

Measured sizes stand beside the diameters of a reader's mark (``Lesion.long_mm``) and never in
their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from retrieval.errors import LesionError

ELLIPSE = "ellipse"
"""The method of a mask that is the mark's own ellipse."""

IMAGE_ENDS = "image ends inside the lesion"
"""The flag of a volume that is a part of the lesion's."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MeasuredValue:
    """A measured value with its intervals; null where the mask is the mark's ellipse.

    Attributes:
        value: the measure itself.
        interval_50: half of all lesions lie within.
        interval_90: nine of ten lesions lie within.
    """

    value: float
    interval_50: Interval | None
    interval_90: Interval | None

    def to_json(self) -> dict[str, Any]:
        """``value``, ``interval_50`` and ``interval_90``, rounded to a hundredth."""
        return {
            "value": _rounded(self.value),
            "interval_50": None if self.interval_50 is None else _pair(self.interval_50),
            "interval_90": None if self.interval_90 is None else _pair(self.interval_90),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises LesionError for what is no finite number."""
        found = cls(
            float(fields["value"]),
            _interval(fields.get("interval_50")),
            _interval(fields.get("interval_90")),
        )
        ends = (*(found.interval_50 or ()), *(found.interval_90 or ()))
        if not all(math.isfinite(one) for one in (found.value, *ends)):
            raise LesionError(f"measured value {dict(fields)} holds what is no finite number")
        return found


@dataclass(frozen=True, slots=True)
class MeasuredSizes:
    """A lesion as its mask measures it; an estimate, beside what a reader's mark says.

    Attributes:
        long_mm: the longest diameter of the mask on the key slice, edge to edge.
        short_mm: the longest diameter across it.
        volume_mm3: of the mask over all its slices; null where it was measured on one slice.
        mean_hu: mean of the voxels inside.
        sd_hu: their standard deviation.
        method: network, or ellipse where the network's mask was empty, leaked or ran on.
        flags: the names of what a reader should know, as `measure` lists them.
        mask: the name of the mask that is kept in the index; null where none is.
        network: the fingerprint of the network.
    """

    long_mm: MeasuredValue
    short_mm: MeasuredValue
    volume_mm3: MeasuredValue | None
    mean_hu: MeasuredValue
    sd_hu: MeasuredValue
    method: str
    flags: tuple[str, ...] = ()
    mask: str | None = None
    network: str = ""

    @property
    def sizes(self) -> tuple[float, float, float | None]:
        """Long and short diameter (mm) and volume (mm3)."""
        volume = None if self.volume_mm3 is None else self.volume_mm3.value
        return self.long_mm.value, self.short_mm.value, volume

    @property
    def whole_volume_mm3(self) -> float | None:
        """The volume, where it is that of a followed mask and of the whole lesion.

        None for the mark's ellipse, whose volume says no more than its diameters, and where the
        image ends inside the lesion.
        """
        if self.volume_mm3 is None or self.method == ELLIPSE or IMAGE_ENDS in self.flags:
            return None
        return self.volume_mm3.value

    def numbers(self) -> Iterator[tuple[str, MeasuredValue]]:
        """Every measure that there is, with its name."""
        for name in MEASURES:
            found = getattr(self, name)
            if found is not None:
                yield name, found

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names of the fields."""
        return {
            **{name: None for name in MEASURES},
            **{name: value.to_json() for name, value in self.numbers()},
            "method": self.method,
            "flags": list(self.flags),
            "mask": self.mask,
            "network": self.network,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises LesionError where a part is missing or no number."""
        try:
            volume, mask = fields.get("volume_mm3"), fields.get("mask")
            values = {
                name: MeasuredValue.from_json(fields[name])
                for name in MEASURES
                if name != "volume_mm3"
            }
            return cls(
                **values,
                volume_mm3=None if volume is None else MeasuredValue.from_json(volume),
                method=str(fields["method"]),
                flags=tuple(str(flag) for flag in fields.get("flags") or ()),
                mask=None if mask is None else str(mask),
                network=str(fields.get("network") or ""),
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise LesionError(f"measured sizes have the wrong form: {wrong}") from None


MEASURES = ("long_mm", "short_mm", "volume_mm3", "mean_hu", "sd_hu")
"""The measures that are kept, in the order in which they are shown."""


def _interval(values: Any) -> Interval | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _pair(values: Interval) -> list[float]:
    return [_rounded(value) for value in values]


def _rounded(value: float) -> float:
    return round(value, 2)
