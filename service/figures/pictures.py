"""The pixels of indexed lesions, read again from where the index says they stand."""

from __future__ import annotations

import cv2
import numpy as np

from index.lesion_index import LesionIndex
from retrieval.grid import GridMap
from retrieval.image import Slab, apply_window
from retrieval.patch import extract_patch
from service.figures.colours import HIT_COLOUR
from service.figures.etags import etag_of, file_version
from service.figures.indexed_pixels import IndexedPixels, PictureError
from service.figures.query import DISPLAY_SPEC, display_window

DRAWN_AS = "120 mm, 240 px, box, type's window"
"""Changes with how pictures are drawn, so that browsers do not show older ones."""

BOX_BGR = tuple(int(HIT_COLOUR[place : place + 2], 16) for place in (5, 3, 1))


class LesionPictures:
    """Key slices of the lesions of one index."""

    def __init__(self, index: LesionIndex) -> None:
        self._index = index
        self.pixels = IndexedPixels(index)

    def slab(self, lesion_id: str) -> Slab:
        """The lesion's key slice alone.

        Raises:
            UnknownLesionError: the index does not hold the lesion.
            PictureError: the archive the lesion came from is no longer where it was, or holds
                other pixels under its name.
            ArchiveError: its file is damaged.
        """
        record = self._index.get(lesion_id)
        source = record.source
        hu = self.pixels.key_slice(record)[np.newaxis]
        return Slab(
            hu,
            source.spacing_mm_px,
            source.slice_interval_mm,
            grid=GridMap.from_last_slice(record.lesion.key_slice_index),
        )

    def neighbourhood(self, lesion_id: str, *, half_depth_mm: float) -> Slab:
        """The slices that are kept within ``half_depth_mm`` of the lesion's key slice.

        The errors are those of ``slab``.
        """
        record = self._index.get(lesion_id)
        stored, source = self.pixels.series(record), record.source
        reach = int(half_depth_mm / source.slice_interval_mm)
        key = record.lesion.key_slice_index
        numbers = [number for number in stored.files if abs(number - key) <= reach]
        # From the feet to the head: the numbers of an archive grow towards the feet.
        hu = np.stack([stored.read(number) for number in reversed(numbers)])
        return Slab(
            hu,
            source.spacing_mm_px,
            source.slice_interval_mm,
            key_slice=numbers[-1] - key,
            grid=GridMap.from_last_slice(numbers[-1]),
        )

    def etag(self, lesion_id: str) -> str:
        """An entity tag of the picture: of the lesion, its file, and how it is drawn.

        Raises UnknownLesionError.
        """
        record = self._index.get(lesion_id)
        path = self._index.images.path_of(record.source)
        return etag_of(DRAWN_AS, record.lesion.to_json(), record.source, file_version(path))

    def png(self, lesion_id: str) -> bytes:
        """The lesion under its type's window, 120 mm wide, with its box, as an 8-bit PNG.

        The errors are those of ``slab``.
        """
        lesion = self._index.get(lesion_id).lesion
        patch = extract_patch(self.slab(lesion_id), lesion.box, DISPLAY_SPEC)
        _, (low, high) = display_window(lesion.lesion_type)
        grey = np.rint(apply_window(patch.hu[0], low, high) * 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        corners = [round(edge) for edge in patch.box.to_list()]
        cv2.rectangle(picture, tuple(corners[:2]), tuple(corners[2:]), BOX_BGR, 1, cv2.LINE_AA)
        encoded, png = cv2.imencode(".png", picture)
        if not encoded:
            raise PictureError(f"the picture of lesion {lesion_id} cannot be written as PNG")
        return png.tobytes()
