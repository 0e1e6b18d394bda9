"""Milvus: kept level through kills and losses, and a server that is away is one line."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import socket
import threading
import time
from dataclasses import replace

import pytest

from index.errors import (
    EncoderMismatchError,
    IndexBusyError,
    MilvusBehindError,
    MilvusError,
    MilvusUnavailableError,
)
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.milvus.client import MilvusCollection, MilvusSettings
from index.milvus.expression import expression, literal
from index.milvus.schema import entity
from index.milvus.storage import LOCK, sync_index


class Relay:
    """A loopback port that leads to the server while it is open, and refuses while it is not."""

    def __init__(self, uri: str):
        host, _, port = uri.rpartition("://")[2].partition(":")
        self.target = (host, int(port))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.uri = f"http://127.0.0.1:{self.port}"

    def open(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.sockets = [listener]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source, sink):
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                sink.sendall(content)

    def close(self):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def folder(samples, tmp_path):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(60))
    return tmp_path / "index"


@pytest.fixture(scope="module")
def settings(milvus_collections):
    """One collection for the whole module: each test fills it anew for an index of its own."""
    return milvus_collections()


def ids_found(folder, settings, samples, **options):
    with LesionIndex.open(folder, milvus=settings, **options) as index:
        return {hit.lesion.lesion_id for hit in index.search(samples.unit_vectors(1)[0], k=999)}


def ids_held(folder):
    with LesionIndex.open(folder) as index:
        return set(index.vectors()[0])


def test_a_sync_that_was_killed_goes_on(folder, settings, samples, monkeypatch):
    monkeypatch.setattr("index.milvus.sync.WRITE_ROWS", 10)

    class Killed(BaseException):
        pass

    def kill(done, total):
        assert total == 60
        if done >= 30:
            raise Killed

    with pytest.raises(Killed):
        sync_index(folder, settings, replace=True, progress=kill)
    with pytest.raises(MilvusBehindError, match="index sync"):
        ids_found(folder, settings, samples, read_only=True)
    seen = []
    report = sync_index(folder, settings, progress=lambda *counts: seen.append(counts))
    assert report.to_json() == {
        "generation": 1,
        "lesions": 60,
        "inserted": 30,
        "deleted": 0,
        "compared": "everything",
    }
    assert seen[-1] == (60, 60)
    assert ids_found(folder, settings, samples, read_only=True) == ids_held(folder)
    again = sync_index(folder, settings)
    assert (again.inserted, again.deleted, again.compared) == (0, 0, "nothing")


def test_changes_made_without_milvus_are_followed(folder, settings, samples):
    sync_index(folder, settings, replace=True)
    with LesionIndex.open(folder) as index:
        index.add([samples.record(60), samples.record(2, seed=1)])
        index.remove([samples.record(5).lesion.lesion_id])
    assert ids_found(folder, settings, samples) == ids_held(folder)
    with LesionIndex.open(folder) as index:
        index.remove([samples.record(6).lesion.lesion_id])
    report = sync_index(folder, settings)
    assert (report.inserted, report.deleted, report.compared) == (0, 1, "changes")


def test_what_the_server_lost_or_holds_in_excess_is_repaired(folder, settings, samples):
    sync_index(folder, settings, replace=True)
    collection = MilvusCollection(settings)
    collection.delete([3, 4, 30])
    collection.insert([entity(5_000, samples.record(70), 12345)])
    with LesionIndex.open(folder, milvus=settings) as index:
        assert [one.what for one in index.verify().problems] == [
            "Milvus: 3 rows are missing or differ, the first is 3",
            "Milvus: 1 rows are not the catalog's, the first is 5000",
        ]
    report = sync_index(folder, settings)
    assert (report.inserted, report.deleted, report.compared) == (3, 1, "everything")
    # What a client sends again after a lost answer stands twice.
    collection.insert([entity(9, samples.record(8), collection.stamps(9, 9)[9])])
    assert collection.count() == 61
    assert sync_index(folder, settings).compared == "everything"
    assert collection.count() == 60
    collection.close()
    with LesionIndex.open(folder, milvus=settings) as index:
        assert index.verify().problems == ()
    assert ids_found(folder, settings, samples) == ids_held(folder)


def test_a_catalog_put_back_from_a_backup_wins(folder, settings, samples, tmp_path):
    shutil.copytree(folder, tmp_path / "backup")
    with LesionIndex.open(folder) as index:
        index.add([samples.record(number) for number in range(60, 70)])
        index.remove([samples.record(1).lesion.lesion_id])
    sync_index(folder, settings, replace=True)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    assert ids_found(folder, settings, samples) == ids_held(folder)
    with LesionIndex.open(folder) as index:
        index.add([samples.record(number) for number in range(80, 90)])
    assert ids_found(folder, settings, samples) == ids_held(folder)
    assert sync_index(folder, settings).compared == "nothing"


def test_another_index_or_encoder_is_refused(folder, settings, samples, tmp_path):
    sync_index(folder, settings, replace=True)
    LesionIndex.create(tmp_path / "other", samples.binding).close()
    with pytest.raises(MilvusError, match=r"another index.*--replace"):
        sync_index(tmp_path / "other", settings)
    binding = replace(samples.binding, fingerprint="ffff")
    LesionIndex.create(tmp_path / "third", binding).close()
    with pytest.raises(EncoderMismatchError, match="ffff"):
        LesionIndex.open(tmp_path / "third", milvus=settings)
    assert sync_index(folder, settings).compared == "nothing"


def test_too_much_is_left_to_the_sync(folder, settings, samples, monkeypatch):
    sync_index(folder, settings, replace=True)
    monkeypatch.setattr("index.milvus.storage.CATCH_UP_CHANGES", 5)
    with LesionIndex.open(folder) as index:
        index.add([samples.record(number) for number in range(60, 70)])
    with pytest.raises(MilvusBehindError, match="lacks 10 changes"):
        ids_found(folder, settings, samples)
    nowhere = replace(settings, collection="nowhere_at_all")
    with pytest.raises(MilvusBehindError, match="no collection 'nowhere_at_all'"):
        ids_found(folder, nowhere, samples)


def test_one_program_at_a_time(folder, settings, samples):
    sync_index(folder, settings, replace=True)
    with (
        LesionIndex.open(folder, milvus=settings, write_timeout_s=0.2) as index,
        (folder / LOCK).open("ab") as other,
    ):
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(IndexBusyError, match="another program"):
            index.snapshot()
    sync_index(folder, settings)


def test_a_server_that_goes_away_and_comes_back(folder, settings, samples, milvus_uri, caplog):
    sync_index(folder, settings, replace=True)
    relay = Relay(milvus_uri)
    relay.open()
    through = replace(settings, uri=relay.uri, timeout_s=2.0)
    vector = samples.unit_vectors(1)[0]
    try:
        with LesionIndex.open(folder, milvus=replace(through, timeout_s=30.0)) as index:
            assert len(index.search(vector, k=99)) == 60
        with LesionIndex.open(folder, milvus=through) as index:
            relay.close()
            start = time.monotonic()
            with pytest.raises(MilvusUnavailableError, match="does not answer within 2 s"):
                index.search(vector)
            assert index.add([samples.record(60)]).added == 1
            assert "stored but not yet on Milvus" in caplog.text
            assert time.monotonic() - start < 30
        relay.open()
        assert ids_found(folder, replace(through, timeout_s=30.0), samples) == ids_held(folder)
    finally:
        relay.close()


def test_a_server_that_starts_a_little_later_is_waited_for(folder, settings, samples, milvus_uri):
    relay = Relay(milvus_uri)
    starting = threading.Timer(0.5, relay.open)
    starting.start()
    try:
        MilvusCollection(replace(settings, uri=relay.uri)).close()
    finally:
        starting.join()
        relay.close()


def test_nobody_at_the_address(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = MilvusSettings(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(MilvusUnavailableError, match=r"127\.0\.0\.1.*start it or check"):
            LesionIndex.open(folder, milvus=nobody)


def test_somebody_who_never_answers(folder):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = MilvusSettings(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1.0)
        start = time.monotonic()
        with pytest.raises(MilvusUnavailableError, match="does not answer within 1 s"):
            sync_index(folder, settings)
        assert time.monotonic() - start < 20


@pytest.mark.parametrize("uri", ["", "localhost:19530", "lesions.db", "ftp://host"])
def test_an_address_that_is_none(uri):
    with pytest.raises(MilvusError, match="write it as http://host:19530"):
        MilvusSettings(uri)


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "größe", "x" * 256])
def test_a_collection_that_cannot_be(name):
    with pytest.raises(MilvusError, match="cannot be a Milvus collection"):
        MilvusSettings("http://host:19530", name)


def test_a_password_is_never_shown():
    settings = MilvusSettings("https://user:secret@host:19530", token="hidden")
    assert settings.shown_uri == "https://host:19530"
    assert "hidden" not in repr(settings)


def test_a_filter_as_an_expression():
    assert expression(None) == expression(LesionFilter()) == "row > 0"
    where = LesionFilter.parse('patient!="a\\"b" and type=liver and long_mm=10.. and tag=x')
    assert expression(where) == (
        'row > 0 and lesion_type in [4] and long_mm >= 10.0 and array_contains(tags, "x") '
        'and not (patient_id in ["a\\"b"])'
    )
    where = LesionFilter.parse("tag=x and tag_source=given,text and tag!=y and category!=3")
    assert expression(where) == (
        'row > 0 and array_contains_any(tag_sources, ["given:x", "text:x"]) '
        'and not (category in ["3"]) '
        'and not (array_contains_any(tag_sources, ["given:y", "text:y"]))'
    )
    assert expression(LesionFilter.parse("tag_source=reader")) == (
        'row > 0 and array_contains_any(tag_sources, ["reader"])'
    )
    assert expression(LesionFilter.parse("volume=..500 and measured_long=8..")) == (
        "row > 0 and measured_long_mm >= 8.0 and volume_mm3 >= -1e+307 and volume_mm3 <= 500.0"
    )
    assert literal('\\"\n') == '"\\\\\\"\\012"'
