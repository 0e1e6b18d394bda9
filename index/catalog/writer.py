"""Changes to the catalog, inside one write transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog import measures, tag_form
from index.catalog import rows as row_form
from index.catalog.reader import (
    CatalogReader,
    EncoderBinding,
    LesionRecord,
    SnapshotEntry,
    state_checksum,
)
from index.own_images import own_name
from retrieval.tag import TagSource, strongest

_INSERT = (
    f"INSERT INTO lesions (row, {row_form.LESION_COLUMNS}, checksum) "
    f"VALUES ({', '.join('?' * (row_form.LESION_WIDTH + 2))})"
)
_NATURAL_KEY = (
    "patient_id = ? AND study_id = ? AND series_id = ? AND key_slice_index = ? "
    "AND x1 = ? AND y1 = ? AND x2 = ? AND y2 = ?"
)


@dataclass
class Changes:
    """What a write transaction has done so far."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed_rows: list[int] = field(default_factory=list)
    new_rows: list[int] = field(default_factory=list)
    new_vectors: list[NDArray[np.float32]] = field(default_factory=list)
    freed_images: set[str] = field(default_factory=set)
    """Folders of the index's own images that no lesion names any more, once it is finished."""
    freed_masks: set[str] = field(default_factory=set)
    has_new_settings: bool = False

    @property
    def any(self) -> bool:
        """Whether the catalog differs from before."""
        return bool(self.new_rows or self.removed_rows or self.has_new_settings)

    def live_rows(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers (n,) and vectors (n, dimension) of what was inserted and is still there."""
        gone = set(self.removed_rows)
        kept = [n for n, row in enumerate(self.new_rows) if row not in gone]
        rows = np.array([self.new_rows[n] for n in kept], dtype=np.int64)
        if not kept:
            return rows, np.empty((0, 0), dtype=np.float32)
        return rows, np.stack([self.new_vectors[n] for n in kept])


class CatalogWriter:
    """Writes within a transaction; ``finish`` must come before its COMMIT."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._head = CatalogReader(connection).head()
        self._next_row = last_row(connection) + 1
        self.changes = Changes()

    @property
    def reader(self) -> CatalogReader:
        """Reads what this transaction has written so far."""
        return CatalogReader(self._connection)

    def put(self, record: LesionRecord, *, keeps_reader: bool = True) -> None:
        """Adds a lesion, or replaces the one with its id or its natural key.

        A reader's corrections of the replaced lesion's tags stay, unless ``keeps_reader`` is off;
        so do measured sizes where its pixels are the same and the new one has none.
        """
        record = self._with_what_stays(record, keeps_reader=keeps_reader)
        if record.packed_mask is not None:
            self.put_mask(record.packed_mask)
        lesion = measures.without_lost_mask(self._connection, record.lesion)
        values = row_form.encode(lesion, record.source)
        blob = row_form.encode_vector(record.vector)
        found = self._connection.execute(
            f"SELECT row, lesion_id, checksum FROM lesions WHERE lesion_id = ? "
            f"UNION SELECT row, lesion_id, checksum FROM lesions WHERE {_NATURAL_KEY}",
            (values[0], *values[1:9]),
        ).fetchall()
        if len(found) == 1 and self._is_same(found[0], values, blob):
            self.changes.unchanged += 1
            return
        for row, lesion_id, _ in found:
            self._delete(row)
            if lesion_id != values[0]:
                self._rename_matches(lesion_id, values[0])
                self._rename_searches(lesion_id, values[0])
        self._insert(values, blob, record.vector)
        if found:
            self.changes.updated += 1
        else:
            self.changes.added += 1

    def remove(self, lesion_ids: Collection[str]) -> int:
        """Removes lesions with their vectors, matches and searches; how many were held."""
        reader = CatalogReader(self._connection)
        rows = reader.rows_of_ids(set(lesion_ids))
        for row in rows:
            self._connection.execute(
                "DELETE FROM matches WHERE lesion_a = (SELECT lesion_id FROM lesions WHERE row = ?)"
                " OR lesion_b = (SELECT lesion_id FROM lesions WHERE row = ?)",
                (row, row),
            )
            self._connection.execute(
                "DELETE FROM searches WHERE lesion_id = "
                "(SELECT lesion_id FROM lesions WHERE row = ?)",
                (row,),
            )
            self._delete(row)
        return len(rows)

    def finish(self) -> int:
        """Writes the new generation if anything changed; returns the catalog's generation."""
        if not self.changes.any:
            return self._head.generation
        if freed := self.changes.freed_images:
            reader = CatalogReader(self._connection)
            freed.difference_update([name for name in freed if reader.names_own_images(name)])
        measures.forget_unnamed(self._connection, self.changes.freed_masks)
        generation = self._head.generation + 1
        own = set(self.changes.new_rows)
        self._connection.executemany(
            "INSERT INTO removals (row, generation) VALUES (?, ?)",
            [(row, generation) for row in self.changes.removed_rows if row not in own],
        )
        count = self._head.lesion_count
        count += len(self.changes.new_rows) - len(self.changes.removed_rows)
        binding = CatalogReader(self._connection).binding()
        write_state(self._connection, binding, generation=generation, lesion_count=count)
        return generation

    def put_mask(self, packed: bytes) -> str:
        """Keeps a packed mask for the lesions that will name it; returns its name."""
        name = measures.store_mask(self._connection, packed)
        self.changes.freed_masks.add(name)
        return name

    def set_setting(self, name: str, value: str) -> None:
        """Keeps a setting of the index."""
        self.changes.has_new_settings = True
        self._connection.execute(
            "INSERT OR REPLACE INTO index_settings VALUES (?, ?)", (name, value)
        )

    def set_snapshot(self, entry: SnapshotEntry) -> None:
        """Makes ``entry`` the one snapshot of its kind."""
        self.forget_snapshot(entry.kind)
        self._connection.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.file,
                entry.kind,
                entry.generation,
                entry.last_row,
                entry.lesion_count,
                entry.bytes,
                entry.checksum,
                json.dumps(dict(entry.facts)),
            ),
        )

    def forget_snapshot(self, kind: str) -> None:
        """Forgets the snapshot of a kind."""
        self._connection.execute("DELETE FROM snapshots WHERE kind = ?", (kind,))

    def _with_what_stays(self, record: LesionRecord, *, keeps_reader: bool) -> LesionRecord:
        """The record with what it keeps of the lesion that has its id or its natural key."""
        values = row_form.encode(record.lesion, record.source)
        found = self._connection.execute(
            "SELECT tags, measured, pixel_hash FROM lesions WHERE (lesion_id = ? OR "
            f"({_NATURAL_KEY})) AND (tags LIKE '%\"reader\"%' OR measured IS NOT NULL)",
            (values[0], *values[1:9]),
        ).fetchall()
        if not found:
            return record
        same = [text for _, text, pixels in found if text and pixels == record.source.pixel_hash]
        if same and record.lesion.measured is None:
            measured = measures.decode(same[0])
            record = replace(record, lesion=record.lesion.with_changes(measured=measured))
        return self._with_corrections(record, found) if keeps_reader else record

    def _with_corrections(self, record: LesionRecord, found: Sequence[Any]) -> LesionRecord:
        given = record.lesion.tags
        corrected = {tag.term for tag in given if tag.source is TagSource.READER}
        corrections = [
            tag
            for (text, *_) in found
            for tag in tag_form.decode(text)
            if tag.source is TagSource.READER and tag.term not in corrected
        ]
        if not corrections:
            return record
        tags = strongest([*given, *corrections])
        return replace(record, lesion=record.lesion.with_changes(tags=tags))

    def _is_same(self, found: Sequence[Any], values: Sequence[Any], blob: bytes) -> bool:
        row, _, checksum = found
        if row_form.lesion_checksum(row, values) != checksum:
            return False
        stored = self._connection.execute(
            "SELECT vector FROM vectors WHERE row = ?", (row,)
        ).fetchone()
        return stored is not None and stored[0] == blob

    def _insert(self, values: Sequence[Any], blob: bytes, vector: NDArray[np.float32]) -> None:
        execute = self._connection.execute
        row = self._next_row
        self._next_row += 1
        execute(_INSERT, (row, *values, row_form.lesion_checksum(row, values)))
        execute(
            "INSERT INTO vectors VALUES (?, ?, ?)",
            (row, blob, row_form.vector_checksum(row, blob)),
        )
        for found in tag_form.filter_rows(values[17], row):
            execute("INSERT INTO lesion_tags (tag, row, source) VALUES (?, ?, ?)", found)
        self.changes.new_rows.append(row)
        self.changes.new_vectors.append(vector)

    def _delete(self, row: int) -> None:
        source = self._connection.execute(
            "SELECT archive, image, mask FROM lesions WHERE row = ?", (row,)
        ).fetchone()
        if (name := own_name(*source[:2])) is not None:
            self.changes.freed_images.add(name)
        if source[2] is not None:
            self.changes.freed_masks.add(source[2])
        for statement in (
            "DELETE FROM lesions WHERE row = ?",
            "DELETE FROM vectors WHERE row = ?",
            "DELETE FROM lesion_tags WHERE row = ?",
        ):
            self._connection.execute(statement, (row,))
        self.changes.removed_rows.append(row)

    def _rename_matches(self, old: str, new: str) -> None:
        found = self._connection.execute(
            "SELECT lesion_a, lesion_b, verdict FROM matches WHERE lesion_a = ? OR lesion_b = ?",
            (old, old),
        ).fetchall()
        self._connection.execute(
            "DELETE FROM matches WHERE lesion_a = ? OR lesion_b = ?", (old, old)
        )
        for first, second, verdict in found:
            pair = sorted(new if name == old else name for name in (first, second))
            if pair[0] != pair[1]:
                self._connection.execute(
                    "INSERT OR IGNORE INTO matches VALUES (?, ?, ?)", (*pair, verdict)
                )

    def _rename_searches(self, old: str, new: str) -> None:
        self._connection.execute(
            "UPDATE OR REPLACE searches SET lesion_id = ?, "
            "answer = json_set(answer, '$.lesion_id', ?) WHERE lesion_id = ?",
            (new, new, old),
        )


def last_row(connection: sqlite3.Connection) -> int:
    """The highest row number ever given, also to a lesion removed since."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'lesions'").fetchone()
    return 0 if found is None else int(found[0])


def write_state(
    connection: sqlite3.Connection,
    binding: EncoderBinding,
    *,
    generation: int,
    lesion_count: int,
) -> None:
    """Writes the one state row with its checksum."""
    values = (
        generation,
        lesion_count,
        binding.fingerprint,
        binding.name,
        binding.dimension,
        json.dumps(dict(binding.patch_spec), sort_keys=True),
    )
    connection.execute(
        "INSERT OR REPLACE INTO index_state VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (*values, state_checksum(values)),
    )
