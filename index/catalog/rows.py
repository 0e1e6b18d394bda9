"""Lesions and vectors as rows of the catalog, each with a checksum of its own.

SQLite notices a damaged tree, not a flipped bit inside a value. The checksums cover every value
and the row's number, so that a damaged or misplaced row is refused instead of returned.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog import measures, tag_form
from index.errors import CatalogError
from retrieval.lesion import Box, ImageSource, Lesion, LesionType, Split

LESION_COLUMNS = (
    "lesion_id, patient_id, study_id, series_id, key_slice_index, x1, y1, x2, y2, "
    "long_mm, short_mm, location_x, location_y, location_z, lesion_type, split, study_date, tags, "
    "archive, image, spacing_x_mm_px, spacing_y_mm_px, slice_interval_mm, "
    "location_error_x, location_error_y, location_error_z, pixel_hash, category, "
    "category_confidence, measured_long_mm, measured_short_mm, volume_mm3, mask, measured"
)
"""The values of a lesion and of its image's source, in the order of ``encode``."""

LESION_WIDTH = LESION_COLUMNS.count(",") + 1
"""How many columns that is."""

Values = tuple[Any, ...]

_REALS = 12
_PACK = struct.Struct(f"<qq{_REALS}d").pack
_PACK_THREE = struct.Struct("<3d").pack
_PACK_CONFIDENCE = struct.Struct("<d").pack
_NO_ERROR_AND_HASH = (None, None, None, None)
_NO_CATEGORY = (None, None)
_NO_SIZES = (None, None, None, None, None)
_TYPES = {kind.value: kind for kind in LesionType}
_SPLITS = {split.value: split for split in Split}


def encode(lesion: Lesion, source: ImageSource) -> Values:
    """The row values of a lesion and its source, without row number and checksum."""
    location = lesion.location or (None, None, None)
    error = lesion.location_error or (None, None, None)
    return (
        lesion.lesion_id,
        lesion.patient_id,
        lesion.study_id,
        lesion.series_id,
        lesion.key_slice_index,
        *(float(edge) for edge in lesion.box.to_list()),
        _real(lesion.long_mm),
        _real(lesion.short_mm),
        *(_real(value) for value in location),
        lesion.lesion_type.value,
        lesion.split.value,
        None if lesion.study_date is None else lesion.study_date.isoformat(),
        tag_form.encode(lesion.tags),
        source.archive,
        source.image,
        float(source.spacing_mm_px[0]),
        float(source.spacing_mm_px[1]),
        float(source.slice_interval_mm),
        *(_real(value) for value in error),
        source.pixel_hash,
        lesion.category,
        _real(lesion.category_confidence),
        *measures.encode(lesion.measured),
    )


def decode_lesion(values: Sequence[Any]) -> Lesion:
    """The lesion of a row's values."""
    location = None if values[11] is None else (values[11], values[12], values[13])
    error = None if values[23] is None else (values[23], values[24], values[25])
    return Lesion(
        lesion_id=values[0],
        patient_id=values[1],
        study_id=values[2],
        series_id=values[3],
        key_slice_index=values[4],
        box=Box(values[5], values[6], values[7], values[8]),
        long_mm=values[9],
        short_mm=values[10],
        location=location,
        lesion_type=_TYPES[values[14]],
        split=_SPLITS[values[15]],
        study_date=None if values[16] is None else date.fromisoformat(values[16]),
        tags=tag_form.decode(values[17]),
        location_error=error,
        category=values[27],
        category_confidence=values[28],
        measured=measures.decode(values[33]),
    )


def decode_source(values: Sequence[Any]) -> ImageSource:
    """The source of the lesion's image."""
    return ImageSource(
        archive=values[18],
        image=values[19],
        spacing_mm_px=(values[20], values[21]),
        slice_interval_mm=values[22],
        pixel_hash=values[26],
    )


def lesion_checksum(row: int, values: Sequence[Any]) -> int:
    """CRC-32 over the row's number and every value of it.

    Where the columns of a later schema are empty, it is the checksum that the earlier schema gave
    the row, so that an older catalog is brought forward without being written anew.
    """
    names, numbers = values[0:4], values[4:14]
    type_and_split, day, others, spacing = values[14:16], values[16], values[17:20], values[20:23]
    text = "\x1f".join((*names, *type_and_split, day or "", *others))
    if None in numbers:
        numbers = [math.nan if value is None else value for value in numbers]
    checksum = zlib.crc32(text.encode(), zlib.crc32(_PACK(row, *numbers, *spacing)))
    *error, pixel_hash = values[23:27]
    if (*error, pixel_hash) != _NO_ERROR_AND_HASH:
        errors = [math.nan if value is None else value for value in error]
        checksum = zlib.crc32(_PACK_THREE(*errors), checksum)
        checksum = zlib.crc32((pixel_hash or "").encode(), checksum)
    category, confidence = values[27:29]
    if (category, confidence) != _NO_CATEGORY:
        number = math.nan if confidence is None else confidence
        checksum = zlib.crc32(_PACK_CONFIDENCE(number), checksum)
        checksum = zlib.crc32((category or "").encode(), checksum)
    *sizes, mask, measured = values[29:34]
    if (*sizes, mask, measured) != _NO_SIZES:
        reals = [math.nan if value is None else value for value in sizes]
        checksum = zlib.crc32(_PACK_THREE(*reals), checksum)
        checksum = zlib.crc32(f"{mask or ''}\x1f{measured or ''}".encode(), checksum)
    return checksum


def checked(row: int, values: Sequence[Any], checksum: int) -> Sequence[Any]:
    """The values, or CatalogError if they are not those that were stored."""
    try:
        sound = lesion_checksum(row, values) == checksum
    except (TypeError, ValueError, struct.error):
        sound = False
    if not sound or values[14] not in _TYPES or values[15] not in _SPLITS:
        raise CatalogError(
            f"row {row} of the catalog (lesion {values[0]!r}) is damaged: its checksum does not "
            "fit; restore the index from a backup, or build it again from its archive"
        )
    return values


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """A vector as little-endian float32."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def vector_checksum(row: int, blob: bytes) -> int:
    """CRC-32 over the row's number and its vector."""
    return zlib.crc32(blob, row & 0xFFFFFFFF)


def decode_vectors(
    rows: Sequence[tuple[int, bytes, int]], dimension: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row numbers (n,) and vectors (n, dimension) of (row, blob, checksum) triples.

    Raises:
        CatalogError: a vector is not the one that was stored.
    """
    for row, blob, checksum in rows:
        if not isinstance(blob, bytes) or len(blob) != 4 * dimension:
            raise CatalogError(_vector_damage(row, "its length is wrong"))
        if zlib.crc32(blob, row & 0xFFFFFFFF) != checksum:
            raise CatalogError(_vector_damage(row, "its checksum does not fit"))
    numbers = np.fromiter((row for row, _, _ in rows), dtype=np.int64, count=len(rows))
    joined = b"".join(blob for _, blob, _ in rows)
    matrix = np.frombuffer(joined, dtype="<f4").reshape(len(rows), dimension)
    return numbers, matrix.astype(np.float32, copy=False)


def _vector_damage(row: int, reason: str) -> str:
    return (
        f"the vector of row {row} is damaged: {reason}; restore the index from a backup, or build "
        "it again from its archive"
    )


def _real(value: float | None) -> float | None:
    return None if value is None else float(value)
