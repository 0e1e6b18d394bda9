"""The key slices of indexed lesions, read again and held against the hash kept at indexing.

Another patient's slice under the same name is never shown for the lesion's own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import LesionSearchError
from retrieval.pixel_hash import pixel_hash
from retrieval.sources.archive import StoredSeries, stored_series
from service.figures.etags import file_version

REMEMBERED = 10_000
"""Files whose pixels were compared and are not compared again before they change."""


class PictureError(LesionSearchError):
    """A lesion's picture that cannot be shown."""


class OtherPixelsError(PictureError):
    """A file that holds other pixels than when its lesion was indexed."""


class IndexedPixels:
    """Reads key slices of one index; safe for threads."""

    def __init__(self, index: LesionIndex) -> None:
        self._index = index
        self._compared: dict[tuple[Path, str], str] = {}

    def path(self, record: LesionRecord) -> Path:
        """Where a lesion's key slice stands; raises PictureError if it is gone."""
        path = self._index.images.path_of(record.source)
        if not path.is_file():
            raise PictureError(
                f"the pixels of lesion {record.lesion.lesion_id} are no longer where the index "
                "found them: put the archive back, or build the index again where it is now"
            )
        return path

    def key_slice(self, record: LesionRecord) -> NDArray[np.float32]:
        """The key slice (rows, columns) in HU.

        Raises:
            PictureError: its file is gone.
            OtherPixelsError: its file holds other pixels than at indexing.
            ArchiveError: its file is damaged.
        """
        path = self.path(record)
        version = file_version(path)
        plane = stored_series(path, record.lesion.key_slice_index).key_slice()
        kept = record.source.pixel_hash
        if kept is not None:
            if pixel_hash(plane) != kept:
                raise OtherPixelsError(
                    f"the file of lesion {record.lesion.lesion_id} holds other pixels than when "
                    "it was indexed: put the archive back as it was, or build the index again"
                )
            self._remember(path, version, kept)
        return plane

    def series(self, record: LesionRecord) -> StoredSeries:
        """The slices that the archive has around the key slice.

        Raises PictureError if the key slice is gone or holds other pixels than at indexing: its
        neighbours then are another scan's too.
        """
        self.check(record)
        return stored_series(self.path(record), record.lesion.key_slice_index)

    def check(self, record: LesionRecord) -> None:
        """Raises what ``key_slice`` raises; reads the file only where it has changed since."""
        kept = record.source.pixel_hash
        path = self.path(record)
        if kept is not None and self._compared.get((path, file_version(path))) != kept:
            self.key_slice(record)

    def _remember(self, path: Path, version: str, kept: str) -> None:
        if len(self._compared) >= REMEMBERED:
            self._compared = {}
        self._compared[path, version] = kept
