"""How DeepLesion writes things down: 1-based tables, offset PNGs, file names.

Shared by the reader and the writer of the layout. Nothing else in the product knows that the
table counts from 1 or that the PNGs hold HU + 32768.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.archive import SeriesIds

TABLE_NAME = "DL_info.csv"
IMAGE_FOLDER = "Images_png"
TRACKS_NAME = "tracks.csv"
ATTRIBUTES_NAME = "attributes.csv"
STUDIES_NAME = "studies.csv"

COLUMNS = (
    "File_name",
    "Patient_index",
    "Study_index",
    "Series_ID",
    "Key_slice_index",
    "Measurement_coordinates",
    "Bounding_boxes",
    "Lesion_diameters_Pixel_",
    "Normalized_lesion_location",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Slice_range",
    "Spacing_mm_px_",
    "Image_size",
    "DICOM_windows",
    "Patient_gender",
    "Patient_age",
    "Train_Val_Test",
)
"""The 18 columns of the released table, in its order."""

_SERIES_IN_NAME = re.compile(
    r"(?:^|[/\\])(\d{6})_(\d{2})_(\d{2})(?:[/\\]\d+|_\d+(?:-\d+)?)\.(?:png|nii|nii\.gz|dcm)$"
)

LOCATION_ERRORS = ("location_error_x", "location_error_y", "location_error_z")
"""Attributes that say how far an estimated location may be off, as ``Lesion.location_error``."""

STUDY_COLUMNS = ("study_id", "study_date")
TRACK_COLUMNS = ("patient_id", "track_id", "study_id", "lesion_id", "state")

PIXEL_OFFSET = 32768
"""A PNG's pixel is its HU plus this."""

TABLE_ORIGIN = 1.0
"""The table calls the centre of the top-left pixel (1, 1)."""

COORDINATE_DECIMALS = 6
"""Coordinates are kept to a millionth of a pixel, so that 1-based and 0-based round-trip."""


def to_pixels(hu: NDArray[np.floating | np.integer]) -> NDArray[np.uint16]:
    """HU as the PNG's unsigned 16-bit pixels, rounded to whole HU and clipped to the coding."""
    pixels = np.rint(hu) + PIXEL_OFFSET
    return np.asarray(np.clip(pixels, 0, 65535), dtype=np.uint16)


def to_hu(
    pixels: NDArray[np.integer | np.floating], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The inverse of ``to_pixels``: float32 HU of the same shape, in ``out`` where it is given."""
    hu = np.subtract(pixels, np.float32(PIXEL_OFFSET), out=out, dtype=np.float32)
    return np.asarray(hu, np.float32)


def to_table_coordinate(value: float) -> float:
    """A 0-based pixel coordinate in the table's 1-based counting."""
    return round(float(value) + TABLE_ORIGIN, COORDINATE_DECIMALS)


def from_table_coordinates(values: Iterable[float]) -> list[float]:
    """The inverse of ``to_table_coordinate``, exact for coordinates of at most six decimals."""
    return [round(value - TABLE_ORIGIN, COORDINATE_DECIMALS) for value in values]


def join_numbers(values: Iterable[float]) -> str:
    """A number list as the table writes it: ``"0.859375, 0.859375, 5"``; unknown is ``NaN``."""
    return ", ".join(_format_number(float(value)) for value in values)


def _format_number(value: float) -> str:
    # The shortest text that reads back as the same float.
    return "NaN" if math.isnan(value) else repr(value).removesuffix(".0")


def patient_id_of(patient: int) -> str:
    """``000001``."""
    return f"{patient:06d}"


def study_id_of(patient: int, study: int) -> str:
    """``000001_02``: unique across patients."""
    return f"{patient:06d}_{study:02d}"


def series_id_of(patient: int, study: int, series: int) -> str:
    """``000001_02_01``, also the name of the series' folder of PNGs."""
    return f"{patient:06d}_{study:02d}_{series:02d}"


def slice_file_name(slice_index: int) -> str:
    """``109.png``: the file of a slice inside its series' folder."""
    return f"{slice_index:03d}.png"


def table_file_name(series_id: str, slice_index: int) -> str:
    """``000001_01_01_109.png``: how the table names the key slice."""
    return f"{series_id}_{slice_file_name(slice_index)}"


def series_of_file_name(name: str) -> SeriesIds | None:
    """Whose slice ``000001_01_01_109.png`` or ``000001_01_01/109.png`` is; None for other names.

    So is the series of ``000001_01_01_103-115.nii.gz``, which the released scripts write.
    """
    found = _SERIES_IN_NAME.search(name)
    if found is None:
        return None
    patient, study, series = found.groups()
    return SeriesIds(patient, f"{patient}_{study}", f"{patient}_{study}_{series}")
