"""An index into one Parquet file: lesions, sources, vectors, matches, encoder."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from index import searches
from index.catalog import complete_studies, match_table
from index.catalog.reader import CatalogReader, LesionRecord
from index.errors import StorageError
from index.files import create_private, sync_folder
from index.own_images import OwnImages
from index.parquet.columns import ABOUT, BATCH, schema_of
from index.parquet.measured import columns_of


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
        "searches": [search.to_json() for search in searches.listed(connection)],
    }
    schema = schema_of(binding.dimension).with_metadata({ABOUT: json.dumps(about).encode()})
    building = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    rows = [row for row, _ in reader.ids_of_rows()]
    try:
        create_private(building)
        with pq.ParquetWriter(building, schema) as writer:
            for start in range(0, len(rows), BATCH):
                records = [
                    replace(
                        record,
                        source=images.as_archive(record.source),
                        packed_mask=reader.mask(record.lesion.lesion_id),
                    )
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


def _table(records: Sequence[LesionRecord], schema: pa.Schema) -> pa.Table:
    fields = [
        {
            **record.lesion.to_json(),
            "study_date": record.lesion.study_date,
            "tags": [tag.term for tag in record.lesion.tags],
            "tag_probabilities": [tag.probability for tag in record.lesion.tags],
            "tag_sources": [tag.source.value for tag in record.lesion.tags],
            "tag_models": [tag.model for tag in record.lesion.tags],
            "category_confidence": record.lesion.category_confidence,
            **columns_of(record.lesion.measured),
            "packed_mask": record.packed_mask,
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
