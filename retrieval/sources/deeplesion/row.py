"""One row of DeepLesion's lesion table: from its 18 cells to a sound row, or a reason why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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
from retrieval.sources.archive import NOISY_TAG, lesion_id_of
from retrieval.sources.deeplesion import coding
from retrieval.sources.row_problem import ProblemReason, RowError
from retrieval.tag import Tag, given_tags

_remember = lru_cache(maxsize=65536)
"""For cells that many rows share: parsed once, and one object in memory for all."""

_Choice = TypeVar("_Choice")

_TYPES = {str(kind.code): kind for kind in LesionType}
_NUMBER_LISTS = {5: 8, 6: 4, 7: 2, 8: 3, 11: 2}
"""Positions of the lists that differ from row to row, and how many numbers each holds."""

_NUMBER_COUNTS = list(_NUMBER_LISTS.values())

_SPLITS = {str(split.code): split for split in Split}
_NOISY: dict[str, tuple[Tag, ...]] = {"0": (), "1": given_tags(NOISY_TAG)}

_EDGE_TOLERANCE_PX = 2.0
"""A released mark ends 1.6 pixels beyond the edge of its image."""
_DIAMETER_TOLERANCE_PX = 0.5

_PLAUSIBLE_MM = (0.01, 100.0)
_MAX_SLICES = 10_000
"""Bounds far beyond any CT, so that one absurd number cannot ask for a billion slices."""


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
        return Recist.from_numbers(coding.from_table_coordinates(self._mark))

    @property
    def file_name(self) -> str:
        """How the table names the key slice: ``000001_01_01_109.png``."""
        return coding.table_file_name(self.lesion.series_id, self.lesion.key_slice_index)


def parse_row(cells: list[str], line: int) -> TableRow:
    """The row of 18 cells in the order of ``COLUMNS``; raises RowError with a reason."""
    series, key_slice = _series_and_slice(cells)
    numbers = _row_numbers(cells)
    mark = numbers[:8]
    spacing_mm_px, interval_mm = _spacing(cells[12])
    slice_range = _whole(numbers[17:19], 11, cells[11])
    _check_slice_range(slice_range, key_slice, cells[11])
    image_size = _image_size(cells[13])
    box = _box(numbers[8:12], image_size)
    if not _same_lengths(mark, numbers[12:14]):
        raise _invalid(7, cells[7], f"the RECIST mark {cells[5]!r} has others")
    diameters_mm = _diameters(mark, spacing_mm_px)
    lesion = Lesion(
        lesion_id=lesion_id_of(series.series_id, key_slice, box),
        patient_id=series.patient_id,
        study_id=series.study_id,
        series_id=series.series_id,
        key_slice_index=key_slice,
        box=box,
        long_mm=max(diameters_mm),
        short_mm=min(diameters_mm),
        location=_location(numbers[14:17], cells[8]),
        lesion_type=_choice(cells, 9, _TYPES),
        split=_choice(cells, 17, _SPLITS),
        tags=_choice(cells, 10, _NOISY),
    )
    return TableRow(
        line=line,
        lesion=lesion,
        spacing_mm_px=spacing_mm_px,
        slice_interval_mm=interval_mm,
        slice_range=slice_range,
        image_size=image_size,
        window=_window(cells[14]),
        gender=cells[15].strip(),
        age=_age(cells[16]),
        _mark=mark,
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


@dataclass(frozen=True, slots=True)
class _Series:
    patient_id: str
    study_id: str
    series_id: str


@_remember
def _series(patient_text: str, study_text: str, series_text: str) -> _Series | None:
    patient, study, series = int(patient_text), int(study_text), int(series_text)
    if min(patient, study, series) < 0:
        return None
    return _Series(
        coding.patient_id_of(patient),
        coding.study_id_of(patient, study),
        coding.series_id_of(patient, study, series),
    )


def _series_and_slice(cells: list[str]) -> tuple[_Series, int]:
    try:
        series = _series(cells[1], cells[2], cells[3])
        key_slice = int(cells[4])
    except ValueError:
        detail = f"{', '.join(coding.COLUMNS[1:5])} are {cells[1:5]}: whole numbers are needed"
        raise RowError(ProblemReason.UNPARSABLE_FIELD, detail) from None
    if series is None or key_slice < 0:
        detail = f"{', '.join(coding.COLUMNS[1:5])} are {cells[1:5]}: none may be negative"
        raise RowError(ProblemReason.INVALID_VALUE, detail)
    expected = coding.table_file_name(series.series_id, key_slice)
    # Comparing names also keeps a hostile row from pointing outside the archive.
    if cells[0].strip() != expected:
        raise _invalid(0, cells[0], f"the row's own numbers make it {expected}")
    return series, key_slice


def _row_numbers(cells: list[str]) -> tuple[float, ...]:
    """The numbers of ``_NUMBER_LISTS`` in one tuple of 19, all finite but the location."""
    texts = [cells[5], cells[6], cells[7], cells[8], cells[11]]
    if not texts[3].strip(" ,"):
        texts[3] = "nan,nan,nan"
    if [text.count(",") + 1 for text in texts] == _NUMBER_COUNTS:
        try:
            numbers = tuple(map(float, ",".join(texts).split(",")))
        except ValueError:
            pass
        else:
            if math.isfinite(sum(numbers[:14]) + numbers[17] + numbers[18]):
                return numbers
    for position, count in _NUMBER_LISTS.items():
        _numbers(cells[position], position, count)
    raise RowError(ProblemReason.UNPARSABLE_FIELD, f"numbers too large in {cells}")


def _numbers(text: str, position: int, count: int) -> list[float]:
    """One list; only that of the location may hold NaN."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    usable = all(math.isfinite(v) or (position == 8 and math.isnan(v)) for v in values)
    if len(values) != count or not usable:
        raise _unparsable(position, text, f"{count} finite numbers")
    return values


@_remember
def _spacing(text: str) -> tuple[tuple[float, float], float]:
    x_mm, y_mm, interval_mm = _numbers(text, 12, 3)
    low, high = _PLAUSIBLE_MM
    if not (low <= x_mm <= high and low <= y_mm <= high and low <= interval_mm <= high):
        raise _invalid(12, text, f"each must lie in {low:g} to {high:g} mm")
    return (x_mm, y_mm), interval_mm


@_remember
def _image_size(text: str) -> tuple[int, int]:
    return _whole(_numbers(text, 13, 2), 13, text)


@_remember
def _window(text: str) -> tuple[float, float]:
    low, high = _numbers(text, 14, 2)
    return low, high


@_remember
def _age(text: str) -> float | None:
    if not text.strip() or text.strip().lower() == "nan":
        return None
    return _numbers(text, 16, 1)[0]


def _check_slice_range(slice_range: tuple[int, int], key_slice: int, text: str) -> None:
    first, last = slice_range
    if not first <= key_slice <= last:
        raise _invalid(11, text, f"the key slice {key_slice} must lie in it")
    if last - first >= _MAX_SLICES:
        raise _invalid(11, text, f"a sub-volume has at most {_MAX_SLICES} slices")


def _whole(values: Sequence[float], position: int, text: str) -> tuple[int, int]:
    first, second = int(values[0]), int(values[1])
    if first != values[0] or second != values[1] or first < 0 or second < 0:
        raise _unparsable(position, text, "2 whole numbers from 0")
    return first, second


def _choice(cells: list[str], position: int, choices: dict[str, _Choice]) -> _Choice:
    try:
        return choices[cells[position].strip()]
    except KeyError:
        raise _invalid(position, cells[position], f"one of {', '.join(choices)}") from None


def _location(xyz: tuple[float, ...], text: str) -> tuple[float, float, float] | None:
    x, y, z = xyz
    if 0 <= x <= 1 and 0 <= y <= 1 and 0 <= z <= 1:
        return x, y, z
    if math.isnan(x) and math.isnan(y) and math.isnan(z):
        return None
    raise _invalid(8, text, "each must lie in [0, 1], or all be NaN where it is unknown")


def _box(edges: Sequence[float], image_size: tuple[int, int]) -> Box:
    try:
        box = Box(*coding.from_table_coordinates(edges))
    except LesionError as error:
        raise RowError(ProblemReason.INVALID_VALUE, str(error)) from None
    check_box(box, *image_size)
    return box


def _diameters(mark: Sequence[float], spacing_mm_px: tuple[float, float]) -> tuple[float, float]:
    """Lengths of the mark's two lines; the table's counting from 1 changes no length."""
    x_mm, y_mm = spacing_mm_px
    x1, y1, x2, y2, x3, y3, x4, y4 = mark
    return (
        math.hypot((x2 - x1) * x_mm, (y2 - y1) * y_mm),
        math.hypot((x4 - x3) * x_mm, (y4 - y3) * y_mm),
    )


def _same_lengths(mark: Sequence[float], stated: Sequence[float]) -> bool:
    first, second = _diameters(mark, (1.0, 1.0))
    tolerance = _DIAMETER_TOLERANCE_PX
    return abs(first - stated[0]) <= tolerance and abs(second - stated[1]) <= tolerance


def _unparsable(position: int, text: str, needed: str) -> RowError:
    name = coding.COLUMNS[position]
    return RowError(ProblemReason.UNPARSABLE_FIELD, f"{name} is {text!r}: {needed} are needed")


def _invalid(position: int, text: str, why: str) -> RowError:
    name = coding.COLUMNS[position]
    return RowError(ProblemReason.INVALID_VALUE, f"{name} is {text!r}: {why}")
