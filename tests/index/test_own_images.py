"""Pixels that an index keeps: never longer than their lesion, and nothing else is ever removed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from index import own_images
from index.catalog import connections, rows, schema
from index.catalog.writer import write_state
from index.errors import StorageError
from index.lesion_index import LesionIndex
from index.own_images import OWN_ARCHIVE, ImagePathError
from index.parquet.importing import import_index
from retrieval.lesion import ImageSource
from tests.index.disks import no_file_larger_than
from tests.index.own_pixels import FILES, add


@pytest.fixture
def index(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        yield made


def kept(index: LesionIndex) -> list[str]:
    folder = index.path / "added" / "Images_png"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_pixels_are_there_as_long_as_their_lesion(index, samples):
    first, second = add(index, samples, 1), add(index, samples, 2)
    for record in (first, second):
        stored = index.get(record.lesion.lesion_id).source
        assert index.images.path_of(stored).read_bytes() == b"first"
    assert len(kept(index)) == 2
    assert index.remove([first.lesion.lesion_id]) == 1
    assert kept(index) == [Path(second.source.image).parent.name]
    again = add(index, samples, 2, seed=1)
    assert kept(index) == [Path(again.source.image).parent.name]
    index.add([samples.record(2)])
    assert kept(index) == []


def test_a_lesion_of_the_same_pixels_keeps_them(index, samples):
    record = add(index, samples, 1)
    index.add([replace(samples.record(30), source=record.source)])
    index.remove([record.lesion.lesion_id])
    assert len(kept(index)) == 1
    index.remove([samples.record(30).lesion.lesion_id])
    assert kept(index) == []


def test_a_moved_index_has_its_pixels_and_removes_them(index, samples, tmp_path):
    record = add(index, samples, 1)
    index.close()
    (tmp_path / "index").rename(tmp_path / "moved")
    with LesionIndex.open(tmp_path / "moved") as moved:
        assert moved.images.path_of(moved.get(record.lesion.lesion_id).source).is_file()
        moved.remove([record.lesion.lesion_id])
        assert kept(moved) == []


def test_what_nothing_names_is_swept_at_the_next_opening_and_by_verify(index, samples):
    record = add(index, samples, 1)
    named = Path(record.source.image).parent.name
    with index.images.adding():
        index.images.keep(FILES)
    assert len(kept(index)) == 2
    with LesionIndex.open(index.path, read_only=True) as reader:
        reader.verify()
        assert len(kept(index)) == 2
    with LesionIndex.open(index.path):
        assert kept(index) == [named]
    with index.images.adding():
        index.images.keep(FILES)
    assert index.verify().sound
    assert kept(index) == [named]


def test_pixels_on_their_way_into_the_catalog_are_not_swept(index, samples):
    kept_now, stored = threading.Event(), threading.Event()

    def adding():
        with index.images.adding():
            folder = index.images.keep(FILES)
            kept_now.set()
            stored.wait(30)
            source = ImageSource(OWN_ARCHIVE, str(folder / "001.png"), (1.0, 1.0), 2.0)
            index.add([replace(samples.record(1), source=source)])

    thread = threading.Thread(target=adding)
    thread.start()
    assert kept_now.wait(30)
    assert index.images.sweep() == 0
    with LesionIndex.open(index.path):
        assert len(kept(index)) == 1
    stored.set()
    thread.join()
    assert index.images.sweep() == 0
    assert len(kept(index)) == 1


@pytest.mark.parametrize(
    "image",
    [
        "Images_png/../../../outside/001.png",
        "../outside/001.png",
        "Images_png/outside/001.png",
        "Images_png/" + "0" * 32 + "/../" + "1" * 32 + "/001.png",
        "/" + "0" * 32 + "/001.png",
        "Images_png/" + "0" * 32 + "/001.png\n",
        "Images_png",
        "",
    ],
)
@pytest.mark.parametrize("archive", [OWN_ARCHIVE, "{index}/added", "{index}", "/", "added", "."])
def test_nothing_but_what_the_index_made_is_removed(index, samples, tmp_path, image, archive):
    """Whatever a catalog claims: folders beside the index, above it, or of other names in it."""
    add(index, samples, 1)
    for folder in ("outside", "index/added/Images_png/outside", "index/outside"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "001.png").write_bytes(b"theirs")
    before = sorted(path for path in tmp_path.rglob("*") if "catalog" not in path.name)
    hostile = ImageSource(archive.format(index=index.path), image, (1.0, 1.0), 2.0)
    record = replace(samples.record(30), source=hostile)
    index.add([record])
    if archive == OWN_ARCHIVE:
        with pytest.raises(ImagePathError, match="no image of this index"):
            index.images.path_of(hostile)
    assert index.remove([record.lesion.lesion_id]) == 1
    index.images.sweep()
    assert sorted(path for path in tmp_path.rglob("*") if "catalog" not in path.name) == before


def test_a_link_in_the_place_of_a_folder_is_not_followed(index, samples, tmp_path):
    record = add(index, samples, 1)
    folder = index.images.path_of(record.source).parent
    shutil.rmtree(folder)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "note.txt").write_text("theirs")
    folder.symlink_to(tmp_path / "theirs")
    index.remove([record.lesion.lesion_id])
    index.images.sweep()
    assert (tmp_path / "theirs" / "note.txt").read_text() == "theirs"


def test_a_full_disk_leaves_no_pixels(index, samples):
    with no_file_larger_than(3), pytest.raises(StorageError, match="nothing was added"):
        add(index, samples, 1)
    assert kept(index) == []
    assert index.count() == 0
    add(index, samples, 1)
    assert len(kept(index)) == 1


def test_everything_is_its_owners_alone(index, samples, tmp_path):
    before = os.umask(0)
    try:
        with LesionIndex.create(tmp_path / "open", samples.binding) as made:
            add(made, samples, 1)
            made.snapshot()
            made.export(tmp_path / "out.parquet")
            found = [made.path, *made.path.rglob("*"), tmp_path / "out.parquet"]
            modes = {path: stat.S_IMODE(path.stat().st_mode) for path in found}
    finally:
        os.umask(before)
    assert {path.suffix for path in found} >= {".sqlite", ".sqlite-wal", ".faiss", ".png"}
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_pixels_of_an_older_index_are_its_own_after_it_was_moved(tmp_path, samples):
    folder = tmp_path / "moved"
    own = [f"Images_png/{number:032x}/001.png" for number in (1, 2)]
    for image in own[:1]:
        (folder / "added" / image).parent.mkdir(parents=True)
        (folder / "added" / image).write_bytes(b"pixels")
    sources = [ImageSource("/before/added", image, (1.0, 1.0), 2.0) for image in own]
    with closing(connections.create_file(folder / "catalog.sqlite")) as old:
        old.execute("BEGIN")
        schema.migrate(old, start=0, end=4)
        write_state(old, samples.binding, generation=3, lesion_count=2)
        known = [column for (_, column, *_) in old.execute("PRAGMA table_info(lesions)")][1:-1]
        marks = ", ".join("?" * (len(known) + 2))
        for row, source in enumerate(sources, start=1):
            lesion = samples.record(row).lesion.with_changes(
                location_error=None, category=None, category_confidence=None, measured=None
            )
            values = rows.encode(lesion, source)
            old.execute(
                f"INSERT INTO lesions (row, {', '.join(known)}, checksum) VALUES ({marks})",
                (row, *values[: len(known)], rows.lesion_checksum(row, values)),
            )
            blob = rows.encode_vector(samples.record(row).vector)
            old.execute(
                "INSERT INTO vectors VALUES (?, ?, ?)", (row, blob, rows.vector_checksum(row, blob))
            )
        old.execute("COMMIT")
    ids = [samples.record(row).lesion.lesion_id for row in (1, 2)]
    with LesionIndex.open(folder) as index:
        assert index.verify().sound
        assert index.get(ids[0]).source == replace(sources[0], archive=OWN_ARCHIVE)
        assert index.get(ids[1]).source == sources[1]
        assert len(kept(index)) == 1
        index.remove(ids)
        assert kept(index) == []


def test_what_was_removed_is_nowhere_in_the_index(index, samples):
    """Neither in the log nor in free pages: a removed patient is gone when ``remove`` returns."""
    named = samples.record(12)
    secret = named.lesion.with_changes(lesion_id="LESION-4711", patient_id="PATIENT-4711")
    index.add([*samples.records(12), replace(named, lesion=secret)])
    texts = (b"PATIENT-4711", b"LESION-4711", named.vector.tobytes())
    assert all(text in content(index) for text in texts)
    index.remove(["LESION-4711"])
    assert not any(text in content(index) for text in texts)
    assert (index.path / "catalog.sqlite-wal").stat().st_size == 0


def content(index: LesionIndex) -> bytes:
    return b"".join(path.read_bytes() for path in index.path.glob("catalog.sqlite*"))


def test_a_reader_of_an_older_generation_puts_the_emptying_of_the_log_off(index, samples):
    index.add(samples.records(3))
    with closing(sqlite3.connect(index.path / "catalog.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM lesions").fetchone()
        assert index.remove([samples.record(0).lesion.lesion_id]) == 1
        assert (index.path / "catalog.sqlite-wal").stat().st_size > 0
    index.remove([samples.record(1).lesion.lesion_id])
    assert (index.path / "catalog.sqlite-wal").stat().st_size == 0


def test_names_of_folders_are_random_and_long(index):
    with index.images.adding():
        names = {index.images.keep(FILES).name for _ in range(3)}
    assert len(names) == 3
    assert all(own_images.own_name(OWN_ARCHIVE, f"Images_png/{name}/1.png") for name in names)


def test_an_export_of_own_pixels_is_an_archive_to_another_index_and_their_own_to_itself(
    index, samples, tmp_path
):
    record = add(index, samples, 1)
    index.export(tmp_path / "out.parquet")
    lesion_id = record.lesion.lesion_id
    with import_index(tmp_path / "out.parquet", tmp_path / "other") as other:
        source = other.get(lesion_id).source
        assert source.archive == str(index.path / "added")
        assert other.images.path_of(source).read_bytes() == b"first"
        other.remove([lesion_id])
        assert len(kept(index)) == 1
    import_index(tmp_path / "out.parquet", index.path).close()
    assert index.get(lesion_id).source == record.source
    assert len(kept(index)) == 1
    index.remove([lesion_id])
    assert kept(index) == []


def test_a_disk_that_fails_after_the_commit_takes_no_pixels_of_the_lesion(
    index, samples, monkeypatch
):
    """The old pixels cannot be forgotten on the disk; the new ones are the lesion's."""
    add(index, samples, 1)
    fsync = os.fsync
    names: list[str] = []

    def failing(descriptor: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        if names.count("Images_png") > 1:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    record = add(index, samples, 1, seed=1)
    assert names.count("Images_png") == 2
    assert kept(index) == [Path(record.source.image).parent.name]
    assert index.images.path_of(index.get(record.lesion.lesion_id).source).is_file()
    name = Path(record.source.image).parent.name
    assert index.images.forget_unnamed([name]) == 0
    assert kept(index) == [name]
