"""Every page, checksum and norm of an index, and the catalog against what is searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np

from index.catalog import measures
from index.catalog import rows as row_form
from index.catalog.connections import damage
from index.catalog.reader import CatalogReader
from index.errors import CatalogError, StoreError
from index.faiss_store.snapshots import read_index
from index.reports import IndexProblem, VerifyReport
from index.storage import IndexStorage
from index.vectors import NORM_TOLERANCE

_RESTORE = "restore the index from a backup, or build it again from its archive"
_MEASURE = "measure again with `lesion-search index measure --again`"
_SHOWN = 20


def verify(storage: IndexStorage) -> VerifyReport:
    """Checks one generation of an index from end to end; changes nothing."""
    problems: list[IndexProblem] = []
    try:
        with storage.connections.reading() as connection:
            problems += [IndexProblem(f"catalog: {line}", _RESTORE) for line in damage(connection)]
            reader = CatalogReader(connection)
            head = reader.head()
            problems += _row_problems(connection)
            problems += [IndexProblem(line, _MEASURE) for line in measures.wrong(connection)]
            problems += _vector_problems(connection, reader.binding().dimension)
            problems += _snapshot_problems(reader, storage)
            problems += _count_problems(connection, head.lesion_count)
            checked = storage.check(reader)
            problems += checked.problems
    except CatalogError as error:
        problems.append(IndexProblem(str(error), _RESTORE))
        return VerifyReport(0, 0, 0, tuple(problems))
    return VerifyReport(
        head.lesion_count, checked.vectors, head.generation, tuple(problems[:_SHOWN])
    )


def _row_problems(connection: sqlite3.Connection) -> Iterator[IndexProblem]:
    found = connection.execute(f"SELECT row, {row_form.LESION_COLUMNS}, checksum FROM lesions")
    for row, *values, checksum in found:
        try:
            row_form.checked(row, values, checksum)
            row_form.decode_lesion(values)
        except ValueError as error:
            yield IndexProblem(str(error), _RESTORE)


def _vector_problems(connection: sqlite3.Connection, dimension: int) -> Iterator[IndexProblem]:
    cursor = connection.execute("SELECT row, vector, checksum FROM vectors ORDER BY row")
    for triple in cursor:
        try:
            _, matrix = row_form.decode_vectors([triple], dimension)
        except CatalogError as error:
            yield IndexProblem(str(error), _RESTORE)
            continue
        norm = float(np.linalg.norm(matrix[0]))
        if not abs(norm - 1.0) <= NORM_TOLERANCE:
            yield IndexProblem(
                f"the vector of row {triple[0]} has norm {norm:.6g}, not 1", _RESTORE
            )


def _count_problems(connection: sqlite3.Connection, expected: int) -> Iterator[IndexProblem]:
    checks = (
        ("lesions counted", "SELECT COUNT(*) FROM lesions", expected),
        (
            "lesions without a vector",
            "SELECT COUNT(*) FROM lesions WHERE row NOT IN (SELECT row FROM vectors)",
            0,
        ),
        (
            "vectors without a lesion",
            "SELECT COUNT(*) FROM vectors WHERE row NOT IN (SELECT row FROM lesions)",
            0,
        ),
        (
            "matches of lesions that are not there",
            "SELECT COUNT(*) FROM matches "
            "WHERE lesion_a NOT IN (SELECT lesion_id FROM lesions) "
            "OR lesion_b NOT IN (SELECT lesion_id FROM lesions)",
            0,
        ),
    )
    for name, query, wanted in checks:
        count = connection.execute(query).fetchone()[0]
        if count != wanted:
            yield IndexProblem(f"{name}: {count}, expected {wanted}", _RESTORE)


def _snapshot_problems(reader: CatalogReader, storage: IndexStorage) -> Iterator[IndexProblem]:
    for entry in reader.snapshots().values():
        try:
            read_index(storage.folder, entry)
        except StoreError as error:
            yield IndexProblem(
                f"snapshot: {error}",
                "nothing is lost: the next opening rebuilds it from the catalog",
            )
