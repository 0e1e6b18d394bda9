"""``index sync`` and ``query --milvus``: the same answers as in memory, and plain refusals."""

from __future__ import annotations

import json
import socket

import pytest

from index.lesion_index import LesionIndex
from service.cli import main


@pytest.fixture
def lesion_id(built_index):
    with LesionIndex.open(built_index, read_only=True) as index:
        return index.page()[0].lesion_id


def hits_of(capsys, arguments):
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["hits"]
    return [
        (hit["lesion"]["lesion_id"], pytest.approx(hit["similarity"], abs=1e-5)) for hit in found
    ]


def test_sync_then_the_same_answers(
    built_index, encoder_file, lesion_id, milvus_collections, monkeypatch, capsys
):
    settings = milvus_collections()
    monkeypatch.setenv("LESION_SEARCH_MILVUS_COLLECTION", settings.collection)
    arguments = ["index", "sync", "--index", str(built_index), "--milvus", settings.uri, "--json"]
    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["collection"] == settings.collection
    assert first["inserted"] == first["lesions"] > 0
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {**first, "inserted": 0, "compared": "nothing"}
    query = ["query", "--index", str(built_index), "--encoder", str(encoder_file)]
    query += ["--lesion", lesion_id, "--where", "long_mm>=1"]
    in_memory = hits_of(capsys, query)
    monkeypatch.setenv("LESION_SEARCH_MILVUS_URI", settings.uri)
    assert hits_of(capsys, query) == in_memory != []
    assert main(["index", "verify", "--index", str(built_index), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vectors"] == first["lesions"]


def test_verify_tells_that_the_server_has_no_vectors(built_index, milvus_collections, capsys):
    settings = milvus_collections()
    server = ["--milvus", settings.uri, "--collection", settings.collection]
    assert main(["index", "verify", "--index", str(built_index), *server]) == 1
    assert f"no collection '{settings.collection}'" in capsys.readouterr().out


def test_refusals_are_one_line(built_index, capsys, monkeypatch):
    monkeypatch.delenv("LESION_SEARCH_MILVUS_URI", raising=False)
    sync = ["index", "sync", "--index", str(built_index)]
    assert main(sync) == 2
    assert "give --milvus http://HOST:19530" in capsys.readouterr().err
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert main([*sync, "--milvus", f"http://127.0.0.1:{free.getsockname()[1]}"]) == 2
    message = capsys.readouterr().err
    assert "does not answer" in message
    assert message.count("\n") == 1
