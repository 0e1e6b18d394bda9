"""What an index holds, counted."""

from __future__ import annotations

import sqlite3

from index.catalog import schema
from index.catalog.reader import CatalogReader
from index.faiss_store.store import VectorStore
from index.reports import IndexInfo


def summarise(connection: sqlite3.Connection, path: str, store: VectorStore) -> IndexInfo:
    """The counts of one generation, and how the store stands to it."""
    reader = CatalogReader(connection)
    head, binding = reader.head(), reader.binding()
    return IndexInfo(
        path=path,
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
        store=store.facts(reader),
    )


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _counts(connection: sqlite3.Connection, column: str) -> dict[str, int]:
    found = connection.execute(f"SELECT {column}, COUNT(*) FROM lesions GROUP BY {column}")
    return dict(sorted(found.fetchall()))
