"""What an index holds, counted."""

from __future__ import annotations

import sqlite3

from index.catalog import schema
from index.catalog.reader import CatalogReader
from index.reports import IndexInfo
from index.storage import IndexStorage


def summarise(connection: sqlite3.Connection, storage: IndexStorage) -> IndexInfo:
    """The counts of one generation, and how its vectors are searched."""
    reader = CatalogReader(connection)
    head, binding = reader.head(), reader.binding()
    return IndexInfo(
        path=str(storage.folder),
        lesions=head.lesion_count,
        patients=_number(connection, "SELECT COUNT(DISTINCT patient_id) FROM lesions"),
        studies=_number(
            connection, "SELECT COUNT(*) FROM (SELECT DISTINCT patient_id, study_id FROM lesions)"
        ),
        lesion_types=_counts(connection, "lesion_type"),
        splits=_counts(connection, "split"),
        matches=_number(connection, "SELECT COUNT(*) FROM matches"),
        generation=head.generation,
        schema_version=schema.schema_version(connection),
        encoder_fingerprint=binding.fingerprint,
        encoder_name=binding.name,
        dimension=binding.dimension,
        patch_spec=binding.patch_spec,
        store=storage.facts(reader),
    )


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _counts(connection: sqlite3.Connection, column: str) -> dict[str, int]:
    found = connection.execute(f"SELECT {column}, COUNT(*) FROM lesions GROUP BY {column}")
    return dict(sorted(found.fetchall()))
