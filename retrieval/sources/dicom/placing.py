"""Where the slices of a series lie against each other: within their plane, and along their normal.

A scanner's table moves along the patient. Where the gantry is tilted, or slices are reformatted at
an angle, the slices are parallel but each next one is shifted in its own plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.axes import MAX_TILT_DEGREES, tilt_degrees
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.header import DicomPlane

MAX_GANTRY_DEGREES = 35.0
"""Gantries tilt by 30 degrees at most; beyond it is another reformation."""

SAME_PLACE_MM = 0.01
"""Slices nearer to each other lie at the same place."""

SAME_FIELD_PX = 1.0
"""In-plane positions of one reconstruction agree to this; the file may have rounded them."""

MAX_GAP_SHARE = 0.02
"""Slices may lie this part of the interval off their even places."""

_MAX_ROUNDED_SHARE = 0.3
"""Rounding may move slices by up to this part of the interval."""


def in_plane_groups(planes: Sequence[DicomPlane]) -> list[list[DicomPlane]]:
    """The planes grouped by where they lie in their own plane, drift along the table apart.

    Planes of one orientation; raises DicomError if their positions scatter.
    """
    if len(planes) < 2:
        return [list(planes)]
    offsets, depths = _offsets(planes)
    within = max(SAME_FIELD_PX * max(planes[0].spacing_mm_px), 0.5)
    drifts = [np.zeros(2), _table_drift(planes[0])]
    order = np.argsort(depths, kind="stable")
    span = depths[order[-1]] - depths[order[0]]
    if span > SAME_PLACE_MM:
        drifts.append((offsets[order[-1]] - offsets[order[0]]) / span)
    left = [offsets - np.outer(depths - depths[0], drift) for drift in drifts]
    spreads = [float(np.ptp(one, axis=0).max()) for one in left]
    best = left[int(np.argmin(spreads[:2]))]
    if min(spreads) <= within:
        return [list(planes)]
    groups: list[list[int]] = []
    for place in range(len(planes)):
        for group in groups:
            if np.abs(best[group[0]] - best[place]).max() <= within:
                group.append(place)
                break
        else:
            groups.append([place])
    if len(groups) > max(len(planes) // 3, 2):
        raise DicomError(
            f"in-plane positions scatter by {min(spreads):.1f} mm over {len(planes)} slices: "
            "they are not one reconstruction; give a single slice"
        )
    return [[planes[place] for place in group] for group in groups]


@dataclass(frozen=True)
class EvenRun:
    """Neighbouring slices at even distances.

    Attributes:
        first: position of the first one among all slices of the series.
        count: how many they are.
        interval_mm: from the first to the last, by their number less one, along the normal.
        off_mm: how far a slice lies from its even place, at most.
    """

    first: int
    count: int
    interval_mm: float
    off_mm: float


def even_run(depths: NDArray[np.float64], key: int) -> EvenRun:
    """The longest run of even slices that holds position ``key``; ``depths`` ascend."""
    whole = _even(depths, 0, len(depths))
    if whole is not None:
        return whole
    runs = []
    for first, stop in ((key, key + 2), (key - 1, key + 1)):
        if first >= 0 and stop <= len(depths):
            runs.append(_grown(depths, first, stop))
    return max(runs, key=lambda run: run.count)


def _grown(depths: NDArray[np.float64], first: int, stop: int) -> EvenRun:
    run = _even(depths, first, stop)
    assert run is not None, "two slices are always even"
    grows = True
    while grows:
        grows = False
        for wider in ((first - 1, stop), (first, stop + 1)):
            if wider[0] < 0 or wider[1] > len(depths):
                continue
            if (found := _even(depths, *wider)) is not None:
                run, (first, stop), grows = found, wider, True
    return run


def _even(depths: NDArray[np.float64], first: int, stop: int) -> EvenRun | None:
    part = depths[first:stop]
    count = stop - first
    if count == 1:
        return EvenRun(first, 1, 0.0, 0.0)
    interval = float(part[-1] - part[0]) / (count - 1)
    off = float(np.abs(part - (part[0] + np.arange(count) * interval)).max())
    allowed = max(MAX_GAP_SHARE * interval, min(_rounding_mm(part), _MAX_ROUNDED_SHARE * interval))
    return EvenRun(first, count, interval, off) if off <= allowed + 1e-6 else None


def _rounding_mm(depths: NDArray[np.float64]) -> float:
    """How far rounding to as many decimals as the positions have may move a slice."""
    for decimals in (1, 2, 3):
        if np.abs(depths - depths.round(decimals)).max() < 1e-6:
            return 10.0**-decimals
    return 0.0


@dataclass(frozen=True)
class SlicePlacing:
    """How parallel slices lie in the patient.

    Attributes:
        axes: (3, 3): unit vectors of columns, rows and slices; of tilted slices the nearest
            upright ones, so that the picture is taken as it is.
        step_share: the way from slice to slice by the distance along the normal; 1 if upright.
        notes: what a reader should know of it.
    """

    axes: NDArray[np.float64]
    step_share: float = 1.0
    notes: tuple[str, ...] = ()


def placing_of(planes: Sequence[DicomPlane]) -> SlicePlacing:
    """The placing of planes in order of depth, of one orientation and field of view.

    Raises:
        DicomError: oblique, or sheared by more than a gantry's tilt explains.
    """
    first = planes[0]
    across, down, normal = first.orientation[:3], first.orientation[3:], first.normal
    tilt = tilt_degrees([across, down, normal])
    shear, share = _shear_degrees(planes)
    if tilt <= MAX_TILT_DEGREES:
        if shear > MAX_TILT_DEGREES:
            raise DicomError(
                f"the slices are sheared by {shear:.1f} degrees: their in-plane positions drift "
                f"from {first.name} to {planes[-1].name} although no gantry is tilted; give a "
                "single slice, or resample the series"
            )
        axes = np.stack([across, down, normal])
        cause = "the gantry is tilted" if tilt > 0.5 else "the slices are sheared"
        note = f"{cause} by {shear:.1f} degrees: each next slice is shifted a little"
        return SlicePlacing(axes, share, (note,) if shear > 0.5 else ())
    if not _is_gantry(across, normal, tilt):
        raise DicomError(
            f"{first.name} is oblique by {tilt:.1f} degrees (ImageOrientationPatient "
            f"{first.orientation.round(3).tolist()}): at most {MAX_TILT_DEGREES:g}, or a gantry's "
            f"tilt of at most {MAX_GANTRY_DEGREES:g}, are read; resample it to axial slices"
        )
    upright = np.stack([_nearest_axis(direction) for direction in (across, down, normal)])
    words = f"the gantry is tilted by {tilt:.1f} degrees: slices are taken as they are"
    if len(planes) > 1 and shear > 0.5:
        words += f", each next one shifted by {math.tan(math.radians(shear)):.2f} mm a mm of depth"
    return SlicePlacing(upright, share, (words,))


def _is_gantry(across: NDArray[np.float64], normal: NDArray[np.float64], tilt: float) -> bool:
    """Axial slices turned about the axis from right to left."""
    along_x = tilt_degrees([across]) <= MAX_TILT_DEGREES and int(np.abs(across).argmax()) == 0
    return along_x and int(np.abs(normal).argmax()) == 2 and tilt <= MAX_GANTRY_DEGREES


def _nearest_axis(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    axis = int(np.abs(direction).argmax())
    upright = np.zeros(3)
    upright[axis] = np.sign(direction[axis])
    return upright


def _shear_degrees(planes: Sequence[DicomPlane]) -> tuple[float, float]:
    """The angle between the way of the slices and their normal, and its length by the depth."""
    if len(planes) < 2:
        return 0.0, 1.0
    way = planes[-1].position - planes[0].position
    depth = float(planes[0].normal @ way)
    if depth <= SAME_PLACE_MM:
        return 0.0, 1.0
    share = float(np.linalg.norm(way)) / depth
    return math.degrees(math.acos(min(1 / share, 1.0))), share


def _offsets(planes: Sequence[DicomPlane]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) mm along rows and columns of the first plane, and (n,) along its normal."""
    first = planes[0]
    positions = np.stack([plane.position for plane in planes])
    directions = np.stack([first.orientation[:3], first.orientation[3:]], axis=1)
    return positions @ directions, positions @ first.normal


def _table_drift(plane: DicomPlane) -> NDArray[np.float64]:
    """In-plane mm per mm of depth where the table moves along the patient and not the normal."""
    along = float(plane.normal[2])
    if abs(along) < math.cos(math.radians(MAX_GANTRY_DEGREES)):
        return np.zeros(2)
    return np.array([plane.orientation[2], plane.orientation[5]]) / along
