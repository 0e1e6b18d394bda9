"""A full disk, cut and flipped files, an older schema: detected and named, never silently wrong."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.catalog import connections, rows, schema
from index.catalog.damage_watch import DamageWatch
from index.catalog.reader import LesionRecord
from index.catalog.writer import write_state
from index.errors import CatalogError, IndexBusyError, LesionIndexError, StorageError
from index.faiss_store.snapshots import snapshot_lock
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.tag import given_tags
from tests.index.disks import no_file_larger_than

COUNT = 120


@pytest.fixture
def folder(tmp_path: Path, samples) -> Path:
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(COUNT))
        index.remove([samples.record(5).lesion.lesion_id])
        index.set_match(*(samples.record(n).lesion.lesion_id for n in (12, 13)), "confirmed")
        index.snapshot()
        index.add([samples.record(COUNT)])
    return tmp_path / "index"


def answers(folder: Path, samples, **options):
    """Everything an index can be asked, as one comparable value."""
    with LesionIndex.open(folder, read_only=True, **options) as index:
        ids, matrix = index.vectors()
        records = [(one.lesion, one.source, one.vector.tobytes()) for one in index.records(ids)]
        queries = samples.unit_vectors(4, seed=3)
        where = LesionFilter.parse("type=liver,lung and tag=calcified and patient!=000002")
        patients = {name: [one.lesion for one in index.patient(name)] for name in index.patients()}
        return (
            ids,
            matrix.tobytes(),
            records,
            index.search_batch(queries, k=9),
            index.search_batch(queries, k=9, where=where),
            [index.get(one).lesion for one in ids],
            patients,
            index.matches(),
            index.binding,
            index.page(limit=999),
            index.count(where),
        )


def flipped(path: Path, offset: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def only_snapshot(folder: Path) -> Path:
    (path,) = folder.glob("*.faiss")
    return path


def test_a_flipped_bit_in_the_catalog_is_never_silently_wrong(folder, samples, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    wanted = answers(folder, samples)
    size = (folder / "catalog.sqlite").stat().st_size
    rng = np.random.default_rng(0)
    refusals = []
    for turn in range(40):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        flipped(copy / "catalog.sqlite", int(rng.integers(size)), int(rng.integers(8)))
        try:
            assert answers(copy, samples) == wanted, f"turn {turn}"
        except LesionIndexError as error:
            refusals.append(str(error))
        shutil.rmtree(copy)
    assert len(refusals) > 4
    assert not any("\n" in line for line in refusals)


def test_a_cut_catalog_is_refused(folder, samples, tmp_path):
    content = (folder / "catalog.sqlite").read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9):
        (folder / "catalog.sqlite").write_bytes(content[: int(share * len(content))])
        with pytest.raises(CatalogError):
            answers(folder, samples)


@pytest.mark.parametrize("harm", ["flip early", "flip late", "cut", "empty", "gone", "swapped"])
def test_a_harmed_snapshot_is_named_and_rebuilt(folder, samples, harm, caplog):
    wanted = answers(folder, samples)
    path = only_snapshot(folder)
    content = path.read_bytes()
    if harm.startswith("flip"):
        flipped(path, 60 if harm == "flip early" else len(content) - 3, 4)
    elif harm == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-9], "empty": b"", "swapped": content[::-1]}[harm])
    assert answers(folder, samples) == wanted
    assert "FAISS is rebuilt from the catalog" in caplog.text
    with LesionIndex.open(folder) as index:
        assert path.name in (index.info().store["rebuilt_because"] or "")
        assert not index.verify().sound
        index.snapshot()
        assert index.verify().sound
        assert path != only_snapshot(folder)
    with LesionIndex.open(folder) as index:
        assert index.info().store["rebuilt_because"] is None
    assert answers(folder, samples) == wanted


def test_a_catalog_of_a_backup_does_not_take_a_newer_snapshot(folder, samples, tmp_path):
    shutil.copy(folder / "catalog.sqlite", tmp_path / "backup")
    wanted = answers(folder, samples)
    with LesionIndex.open(folder) as index:
        index.add([samples.record(COUNT + 1)])
        index.snapshot()
    shutil.copy(tmp_path / "backup", folder / "catalog.sqlite")
    assert answers(folder, samples) == wanted
    with LesionIndex.open(folder) as index:
        index.add([samples.record(COUNT + 2)])
        index.snapshot()
        assert index.verify().sound
        assert len(list(folder.glob("*.faiss"))) == 1


def test_large_catalogs_are_checked_row_by_row(folder, samples, monkeypatch):
    """Where a catalog is too large to be checked at opening, each row still is when read."""
    monkeypatch.setattr(connections, "CHECK_ON_OPEN_BYTES", 0)
    monkeypatch.setattr("index.catalog.creation.CHECK_ON_OPEN_BYTES", 0)
    path = folder / "catalog.sqlite"
    content = path.read_bytes()
    harmed = samples.record(30)
    at = content.find(harmed.vector.tobytes())
    assert at > 0
    flipped(path, at + 5, 2)
    with LesionIndex.open(folder) as index:
        with pytest.raises(CatalogError, match="vector of row 31 is damaged"):
            index.get(harmed.lesion.lesion_id)
        problems = index.verify().problems
        assert any("row 31" in problem.what and "backup" in problem.remedy for problem in problems)
    path.write_bytes(content.replace(b"archive000002/012.png", b"archive000002/013.png"))
    with LesionIndex.open(folder) as index:
        with pytest.raises(CatalogError, match=r"row 13 .* is damaged"):
            index.get(samples.record(12).lesion.lesion_id)
        with pytest.raises(CatalogError, match=r"row 13 .* is damaged"):
            index.search(samples.record(12).vector)
        assert not index.verify().sound


def test_a_large_catalog_is_refused_once_a_page_of_an_sql_index_is_found_damaged(
    folder, samples, monkeypatch
):
    """Such a page hides sound lesions from a filter; no checksum of a row can tell."""
    monkeypatch.setattr("index.catalog.creation.CHECK_ON_OPEN_BYTES", 0)
    tables, opened = DamageWatch._tables, threading.Event()
    monkeypatch.setattr(DamageWatch, "_tables", lambda self: opened.wait(30) and tables(self))
    path = folder / "catalog.sqlite"
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'lesions_type'"
        )
        ((page_bytes,),) = connection.execute("PRAGMA page_size")
    at = content.index(b"liver", (root - 1) * page_bytes)
    assert at < root * page_bytes
    flipped(path, at + 4, 3)
    with LesionIndex.open(folder) as index:
        opened.set()
        assert refused_at_last(lambda: index.count(LesionFilter.parse("type=liver")))
        for question in (lambda: index.search(samples.record(1).vector), index.snapshot):
            with pytest.raises(CatalogError, match=r"damaged .*lesions_type.*backup"):
                question()
        assert "lesions_type" in index.verify().problems[0].what
    path.write_bytes(content)
    with LesionIndex.open(folder) as index:
        assert not refused_at_last(index.count, patience_s=0.3)
        assert index.verify().sound


def refused_at_last(question, *, patience_s: float = 30.0) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            question()
        except CatalogError:
            return True
        time.sleep(0.005)
    return False


def test_verify_sees_what_no_checksum_can(folder, samples):
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection, connection:
        connection.execute("DELETE FROM vectors WHERE row = 20")
    only_snapshot(folder).unlink()
    with pytest.raises(CatalogError, match="contradicts itself"):
        LesionIndex.open(folder)


def test_verify_finds_a_vector_that_is_not_of_unit_norm(folder, samples):
    blob = rows.encode_vector(2 * samples.record(19).vector)
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE vectors SET vector = ?, checksum = ? WHERE row = 20",
            (blob, rows.vector_checksum(20, blob)),
        )
    with LesionIndex.open(folder) as index:
        found = " ".join(problem.what for problem in index.verify().problems)
        assert "row 20 has norm 2" in found
        assert "differ from the catalog" in found


def test_a_full_disk_leaves_what_existed_untouched(folder, samples):
    wanted = answers(folder, samples)
    more = [samples.record(number) for number in range(500, 1400)]
    with LesionIndex.open(folder) as index:
        with no_file_larger_than(40_000), pytest.raises(StorageError, match="free some space"):
            index.add(more)
        assert answers(folder, samples) == wanted
        with no_file_larger_than(4_000), pytest.raises(StorageError, match="snapshot"):
            index.snapshot()
        assert len(list(folder.glob("*.faiss"))) == 1
        assert index.verify().sound
        assert index.add(more).added == len(more)
        assert index.verify().sound
        with no_file_larger_than(4_000), pytest.raises(StorageError, match="could not be written"):
            index.export(folder.parent / "out.parquet")
    assert [path.name for path in folder.parent.iterdir()] == ["index"]
    with no_file_larger_than(4_000), pytest.raises(StorageError):
        LesionIndex.create(folder.parent / "new", samples.binding)
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


def of_an_older_program(record: LesionRecord) -> LesionRecord:
    """What a program kept that knew no estimated location, hash, source of a tag, category or
    measured sizes."""
    return replace(
        record,
        lesion=record.lesion.with_changes(
            location_error=None,
            tags=given_tags(*(tag.term for tag in record.lesion.tags)),
            category=None,
            category_confidence=None,
            measured=None,
        ),
        source=replace(record.source, pixel_hash=None),
    )


def test_an_older_schema_is_brought_forward(tmp_path: Path, samples):
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(connections.create_file(folder / "catalog.sqlite")) as old:
        old.execute("BEGIN")
        schema.migrate(old, start=0, end=1)
        write_state(old, samples.binding, generation=3, lesion_count=12)
        known = [column for (_, column, *_) in old.execute("PRAGMA table_info(lesions)")][1:-1]
        marks = ", ".join("?" * (len(known) + 2))
        for row in range(1, 13):
            one = of_an_older_program(samples.record(row))
            values = rows.encode(one.lesion, one.source)
            old.execute(
                f"INSERT INTO lesions (row, {', '.join(known)}, checksum) VALUES ({marks})",
                (row, *values[: len(known)], rows.lesion_checksum(row, values)),
            )
            blob = rows.encode_vector(one.vector)
            old.execute(
                "INSERT INTO vectors VALUES (?, ?, ?)", (row, blob, rows.vector_checksum(row, blob))
            )
        old.execute("COMMIT")
    with pytest.raises(CatalogError, match="older program"):
        LesionIndex.open(folder, read_only=True)
    with LesionIndex.open(folder, binding=samples.binding) as index:
        assert index.info().schema_version == schema.SCHEMA_VERSION
        assert index.verify().sound
        assert samples.same(
            index.get(samples.record(5).lesion.lesion_id), of_an_older_program(samples.record(5))
        )
        tagged = LesionFilter.parse("tag=calcified and tag_source=given")
        older = [of_an_older_program(samples.record(n)).lesion for n in range(1, 13)]
        assert index.count(tagged) == sum(tagged.accepts(lesion) for lesion in older) == 6
        assert index.add([samples.record(5)]).updated == 1
        assert samples.same(index.get(samples.record(5).lesion.lesion_id), samples.record(5))
        where = LesionFilter(tags=frozenset({"a, b"}))
        assert index.count(where) == sum(where.accepts(lesion) for lesion in older)
        index.set_match(*(samples.record(n).lesion.lesion_id for n in (6, 7)), "rejected")
    with LesionIndex.open(folder, read_only=True) as index:
        assert len(index.matches()) == 1


def test_a_newer_schema_is_refused(folder):
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CatalogError, match="schema version 99"):
        LesionIndex.open(folder)


def test_a_read_only_disk_can_be_searched(folder, samples, monkeypatch):
    wanted = answers(folder, samples)
    for left in (*folder.glob("*-shm"), *folder.glob("*-wal")):
        left.unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert answers(folder, samples) == wanted
    assert not list(folder.glob("*-shm"))


def test_only_one_program_saves_a_snapshot(folder):
    with (
        LesionIndex.open(folder) as index,
        snapshot_lock(folder),
        pytest.raises(IndexBusyError, match="saving a snapshot"),
    ):
        index.snapshot()


def test_a_file_left_by_a_kill_is_cleared_away(folder, samples):
    (folder / "flat-9-orphaned.faiss").write_bytes(b"half a file")
    with LesionIndex.open(folder) as index:
        index.add([replace(samples.record(1), vector=samples.record(1, seed=2).vector)])
        index.snapshot()
        assert only_snapshot(folder).name != "flat-9-orphaned.faiss"
        assert index.verify().sound
