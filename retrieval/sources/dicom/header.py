"""What one DICOM CT image says of its geometry, checked; nothing of the patient is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.uid import EnhancedCTImageStorage

from retrieval.image import CTError
from retrieval.sources.axes import MAX_TILT_DEGREES, tilt_degrees

TAGS = [
    "SOPClassUID",
    "Modality",
    "ImageType",
    "RescaleType",
    "SeriesInstanceUID",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "LossyImageCompression",
    "PixelData",
]
"""All that is ever read of a file: pixels and geometry, nothing of a patient or a study."""


class DicomError(CTError):
    """DICOM that cannot be read as one axial CT series in HU."""


@dataclass(frozen=True)
class DicomPlane:
    """One image of a series and where it lies.

    Attributes:
        dataset: the image with its pixels still encoded.
        series_uid: SeriesInstanceUID, to tell series apart; never shown.
        orientation: (row direction, column direction), six cosines of ImageOrientationPatient.
        position: ImagePositionPatient, mm: the centre of the top-left pixel.
        spacing_mm_px: millimetres per pixel along (x, y).
    """

    name: str
    dataset: Any
    series_uid: str
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    spacing_mm_px: tuple[float, float]

    @property
    def depth_mm(self) -> float:
        """The position along the normal of the slices."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return float(normal @ self.position)


def read_plane(path: Path) -> DicomPlane:
    """One file's image; raises DicomError naming the file and what it lacks."""
    try:
        dataset = pydicom.dcmread(path, specific_tags=list(TAGS))
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError) as wrong:
        raise DicomError(f"{path.name} is not a readable DICOM file: {wrong}") from None
    return plane_of(path.name, dataset)


def plane_of(name: str, dataset: Any) -> DicomPlane:
    """A dataset's image under the name that errors call it by; raises DicomError."""
    _check_image(name, dataset)
    orientation = _numbers(name, dataset, "ImageOrientationPatient", 6)
    tilt = tilt_degrees([orientation[:3], orientation[3:]])
    normal = np.cross(orientation[:3], orientation[3:])
    if tilt > MAX_TILT_DEGREES or int(np.abs(normal).argmax()) != 2:
        raise DicomError(
            f"{name} is not axial (ImageOrientationPatient {orientation.round(3).tolist()}): "
            f"slices across the body, tilted by at most {MAX_TILT_DEGREES:g} degrees, are read"
        )
    # PixelSpacing is row spacing first: millimetres along y, then along x.
    y_mm, x_mm = _numbers(name, dataset, "PixelSpacing", 2)
    if not (x_mm > 0 and y_mm > 0):
        raise DicomError(f"{name} has the pixel spacing {y_mm}, {x_mm} mm: not > 0")
    position = _numbers(name, dataset, "ImagePositionPatient", 3)
    series_uid = str(dataset.get("SeriesInstanceUID", ""))
    spacing = (float(x_mm), float(y_mm))
    return DicomPlane(name, dataset, series_uid, orientation, position, spacing)


def _check_image(name: str, dataset: Any) -> None:
    modality = dataset.get("Modality", "")
    if modality != "CT":
        raise DicomError(f"{name} has the modality {str(modality)!r}: CT is read")
    if "PixelData" not in dataset:
        raise DicomError(f"{name} holds no pixels")
    samples = dataset.get("SamplesPerPixel", 1)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if samples != 1 or photometric != "MONOCHROME2":
        raise DicomError(
            f"{name} is a colour or inverted image ({photometric}, {samples} samples a pixel): "
            "MONOCHROME2 with HU is read"
        )
    sop_class = dataset.get("SOPClassUID", "")
    if int(dataset.get("NumberOfFrames", 1) or 1) > 1 or sop_class == EnhancedCTImageStorage:
        raise DicomError(
            f"{name} is a multi-frame image: convert it to one file a slice, or to NIfTI"
        )
    if "RescaleSlope" not in dataset or "RescaleIntercept" not in dataset:
        raise DicomError(f"{name} has no RescaleSlope or RescaleIntercept: HU would be a guess")


def _numbers(name: str, dataset: Any, keyword: str, count: int) -> NDArray[np.float64]:
    try:
        values = np.asarray([float(value) for value in dataset[keyword].value], np.float64)
    except KeyError:
        raise DicomError(f"{name} has no {keyword}: the geometry is unknown") from None
    except (TypeError, ValueError) as wrong:
        raise DicomError(f"{name}: {keyword} is unreadable: {wrong}") from None
    if len(values) != count or not np.isfinite(values).all():
        raise DicomError(f"{name}: {keyword} is {values.tolist()}: {count} numbers are needed")
    return values
