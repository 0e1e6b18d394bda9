"""The columns of an exported index.

They carry the JSON names of a lesion, so that pandas and any other reader need no help. A file's
schema metadata holds the encoder's binding, the matches and the complete studies under
``lesion_search``.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from index.errors import LesionIndexError

BATCH = 10_000
"""Lesions of one row group: what is in memory at a time."""

ABOUT = b"lesion_search"
"""The key of the schema metadata."""

SIZES = ("measured_long_mm", "measured_short_mm", "volume_mm3", "mean_hu", "sd_hu")
"""Columns of what the mask measures, in the order of ``retrieval.measured_size.MEASURES``."""

SIZE_INTERVALS = tuple(f"{name}_interval_{part}" for name in SIZES for part in (50, 90))
"""Columns of their intervals, each a list of two numbers."""

LATER: dict[str, Any] = {
    "location_error": None,
    "pixel_hash": None,
    "tag_probabilities": None,
    "tag_sources": None,
    "tag_models": None,
    "category": None,
    "category_confidence": None,
    **dict.fromkeys(SIZES),
    **dict.fromkeys(SIZE_INTERVALS),
    "measured_method": None,
    "measured_flags": None,
    "measured_network": None,
    "mask": None,
    "packed_mask": None,
}
"""Columns that an export of an older program lacks, and what stands for them."""

TEXTS = (
    "lesion_id",
    "patient_id",
    "study_id",
    "series_id",
    "lesion_type",
    "split",
    "archive",
    "image",
    "pixel_hash",
    "category",
    "measured_method",
    "measured_flags",
    "measured_network",
    "mask",
)
"""Columns of one text a row."""

TAG_TEXTS = ("tags", "tag_sources", "tag_models")
"""Columns of a list of texts, one for each tag of the row."""

TAG_COLUMNS = (*TAG_TEXTS, "tag_probabilities")
"""Columns of a list with one value for each tag: terms, sources, models and probabilities."""

NUMBERS_A_ROW = {"box": 4, "location": 3, "location_error": 3, "spacing_mm_px": 2}
NUMBERS_A_ROW |= dict.fromkeys(SIZE_INTERVALS, 2)
"""Columns of a list of numbers, and how many each row has at most."""


class ParquetError(LesionIndexError):
    """A file that is not an exported index, or one of rows that cannot be lesions."""


def schema_of(dimension: int) -> pa.Schema:
    """The columns of an export of vectors of that length, without metadata."""
    text, real = pa.string(), pa.float64()
    return pa.schema(
        [
            pa.field("lesion_id", text, nullable=False),
            pa.field("patient_id", text, nullable=False),
            pa.field("study_id", text, nullable=False),
            pa.field("series_id", text, nullable=False),
            pa.field("key_slice_index", pa.int64(), nullable=False),
            pa.field("box", pa.list_(real), nullable=False),
            pa.field("long_mm", real),
            pa.field("short_mm", real),
            pa.field("location", pa.list_(real)),
            pa.field("location_error", pa.list_(real)),
            pa.field("lesion_type", text, nullable=False),
            pa.field("split", text, nullable=False),
            pa.field("study_date", pa.date32()),
            pa.field("tags", pa.list_(text), nullable=False),
            pa.field("tag_probabilities", pa.list_(real)),
            pa.field("tag_sources", pa.list_(text)),
            pa.field("tag_models", pa.list_(text)),
            pa.field("category", text),
            pa.field("category_confidence", real),
            *(pa.field(name, real) for name in SIZES),
            *(pa.field(name, pa.list_(real)) for name in SIZE_INTERVALS),
            pa.field("measured_method", text),
            pa.field("measured_flags", text),
            pa.field("measured_network", text),
            pa.field("mask", text),
            pa.field("packed_mask", pa.binary()),
            pa.field("archive", text, nullable=False),
            pa.field("image", text, nullable=False),
            pa.field("spacing_mm_px", pa.list_(real), nullable=False),
            pa.field("slice_interval_mm", real, nullable=False),
            pa.field("pixel_hash", text),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def expected_schema(dimension: int, held: pa.Schema) -> pa.Schema:
    """The schema that a file must have, which may lack the columns of ``LATER``."""
    wanted = schema_of(dimension)
    return pa.schema(
        [column for column in wanted if column.name not in LATER or column.name in held.names]
    )
