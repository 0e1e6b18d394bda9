"""What an index holds, counted."""

from __future__ import annotations

import sqlite3
from typing import Any

from index import schema
from index.catalog import CatalogReader
from index.reports import IndexInfo
from index.store import FLAT, FaissStore


def summarise(connection: sqlite3.Connection, path: str, store: FaissStore) -> IndexInfo:
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
        store=_store(reader, store),
    )


def _store(reader: CatalogReader, store: FaissStore) -> dict[str, Any]:
    saved = reader.snapshots().get(FLAT)
    form = store.state.approximate
    return {
        "kind": "FAISS flat, exact inner product",
        "vectors": store.state.live,
        "bytes": 4 * store.state.dimension * store.state.total,
        "snapshot_generation": None if saved is None else saved.generation,
        "approximate": None if form is None else dict(form.facts),
        "rebuilt_because": store.rebuilt_because,
    }


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _counts(connection: sqlite3.Connection, column: str) -> dict[str, int]:
    found = connection.execute(f"SELECT {column}, COUNT(*) FROM lesions GROUP BY {column}")
    return dict(sorted(found.fetchall()))
