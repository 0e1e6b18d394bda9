"""DeepLesion's layout as one of those that archives are stored in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.sources.archive import SeriesIds
from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.errors import ArchiveError

if TYPE_CHECKING:
    from retrieval.progress import ReportProgress
    from retrieval.sources.archive_report import ArchiveReport


class DeepLesionSeries:
    """The PNGs of one lesion's series; implements ``retrieval.sources.archive.StoredSeries``."""

    def __init__(self, image: Path, key_slice_index: int) -> None:
        """The series of the key slice's file."""
        self.key_slice_index = key_slice_index
        self._image = image

    @property
    def feet_first(self) -> bool:
        """DeepLesion's numbers grow from the head to the feet."""
        return False

    @cached_property
    def files(self) -> Mapping[int, Path]:
        """The key slice's file and those beside it whose numbers follow on without a gap."""
        key = self.key_slice_index
        files = {key: self._image}
        if self._image.name == coding.slice_file_name(key):
            there = {file.name for file in self._image.parent.glob("*.png")}
            for step in (-1, 1):
                number = key + step
                while (name := coding.slice_file_name(number)) in there:
                    files[number] = self._image.with_name(name)
                    number += step
        return dict(sorted(files.items()))

    def key_slice(self) -> NDArray[np.float32]:
        """The key slice (rows, columns) in HU; raises ArchiveError."""
        return read_deeplesion_png(self._image)

    def read(self, slice_index: int) -> NDArray[np.float32]:
        """One of ``files`` (rows, columns) in HU; raises ArchiveError."""
        return read_deeplesion_png(self.files[slice_index])


class DeepLesionLayout:
    """Implements ``retrieval.sources.archive.Layout``."""

    def recognises(self, path: Path) -> bool:
        """A folder with the table, or the table itself."""
        return path.is_file() or (path / coding.TABLE_NAME).is_file()

    def accepted(self) -> str:
        """The table and the folder of PNGs."""
        return f"a folder with {coding.TABLE_NAME} and {coding.IMAGE_FOLDER}/, or the table itself,"

    def open(self, path: Path) -> DeepLesionArchive:
        """Reads the tables; raises ArchiveError."""
        return DeepLesionArchive.open(path)

    def holds(self, image: Path) -> bool:
        """Images are PNGs."""
        return image.suffix == ".png"

    def series(self, image: Path, key_slice_index: int) -> DeepLesionSeries:
        """The PNGs around the key slice."""
        return DeepLesionSeries(image, key_slice_index)

    def series_named(self, name: str) -> SeriesIds | None:
        """Names as ``000001_01_01_109.png`` and ``000001_01_01/109.png``."""
        return coding.series_of_file_name(name)

    def check(
        self, path: Path, *, read_images: bool, progress: ReportProgress | None
    ) -> ArchiveReport:
        """Checks table and PNGs; raises ArchiveError."""
        from retrieval.sources.deeplesion.check import check_archive

        return check_archive(path, read_images=read_images, progress=progress)

    def numbered(self, slab: Slab) -> Slab:
        """Numbers from the head to the feet."""
        return replace(slab, grid=GridMap.from_last_slice(slab.slice_numbers[-1]))

    def slice_files(self, slab: Slab, positions: range) -> dict[str, bytes]:
        """16-bit PNGs; raises ArchiveError for values that are no numbers."""
        files = {}
        for position in positions:
            plane = slab.hu[position]
            if not np.isfinite(plane).all():
                raise ArchiveError("the CT holds values that are not numbers: repair the file")
            encoded, png = cv2.imencode(".png", coding.to_pixels(plane))
            if not encoded:
                raise ArchiveError("a slice cannot be written as PNG")
            files[self.slice_name(slab.grid.to_file_slice(position))] = png.tobytes()
        return files

    def slice_name(self, number: int) -> str:
        """``109.png``."""
        return coding.slice_file_name(number)
