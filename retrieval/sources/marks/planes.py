"""ImagePlane: where an image instance lies in the patient; PlaneIndex: images found by it."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.mark import ImageReference

AXIAL_COSINE = 0.8
"""Least cosine between a slice's normal and the body's axis for it to be axial: 36 degrees of
gantry tilt at most, which no scanner reaches."""

_FAR_SLICE_MM = 10.0
"""A point farther than this from the only slice of a series is on none of its slices."""


@dataclass(frozen=True, eq=False)
class ImagePlane:
    """One image or frame: its identity, and where its pixels lie. No pixels.

    Attributes:
        image: its UIDs and numbers.
        modality: as the file says, ``CT``.
        rows, columns: size in pixels.
        spacing_mm_px: millimetres per pixel along (x, y); None where the file has none.
        position: (3,) mm, the centre of the first pixel; None where the file has none.
        orientation: (6,) cosines along x, then along y; None where the file has none.
        frame_of_reference_uid: empty where the file has none.
        is_scout: a localizer (ImageType).
        is_derived_screen: a secondary capture or another picture without HU.
        patient_id: as in the file; never logged.
    """

    image: ImageReference
    modality: str
    rows: int
    columns: int
    spacing_mm_px: tuple[float, float] | None = None
    position: NDArray[np.float64] | None = None
    orientation: NDArray[np.float64] | None = None
    frame_of_reference_uid: str = ""
    is_scout: bool = False
    is_derived_screen: bool = False
    patient_id: str = ""

    @property
    def has_place(self) -> bool:
        """Whether it is known where it lies in the patient."""
        return (
            self.position is not None
            and self.orientation is not None
            and self.spacing_mm_px is not None
        )

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """(3,) x direction times y direction; zeros where the orientation is not known."""
        if self.orientation is None:
            return np.zeros(3)
        return np.cross(self.orientation[:3], self.orientation[3:])

    @cached_property
    def depth_mm(self) -> float:
        """Position along the normal; 0 where it is not known."""
        return 0.0 if self.position is None else float(self.normal @ self.position)

    @property
    def is_axial_ct(self) -> bool:
        """Whether it is an axial CT slice, a tilted gantry included; scouts are not."""
        if self.modality != "CT" or self.is_scout or self.is_derived_screen:
            return False
        return self.orientation is None or abs(float(self.normal[2])) >= AXIAL_COSINE

    def pixels_of(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) pixels of (n, 3) patient points, projected along the normal.

        Raises ValueError where the plane's place is not known.
        """
        if self.position is None or self.orientation is None or self.spacing_mm_px is None:
            raise ValueError("the place of this image in the patient is not known")
        axes = self.orientation.reshape(2, 3)
        return np.asarray((points_mm - self.position) @ axes.T / self.spacing_mm_px)

    def points_mm_of(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) patient points of (n, 2) pixels; raises ValueError as ``pixels_of``."""
        if self.position is None or self.orientation is None or self.spacing_mm_px is None:
            raise ValueError("the place of this image in the patient is not known")
        axes = self.orientation.reshape(2, 3)
        return np.asarray(self.position + (points * self.spacing_mm_px) @ axes)

    def distances_mm(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) signed distances of patient points from the plane."""
        return np.asarray(points_mm @ self.normal - self.depth_mm)


class PlaneSource(Protocol):
    """Finds images for marks: a folder's headers, or a PACS that is asked when needed."""

    def plane(self, image: ImageReference) -> ImagePlane | None:
        """The image of a reference by its instance UID, or by series and instance number."""
        ...

    def at(
        self, frame_of_reference_uid: str, point_mm: NDArray[np.float64], image: ImageReference
    ) -> ImagePlane | None:
        """The slice that a patient point (3,) lies on, None off all slices.

        It is sought among the axial CT series of the frame of reference, in the series of
        ``image`` alone where that names one.
        """
        ...


@dataclass
class PlaneIndex:
    """A PlaneSource in memory, filled from headers."""

    _by_instance: dict[tuple[str, int | None], ImagePlane] = field(default_factory=dict)
    _series: dict[str, list[ImagePlane]] = field(default_factory=dict)
    _frames: dict[str, dict[str, None]] = field(default_factory=dict)
    _sorted: dict[str, tuple[list[float], list[ImagePlane]]] = field(default_factory=dict)

    @classmethod
    def of(cls, headers: Iterable[Any]) -> PlaneIndex:
        """The images of DICOM headers (pydicom datasets; pixels are not needed)."""
        index = cls()
        for header in headers:
            for plane in planes_of_header(header):
                index.add(plane)
        return index

    def add(self, plane: ImagePlane) -> None:
        """Adds an image; the same instance again replaces the first."""
        key = (plane.image.sop_uid, plane.image.frame)
        series = self._series.setdefault(plane.image.series_uid, [])
        if key in self._by_instance:
            series[:] = [one for one in series if one is not self._by_instance[key]]
        self._by_instance[key] = plane
        series.append(plane)
        self._sorted.pop(plane.image.series_uid, None)
        if plane.frame_of_reference_uid:
            self._frames.setdefault(plane.frame_of_reference_uid, {})[plane.image.series_uid] = None

    def __len__(self) -> int:
        return len(self._by_instance)

    def plane(self, image: ImageReference) -> ImagePlane | None:
        """As in PlaneSource.

        A single image has no frame but the first; of several frames one must be named.
        """
        if image.sop_uid:
            exact = self._by_instance.get((image.sop_uid, image.frame))
            is_single = (image.sop_uid, 2) not in self._by_instance
            if exact is None and image.frame in {None, 1} and is_single:
                other = 1 if image.frame is None else None
                exact = self._by_instance.get((image.sop_uid, other))
            return exact
        if image.instance_number is None:
            return None
        found = [one for one in self._by_instance.values() if _is_numbered(one.image, image)]
        return found[0] if len(found) == 1 else None

    def at(
        self, frame_of_reference_uid: str, point_mm: NDArray[np.float64], image: ImageReference
    ) -> ImagePlane | None:
        """As in PlaneSource; of several series the one whose slice is nearest, then first by UID.

        Where no frame of reference is told, only the series that ``image`` names is looked at.
        """
        named = [image.series_uid] if image.series_uid in self._series else []
        if frame_of_reference_uid:
            candidates = sorted(self._frames.get(frame_of_reference_uid, {}))
            candidates = [uid for uid in candidates if uid in named] if named else candidates
        else:
            candidates = named
        found = [self._nearest(uid, point_mm) for uid in candidates]
        slices = [one for one in found if one is not None]
        best = min(slices, key=lambda one: one[0], default=None)
        return None if best is None else best[1]

    def _nearest(
        self, series_uid: str, point_mm: NDArray[np.float64]
    ) -> tuple[float, ImagePlane] | None:
        """Distance to the nearest slice and that slice; None beyond half the gap to its next."""
        depths, planes = self._in_order(series_uid)
        if not planes:
            return None
        depth = float(planes[0].normal @ point_mm)
        after = bisect.bisect_left(depths, depth)
        near = [i for i in (after - 1, after) if 0 <= i < len(depths)]
        best = min(near, key=lambda i: abs(depths[i] - depth))
        gaps = [abs(depths[best] - depths[i]) for i in (best - 1, best + 1) if 0 <= i < len(depths)]
        gaps = [gap for gap in gaps if gap > 0]
        reach = min(min(gaps) / 2 + 0.01, _FAR_SLICE_MM) if gaps else _FAR_SLICE_MM / 2
        distance = abs(depths[best] - depth)
        return (distance, planes[best]) if distance <= reach else None

    def _in_order(self, series_uid: str) -> tuple[list[float], list[ImagePlane]]:
        if series_uid not in self._sorted:
            placed = [one for one in self._series[series_uid] if one.has_place and one.is_axial_ct]
            if placed:
                normal = placed[0].normal
                placed = [one for one in placed if float(one.normal @ normal) > 0.999]
            placed.sort(key=lambda one: one.depth_mm)
            self._sorted[series_uid] = ([one.depth_mm for one in placed], placed)
        return self._sorted[series_uid]


def _is_numbered(held: ImageReference, asked: ImageReference) -> bool:
    pairs = (
        (asked.study_uid, held.study_uid),
        (asked.series_uid, held.series_uid),
        (asked.series_number, held.series_number),
        (asked.instance_number, held.instance_number),
    )
    return all(not one or one == other for one, other in pairs)


def planes_of_header(header: Any) -> list[ImagePlane]:
    """The images of a DICOM header, one a frame for enhanced ones; none for what is no image.

    Geometry that is missing or malformed is left out, never guessed.
    """
    if not header.get("SOPInstanceUID") or not (header.get("Rows") and header.get("Columns")):
        return []
    image = ImageReference(
        study_uid=str(header.get("StudyInstanceUID", "")),
        series_uid=str(header.get("SeriesInstanceUID", "")),
        sop_uid=str(header.SOPInstanceUID),
        series_number=_whole(header.get("SeriesNumber")),
        instance_number=_whole(header.get("InstanceNumber")),
    )
    kinds = [str(kind).upper() for kind in _several(header.get("ImageType"))]
    plane = ImagePlane(
        image,
        modality=str(header.get("Modality", "")),
        rows=int(header.Rows),
        columns=int(header.Columns),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID", "") or ""),
        is_scout="LOCALIZER" in kinds,
        is_derived_screen=header.get("Modality") == "CT" and _is_capture(header),
        patient_id=str(header.get("PatientID", "") or ""),
    )
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        return [_placed(plane, header, header, header)]
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    return [
        _placed(
            replace(plane, image=replace(image, frame=number)),
            *(
                _functional(frame, shared, name)
                for name in ("PixelMeasures", "PlanePosition", "PlaneOrientation")
            ),
        )
        for number, frame in enumerate(frames, start=1)
    ]


def _placed(plane: ImagePlane, measures: Any, place: Any, direction: Any) -> ImagePlane:
    spacing = _numbers(measures, "PixelSpacing", 2)
    orientation = _numbers(direction, "ImageOrientationPatient", 6)
    if spacing is not None and not (spacing > 0).all():
        spacing = None
    return replace(
        plane,
        # PixelSpacing is row spacing first: millimetres along y, then along x.
        spacing_mm_px=None if spacing is None else (float(spacing[1]), float(spacing[0])),
        position=_numbers(place, "ImagePositionPatient", 3),
        orientation=orientation if _is_rotation(orientation) else None,
    )


def _functional(frame: Any, shared: Any, name: str) -> Any:
    for groups in (frame, shared):
        found = None if groups is None else groups.get(f"{name}Sequence")
        if found:
            return found[0]
    return {}


def _is_capture(header: Any) -> bool:
    return str(header.get("SOPClassUID", "")).startswith("1.2.840.10008.5.1.4.1.1.7")


def _is_rotation(orientation: NDArray[np.float64] | None) -> bool:
    if orientation is None:
        return False
    across, down = orientation[:3], orientation[3:]
    lengths = np.array([np.linalg.norm(across), np.linalg.norm(down)])
    return bool(np.abs(lengths - 1).max() < 0.01 and abs(float(across @ down)) < 0.01)


def _numbers(said: Any, keyword: str, count: int) -> NDArray[np.float64] | None:
    try:
        numbers = np.asarray([float(one) for one in _several(said.get(keyword))], np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _several(value: Any) -> list[Any]:
    if value is None or isinstance(value, str):
        return [] if value is None else [value]
    try:
        return list(value)
    except TypeError:
        return [value]


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
