"""What one DICOM CT image says of its geometry and values, checked; nothing of the patient is read.

A file holds one image, or as an enhanced or legacy-converted one many frames. Each of them becomes
a ``DicomPlane``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.dicom.elements import Elements
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.frames import FrameGroups
from retrieval.sources.dicom.objects import MULTI_FRAME_CLASSES, stray_kind
from retrieval.sources.dicom.syntaxes import NATIVE, check_syntax

BITS = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")

ACQUISITION_TAGS = (
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "ContrastBolusAgent",
    "EchoNumbers",
    "KVP",
    "ConvolutionKernel",
    "ImageType",
)
"""What tells one acquisition of a series from another, the surest first."""


@dataclass(frozen=True)
class DicomPlane:
    """One image or frame of a series and where it lies.

    Attributes:
        name: what messages call it.
        header: the file's elements; frames share them.
        frame: its place among the frames of ``dataset``, from 0; None for a single image.
        series_uid: SeriesInstanceUID, to tell series apart; never shown.
        orientation: (row direction, column direction), six cosines of ImageOrientationPatient.
        position: ImagePositionPatient, mm: the centre of the top-left pixel.
        spacing_mm_px: millimetres per pixel along (x, y).
        rescale: (slope, intercept): HU = stored value * slope + intercept.
        thickness_mm: SliceThickness, None where it is not said.
        acquisition: values of ``ACQUISITION_TAGS`` that are there.
    """

    name: str
    header: Elements
    series_uid: str
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    spacing_mm_px: tuple[float, float]
    rescale: tuple[float, float]
    frame: int | None = None
    thickness_mm: float | None = None
    acquisition: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """Row direction times column direction: along which the slices of a series are counted."""
        a, b, c, d, e, f = self.orientation.tolist()
        return np.array([b * f - c * e, c * d - a * f, a * e - b * d])

    @cached_property
    def depth_mm(self) -> float:
        """The position along the normal of the slices."""
        return float(self.normal @ self.position)

    @property
    def dataset(self) -> Any:
        """The file as pydicom has it, its pixels still encoded; frames share it."""
        return self.header.dataset

    @cached_property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return int(self.header.get("Rows")), int(self.header.get("Columns"))

    @property
    def instance_number(self) -> int | None:
        """The place its maker gave it in the series, None where it is not said."""
        number = self.header.get("InstanceNumber")
        if number is None:
            return None
        return int(number) * 100_000 + (self.frame or 0)


def planes_of(name: str, dataset: Any) -> list[DicomPlane]:
    """The images of a dataset, under the name that errors call it by.

    Raises:
        DicomError: no CT slice, or one whose geometry or HU are not known.
    """
    header = Elements(dataset)
    if (stray := stray_kind(header)) is not None:
        raise DicomError(f"{name} is a {stray}: CT slices are read")
    return ct_planes(name, header)


def ct_planes(name: str, header: Elements) -> list[DicomPlane]:
    """``planes_of`` a dataset that ``stray_kind`` lets pass; raises DicomError."""
    _check_image(name, header)
    if header.get("SOPClassUID") in MULTI_FRAME_CLASSES or (
        "PerFrameFunctionalGroupsSequence" in header
    ):
        groups = FrameGroups.of(name, header)
        return [
            _plane(f"{name} frame {number + 1}", header, groups.frame(number), number)
            for number in range(groups.count)
        ]
    if int(frames := header.get("NumberOfFrames", 1) or 1) > 1:
        raise DicomError(
            f"{name} has {frames} frames and no place for each of them: convert "
            "it to one file a slice, to enhanced CT, or to NIfTI"
        )
    return [_plane(name, header, header, None)]


def plane_of(name: str, dataset: Any) -> DicomPlane:
    """The image of a dataset that holds one; raises DicomError."""
    planes = planes_of(name, dataset)
    if len(planes) != 1:
        raise DicomError(f"{name} holds {len(planes)} frames: one image is needed")
    return planes[0]


def _check_image(name: str, header: Elements) -> None:
    if not header.get("Modality"):
        raise DicomError(f"{name} has no modality: CT is read")
    if "PixelData" not in header:
        raise DicomError(f"{name} holds no pixels: export it again, with them")
    check_syntax(name, header.file_meta.get("TransferSyntaxUID"))
    samples = header.get("SamplesPerPixel", 1)
    photometric = str(header.get("PhotometricInterpretation", ""))
    if samples != 1 or photometric != "MONOCHROME2":
        raise DicomError(
            f"{name} is a colour or inverted image ({photometric}, {samples} samples a pixel): "
            "MONOCHROME2 with HU is read"
        )
    for keyword in ("Rows", "Columns"):
        if not isinstance(header.get(keyword), int) or header.get(keyword) < 1:
            raise DicomError(f"{name} has no {keyword}, or several: one number is needed")
    check_bits(name, header)


def check_bits(name: str, header: Any) -> None:
    """Raises DicomError where a header contradicts itself about the bits of a pixel.

    HighBit above the last stored bit (old ACR-NEMA files) is no contradiction where the pixels
    are not compressed: the upper bits are read.
    """
    allocated, stored, high, signed = (header.get(keyword) for keyword in BITS)
    # Of several values the parser makes a list, which is no member of any set.
    are_numbers = all(isinstance(value, int) for value in (allocated, stored, signed))
    plain = are_numbers and allocated in {8, 16, 32} and 0 < stored <= allocated
    if plain and signed in {0, 1}:
        if high is None or high == stored - 1:
            return
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        if isinstance(high, int) and stored <= high < allocated and syntax in NATIVE:
            return
    claims = ", ".join(
        f"{key} {value}" for key, value in zip(BITS, (allocated, stored, high, signed), strict=True)
    )
    raise DicomError(f"{name} contradicts itself: {claims}")


def _plane(name: str, header: Elements, said: Any, frame: int | None) -> DicomPlane:
    """``said`` holds geometry and rescaling: the header itself, or what is said of a frame."""
    orientation = _numbers(name, said, "ImageOrientationPatient", 6)
    _check_directions(name, orientation)
    # PixelSpacing is row spacing first: millimetres along y, then along x.
    y_mm, x_mm = _numbers(name, said, "PixelSpacing", 2)
    if not (x_mm > 0 and y_mm > 0):
        raise DicomError(f"{name} has the pixel spacing {y_mm}, {x_mm} mm: not > 0")
    thickness = _optional_number(said, "SliceThickness")
    return DicomPlane(
        name,
        header,
        str(header.get("SeriesInstanceUID", "")),
        orientation,
        _numbers(name, said, "ImagePositionPatient", 3),
        (float(x_mm), float(y_mm)),
        _rescale(name, said),
        frame,
        thickness if thickness is not None and thickness > 0 else None,
        {key: str(value) for key in ACQUISITION_TAGS if (value := said.get(key)) not in (None, "")},
    )


def _check_directions(name: str, orientation: NDArray[np.float64]) -> None:
    # Plain numbers: this is asked of every file, and NumPy takes longer to begin than to add.
    a, b, c, d, e, f = orientation.tolist()
    lengths = (abs(a * a + b * b + c * c - 1), abs(d * d + e * e + f * f - 1))
    if not max(*lengths, abs(a * d + b * e + c * f)) <= 0.02:
        raise DicomError(
            f"{name}: ImageOrientationPatient {orientation.round(3).tolist()} is no pair of "
            "perpendicular directions"
        )


def _rescale(name: str, said: Any) -> tuple[float, float]:
    if "RescaleSlope" not in said or "RescaleIntercept" not in said:
        raise DicomError(f"{name} has no RescaleSlope or RescaleIntercept: HU would be a guess")
    try:
        slope, intercept = float(said.get("RescaleSlope")), float(said.get("RescaleIntercept"))
    except (TypeError, ValueError) as wrong:
        raise DicomError(f"{name}: RescaleSlope or RescaleIntercept unreadable: {wrong}") from None
    if not (math.isfinite(slope) and math.isfinite(intercept) and slope != 0):
        raise DicomError(f"{name} has the rescale slope {slope}, intercept {intercept}")
    return slope, intercept


def _numbers(name: str, said: Any, keyword: str, count: int) -> NDArray[np.float64]:
    value = said.get(keyword)
    if value is None:
        raise DicomError(f"{name} has no {keyword}: the geometry is unknown")
    try:
        values = [float(number) for number in value]
    except (TypeError, ValueError) as wrong:
        raise DicomError(f"{name}: {keyword} is unreadable: {wrong}") from None
    if len(values) != count or not all(map(math.isfinite, values)):
        raise DicomError(f"{name}: {keyword} is {values}: {count} numbers are needed")
    return np.array(values)


def _optional_number(said: Any, keyword: str) -> float | None:
    try:
        number = float(said.get(keyword))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
