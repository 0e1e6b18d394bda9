"""A mark on its image: pixels of one axial CT slice, or the reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.mark import Carrier, Mark, MarkKind
from retrieval.sources.marks.planes import ImagePlane, PlaneSource
from retrieval.sources.marks.verdicts import Verdict

MOST_OFF_MM = 2.5
"""A point farther than this from the plane of the image that it names lies on another slice."""

MOST_OUTSIDE_PX = 2.0
"""Points may reach over the edge of the image by this much: official rows do, by 1.2."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A mark on its image.

    Attributes:
        mark: as it was read.
        plane: an axial CT slice.
        points: (n, 2) pixels of it.
    """

    mark: Mark
    plane: ImagePlane
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Unplaced:
    """Why a mark lies on no image; ``plane`` where one was found that it cannot lie on."""

    verdict: Verdict
    words: str
    plane: ImagePlane | None = None


def place(mark: Mark, planes: PlaneSource) -> Placed | Unplaced:
    """Finds a mark's image and its pixels there."""
    if not mark.has_geometry and mark.kind is not MarkKind.TEXT:
        return Unplaced(Verdict.NO_COORDINATES, "draws nothing")
    named = planes.plane(mark.image) if mark.image.is_named else None
    if mark.points_mm is not None:
        return _by_patient(mark, mark.points_mm, named, planes)
    if named is None:
        return Unplaced(Verdict.NO_IMAGE, _missing(mark))
    points = np.zeros((0, 2)) if mark.points is None else mark.points
    return _checked(mark, named, points)


def _by_patient(
    mark: Mark, points_mm: NDArray[np.float64], named: ImagePlane | None, planes: PlaneSource
) -> Placed | Unplaced:
    frame_uid = mark.frame_of_reference_uid
    frames = {frame_uid, "" if named is None else named.frame_of_reference_uid} - {""}
    if named is not None and len(frames) > 1:
        words = "is in another frame of reference than the image that it names"
        return Unplaced(Verdict.OTHER_FRAME, words, named)
    if named is not None and (problem := _unusable(mark, named)) is not None:
        return problem
    middle = (points_mm.min(axis=0) + points_mm.max(axis=0)) / 2
    plane = named
    if plane is None or not plane.has_place or not _is_on(plane, points_mm, mark):
        plane = planes.at(frame_uid, middle, mark.image)
    if plane is None and named is not None and named.has_place:
        far = float(np.abs(named.distances_mm(points_mm)).max())
        return Unplaced(Verdict.OFF_SLICE, f"lies {far:.1f} mm off the slice it names", named)
    if plane is None:
        return Unplaced(Verdict.NO_IMAGE, _missing(mark))
    if mark.kind is not MarkKind.ELLIPSOID:
        depths = plane.distances_mm(points_mm)
        if float(depths.max() - depths.min()) > MOST_OFF_MM:
            words = f"runs over {float(depths.max() - depths.min()):.1f} mm across the slices"
            return Unplaced(Verdict.OFF_SLICE, words, plane)
    return _checked(mark, plane, plane.pixels_of(points_mm))


def _is_on(plane: ImagePlane, points_mm: NDArray[np.float64], mark: Mark) -> bool:
    if mark.kind is MarkKind.ELLIPSOID:
        depths = plane.distances_mm(points_mm)
        return bool(depths.min() <= MOST_OFF_MM and depths.max() >= -MOST_OFF_MM)
    return bool(np.abs(plane.distances_mm(points_mm)).max() <= MOST_OFF_MM)


def _checked(mark: Mark, plane: ImagePlane, points: NDArray[np.float64]) -> Placed | Unplaced:
    problem = _unusable(mark, plane)
    if problem is not None:
        return problem
    reach = 0.5 + MOST_OUTSIDE_PX
    low, high = np.array([-reach, -reach]), np.array([plane.columns, plane.rows]) - 1 + reach
    outside = points[((points < low) | (points > high)).any(axis=1)]
    if len(outside) and mark.kind is not MarkKind.TEXT:
        x, y = outside[0]
        words = f"point {x:.1f}, {y:.1f} is off the image of {plane.columns} x {plane.rows} pixels"
        return Unplaced(Verdict.OFF_IMAGE, words, plane)
    return Placed(mark, plane, points)


def _unusable(mark: Mark, plane: ImagePlane) -> Unplaced | None:
    if not plane.is_axial_ct:
        return Unplaced(Verdict.NOT_AXIAL_CT, f"lies on {kind_of_image(plane)}", plane)
    patients = {mark.patient_id.strip(), plane.patient_id.strip()} - {""}
    if len(patients) > 1 and mark.carrier not in {Carrier.AIM, Carrier.CSV}:
        return Unplaced(Verdict.OTHER_PATIENT, "its patient is not the image's", plane)
    return None


def kind_of_image(plane: ImagePlane) -> str:
    """What an image is that is no axial CT slice, in words."""
    if plane.modality != "CT":
        return f"an image of the modality {plane.modality or 'unknown'}"
    if plane.is_scout:
        return "a scout"
    if plane.is_derived_screen:
        return "a screen capture"
    axis = int(np.abs(plane.normal).argmax())
    return ("a sagittal slice", "a coronal slice", "an oblique slice")[axis]


def _missing(mark: Mark) -> str:
    image = mark.image
    if image.sop_uid:
        return f"the image {image.sop_uid} that it names is not there"
    if image.instance_number is not None:
        series = "" if image.series_number is None else f"series {image.series_number}, "
        return f"no single image is {series}image {image.instance_number}"
    if mark.points_mm is not None:
        z = float(mark.points_mm[:, 2].mean())
        return f"no axial CT slice of its frame of reference lies at z = {z:.1f} mm"
    return "names no image"
