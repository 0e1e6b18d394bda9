"""Mark: what a reader drew or measured on one image, whatever file carries it.

A reader of a carrier yields marks as they were stored: nothing is paired, chosen or corrected.
What a mark means (two lines are one RECIST mark, an aorta is no lesion, a length was stored in
another unit) is said by ``retrieval.sources.marks.meaning``.

Coordinates, said once for all carriers:

* ``points`` are pixels (x, y) of ONE instance, as its file stores them: x the column, y the row,
  (0, 0) the centre of the first pixel. Carriers that count from the corner of the first pixel
  (DICOM SR, GSPS, AIM) are shifted by half a pixel in their readers, nowhere else.
* ``points_mm`` are (x, y, z) in the patient coordinates of DICOM (L, P, S), mm, of
  ``frame_of_reference_uid``: for carriers that store only those (RTSTRUCT, SEG, SCOORD3D).
* A mark has one of the two, or neither (a text without an anchor, a segment named by a report).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError

MOST_POINTS = 100_000
"""A graphic with more points is refused unread; a careful outline has a few thousand."""

MOST_TEXT = 200
"""Names, findings and comments are cut after this many characters."""


class MarkError(LesionSearchError):
    """A file that holds no marks, or a mark that cannot be what it claims to be."""


class Carrier(StrEnum):
    """The kinds of file that hold marks."""

    SR = "sr"
    GSPS = "gsps"
    SEG = "seg"
    RTSTRUCT = "rtstruct"
    AIM = "aim"
    CSV = "csv"


class MarkKind(StrEnum):
    """What was drawn, and what its points are."""

    LINE = "line"
    """Two ends."""
    RECIST = "recist"
    """Four ends: of the longer line, then of the shorter one."""
    POLYGON = "polygon"
    """Closed outline, three corners or more."""
    POLYLINE = "polyline"
    """Open line of three points or more: it encloses nothing."""
    ELLIPSE = "ellipse"
    """Ends of one axis, then of the other."""
    CIRCLE = "circle"
    """Centre, then a point on the circle."""
    BOX = "box"
    """Two opposite corners of an upright rectangle; unlike all others it is already a box."""
    ELLIPSOID = "ellipsoid"
    """Ends of its three axes, (6, 3) mm only."""
    POINT = "point"
    """One point inside the finding."""
    POINTS = "points"
    """Several points that no line joins (MULTIPOINT)."""
    ARROW = "arrow"
    """The tip, then the other end where it is known: points at, does not measure."""
    ANGLE = "angle"
    """Three or four points of an angle."""
    MASK = "mask"
    """Outline of a segment's pixels along their edges; no points where it is only named."""
    TEXT = "text"
    """Words that may name lengths or an image; its anchor, where it has one."""


class LengthRole(StrEnum):
    """Which diameter a stated length is of."""

    LONG = "long"
    SHORT = "short"
    LENGTH = "length"
    """Of the only line, or not said of which."""
    DIAMETER = "diameter"
    """Of a circle or sphere."""


@dataclass(frozen=True, slots=True)
class StatedLength:
    """A length as the carrier states it.

    Attributes:
        value: the number as stored; always finite.
        unit: as stored (``mm``, ``cm``, ``linear``, ...); empty where none is.
        mm: in millimetres, None where the unit does not tell.
        role: which diameter it is of.
        name: of the concept, as stored.
    """

    value: float
    unit: str
    mm: float | None
    role: LengthRole = LengthRole.LENGTH
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One image, by whatever the carrier tells of it; empty strings where it does not.

    Attributes:
        sop_uid: SOPInstanceUID.
        frame: number of the frame from 1, as DICOM counts them; None for a single image.
        series_number, instance_number: where words name an image ("IMA 8-34").
    """

    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    frame: int | None = None
    series_number: int | None = None
    instance_number: int | None = None

    @property
    def is_named(self) -> bool:
        """Whether it tells an instance, by UID or by number."""
        return bool(self.sop_uid) or self.instance_number is not None


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """A segment of a SEG: of its own (kind MASK), or one that a report measured."""

    sop_uid: str
    number: int


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded word: value, scheme (SCT, SRT, DCM, RADLEX, ...) and meaning; each may be empty."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def __bool__(self) -> bool:
        return bool(self.value or self.meaning)


@dataclass(frozen=True, eq=False, slots=True)
class MarkOutline:
    """What a mark of several slices has on one of them.

    Attributes:
        image: the instance, where it is told.
        points: (n, 2) pixels, or None.
        points_mm: (n, 3) mm, or None.
        ring_sizes: number of points of each closed ring, in order; empty for a single one. Rings
            inside others cut holes.
    """

    image: ImageReference
    points: NDArray[np.float64] | None = None
    points_mm: NDArray[np.float64] | None = None
    ring_sizes: tuple[int, ...] = ()

    def rings(self) -> list[NDArray[np.float64]]:
        """The rings' points, in mm where there are such, else in pixels."""
        points = self.points if self.points_mm is None else self.points_mm
        if points is None:
            return []
        ends = [int(end) for end in np.cumsum(self.ring_sizes)[:-1]]
        return list(np.split(points, ends))


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """One thing that a reader marked, on one image (the key image where it spans several).

    Attributes:
        mark_id: the same for the same file on every run, whatever the file is called: carrier,
            then a hash of the carrier's own UID and the mark's place in it.
        carrier: what kind of file holds it.
        kind: what was drawn.
        image: the instance that it lies on; an empty reference where only mm are known.
        points: (n, 2) float64 pixels of that instance, or None; finite.
        points_mm: (n, 3) float64 patient coordinates in mm, or None; finite.
        frame_of_reference_uid: of ``points_mm``; empty where it is not told.
        ring_sizes: as in ``MarkOutline``.
        others: the same mark on further slices (a volume's outlines), the key slice not included.
        lengths: stated lengths, in the carrier's order.
        finding: what it is said to be ("Lesion", "Neoplasm", "Aorta"), as a code where there is.
        category: of a segment (property category), or the finding category of a report.
        site: where in the body, as a code where there is one.
        label: free text name (ROI name, segment label, annotation name), decoded.
        comment: free text beside it.
        tracking_uid, tracking_id: of the physical lesion over studies; empty where there is none.
        reader: who drew it, as the carrier names the person; never logged.
        drawn_on: day of drawing or of the carrier; None where it is not told.
        patient_id: as the carrier has it; never logged.
        source: the file's name, for messages.
        source_uid: the carrier's own UID (SOPInstanceUID, AIM unique identifier).
        predecessors: UIDs of carriers that this one replaces.
        group: marks that share one non-empty group were stored as one finding.
        segment: the segment it is (SEG) or measures (SR, AIM), where it is one.
        pixel_mm: size of the pixels of a segment's own grid.
    """

    mark_id: str
    carrier: Carrier
    kind: MarkKind
    image: ImageReference
    points: NDArray[np.float64] | None = None
    points_mm: NDArray[np.float64] | None = None
    frame_of_reference_uid: str = ""
    ring_sizes: tuple[int, ...] = ()
    others: tuple[MarkOutline, ...] = ()
    lengths: tuple[StatedLength, ...] = ()
    finding: Concept = field(default_factory=Concept)
    category: Concept = field(default_factory=Concept)
    site: Concept = field(default_factory=Concept)
    label: str = ""
    comment: str = ""
    tracking_uid: str = ""
    tracking_id: str = ""
    reader: str = ""
    drawn_on: date | None = None
    patient_id: str = ""
    source: str = ""
    source_uid: str = ""
    predecessors: tuple[str, ...] = ()
    group: str = ""
    segment: SegmentReference | None = None
    pixel_mm: float | None = None

    def __post_init__(self) -> None:
        for name, points, width in (("points", self.points, 2), ("points_mm", self.points_mm, 3)):
            if points is None:
                continue
            if points.ndim != 2 or points.shape[1] != width or not np.isfinite(points).all():
                raise MarkError(
                    f"mark {self.mark_id} has {name} of the shape {points.shape} or numbers that "
                    f"are not finite: (n, {width}) finite numbers are needed"
                )

    @property
    def outline(self) -> MarkOutline:
        """The mark's own slice in the form of ``others``."""
        return MarkOutline(self.image, self.points, self.points_mm, self.ring_sizes)

    @property
    def has_geometry(self) -> bool:
        """Whether it tells any point."""
        drawn = self.points if self.points is not None else self.points_mm
        return drawn is not None and len(drawn) > 0

    def with_changes(self, **changes: Any) -> Self:
        """The same mark with some fields replaced."""
        return replace(self, **changes)

    def stated_mm(self, *roles: LengthRole) -> float | None:
        """The first stated length of one of the roles in mm, None where there is none."""
        known = (one.mm for one in self.lengths if one.role in roles and one.mm is not None)
        return next(known, None)


def mark_id_of(carrier: Carrier, source_uid: str, place: Sequence[object]) -> str:
    """A mark's stable id from its carrier's UID and its place in it (``("group", 3, "line", 1)``).

    ``source_uid`` is a hash of the content where a carrier has no UID of its own.
    """
    text = "/".join((carrier.value, source_uid, *(str(part) for part in place)))
    return f"{carrier.value}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def day_of(value: object) -> date | None:
    """The day of a DICOM, AIM or ISO date or time stamp; None for what is none."""
    text = str(value if value else "").replace("-", "")[:8]
    if len(text) != 8 or not text.isdecimal():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def short_text(value: object) -> str:
    """A free text on one line, without control characters, cut after ``MOST_TEXT``."""
    text = "".join(one if one.isprintable() else " " for one in str(value if value else ""))
    return " ".join(text.split())[:MOST_TEXT]
