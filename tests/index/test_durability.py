"""What was acknowledged is on the disk: every fsync is spied, every connection's pragma asked."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from index.catalog import connections
from index.lesion_index import LesionIndex
from tests.index.own_pixels import add


@pytest.fixture
def index(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        yield made


class Disk:
    """Which files and folders were brought onto the disk, by their names, in order."""

    def __init__(self, monkeypatch) -> None:
        self.synced: list[str] = []
        fsync = os.fsync

        def spied(descriptor: int) -> None:
            self.synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", spied)


def test_pixels_and_their_folders_are_on_the_disk_before_the_catalog_names_them(
    index, samples, monkeypatch
):
    disk = Disk(monkeypatch)
    add_records = LesionIndex.add
    at_add: list[list[str]] = []

    def spied(self, records):
        at_add.append(list(disk.synced))
        return add_records(self, records)

    monkeypatch.setattr(LesionIndex, "add", spied)
    record = add(index, samples, 1)
    name = Path(record.source.image).parent.name
    (before,) = at_add
    assert before == ["001.png", "002.png", name, "Images_png", "added", "index"]
    index.remove([record.lesion.lesion_id])
    assert disk.synced[len(before) :] == ["Images_png"]


def test_a_new_index_a_snapshot_and_an_export_are_on_the_disk(
    index, samples, tmp_path, monkeypatch
):
    disk = Disk(monkeypatch)
    with LesionIndex.create(tmp_path / "new", samples.binding) as new:
        building, parent = disk.synced
        assert building.startswith(".new-")
        assert parent == tmp_path.name
        new.add(samples.records(2))
        disk.synced.clear()
        new.snapshot()
        (snapshot,) = new.path.glob("*.faiss")
        assert disk.synced == [snapshot.name, "new"]
        disk.synced.clear()
        new.export(tmp_path / "out.parquet")
        written, folder = disk.synced
        assert written.startswith(".out.parquet-")
        assert folder == tmp_path.name


def test_every_connection_waits_for_the_disk_at_each_commit(index, samples):
    """A connection with ``synchronous`` below FULL loses what it acknowledged in a power cut."""
    full, wal, on = 2, "wal", 1
    with closing(connections.create_file(index.path / "other.sqlite")) as made:
        assert made.execute("PRAGMA synchronous").fetchone() == (full,)
        assert made.execute("PRAGMA journal_mode").fetchone() == (wal,)
    storage = index._storage
    with storage.connections.writing() as first, storage.connections.reading() as second:
        for connection in (first, second):
            assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == (wal,)
            assert connection.execute("PRAGMA secure_delete").fetchone() == (on,)
    with (
        LesionIndex.open(index.path, read_only=True) as reader,
        reader._storage.connections.reading() as connection,
    ):
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
