"""The words of the product as frozen types, and the coordinate convention, said once.

Coordinates: x is the column, y the row, both 0-based; (0, 0) is the centre of the top-left pixel.
Boxes are (x1, y1, x2, y2). Arrays are (slices, rows, columns). Intensities are Hounsfield units
(HU), float32. Lengths are millimetres where the name says ``mm``, pixels otherwise. DeepLesion's
own 1-based table and offset PNGs are translated in ``retrieval.sources.deeplesion.coding`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

from retrieval.errors import LesionError, LesionSearchError
from retrieval.lesion_type import LesionType, Split
from retrieval.measured_size import MeasuredSizes
from retrieval.tag import Tag, TagSource, terms_held

__all__ = [
    "BOX_PADDING_PX",
    "Box",
    "ImageSource",
    "Lesion",
    "LesionError",
    "LesionSearchError",
    "LesionType",
    "Recist",
    "Split",
    "parse_numbers",
]

BOX_PADDING_PX = 5.0
"""DeepLesion draws its boxes as the extent of the RECIST mark plus this many pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle on one slice, in pixels of that slice; see the module's convention."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.x1 + self.y1 + self.x2 + self.y2):
            raise LesionError(f"box {self.to_list()} has an edge that is not a finite number")
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise LesionError(
                f"box {self.to_list()} is empty or inverted: x1,y1 is the top-left corner and "
                "x2,y2 the bottom-right one"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """A box from ``x1,y1,x2,y2``; raises LesionError naming the text."""
        values = parse_numbers(text, count=4, name="box", form="x1,y1,x2,y2")
        return cls(*values)

    @classmethod
    def around(cls, center: tuple[float, float], size: float) -> Self:
        """The square box of ``size`` pixels a side about a point (x, y)."""
        half = size / 2
        return cls(center[0] - half, center[1] - half, center[0] + half, center[1] + half)

    @property
    def width(self) -> float:
        """Pixels along x."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Pixels along y."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def to_list(self) -> list[float]:
        """[x1, y1, x2, y2], the form of JSON."""
        return [self.x1, self.y1, self.x2, self.y2]

    def shifted(self, dx: float, dy: float) -> Box:
        """The box moved by (dx, dy) pixels."""
        return Box(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)

    def padded(self, pixels: float) -> Box:
        """The box grown by ``pixels`` on every side."""
        return Box(self.x1 - pixels, self.y1 - pixels, self.x2 + pixels, self.y2 + pixels)

    def scaled(self, x_factor: float, y_factor: float) -> Box:
        """The box on a grid whose coordinates are those of this one times the factors."""
        return Box(self.x1 * x_factor, self.y1 * y_factor, self.x2 * x_factor, self.y2 * y_factor)

    def overlap_area(self, other: Box) -> float:
        """Square pixels that both boxes cover."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        overlap = self.overlap_area(other)
        return overlap / (self.area + other.area - overlap)

    def check_on_image(self, rows: int, columns: int) -> None:
        """Raises LesionError unless the box's centre lies on an image of that many pixels.

        DeepLesion's own boxes reach over the edge by up to their padding, so an edge outside is
        allowed; a centre outside never is.
        """
        x, y = self.center
        if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
            raise LesionError(
                f"box {self.to_list()} lies outside the image of {columns} x {rows} pixels: "
                f"x runs from 0 to {columns - 1}, y from 0 to {rows - 1}"
            )


@dataclass(frozen=True, slots=True)
class Recist:
    """A RECIST mark: the end points (x, y) of the long and of the short diameter, in pixels."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.points) != 4 or not all(math.isfinite(v) for p in self.points for v in p):
            raise LesionError(f"RECIST mark {self.points} needs four finite points (x, y)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A mark from ``x1,y1,x2,y2,x3,y3,x4,y4``: long diameter first."""
        return cls.from_numbers(
            parse_numbers(text, count=8, name="RECIST mark", form="x1,y1,...,x4,y4")
        )

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Self:
        """A mark from eight numbers, long diameter first."""
        if len(numbers) != 8:
            raise LesionError(f"RECIST mark has {len(numbers)} numbers: 8 are needed")
        return cls(tuple((numbers[i], numbers[i + 1]) for i in range(0, 8, 2)))

    def box(self, padding: float = BOX_PADDING_PX) -> Box:
        """The extent of the mark plus ``padding`` pixels, DeepLesion's own rule."""
        xs = [x for x, _ in self.points]
        ys = [y for _, y in self.points]
        return Box(min(xs) - padding, min(ys) - padding, max(xs) + padding, max(ys) + padding)

    def diameters_mm(self, spacing_mm_px: tuple[float, float]) -> tuple[float, float]:
        """(long, short) diameter in mm under the spacing along (x, y)."""
        lengths = sorted(
            math.hypot((q[0] - p[0]) * spacing_mm_px[0], (q[1] - p[1]) * spacing_mm_px[1])
            for p, q in (self.points[:2], self.points[2:])
        )
        return lengths[1], lengths[0]


@dataclass(frozen=True, slots=True)
class Lesion:
    """ONE marked appearance: one box on one key slice of one series.

    ``location`` is DeepLesion's normalised body position (x, y, z) in [0, 1], None if unknown.
    ``location_error`` is the standard error of each coordinate of an estimated location, in the
    same units, or of a given one whose image cuts the body off; it is None where a given location
    counts as exact, or where there is none.
    ``long_mm`` and ``short_mm`` are the RECIST diameters, None if never measured.
    ``tags`` has at most one tag of a term. ``category`` is the id of a class that was found without
    labels, with a confidence in [0, 1]; None where none was. ``measured`` is what the lesion's mask
    measures, beside the mark's diameters; None where it was not measured.
    """

    lesion_id: str
    patient_id: str
    study_id: str
    series_id: str
    key_slice_index: int
    box: Box
    long_mm: float | None = None
    short_mm: float | None = None
    location: tuple[float, float, float] | None = None
    lesion_type: LesionType = LesionType.UNKNOWN
    split: Split = Split.UNKNOWN
    study_date: date | None = None
    tags: tuple[Tag, ...] = ()
    location_error: tuple[float, float, float] | None = None
    category: str | None = None
    category_confidence: float | None = None
    measured: MeasuredSizes | None = None

    def __post_init__(self) -> None:
        if len({tag.term for tag in self.tags}) < len(self.tags):
            raise LesionError(
                f"lesion {self.lesion_id!r} has two tags of one term: give each term once"
            )
        error = self.location_error
        if error is None:
            return
        if self.location is None or not all(math.isfinite(one) and one >= 0 for one in error):
            raise LesionError(
                f"lesion {self.lesion_id!r} has the location error {error}: an error belongs to a "
                "location and is a finite number of 0 or more for each coordinate"
            )

    @property
    def terms(self) -> frozenset[str]:
        """The terms of the tags that hold, whatever their source."""
        return terms_held(self.tags)

    @property
    def measured_numbers(self) -> tuple[float | None, float | None, float | None]:
        """Long and short diameter (mm) and volume (mm3) of its mask; None where not measured."""
        return (None, None, None) if self.measured is None else self.measured.sizes

    def to_json(self) -> dict[str, Any]:
        """The lesion under DESIGN.md's JSON names; the same names serve pandas columns."""
        return {
            "lesion_id": self.lesion_id,
            "patient_id": self.patient_id,
            "study_id": self.study_id,
            "series_id": self.series_id,
            "key_slice_index": self.key_slice_index,
            "box": self.box.to_list(),
            "long_mm": self.long_mm,
            "short_mm": self.short_mm,
            "location": None if self.location is None else list(self.location),
            "location_error": None if self.location_error is None else list(self.location_error),
            "lesion_type": self.lesion_type.value,
            "split": self.split.value,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "tags": [tag.to_json() for tag in self.tags if tag.source is not TagSource.UNLIKELY],
            "category": self.category,
            "measured": None if self.measured is None else self.measured.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises LesionError naming the field that is wrong."""
        try:
            study_date, measured = fields.get("study_date"), fields.get("measured")
            return cls(
                lesion_id=str(fields["lesion_id"]),
                patient_id=str(fields["patient_id"]),
                study_id=str(fields["study_id"]),
                series_id=str(fields["series_id"]),
                key_slice_index=int(fields["key_slice_index"]),
                box=Box(*(float(edge) for edge in fields["box"])),
                long_mm=_optional_float(fields.get("long_mm")),
                short_mm=_optional_float(fields.get("short_mm")),
                location=_optional_triple(fields.get("location")),
                location_error=_optional_triple(fields.get("location_error")),
                lesion_type=LesionType(fields.get("lesion_type") or "unknown"),
                split=Split(fields.get("split") or "unknown"),
                study_date=None if study_date is None else date.fromisoformat(study_date),
                tags=tuple(Tag.from_json(tag) for tag in fields.get("tags") or ()),
                category=fields.get("category"),
                category_confidence=_optional_float(fields.get("category_confidence")),
                measured=None if measured is None else MeasuredSizes.from_json(measured),
            )
        except KeyError as missing:
            raise LesionError(f"lesion lacks the field {missing}") from None
        except LesionError:
            raise
        except (TypeError, IndexError, ValueError) as wrong:
            raise LesionError(f"lesion field has the wrong form: {wrong}") from None

    def with_changes(self, **changes: Any) -> Lesion:
        """The same lesion with some fields replaced."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where a lesion's pixels can be read again: an archive's folder and a path inside it.

    ``pixel_hash`` is that of the key slice when the lesion was indexed
    (``retrieval.pixel_hash``); None where an older program indexed it.
    """

    archive: str
    image: str
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    pixel_hash: str | None = None


def parse_numbers(text: str, *, count: int, name: str, form: str) -> list[float]:
    """Exactly ``count`` comma-separated numbers, or a LesionError that names ``form``."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise LesionError(f"{name} {text!r} is not numbers: write {form}") from None
    if len(numbers) != count:
        raise LesionError(f"{name} {text!r} has {len(numbers)} numbers: write {form}")
    return numbers


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)


def _optional_triple(values: Any) -> tuple[float, float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]), float(values[2]))
