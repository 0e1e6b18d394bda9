"""What whoever runs the service sees: health, readiness, metrics, request ids, logs."""

from __future__ import annotations

import io
import json
import logging
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.engine.query import LesionQuery
from service.http.app import create_app
from service.http.settings import Settings
from service.logs import WITHHELD, JsonLines


@pytest.fixture
def client(engine):
    settings = Settings(index=engine.index.path, workers=1)
    with TestClient(create_app(settings, engine=engine)) as opened:
        yield opened


@pytest.fixture
def lines():
    """The log lines of the service, as it would write them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("service")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(level)


def samples(client):
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_it_is_ready_when_the_index_is_open_and_alive_before(engine, monkeypatch):
    go_on = threading.Event()

    def open_slowly(*_, **__):
        assert go_on.wait(30)
        return engine

    monkeypatch.setattr("service.http.startup.open_engine", open_slowly)
    monkeypatch.setattr("index.lesion_index.LesionIndex.close", lambda _: None)
    with TestClient(create_app(Settings(index=engine.index.path))) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        for path in ("/readyz", "/v1/lesions", "/v1/map"):
            response = client.get(path)
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert response.headers["content-type"] == "application/problem+json"
        assert samples(client)[("lesion_search_ready",)] == 0
        go_on.set()
        deadline = time.monotonic() + 30
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/v1/lesions").status_code == 200
        assert samples(client)[("lesion_search_ready",)] == 1


def test_it_is_not_ready_while_every_place_is_taken(client):
    places = client.app.state.places
    assert client.get("/readyz").status_code == 200
    for number in range(places.most):
        assert places.take(str(number))
    refused = client.get("/readyz")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "place" in refused.json()["detail"]
    assert client.get("/v1/lesions").status_code == 503
    assert client.get("/healthz").status_code == 200
    for number in range(places.most):
        places.give_back(str(number))
    assert client.get("/readyz").status_code == 200
    assert client.get("/v1/lesions").status_code == 200


def test_why_it_cannot_start_is_told(tmp_path):
    told = []
    app = create_app(Settings(index=tmp_path / "nothing"), on_failure=told.append)
    with TestClient(app) as client:
        deadline = time.monotonic() + 60
        while not told:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get("/readyz").status_code == 503
    assert "nothing" in str(told[0])


def test_slow_searches_delay_nobodys_health(client, engine, monkeypatch):
    """More searches wait than there are threads, and the service answers for its health."""
    entered, go_on = threading.Event(), threading.Event()
    answer = engine.search(LesionQuery(lesion_id=engine.index.page("", 1)[0].lesion_id))

    def search_slowly(*_, **__):
        entered.set()
        assert go_on.wait(60)
        return answer

    monkeypatch.setattr("service.engine.search_engine.SearchEngine.search", search_slowly)
    statuses = []
    asking = [
        threading.Thread(
            target=lambda: statuses.append(client.get("/v1/lesions/a/similar").status_code)
        )
        for _ in range(50)
    ]
    for thread in asking:
        thread.start()
    assert entered.wait(30)
    try:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert client.get(path).status_code == 200
            assert statuses == []
    finally:
        go_on.set()
        for thread in asking:
            thread.join(60)
    assert statuses == [200] * 50


def test_requests_are_counted_by_their_template(client, engine):
    lesion = engine.index.page("", 1)[0].lesion_id
    client.get(f"/v1/lesions/{lesion}")
    client.get(f"/v1/lesions/{lesion}/similar")
    client.get("/v1/lesions/nobody")
    client.get("/v1/nothing/here")
    found = samples(client)

    def count(route, status):
        labels = (("method", "GET"), ("route", route), ("status", status))
        return found.get(("lesion_search_requests_total", *labels))

    assert count("/v1/lesions/{lesion_id}", "200") == 1
    assert count("/v1/lesions/{lesion_id}", "404") == 1
    assert count("/v1/lesions/{lesion_id}/similar", "200") == 1
    assert count("unmatched", "404") == 1
    timed = ("lesion_search_request_seconds_count", ("route", "/v1/lesions/{lesion_id}"))
    assert found[timed] == 2
    assert found[("lesion_search_index_lesions",)] == engine.index.count()
    assert found[("lesion_search_gate_computing",)] == 0
    assert found[("lesion_search_process_resident_memory_bytes",)] > 1e6
    text = client.get("/metrics").text
    assert lesion not in text
    assert "nobody" not in text


def test_embedded_patches_and_held_uploads_are_measured(client, archive):
    source = archive.source(archive.lesions[0])
    png = (archive.root / source.image).read_bytes()
    form = {"spacing": "0.9,0.9,2.5", "box": "30,40,60,60"}
    assert client.post("/v1/search", files={"file": ("x", png)}, data=form).status_code == 200
    client.post("/v1/uploads", files={"file": ("x", png)}, data={"spacing": "0.9,0.9,2.5"})
    found = samples(client)
    assert found[("lesion_search_embed_batch_patches_count",)] == 1
    assert found[("lesion_search_embed_batch_patches_sum",)] == 1
    assert found[("lesion_search_held_uploads",)] == 1
    assert found[("lesion_search_held_upload_bytes",)] == 4 * 96 * 96


def test_each_application_counts_for_itself(engine):
    settings = Settings(index=engine.index.path)
    with TestClient(create_app(settings, engine=engine)) as first:
        first.get("/healthz")
        with TestClient(create_app(settings, engine=engine)) as second:
            routes = {dict(key[1:]).get("route") for key in samples(second)}
    assert "/healthz" not in routes


def test_a_sane_request_id_is_kept_and_another_replaced(client):
    kept = client.get("/healthz", headers={"X-Request-ID": "trace-1.2_3"})
    assert kept.headers["x-request-id"] == "trace-1.2_3"
    made = {client.get("/healthz").headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    for wrong in ("", "a b", "x" * 65, "é".encode(), "-x", "a\tb"):
        answered = client.get("/healthz", headers={"X-Request-ID": wrong}).headers["x-request-id"]
        assert len(bytes.fromhex(answered)) == 16


def test_a_problem_names_its_request(client, monkeypatch):
    for path, status in (("/v1/lesions/nobody", 404), ("/v1/nothing", 404)):
        response = client.get(path, headers={"X-Request-ID": "mine"})
        assert (response.status_code, response.json()["request_id"]) == (status, "mine")

    def fail(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.engine.search_engine.SearchEngine.search", fail)
    response = client.get("/v1/lesions/a/similar", headers={"X-Request-ID": "mine"})
    assert (response.status_code, response.json()["request_id"]) == (500, "mine")
    assert response.headers["x-request-id"] == "mine"
    assert "content-security-policy" in response.headers


def test_a_request_is_one_line_without_anything_of_a_patient(client, engine, lines, monkeypatch):
    lesion = engine.index.page("", 1)[0]

    def fail(*_, **__):
        raise KeyError(lesion.patient_id)

    client.get(f"/v1/lesions/{lesion.lesion_id}", headers={"X-Request-ID": "mine"})
    client.get(f"/v1/patients/{lesion.patient_id}/tracks")
    client.get(f"/v1/nothing/{lesion.patient_id}?patient={lesion.patient_id}")
    monkeypatch.setattr("service.engine.search_engine.SearchEngine.search", fail)
    client.get(f"/v1/lesions/{lesion.lesion_id}/similar")
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: path.suffix != ".png")
    client.get(f"/v1/lesions/{lesion.lesion_id}/image.png")
    written = lines()
    requests = [line for line in written if line["message"] == "request"]
    assert len(requests) == 5
    first = requests[0]
    assert first["request_id"] == "mine"
    assert (first["method"], first["status"]) == ("GET", 200)
    assert first["route"] == "/v1/lesions/{lesion_id}"
    assert first["ms"] > 0
    assert first["bytes"] > 0
    (failed,) = [line for line in written if line["level"] == "error"]
    assert failed["error"] == "KeyError"
    assert any("fail" in frame for frame in failed["raised_at"])
    assert failed["request_id"] == requests[3]["request_id"]
    text = json.dumps(written)
    assert lesion.patient_id not in text
    assert lesion.lesion_id not in text


def test_what_libraries_say_is_withheld():
    def line_of(name):
        record = logging.LogRecord(name, logging.WARNING, "f", 1, "of %s", ("Doe^Jane",), None)
        return json.loads(JsonLines().format(record))

    assert line_of("pydicom.valuerep")["message"] == WITHHELD
    assert line_of("service.http.app")["message"] == "of Doe^Jane"
    assert line_of("servicex")["message"] == WITHHELD
    assert line_of("pydicom")["level"] == "warning"
