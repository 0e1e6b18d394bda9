"""The truth: every lesion with its vector and the source of its image, in SQLite.

``CatalogReader`` and ``CatalogWriter`` work inside a transaction of ``index.catalog.connections``:
what a reader returns belongs to one generation, what a writer does is visible after COMMIT or
never.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog import measures
from index.catalog import rows as row_form
from index.errors import CatalogError
from index.own_images import IMAGES, OWN_ARCHIVE, own_name
from retrieval.lesion import ImageSource, Lesion

_BATCH = 500
UNSURE = -1.0
"""Stands for the confidence of a category that has none: below every one that has."""


@dataclass(frozen=True)
class LesionRecord:
    """A lesion, its unit vector (dimension,) float32 and where its pixels stand.

    ``packed_mask`` is given with a lesion that names its mask; it is not read with the record.
    """

    lesion: Lesion
    vector: NDArray[np.float32]
    source: ImageSource
    packed_mask: bytes | None = None


@dataclass(frozen=True)
class EncoderBinding:
    """The encoder whose vectors an index holds; ``patch_spec`` is plain JSON."""

    fingerprint: str
    name: str
    dimension: int
    patch_spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surest:
    """Where a page begins whose lesions come by the confidence of their category, surest first.

    Attributes:
        confidence: of the last lesion of the page before; the default is before all.
        lesion_id: its id.
    """

    confidence: float = 2.0
    lesion_id: str = ""

    @classmethod
    def after(cls, lesion: Lesion) -> Surest:
        """Where the page after a lesion begins."""
        known = lesion.category_confidence
        return cls(UNSURE if known is None else known, lesion.lesion_id)


@dataclass(frozen=True, slots=True)
class CatalogHead:
    """Where a catalog stands: its generation and how many lesions it holds."""

    generation: int
    lesion_count: int


@dataclass(frozen=True)
class SnapshotEntry:
    """A FAISS file the catalog vouches for, and the state it was written at."""

    file: str
    kind: str
    generation: int
    last_row: int
    lesion_count: int
    bytes: int
    checksum: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class CatalogReader:
    """Reads one generation; every row is checked against its checksum."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> CatalogHead:
        """Generation and number of lesions; raises CatalogError for a damaged state row."""
        state = self._state()
        return CatalogHead(state[0], state[1])

    def binding(self) -> EncoderBinding:
        """The encoder the index is bound to."""
        _, _, fingerprint, name, dimension, patch_spec, _ = self._state()
        return EncoderBinding(fingerprint, name, dimension, json.loads(patch_spec))

    def identity(self) -> str:
        """The index's own random name, which no other index has but a copy of its folder."""
        found = self._connection.execute("SELECT name FROM index_identity").fetchone()
        return str(found[0])

    def _state(self) -> Sequence[Any]:
        found: Sequence[Any] | None = self._connection.execute(
            "SELECT generation, lesion_count, fingerprint, encoder_name, dimension, patch_spec, "
            "checksum FROM index_state"
        ).fetchone()
        if found is None or state_checksum(found[:6]) != found[6]:
            raise CatalogError(
                "the catalog's state row is damaged: restore the index from a backup, or build it "
                "again from its archive"
            )
        return found

    def lesions(self, rows: Sequence[int]) -> dict[int, Lesion]:
        """Lesions by row number; rows the catalog does not hold are absent."""
        return {
            row: row_form.decode_lesion(values) for row, values in self._values("row", list(rows))
        }

    def records(self, lesion_ids: Collection[str]) -> list[LesionRecord]:
        """The records of these ids, in row order; unknown ids are absent."""
        return self._records(list(self._values("lesion_id", list(dict.fromkeys(lesion_ids)))))

    def records_of_rows(self, rows: Sequence[int]) -> list[LesionRecord]:
        """The records of these rows, in row order."""
        return self._records(list(self._values("row", list(rows))))

    def known_ids(self, lesion_ids: Collection[str]) -> set[str]:
        """Those of the ids that the catalog holds."""
        return {
            lesion_id
            for (lesion_id,) in self._in("SELECT lesion_id FROM lesions", "lesion_id", lesion_ids)
        }

    def rows_of_ids(self, lesion_ids: Collection[str]) -> list[int]:
        """The row numbers of these ids; unknown ids are left out."""
        return [row for (row,) in self._in("SELECT row FROM lesions", "lesion_id", lesion_ids)]

    def records_where(self, condition: str, values: Sequence[Any]) -> list[LesionRecord]:
        """The records for which an SQL condition holds, in row order."""
        return self.records_of_rows(self.rows_where(condition, values))

    def rows_where(self, condition: str, values: Sequence[Any], *, after: int = 0) -> list[int]:
        """Row numbers above ``after`` for which an SQL condition holds, ascending."""
        found = self._connection.execute(
            f"SELECT row FROM lesions WHERE row > ? AND ({condition}) ORDER BY row",
            (after, *values),
        ).fetchall()
        return [row for (row,) in found]

    def page(
        self, condition: str, values: Sequence[Any], *, after: str | Surest, limit: int
    ) -> list[Lesion]:
        """Up to ``limit`` lesions in the order of their ids, from after the id ``after``.

        After a ``Surest`` they come by the confidence of their category, then by their ids.
        """
        if isinstance(after, str):
            place, order = "lesion_id > ?", "lesion_id"
            start: tuple[float | str, ...] = (after,)
        else:
            sure = f"COALESCE(category_confidence, {UNSURE})"
            place = f"({sure} < ? OR ({sure} = ? AND lesion_id > ?))"
            order = f"{sure} DESC, lesion_id"
            start = (after.confidence, after.confidence, after.lesion_id)
        found = self._connection.execute(
            f"SELECT row, {row_form.LESION_COLUMNS}, checksum FROM lesions "
            f"WHERE {place} AND ({condition}) ORDER BY {order} LIMIT ?",
            (*start, *values, limit),
        ).fetchall()
        return [row_form.decode_lesion(values_) for _, values_ in _checked(found)]

    def count(self, condition: str, values: Sequence[Any]) -> int:
        """How many lesions an SQL condition holds for."""
        found = self._connection.execute(
            f"SELECT COUNT(*) FROM lesions WHERE {condition}", values
        ).fetchone()
        return int(found[0])

    def patients(self) -> list[str]:
        """Every patient id, sorted."""
        found = self._connection.execute(
            "SELECT DISTINCT patient_id FROM lesions ORDER BY patient_id"
        ).fetchall()
        return [patient for (patient,) in found]

    def patient_of_each(self) -> dict[str, str]:
        """The patient id of every lesion id."""
        return dict(self._connection.execute("SELECT lesion_id, patient_id FROM lesions"))

    def own_images(self) -> set[str]:
        """The names of the folders that hold the pixels the index keeps itself."""
        found = self._connection.execute(
            "SELECT image FROM lesions WHERE archive = 'index:added'"
        ).fetchall()
        names = (own_name(OWN_ARCHIVE, image) for (image,) in found)
        return {name for name in names if name is not None}

    def names_own_images(self, name: str) -> bool:
        """Whether a lesion's pixels lie in this folder of the index's own images."""
        found = self._connection.execute(
            "SELECT 1 FROM lesions WHERE archive = 'index:added' AND image BETWEEN ? AND ? LIMIT 1",
            (f"{IMAGES}/{name}/", f"{IMAGES}/{name}0"),
        ).fetchone()
        return found is not None

    def ids_of_rows(self) -> list[tuple[int, str]]:
        """Every (row, lesion id), in row order."""
        return self._connection.execute(
            "SELECT row, lesion_id FROM lesions ORDER BY row"
        ).fetchall()

    def vectors_after(
        self, row: int, *, dimension: int, batch: int = 20_000
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Row numbers (n,) and vectors (n, dimension) above ``row``, ascending, in batches."""
        cursor = self._connection.execute(
            "SELECT row, vector, checksum FROM vectors WHERE row > ? ORDER BY row", (row,)
        )
        while found := cursor.fetchmany(batch):
            yield row_form.decode_vectors(found, dimension)

    def some_vectors(
        self, condition: str, values: Sequence[Any], *, limit: int, dimension: int
    ) -> NDArray[np.float32]:
        """Up to ``limit`` vectors (n, dimension), of the first rows for which a condition holds."""
        found = self._connection.execute(
            "SELECT row, vector, checksum FROM vectors WHERE row IN "
            f"(SELECT row FROM lesions WHERE {condition} ORDER BY row LIMIT ?) ORDER BY row",
            (*values, limit),
        ).fetchall()
        return row_form.decode_vectors(found, dimension)[1]

    def checksums(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """(row, checksum of the lesion, of the vector) of rows ``first`` to ``last``, ascending."""
        return self._connection.execute(
            "SELECT lesions.row, lesions.checksum, vectors.checksum "
            "FROM lesions JOIN vectors ON vectors.row = lesions.row "
            "WHERE lesions.row BETWEEN ? AND ? ORDER BY lesions.row",
            (first, last),
        ).fetchall()

    def mask(self, lesion_id: str) -> bytes | None:
        """A lesion's mask as it was packed; None where it has none, or there is no such lesion."""
        found = self._connection.execute(
            "SELECT mask FROM lesions WHERE lesion_id = ?", (lesion_id,)
        ).fetchone()
        name = None if found is None else found[0]
        return None if name is None else measures.read_mask(self._connection, name)

    def setting(self, name: str) -> str | None:
        """A setting of the index; None where it was never made."""
        found = self._connection.execute(
            "SELECT value FROM index_settings WHERE name = ?", (name,)
        ).fetchone()
        return None if found is None else str(found[0])

    def newest_row(self) -> int:
        """The highest row number there is, 0 in an empty catalog."""
        return int(self._connection.execute("SELECT MAX(row) FROM lesions").fetchone()[0] or 0)

    def removed_between(self, generation: int, last: int) -> NDArray[np.int64]:
        """The rows removed after one generation, up to and with another."""
        found = self._connection.execute(
            "SELECT row FROM removals WHERE generation > ? AND generation <= ?", (generation, last)
        ).fetchall()
        return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))

    def snapshots(self) -> dict[str, SnapshotEntry]:
        """The newest snapshot of each kind."""
        found = self._connection.execute(
            "SELECT file, kind, generation, last_row, lesion_count, bytes, checksum, facts "
            "FROM snapshots ORDER BY generation, file"
        ).fetchall()
        entries = {}
        for *named, facts in found:
            file, kind, generation, last_row, count, size, checksum = named
            entries[str(kind)] = SnapshotEntry(
                file, kind, generation, last_row, count, size, checksum, json.loads(facts)
            )
        return entries

    def _values(self, column: str, keys: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
        select = f"SELECT row, {row_form.LESION_COLUMNS}, checksum FROM lesions"
        return _checked(self._in(select, column, keys))

    def _records(self, found: Sequence[tuple[int, Sequence[Any]]]) -> list[LesionRecord]:
        triples = self._in(
            "SELECT row, vector, checksum FROM vectors", "row", [row for row, _ in found]
        )
        dimension = self.binding().dimension
        numbers, matrix = row_form.decode_vectors(list(triples), dimension)
        place = {int(row): n for n, row in enumerate(numbers)}
        if lost := [row for row, _ in found if row not in place]:
            raise CatalogError(
                f"row {lost[0]} of the catalog has no vector: restore the index from a backup, or "
                "build it again from its archive"
            )
        return [
            LesionRecord(
                row_form.decode_lesion(values), matrix[place[row]], row_form.decode_source(values)
            )
            for row, values in sorted(found)
        ]

    def _in(self, select: str, column: str, keys: Collection[Any]) -> Iterator[Any]:
        listed = list(keys)
        for start in range(0, len(listed), _BATCH):
            part = listed[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            yield from self._connection.execute(
                f"{select} WHERE {column} IN ({marks})", part
            ).fetchall()


@lru_cache(maxsize=8)
def state_checksum(values: tuple[Any, ...]) -> int:
    """CRC-32 of the state row's values: generation, count and the encoder's."""
    return zlib.crc32("\x1f".join(str(value) for value in values).encode())


def _checked(found: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    width = row_form.LESION_WIDTH
    for row in found:
        yield row[0], row_form.checked(row[0], row[1 : width + 1], row[width + 1])
