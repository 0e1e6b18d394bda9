"""An archive in DeepLesion's own layout: ``DL_info.csv`` and ``Images_png``.

    ROOT/DL_info.csv                               one lesion a row, 18 columns
    ROOT/Images_png/000001_01_01/109.png           patient_study_series/slice
    ROOT/tracks.csv, attributes.csv, studies.csv   optional, the product's own

How the table counts and what the PNGs hold stands in ``retrieval.sources.deeplesion.coding``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import ImageSource, Lesion, Recist
from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.extras import (
    read_attributes,
    read_study_dates,
    read_tracks,
)
from retrieval.sources.deeplesion.layout import image_layout
from retrieval.sources.deeplesion.png import read_deeplesion_pixels
from retrieval.sources.deeplesion.row import TableRow
from retrieval.sources.deeplesion.table import read_lesion_table
from retrieval.sources.errors import ArchiveError
from retrieval.sources.row_problem import ProblemReason, RowError, RowProblem


class MissingSlices(StrEnum):
    """What stands for a neighbour slice past the sub-volume's end or whose file is missing.

    The key slice itself is never replaced.
    """

    NEAREST = "nearest"
    """The nearest slice that is there, counted in ``Slab.filled_slices``."""

    RAISE = "raise"
    """Nothing: an ArchiveError names the missing file."""


class DeepLesionArchive:
    """Implements ``retrieval.sources.archive.Archive``; make it with ``open``.

    Attributes:
        root: the archive's folder.
        lesions: every sound lesion in the table's order.
        rows: the same lesions with what the table says of their images.
        problems: every row that is not used, with its line and reason.
        layout: where the slices stand.
        notes: what is unusual about table or layout and was read all the same, a sentence each.
        track_ids: lesion id to track id, from ``tracks.csv``.
        attributes: lesion id to named numbers, from ``attributes.csv``.
        missing_slices: the policy for neighbour slices that are not there.
    """

    def __init__(self, table: Path, missing_slices: MissingSlices) -> None:
        self.root = table.parent
        self._table = table
        self.missing_slices = missing_slices
        parsed = read_lesion_table(table)
        self.layout = image_layout(self.root)
        self.notes: Sequence[str] = (*parsed.notes, *filter(None, [self.layout.note]))
        known = {row.lesion.lesion_id for row in parsed.rows}
        tracks = read_tracks(self.root / coding.TRACKS_NAME, known)
        attributes = read_attributes(self.root / coding.ATTRIBUTES_NAME, known)
        dates = read_study_dates(self.root / coding.STUDIES_NAME)
        self.rows: Sequence[TableRow] = [
            _dated(
                _with_location_error(row, attributes.values.get(row.lesion.lesion_id)),
                dates.values.get(row.lesion.study_id),
            )
            for row in parsed.rows
        ]
        self.lesions: Sequence[Lesion] = [row.lesion for row in self.rows]
        self._row_of = {row.lesion.lesion_id: row for row in self.rows}
        self.track_ids: Mapping[str, str] = tracks.values
        self.attributes: Mapping[str, Mapping[str, float]] = attributes.values
        self.problems: Sequence[RowProblem] = (
            *parsed.problems,
            *tracks.problems,
            *attributes.problems,
            *dates.problems,
        )

    @classmethod
    def open(
        cls, path: Path | str, *, missing_slices: MissingSlices = MissingSlices.NEAREST
    ) -> Self:
        """Reads the table of an archive's folder, or a table alone; no image is touched.

        A table alone is enough for whatever needs no pixels.

        Raises:
            ArchiveError: there is no such folder or table, or the table is not DeepLesion's.
        """
        path = Path(path)
        table = path if path.is_file() else path / coding.TABLE_NAME
        if not table.is_file():
            raise ArchiveError(
                f"{path} is no archive: a folder with {coding.TABLE_NAME} and "
                f"{coding.IMAGE_FOLDER}/, or the table itself, is needed"
            )
        return cls(table, MissingSlices(missing_slices))

    def row(self, lesion: Lesion) -> TableRow:
        """What the table says of the lesion; raises ArchiveError for a lesion of elsewhere."""
        try:
            return self._row_of[lesion.lesion_id]
        except KeyError:
            raise ArchiveError(
                f"lesion {lesion.lesion_id} is not in {self.root}: see the archive's own lesion ids"
            ) from None

    def recist(self, lesion: Lesion) -> Recist:
        """The RECIST mark of the table's row."""
        return self.row(lesion).recist

    def image_path(self, series_id: str, slice_index: int) -> Path:
        """Where the PNG of a slice stands, or would stand."""
        return self.layout.path(series_id, slice_index)

    def source(self, lesion: Lesion) -> ImageSource:
        """The key slice's file, relative to the archive's folder, and its spacing."""
        row = self.row(lesion)
        image = self.image_path(lesion.series_id, lesion.key_slice_index)
        return ImageSource(
            archive=str(self.root),
            image=image.relative_to(self.root).as_posix(),
            spacing_mm_px=row.spacing_mm_px,
            slice_interval_mm=row.slice_interval_mm,
        )

    def image_name(self, lesion: Lesion) -> str:
        """``000001_01_01_109.png``: how the table names the key slice."""
        return coding.table_file_name(lesion.series_id, lesion.key_slice_index)

    def checksum(self) -> int:
        """CRC-32 of the table."""
        return zlib.crc32(self._table.read_bytes())

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        """The key slice with as many slices on either side as ``half_depth_mm`` needs.

        The slab always reaches that far: ``missing_slices`` says what stands for a slice that is
        not on disk.

        Raises:
            ArchiveError: the key slice is missing, a file is not a 16-bit grey PNG of the size
                that the table says, or a neighbour is missing under ``MissingSlices.RAISE``.
        """
        row = self.row(lesion)
        if not half_depth_mm >= 0:
            raise ArchiveError(f"half depth is {half_depth_mm} mm: 0 or more is needed")
        # A plane between two slices needs both; a depth that falls on a slice needs no more.
        reach = math.ceil(half_depth_mm / row.slice_interval_mm - 1e-6)
        # Slice numbers grow from the head to the feet, a slab from the feet to the head.
        last = lesion.key_slice_index + reach
        count = 2 * reach + 1
        found = {offset: self._plane(row, last - offset) for offset in range(count)}
        planes = {offset: plane for offset, plane in found.items() if plane is not None}
        # Of two slices equally near, the one nearer to the key slice stands in.
        nearest = [
            min(planes, key=lambda other: (abs(other - offset), abs(other - reach)))
            for offset in range(count)
        ]
        hu = np.empty((count, *planes[reach].shape), np.float32)
        for offset, stand_in in enumerate(nearest):
            coding.to_hu(planes[stand_in], out=hu[offset])
        return Slab(
            hu=hu,
            spacing_mm_px=row.spacing_mm_px,
            slice_interval_mm=row.slice_interval_mm,
            key_slice=reach,
            grid=GridMap.from_last_slice(last),
            filled_slices=tuple(offset for offset in range(count) if offset not in planes),
        )

    def _plane(self, row: TableRow, slice_index: int) -> NDArray[np.uint16] | None:
        path = self.image_path(row.lesion.series_id, slice_index)
        is_key = slice_index == row.lesion.key_slice_index
        if not is_key and (slice_index < 0 or not path.exists()):
            if self.missing_slices is MissingSlices.RAISE:
                raise ArchiveError(
                    f"{path}, a neighbour of the key slice of lesion {row.lesion.lesion_id}, does "
                    f"not exist: use the policy {MissingSlices.NEAREST.value!r} to fill it"
                )
            return None
        if self.layout.hint and not path.exists():
            detail = f"{path} does not exist: {self.layout.hint}"
            raise RowError(ProblemReason.MISSING_FILE, detail)
        return read_deeplesion_pixels(path, image_size=row.image_size)


def _dated(row: TableRow, day: date | None) -> TableRow:
    """The row with its study's date, where ``studies.csv`` holds one."""
    if day is None:
        return row
    return replace(row, lesion=row.lesion.with_changes(study_date=day))


def _with_location_error(row: TableRow, attributes: Mapping[str, float] | None) -> TableRow:
    """The row with the error of an estimated location, where ``attributes.csv`` holds one."""
    if attributes is None or row.lesion.location is None:
        return row
    x, y, z = (attributes.get(name, math.nan) for name in coding.LOCATION_ERRORS)
    if not (x >= 0 and y >= 0 and z >= 0):
        return row
    return replace(row, lesion=row.lesion.with_changes(location_error=(x, y, z)))
