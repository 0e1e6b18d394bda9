"""The short form of the fuzz; ``benchmarks/fuzz.py`` is the long one."""

from __future__ import annotations

import time

import numpy as np
import psutil
import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service import hostile as h
from tests.service.http.fuzzing import (
    ForgetfulDetector,
    FuzzReport,
    OverTheWire,
    fuzz_files,
    fuzz_schema,
    honest_files,
)
from tests.service.http.fuzzing_text import fuzz_characters, fuzz_filters
from tests.service.http.guards.listening import free_port, listening, until
from tests.service.http.slow_clients import SlowClients
from tests.service.samples import ToyEncoder


@pytest.fixture(scope="module")
def client(archive, tmp_path_factory):
    """A service whose index may be changed."""
    encoder = ToyEncoder()
    index = LesionIndex.create(tmp_path_factory.mktemp("fuzzed") / "index", binding_of(encoder))
    index_archive(archive, index, encoder)
    settings = Settings(
        index=index.path, max_body_mb=4, max_volume_mb=16, decode_s=10, decode_memory_mb=512
    )
    app = create_app(settings, engine=SearchEngine(encoder, index, ForgetfulDetector()))
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as opened:
        yield opened
    index.close()


@pytest.fixture
def honest(client):
    """A query whose answer must not change, and what it answers before the fuzz."""

    def ask():
        fields = {"box": h.BOX, "spacing": h.SPACING, "where": "type=liver"}
        answer = client.post("/v1/search", files={"file": ("x", h.png())}, data=fields)
        assert answer.status_code == 200
        return answer.json()["hits"]

    before = ask()
    yield ask
    assert ask() == before


def test_mutated_files(client, honest):
    report = FuzzReport()
    files = honest_files()
    fuzz_files(client.request, report, count=250, rng=np.random.default_rng(7), files=files)
    assert report.failures == []
    assert report.statuses[422] > 100
    decoders = client.app.state.service.decoders.process_ids()
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    assert len(decoders) <= client.app.state.service.settings.workers
    assert set(decoders) <= children


def test_whatever_the_schema_allows(client, honest):
    report = FuzzReport()
    document = client.app.openapi()
    fuzz_schema(client.request, report, document=document, examples=12, seeded=3)
    assert report.failures == []
    assert sum(report.statuses.values()) > 8 * len(document["paths"])


def test_filters_of_every_kind(client, honest):
    report = FuzzReport()
    fuzz_filters(client.request, report, count=300, rng=np.random.default_rng(8))
    assert report.failures == []
    assert report.statuses[422] > 100
    assert report.statuses[200] > 0


def test_half_characters_everywhere(client, honest):
    report = FuzzReport()
    fuzz_characters(client.request, report, count=300, rng=np.random.default_rng(9))
    assert report.failures == []
    assert report.statuses[415] > 30
    assert report.statuses[422] > 30


def test_slow_clients_delay_nobody(archive, tmp_path):
    """The short form of benchmarks/fuzz.py, which measures the 99th percentile."""
    encoder = ToyEncoder()
    port = free_port()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        pace = {"body_idle_s": 1, "send_idle_s": 1, "head_s": 2, "max_unsent_mb": 16}
        settings = Settings(index=index.path, port=port, **pace)
        app = create_app(settings, engine=SearchEngine(encoder, index))
        with listening(app, settings), SlowClients(port, readers=12, writers=12) as slow:
            assert until(lambda: app.state.places.taken >= 12)
            waits, report = [], FuzzReport()
            send = OverTheWire(port)
            fuzz_filters(send, report, count=30, rng=np.random.default_rng(1))
            for _ in range(60):
                start = time.perf_counter()
                assert send("GET", "/healthz").status_code == 200
                waits.append(time.perf_counter() - start)
                time.sleep(0.05)
            assert report.failures == []
            assert sorted(waits)[len(waits) // 2] < 0.1
            assert slow.reopened > 24, "they are cut off, and come again"
