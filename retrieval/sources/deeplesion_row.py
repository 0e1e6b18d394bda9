"""One row of DeepLesion's lesion table: from its 18 cells to a sound row, or a reason why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from retrieval.lesion import (
    BOX_PADDING_PX,
    Box,
    Lesion,
    LesionError,
    LesionType,
    Recist,
    Split,
)
from retrieval.sources import deeplesion_coding as coding
from retrieval.sources.row_problem import ProblemReason, RowError

_Choice = TypeVar("_Choice")

_TYPES = {str(kind.code): kind for kind in LesionType}
_NUMBER_LISTS = {5: 8, 6: 4, 7: 2, 8: 3, 11: 2, 12: 3, 13: 2, 14: 2}
"""Positions among the columns that hold number lists, and how many numbers each holds."""

_NUMBER_COUNTS = list(_NUMBER_LISTS.values())

_SPLITS = {str(split.code): split for split in Split}
_NOISY: dict[str, tuple[str, ...]] = {"0": (), "1": (coding.NOISY_TAG,)}

_EDGE_TOLERANCE_PX = 2.0
"""A released mark ends 1.6 pixels beyond the edge of its image."""
_DIAMETER_TOLERANCE_PX = 0.5


@dataclass(frozen=True, slots=True)
class TableRow:
    """A sound row: the lesion and what the table says of its images. 0-based pixels.

    Attributes:
        line: the row's line in the file; the header is line 1.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_range: first and last slice number of the sub-volume on disk.
        image_size: (rows, columns).
        window: (low, high) HU of the DICOM window. Never an input of a network: it tells the
            lesion type.
        gender: ``F``, ``M`` or empty.
        age: years, None if unknown.
    """

    line: int
    lesion: Lesion
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    slice_range: tuple[int, int]
    image_size: tuple[int, int]
    window: tuple[float, float]
    gender: str
    age: float | None
    _mark: tuple[float, ...]

    @property
    def recist(self) -> Recist:
        """The RECIST mark. Decoded when asked for: it costs a tenth of the table's loading."""
        return Recist.from_numbers([coding.from_table_coordinate(v) for v in self._mark])

    @property
    def file_name(self) -> str:
        """How the table names the key slice: ``000001_01_01_109.png``."""
        return coding.table_file_name(self.lesion.series_id, self.lesion.key_slice_index)


def parse_row(cells: list[str], line: int) -> TableRow:
    """The row of 18 cells in the order of ``COLUMNS``; raises RowError with a reason."""
    series_id, key_slice = _series_and_slice(cells)
    numbers = _row_numbers(cells)
    mark, slice_range, image_size = numbers[:8], numbers[17:19], numbers[22:24]
    x_mm, y_mm, interval_mm = numbers[19:22]
    if not (x_mm > 0 and y_mm > 0 and interval_mm > 0):
        raise _invalid(12, cells, "each must be greater than 0")
    first, last = _whole(slice_range, 11, cells)
    if not first <= key_slice <= last:
        raise _invalid(11, cells, f"the key slice {key_slice} must lie in it")
    rows, columns = _whole(image_size, 13, cells)
    box = _box(numbers[8:12], rows, columns)
    if not _same_lengths(mark, numbers[12:14]):
        raise _invalid(7, cells, f"the RECIST mark {cells[5]!r} has others")
    diameters_mm = _diameters(mark, (x_mm, y_mm))
    lesion = Lesion(
        lesion_id=coding.lesion_id_of(series_id, key_slice, box),
        patient_id=series_id[:6],
        study_id=series_id[:9],
        series_id=series_id,
        key_slice_index=key_slice,
        box=box,
        long_mm=max(diameters_mm),
        short_mm=min(diameters_mm),
        location=_location(numbers[14:17], cells),
        lesion_type=_choice(cells, 9, _TYPES),
        split=_choice(cells, 17, _SPLITS),
        tags=_choice(cells, 10, _NOISY),
    )
    return TableRow(
        line=line,
        lesion=lesion,
        spacing_mm_px=(x_mm, y_mm),
        slice_interval_mm=interval_mm,
        slice_range=(first, last),
        image_size=(rows, columns),
        window=(numbers[24], numbers[25]),
        gender=cells[15].strip(),
        age=_age(cells),
        _mark=tuple(mark),
    )


def check_box(box: Box, rows: int, columns: int) -> None:
    """Raises RowError unless the box could be DeepLesion's on an image of that many pixels.

    Its centre lies on the image, and it reaches over the edge by no more than its padding (and
    the little by which released marks themselves do).
    """
    slack = BOX_PADDING_PX + _EDGE_TOLERANCE_PX
    if box.x1 >= 0 and box.y1 >= 0 and box.x2 < columns and box.y2 < rows:
        return
    x, y = box.center
    on_image = -0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5
    fits_x = box.x1 >= -slack and box.x2 <= columns - 1 + slack
    fits_y = box.y1 >= -slack and box.y2 <= rows - 1 + slack
    if not (on_image and fits_x and fits_y):
        raise RowError(
            ProblemReason.BOX_OUTSIDE_IMAGE,
            f"box {box.to_list()} (counted from 0) has its centre, or more than {slack:g} pixels, "
            f"outside the image of {columns} x {rows} pixels",
        )


def _series_and_slice(cells: list[str]) -> tuple[str, int]:
    try:
        patient, study, series, key_slice = (int(cell) for cell in cells[1:5])
    except ValueError:
        detail = f"{', '.join(coding.COLUMNS[1:5])} are {cells[1:5]}: whole numbers are needed"
        raise RowError(ProblemReason.UNPARSABLE_FIELD, detail) from None
    series_id = coding.series_id_of(patient, study, series)
    expected = coding.table_file_name(series_id, key_slice)
    # Comparing names also keeps a hostile row from pointing outside the archive.
    if min(patient, study, series, key_slice) < 0 or cells[0].strip() != expected:
        raise _invalid(0, cells, f"the row's own numbers make it {expected}")
    return series_id, key_slice


def _row_numbers(cells: list[str]) -> list[float]:
    """The row's 26 numbers in the order of ``_NUMBER_LISTS``, all finite but the location."""
    texts = [cells[position] for position in _NUMBER_LISTS]
    if not texts[3].strip(" ,"):
        texts[3] = "nan,nan,nan"
    if [text.count(",") + 1 for text in texts] == _NUMBER_COUNTS:
        try:
            numbers = [float(part) for part in ",".join(texts).split(",")]
        except ValueError:
            pass
        else:
            if math.isfinite(sum(numbers[:14])) and math.isfinite(sum(numbers[17:])):
                return numbers
    raise _first_unparsable(cells)


def _first_unparsable(cells: list[str]) -> RowError:
    """Names the list that is wrong, once a row is known to hold one."""
    for position, count in _NUMBER_LISTS.items():
        parts = cells[position].split(",")
        if len(parts) != count or not all(_is_number(part, position) for part in parts):
            return _unparsable(position, cells, f"{count} finite numbers")
    return RowError(ProblemReason.UNPARSABLE_FIELD, f"numbers too large in {cells}")


def _is_number(text: str, position: int) -> bool:
    try:
        return math.isfinite(float(text)) or (position == 8 and math.isnan(float(text)))
    except ValueError:
        return False


def _whole(values: list[float], position: int, cells: list[str]) -> tuple[int, int]:
    first, second = int(values[0]), int(values[1])
    if first != values[0] or second != values[1] or first < 0 or second < 0:
        raise _unparsable(position, cells, "2 whole numbers from 0")
    return first, second


def _age(cells: list[str]) -> float | None:
    text = cells[16].strip()
    if not text or text.lower() == "nan":
        return None
    if not _is_number(text, 16):
        raise _unparsable(16, cells, "years, or nothing,")
    return float(text)


def _choice(cells: list[str], position: int, choices: dict[str, _Choice]) -> _Choice:
    try:
        return choices[cells[position].strip()]
    except KeyError:
        raise _invalid(position, cells, f"one of {', '.join(choices)}") from None


def _location(xyz: list[float], cells: list[str]) -> tuple[float, float, float] | None:
    x, y, z = xyz
    if 0 <= x <= 1 and 0 <= y <= 1 and 0 <= z <= 1:
        return x, y, z
    if math.isnan(x) and math.isnan(y) and math.isnan(z):
        return None
    raise _invalid(8, cells, "each must lie in [0, 1], or all be NaN where it is unknown")


def _box(edges: list[float], rows: int, columns: int) -> Box:
    try:
        box = Box(*[coding.from_table_coordinate(edge) for edge in edges])
    except LesionError as error:
        raise RowError(ProblemReason.INVALID_VALUE, str(error)) from None
    check_box(box, rows, columns)
    return box


def _diameters(mark: list[float], spacing_mm_px: tuple[float, float]) -> tuple[float, float]:
    """Lengths of the mark's two lines; the table's counting from 1 changes no length."""
    x_mm, y_mm = spacing_mm_px
    x1, y1, x2, y2, x3, y3, x4, y4 = mark
    return (
        math.hypot((x2 - x1) * x_mm, (y2 - y1) * y_mm),
        math.hypot((x4 - x3) * x_mm, (y4 - y3) * y_mm),
    )


def _same_lengths(mark: list[float], stated: list[float]) -> bool:
    first, second = _diameters(mark, (1.0, 1.0))
    tolerance = _DIAMETER_TOLERANCE_PX
    return abs(first - stated[0]) <= tolerance and abs(second - stated[1]) <= tolerance


def _unparsable(position: int, cells: list[str], needed: str) -> RowError:
    name, value = coding.COLUMNS[position], cells[position]
    return RowError(ProblemReason.UNPARSABLE_FIELD, f"{name} is {value!r}: {needed} are needed")


def _invalid(position: int, cells: list[str], why: str) -> RowError:
    name, value = coding.COLUMNS[position], cells[position]
    return RowError(ProblemReason.INVALID_VALUE, f"{name} is {value!r}: {why}")
