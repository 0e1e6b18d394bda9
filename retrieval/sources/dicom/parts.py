"""The stacks of slices that a set of images holds: by series, acquisition and field of view.

One SeriesInstanceUID may cover several contrast phases, reconstructions or scans. What cannot stand
in one volume is told apart, and the user chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.header import ACQUISITION_TAGS, DicomPlane
from retrieval.sources.dicom.placing import SAME_PLACE_MM, in_plane_groups

MOST_LISTED = 20
_STRAY_IMAGES = 3
"""So few images across the others are scouts that do not say so."""

_WORDS = {
    "TemporalPositionIdentifier": "temporal position",
    "AcquisitionNumber": "acquisition",
    "ContrastBolusAgent": "contrast",
    "EchoNumbers": "stack",
    "KVP": "kV",
    "ConvolutionKernel": "kernel",
    "ImageType": "image type",
}


@dataclass(frozen=True)
class SeriesPart:
    """Images that can stand in one volume.

    Attributes:
        planes: in no particular order.
        told_by: what tells it from the other parts of its series, in words; empty if it is all.
        notes: what was dropped on the way.
    """

    planes: tuple[DicomPlane, ...]
    told_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID."""
        return self.planes[0].series_uid

    @property
    def words(self) -> str:
        """Number, description and size, as a list shows them."""
        header = self.planes[0].header
        number, description = header.get("SeriesNumber"), header.get("SeriesDescription")
        said = [
            f"number {number}" if number not in (None, "") else "",
            repr(str(description)[:60]) if description else "",
            *self.told_by,
            f"{len(self.planes)} slices" if len(self.planes) > 1 else "1 slice",
        ]
        return ", ".join(word for word in said if word)


class SeveralSeriesError(DicomError):
    """Several series or acquisitions where one is needed."""


def chosen_part(planes: Sequence[DicomPlane], series: str | None = None) -> SeriesPart:
    """The one part of the images, or the one that ``series`` names: its number, or a UID.

    Raises:
        DicomError: several parts and none named, listed with their numbers; or no such part.
    """
    parts = parts_of(planes)
    if series is None:
        if len(parts) == 1:
            return parts[0]
        raise SeveralSeriesError(
            f"{_listed(parts)}: choose one with --series N (over HTTP: series=N)"
        )
    wanted = series.strip()
    if wanted.isdecimal() and 1 <= int(wanted) <= len(parts):
        found = [parts[int(wanted) - 1]]
    else:
        found = [part for part in parts if part.series_uid == wanted]
    if len(found) != 1:
        problem = "is not there" if not found else f"names {len(found)} of them"
        raise DicomError(f"series {wanted[:64]!r} {problem}: {_listed(parts)}; give its number")
    others = [part for part in parts if part is not found[0]]
    if not others:
        return found[0]
    images = sum(len(part.planes) for part in others)
    note = f"series {parts.index(found[0]) + 1} of {len(parts)} was chosen: {images} images of "
    return replace(found[0], notes=(*found[0].notes, f"{note}the others were left out"))


def parts_of(planes: Sequence[DicomPlane]) -> list[SeriesPart]:
    """The images in parts that can each stand in one volume, in the order of series numbers."""
    parts: list[SeriesPart] = []
    by_series = _grouped(planes, lambda plane: plane.series_uid)
    for of_series in sorted(by_series, key=_series_order):
        distinct, notes = _without_copies(of_series)
        kept, strays = _without_strays(distinct)
        found = [
            part
            for shape in _by_shape(SeriesPart(tuple(kept)))
            for acquired in _by_acquisition(shape)
            for part in _by_field_of_view(acquired)
        ]
        notes = (*notes, *strays)
        parts += [replace(part, notes=notes) for part in found]
    return parts


def _without_copies(planes: Sequence[DicomPlane]) -> tuple[list[DicomPlane], tuple[str, ...]]:
    """Of images with the same place and the same pixels, one."""
    kept: dict[Hashable, DicomPlane] = {}
    dropped = []
    places = _grouped(planes, lambda plane: tuple(np.rint(plane.position * 1000).tolist()))
    if len(places) == len(planes):
        return list(planes), ()
    for group in places:
        for plane in group:
            key = (tuple(plane.position.round(3)), _pixel_key(plane) if len(group) > 1 else None)
            if key in kept:
                dropped.append(plane.name)
            else:
                kept[key] = plane
    if not dropped:
        return list(planes), ()
    shown = ", ".join(dropped[:3]) + (", ..." if len(dropped) > 3 else "")
    copies = "1 copy of a slice" if len(dropped) == 1 else f"{len(dropped)} copies of slices"
    return list(kept.values()), (f"left out: {copies} ({shown})",)


def _pixel_key(plane: DicomPlane) -> Hashable:
    return plane.orientation.tobytes(), plane.rescale, plane.frame, bytes(plane.dataset.PixelData)


def _without_strays(planes: Sequence[DicomPlane]) -> tuple[list[DicomPlane], tuple[str, ...]]:
    """A few images across all the others are left out: scouts that do not call themselves so."""
    across = _grouped(planes, lambda plane: int(np.abs(plane.normal).argmax()))
    across.sort(key=len, reverse=True)
    few = [group for group in across[1:] if len(group) <= _STRAY_IMAGES < len(across[0])]
    strays = sum(len(group) for group in few)
    if not strays:
        return list(planes), ()
    kept = [plane for group in across if group not in few for plane in group]
    images = "1 image" if strays == 1 else f"{strays} images"
    return kept, (f"left out: {images} across the slices, as scouts are",)


def _by_shape(part: SeriesPart) -> list[SeriesPart]:
    """By size, pixel spacing and orientation."""
    groups: list[list[DicomPlane]] = []
    for plane in part.planes:
        for group in groups:
            if _alike(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    if len(groups) == 1:
        return [part]
    return [SeriesPart(tuple(group), (*part.told_by, _shape_words(group[0]))) for group in groups]


def _alike(one: DicomPlane, other: DicomPlane) -> bool:
    if one.size != other.size:
        return False
    is_same = one.spacing_mm_px == other.spacing_mm_px
    return (is_same or np.allclose(one.spacing_mm_px, other.spacing_mm_px, rtol=1e-4)) and bool(
        np.abs(one.orientation - other.orientation).max() <= 1e-3
    )


def _shape_words(plane: DicomPlane) -> str:
    rows, columns = plane.size
    turn = ",".join(f"{cosine:.3g}" for cosine in plane.orientation)
    return f"{columns} x {rows} px of {plane.spacing_mm_px[0]:.3g} mm, orientation {turn}"


def _by_acquisition(part: SeriesPart) -> list[SeriesPart]:
    """Acquisitions that cover the same stretch of the body, by the first tag that tells them."""
    for keyword in ACQUISITION_TAGS:
        groups = _grouped(part.planes, lambda plane: plane.acquisition.get(keyword, ""))  # noqa: B023
        if len(groups) > 1 and _overlap(groups) and min(map(len, groups)) > 1:
            return [
                found
                for group in groups
                for found in _by_acquisition(
                    SeriesPart(tuple(group), (*part.told_by, _acquired(group[0], keyword)))
                )
            ]
    repeats = _by_repeated_place(part.planes)
    if len(repeats) == 1:
        return [part]
    return [
        SeriesPart(tuple(group), (*part.told_by, f"pass {number}"))
        for number, group in enumerate(repeats, start=1)
    ]


def _acquired(plane: DicomPlane, keyword: str) -> str:
    value = plane.acquisition.get(keyword, "none")
    return f"{_WORDS[keyword]} {value[:40]}"


def _overlap(groups: Sequence[Sequence[DicomPlane]]) -> bool:
    """Whether two groups cover a common stretch, more than one slice of it."""
    normal = groups[0][0].normal
    spans = sorted(
        (float(min(depths)), float(max(depths)))
        for depths in ([float(normal @ plane.position) for plane in group] for group in groups)
    )
    reach = -np.inf
    for low, high in spans:
        if low < reach - SAME_PLACE_MM:
            return True
        reach = max(reach, high)
    return False


def _by_repeated_place(planes: Sequence[DicomPlane]) -> list[list[DicomPlane]]:
    """Passes over the same places in the order of their numbers."""
    places = [round(plane.depth_mm / SAME_PLACE_MM) for plane in planes]
    if len(set(places)) == len(places):
        return [list(planes)]
    numbers = [plane.instance_number for plane in planes]
    if None in numbers or len(set(numbers)) < len(numbers):
        return _ranked_by_place(planes, places)
    order = sorted(range(len(planes)), key=lambda place: numbers[place] or 0)
    passes: list[dict[int, DicomPlane]] = [{}]
    for place in order:
        if places[place] in passes[-1]:
            passes.append({})
        passes[-1][places[place]] = planes[place]
    if max(map(len, passes)) > len(planes) / len(passes) * 1.5 or min(map(len, passes)) == 1:
        return _ranked_by_place(planes, places)
    return [list(one.values()) for one in passes]


def _ranked_by_place(planes: Sequence[DicomPlane], places: Sequence[int]) -> list[list[DicomPlane]]:
    """Of the images at one place, the first of all places, the second of all, and so on."""
    seen: dict[int, int] = {}
    passes: list[list[DicomPlane]] = []
    numbered = zip(planes, places, strict=True)
    for plane, place in sorted(numbered, key=lambda one: one[0].instance_number or 0):
        rank = seen.get(place, 0)
        seen[place] = rank + 1
        if rank == len(passes):
            passes.append([])
        passes[rank].append(plane)
    return passes


def _by_field_of_view(part: SeriesPart) -> list[SeriesPart]:
    """By where the slices lie in their own plane: another field of view is another picture."""
    groups = in_plane_groups(part.planes)
    if len(groups) == 1:
        return [part]
    return [
        SeriesPart(tuple(group), (*part.told_by, f"field of view {number}"))
        for number, group in enumerate(groups, start=1)
    ]


def _series_order(planes: Sequence[DicomPlane]) -> tuple[int, str, str]:
    header = planes[0].header
    try:
        number = int(header.get("SeriesNumber"))
    except (TypeError, ValueError):
        number = 1 << 31
    return number, str(header.get("SeriesDescription") or ""), planes[0].series_uid


def _grouped(
    planes: Iterable[DicomPlane], key: Callable[[DicomPlane], Any]
) -> list[list[DicomPlane]]:
    groups: dict[Any, list[DicomPlane]] = {}
    for plane in planes:
        groups.setdefault(key(plane), []).append(plane)
    return list(groups.values())


def _listed(parts: Sequence[SeriesPart]) -> str:
    lines = [f"{number}: {part.words}" for number, part in enumerate(parts[:MOST_LISTED], start=1)]
    more = f" and {len(parts) - MOST_LISTED} more" if len(parts) > MOST_LISTED else ""
    return f"the images are {len(parts)} series ({'; '.join(lines)}{more})"
