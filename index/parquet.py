"""An index as one Parquet file, and back: lesions, sources, vectors, matches, encoder.

The columns carry the JSON names of a lesion, so that pandas and any other reader need no help.
A file's schema metadata holds the encoder's binding and the matches under ``lesion_search``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from index.catalog import complete_studies, match_table
from index.catalog.complete_studies import Study
from index.catalog.reader import CatalogReader, EncoderBinding, LesionRecord
from index.errors import LesionIndexError, StorageError
from index.files import create_private, sync_folder
from index.own_images import OwnImages
from index.reports import Match, ReaderDecision
from retrieval.lesion import ImageSource, Lesion, LesionSearchError

BATCH = 10_000
"""Lesions of one row group: what is in memory at a time."""

_KEY = b"lesion_search"
_LATER = {"location_error": None, "pixel_hash": None}
"""Columns that an export of an older program lacks, and what stands for them."""


class ParquetError(LesionIndexError):
    """A file that is not an exported index."""


def export(path: Path, connection: sqlite3.Connection, images: OwnImages) -> int:
    """Writes every lesion of a read transaction, in row order; returns how many.

    The file appears whole or not at all. Pixels stay where they are: to whoever imports the file
    those that the index keeps itself are an archive like any other.

    Raises:
        StorageError: the disk refused it.
    """
    reader = CatalogReader(connection)
    binding = reader.binding()
    about = {
        "binding": asdict(binding),
        "matches": [match.to_json() for match in match_table.listed(connection)],
        "complete_studies": complete_studies.listed(connection),
    }
    schema = _schema(binding.dimension).with_metadata({_KEY: json.dumps(about).encode()})
    building = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    rows = [row for row, _ in reader.ids_of_rows()]
    try:
        create_private(building)
        with pq.ParquetWriter(building, schema) as writer:
            for start in range(0, len(rows), BATCH):
                records = [
                    replace(record, source=images.as_archive(record.source))
                    for record in reader.records_of_rows(rows[start : start + BATCH])
                ]
                writer.write_table(_table(records, schema))
        with building.open("rb") as handle:
            os.fsync(handle.fileno())
        building.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written ({error}): check the folder and the space left"
        ) from error
    finally:
        building.unlink(missing_ok=True)
    return len(rows)


class ExportedIndex:
    """An exported file: ``binding``, ``matches``, ``complete_studies``, and its records."""

    def __init__(self, path: Path) -> None:
        """Reads the file's schema.

        Raises:
            ParquetError: no such file, not Parquet, or not an exported index.
        """
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            about = json.loads(self._file.schema_arrow.metadata[_KEY])
            self.binding = EncoderBinding(**about["binding"])
            self.matches = [
                Match(match["lesion_a"], match["lesion_b"], ReaderDecision(match["verdict"]))
                for match in about["matches"]
            ]
            # An older program exported none.
            self.complete_studies: list[Study] = [
                (str(patient_id), str(study_id))
                for patient_id, study_id in about.get("complete_studies", ())
            ]
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise ParquetError(
                f"{path} is not an exported index ({error}): write one with "
                "`lesion-search index export --index I --out FILE.parquet`"
            ) from error
        wanted = _schema(self.binding.dimension)
        held = self._file.schema_arrow
        if not held.equals(pa.schema([column for column in wanted if _is_held(column, held)])):
            lacking = sorted(set(wanted.names) - set(self._file.schema_arrow.names))
            raise ParquetError(
                f"{path} has other columns than an exported index: lacking {lacking or 'none'}; "
                f"wanted {', '.join(f'{column.name} {column.type}' for column in wanted)}"
            )

    def records(self) -> Iterator[LesionRecord]:
        """The lesions in the order they were exported."""
        try:
            for batch in self._file.iter_batches(batch_size=BATCH):
                vectors = _vectors(batch.column("vector"), self.binding.dimension)
                columns = batch.drop_columns(["vector"]).to_pylist()
                for fields, vector in zip(columns, vectors, strict=True):
                    yield _record(_LATER | fields, vector)
        except (OSError, pa.ArrowException, LesionSearchError) as error:
            raise ParquetError(f"{self._path} is damaged ({error}): export it again") from error


def _is_held(column: pa.Field, held: pa.Schema) -> bool:
    return column.name not in _LATER or column.name in held.names


def _schema(dimension: int) -> pa.Schema:
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
            pa.field("archive", text, nullable=False),
            pa.field("image", text, nullable=False),
            pa.field("spacing_mm_px", pa.list_(real), nullable=False),
            pa.field("slice_interval_mm", real, nullable=False),
            pa.field("pixel_hash", text),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


def _table(records: Sequence[LesionRecord], schema: pa.Schema) -> pa.Table:
    fields = [
        {
            **record.lesion.to_json(),
            "study_date": record.lesion.study_date,
            "archive": record.source.archive,
            "image": record.source.image,
            "spacing_mm_px": list(record.source.spacing_mm_px),
            "slice_interval_mm": record.source.slice_interval_mm,
            "pixel_hash": record.source.pixel_hash,
        }
        for record in records
    ]
    columns = [
        pa.array([row[column.name] for row in fields], type=column.type)
        for column in schema
        if column.name != "vector"
    ]
    numbers = np.stack([record.vector for record in records])
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), numbers.shape[1])
    return pa.Table.from_arrays([*columns, vectors], schema=schema)


def _vectors(column: pa.FixedSizeListArray, dimension: int) -> NDArray[np.float32]:
    numbers = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float32).reshape(-1, dimension)


def _record(fields: dict[str, Any], vector: NDArray[np.float32]) -> LesionRecord:
    day = fields["study_date"]
    fields["study_date"] = day.isoformat() if isinstance(day, date) else None
    x_mm, y_mm = fields["spacing_mm_px"]
    source = ImageSource(
        archive=fields["archive"],
        image=fields["image"],
        spacing_mm_px=(x_mm, y_mm),
        slice_interval_mm=fields["slice_interval_mm"],
        pixel_hash=fields["pixel_hash"],
    )
    return LesionRecord(Lesion.from_json(fields), vector, source)
