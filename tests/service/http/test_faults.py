"""A lying client, another writer, a full disk: each is said in its own words, never a 500."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service import hostile as h
from tests.service.samples import ToyEncoder

MULTIPART = "multipart/form-data; boundary=part"
HALF = '"\\ud800"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("faulty")


@pytest.fixture(scope="module")
def client(archive, folder):
    """A service that may be harmed; its index waits 1.5 s for another writer."""
    encoder = ToyEncoder()
    copied = shutil.copytree(archive.root, folder / "archive")
    LesionIndex.create(folder / "index", binding_of(encoder)).close()
    with LesionIndex.open(folder / "index", write_timeout_s=1.5) as index:
        index_archive(DeepLesionArchive.open(copied), index, encoder)
        engine = SearchEngine(encoder, index)
        settings = Settings(index=index.path, workers=2, max_writers=6, write_wait_s=1.5)
        app = create_app(settings, engine=engine)
        with TestClient(app, raise_server_exceptions=False) as opened:
            opened.engine = engine
            yield opened


def new_lesion(number: int = 0) -> dict:
    fields = {"box": h.BOX, "spacing": h.SPACING, "patient_id": "new", "study_id": f"n{number}"}
    return {"files": {"file": ("x", h.png())}, "data": fields}


def test_while_another_program_writes_searches_go_on_and_changes_are_told(client):
    """Waiting writers kept the computing places for 57 s, and the answer claimed damage."""
    lesion = client.engine.index.page(limit=1)[0].lesion_id
    changes = [("POST", "/v1/lesions", new_lesion(n)) for n in range(4)]
    changes += [("DELETE", f"/v1/lesions/{lesion}", {}) for _ in range(8)]
    with closing(sqlite3.connect(client.engine.index.path / "catalog.sqlite")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(client.request, m, path, **form) for m, path, form in changes]
            time.sleep(0.2)
            spent = []
            while not all(one.done() for one in asked):
                start = time.perf_counter()
                found = client.get(f"/v1/lesions/{lesion}/similar")
                assert found.status_code == 200
                spent.append(time.perf_counter() - start)
            answers = [one.result() for one in asked]
    assert len(spent) > 20
    assert sorted(spent)[len(spent) // 2] < 0.2
    for answer in answers:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "another change" in answer.json()["detail"]
    assert client.get(f"/v1/lesions/{lesion}").status_code == 200
    assert client.engine.index.verify().sound


@contextmanager
def full_disk(most_bytes: int):
    """No file of this process grows beyond a size; the system then says what a full disk says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_507_and_nothing_is_lost(client):
    before = client.engine.index.count()
    with full_disk(64):
        refused = client.post("/v1/lesions", **new_lesion(50))
    assert refused.status_code == 507, refused.text
    with full_disk(1 << 20):
        large = {"file": ("x", bytes(3 << 20))}
        spooled = client.post("/v1/search", files=large, data={"box": h.BOX})
    assert spooled.status_code == 507, spooled.text
    assert client.engine.index.count() == before
    added = client.post("/v1/lesions", **new_lesion(50))
    assert added.status_code == 201
    assert client.delete(added.headers["location"]).status_code == 204
    assert client.engine.index.verify().sound


@pytest.mark.parametrize("content", [b"", b"xx", None, "cut", "folder"])
def test_no_answer_tells_where_the_server_keeps_its_files(client, folder, content):
    lesion = client.engine.index.page(limit=3)[-1]
    source = client.engine.index.get(lesion.lesion_id).source
    path = Path(source.archive) / source.image
    whole = path.read_bytes()
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(whole[:200] if content == "cut" else content)
    url = f"/v1/lesions/{lesion.lesion_id}"
    try:
        for part in ("/slices", f"/slices/{lesion.key_slice_index}", "/image.png"):
            answer = client.get(url + part)
            assert answer.status_code == 404, answer.text
            assert str(folder) not in answer.text
            assert path.name not in answer.text
    finally:
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)


def test_what_shows_a_patient_is_not_kept_by_a_browser(client):
    lesion = client.engine.index.page(limit=1)[0]
    url = f"/v1/lesions/{lesion.lesion_id}"
    for path in (f"{url}/slices/{lesion.key_slice_index}", f"{url}/image.png", "/v1/map", url):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"], path


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/matches", f'{{"lesion_a": {HALF}, "lesion_b": "x", "decision": "confirm"}}'),
        ("/v1/matches", f'{{{HALF}: "x", "lesion_b": "x", "decision": "confirm"}}'),
        ("/v1/matches", HALF),
        ("/v1/marks", f'{{"patient_id": {HALF}, "study_id": "x", "complete": true}}'),
        ("/v1/dicomweb/search", f'{{"series_instance_uid": "1.2", "where": {HALF}}}'),
        ("/v1/dicomweb/reports", f'{{"series_instance_uid": {HALF}}}'),
        ("/v1/matches", "[" * 100_000),
        ("/v1/matches", '{"lesion_a": ' * 50_000),
        ("/v1/matches", "[" * 900 + "]" * 900),
        ("/v1/matches", '{"lesion_a": ' * 900 + "1" + "}" * 900),
    ],
)
def test_half_characters_and_deep_json_are_refused(client, path, document):
    answer = client.post(path, content=document, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", ["/v1/search", "/v1/lesions", "/v1/uploads", "/v1/detect"])
@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "utf-16", "punycode", "no such"])
def test_a_form_of_another_charset_is_refused(client, route, charset):
    part = 'Content-Disposition: form-data; name="patient_id"\r\n\r\n\\ud800'
    body = f"--part\r\n{part}\r\n--part--\r\n".encode()
    headers = {"Content-Type": f'{MULTIPART}; charset="{charset}"'}
    assert client.post(route, content=body, headers=headers).status_code == 415
    plain = client.post(
        route, content=body, headers={"Content-Type": f"{MULTIPART}; charset=UTF-8"}
    )
    assert plain.status_code in {422, 503}


@pytest.mark.parametrize(
    "field", ["lesion_id", "patient_id", "where", "box", "upload_id", "vector"]
)
def test_bytes_that_are_no_text_are_answered(client, field):
    for value in (b"\xed\xa0\x80", b"\xff\xfe", b"\x00", "é".encode("latin-1")):
        head = f'--part\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'.encode()
        content = head + value + b"\r\n--part--\r\n"
        answer = client.post("/v1/search", content=content, headers={"Content-Type": MULTIPART})
        assert answer.status_code in {404, 422}, answer.text
