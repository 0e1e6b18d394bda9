"""One row of an imported table: a sound lesion, or the reason why not.

What a row may hold is what a lesion of an archive's own table may: a file from elsewhere is
believed no more than a CSV is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from index.own_images import OWN_ARCHIVE
from index.parquet.columns import LATER, ParquetError
from index.parquet.measured import measured_of, packed_of
from index.vectors import stored_vector
from retrieval.lesion import ImageSource, Lesion

LONGEST_ID = 256
LONGEST_PATH = 4096
LONGEST_TAG = 256
MOST_TAGS = 64
"""Characters, and tags of one lesion."""

_HIGHEST_SLICE = 1_000_000
_FARTHEST_PX = 100_000.0
_LONGEST_MM = 10_000.0
_LARGEST_ERROR = 10.0
_HASH = re.compile(r"[0-9a-f]{64}")


def judged(fields: Mapping[str, Any], vector: NDArray[np.float32], dimension: int) -> LesionRecord:
    """The record of a row; raises ParquetError or LesionSearchError saying what is wrong."""
    fields = {**LATER, **fields}
    for name in ("lesion_id", "patient_id", "study_id", "series_id"):
        _check_text(name, fields[name], LONGEST_ID)
    if not 0 <= fields["key_slice_index"] <= _HIGHEST_SLICE:
        raise ParquetError(f"key_slice_index is {fields['key_slice_index']}: 0 or more is needed")
    _check_numbers("box", fields["box"], count=4, low=-_FARTHEST_PX, high=_FARTHEST_PX)
    _check_diameters(fields["long_mm"], fields["short_mm"])
    if fields["location"] is not None:
        _check_numbers("location", fields["location"], count=3, low=0.0, high=1.0)
    if fields["location_error"] is not None:
        error = fields["location_error"]
        _check_numbers("location_error", error, count=3, low=0.0, high=_LARGEST_ERROR)
    _check_category(fields["category"], fields["category_confidence"])
    day = fields["study_date"]
    day = day.isoformat() if isinstance(day, date) else None
    measured = measured_of(fields)
    lesion = Lesion.from_json(
        {**fields, "study_date": day, "tags": _tags(fields), "measured": measured}
    )
    vector = stored_vector(vector, dimension, lesion)
    return LesionRecord(lesion, vector, _source(fields), packed_of(fields))


def natural_key(lesion: Lesion) -> tuple[Any, ...]:
    """What makes a lesion one: patient, study, series, key slice and box."""
    names = (lesion.patient_id, lesion.study_id, lesion.series_id)
    return (*names, lesion.key_slice_index, *lesion.box.to_list())


def _source(fields: Mapping[str, Any]) -> ImageSource:
    _check_archive(fields["archive"])
    _check_image(fields["image"])
    spacing = fields["spacing_mm_px"]
    _check_numbers("spacing_mm_px", spacing, count=2, low=0.0, high=_LONGEST_MM)
    interval = fields["slice_interval_mm"]
    _check_numbers("slice_interval_mm", [interval], count=1, low=0.0, high=_LONGEST_MM)
    if 0.0 in (*spacing, interval):
        raise ParquetError(f"spacing {spacing} and interval {interval} mm: none may be 0")
    pixel_hash = fields["pixel_hash"]
    if pixel_hash is not None and not _HASH.fullmatch(pixel_hash):
        raise ParquetError(f"pixel_hash is {pixel_hash[:80]!r}: 64 hexadecimal digits are needed")
    x_mm, y_mm = spacing
    return ImageSource(fields["archive"], fields["image"], (x_mm, y_mm), interval, pixel_hash)


def _check_text(name: str, text: str, longest: int) -> None:
    if not (0 < len(text) <= longest and text.isprintable() and text == text.strip()):
        raise ParquetError(
            f"{name} is {text[:80]!r}: 1 to {longest} printable characters without blanks at its "
            "ends are needed"
        )


def _check_numbers(
    name: str, values: Sequence[float | None], *, count: int, low: float, high: float
) -> None:
    if len(values) != count or not all(
        value is not None and math.isfinite(value) and low <= value <= high for value in values
    ):
        raise ParquetError(
            f"{name} is {list(values)[:8]}: {count} numbers from {low:g} to {high:g} are needed"
        )


def _check_diameters(long_mm: float | None, short_mm: float | None) -> None:
    for name, length in (("long_mm", long_mm), ("short_mm", short_mm)):
        if length is not None:
            _check_numbers(name, [length], count=1, low=0.0, high=_LONGEST_MM)
    if long_mm is not None and short_mm is not None and short_mm > long_mm + 1e-6:
        raise ParquetError(f"short_mm {short_mm:g} is longer than long_mm {long_mm:g}")


def _tags(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The row's tags as JSON; those of an older program are given ones."""
    terms: Sequence[str | None] = fields["tags"]
    if len(terms) > MOST_TAGS:
        raise ParquetError(f"{len(terms)} tags: at most {MOST_TAGS} are accepted")
    columns: dict[str, Sequence[Any]] = {
        "probability": _a_tag(fields["tag_probabilities"], 1.0, len(terms)),
        "source": _a_tag(fields["tag_sources"], "given", len(terms)),
        "model": _a_tag(fields["tag_models"], None, len(terms)),
    }
    if lengths := [len(values) for values in columns.values() if len(values) != len(terms)]:
        raise ParquetError(f"{len(terms)} tags with {lengths[0]} values: one for each is needed")
    tags = [
        {"term": term, **{name: values[place] for name, values in columns.items()}}
        for place, term in enumerate(terms)
    ]
    for tag in tags:
        _check_text("a tag", tag["term"] or "", LONGEST_TAG)
        _check_numbers("a tag's probability", [tag["probability"]], count=1, low=0.0, high=1.0)
        if tag["model"] is not None:
            _check_text("a tag's model", tag["model"], LONGEST_TAG)
    return tags


def _a_tag(values: Sequence[Any] | None, missing: Any, count: int) -> Sequence[Any]:
    return [missing] * count if values is None else values


def _check_category(category: str | None, confidence: float | None) -> None:
    if category is not None:
        _check_text("category", category, LONGEST_ID)
    if confidence is not None:
        _check_numbers("category_confidence", [confidence], count=1, low=0.0, high=1.0)


def _check_archive(archive: str) -> None:
    """A folder by its path, or a word for what lies elsewhere, as ``dicomweb``."""
    _check_text("archive", archive, LONGEST_PATH)
    if archive == OWN_ARCHIVE:
        raise ParquetError(f"archive is {archive!r}: those are another index's own pixels")
    if ".." in PurePosixPath(archive).parts:
        raise ParquetError(f"archive is {archive[:80]!r}: a folder's path without '..' is needed")


def _check_image(image: str) -> None:
    _check_text("image", image, LONGEST_PATH)
    path = PurePosixPath(image)
    if path.is_absolute() or ".." in path.parts or "\\" in image:
        raise ParquetError(
            f"image is {image[:80]!r}: a path inside the archive without '..' is needed"
        )
