"""Slices of CT for a viewer: the pixels of an indexed lesion's series, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from retrieval.sources.deeplesion.coding import slice_file_name
from service.figures.indexed_pixels import IndexedPixels

SLICE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Hounsfield units, int16 little-endian, row by row from the top",
        "content": {"application/octet-stream": {}},
        "headers": {
            "X-Rows": {"schema": {"type": "integer"}},
            "X-Columns": {"schema": {"type": "integer"}},
        },
    }
}


@dataclass(frozen=True)
class SeriesFiles:
    """The PNGs of one lesion's series by slice number: the key slice and what follows on it.

    Slices beyond a gap in the numbers are left out.
    """

    key_slice_index: int
    paths: Mapping[int, Path]

    @classmethod
    def of(cls, record: LesionRecord, pixels: IndexedPixels) -> SeriesFiles:
        """What the archive has around a lesion's key slice.

        Raises PictureError if the key slice is gone or holds other pixels than at indexing: its
        neighbours then are another scan's too.
        """
        key = record.lesion.key_slice_index
        pixels.check(record)
        path = pixels.path(record)
        paths = {key: path}
        if path.name == slice_file_name(key):
            there = {file.name for file in path.parent.glob("*.png")}
            for step in (-1, 1):
                number = key + step
                while (name := slice_file_name(number)) in there:
                    paths[number] = path.with_name(name)
                    number += step
        return cls(key, dict(sorted(paths.items())))

    @property
    def first_slice_index(self) -> int:
        """The lowest slice number."""
        return min(self.paths)


def slice_response(hu: NDArray[np.float32], headers: Mapping[str, str]) -> Response:
    """A slice (rows, columns) as the bytes of ``SLICE_RESPONSES``."""
    whole = np.rint(hu).clip(-32768, 32767).astype("<i2")
    size = {"X-Rows": str(hu.shape[0]), "X-Columns": str(hu.shape[1])}
    return Response(
        whole.tobytes(), media_type="application/octet-stream", headers={**size, **headers}
    )
