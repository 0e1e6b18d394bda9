"""The audit log: who, from where, what, with which outcome; nothing of a patient in clear."""

from __future__ import annotations

import json
import logging
import resource
import stat
from datetime import datetime

import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from service.deid.pseudonyms import PseudonymKey
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards import audit
from service.http.guards.audit import AuditError, AuditLog, Noted
from service.http.guards.keys import Role, add_key
from service.http.guards.start_token import new_start_token
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service import hostile as h
from tests.service.samples import ToyEncoder


@pytest.fixture
def service(archive, tmp_path):
    """A service with keys: its client, its index, the secrets of a reader and a writer."""
    encoder = ToyEncoder()
    keys = tmp_path / "keys.json"
    reader, writer = add_key(keys, "anna", Role.READ), add_key(keys, "importer", Role.WRITE)
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        app = create_app(Settings(index=index.path, keys=keys), engine=SearchEngine(encoder, index))
        with TestClient(app, client=("203.0.113.9", 4711)) as client:
            yield client, index, bearer(reader), bearer(writer)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_request_is_a_line_that_says_who_what_and_how_it_ended(service, tmp_path):
    client, index, reader, writer = service
    lesion = index.page(limit=1)[0]
    url = f"/v1/lesions/{lesion.lesion_id}"
    fields = {"box": h.BOX, "spacing": h.SPACING, "patient_id": "new-patient", "study_id": "s1"}
    client.get(url, headers=reader)
    client.get(f"/v1/patients/{lesion.patient_id}/tracks", headers=reader)
    client.get(f"{url}/slices/{lesion.key_slice_index}", headers=reader)
    found = client.get(f"{url}/similar?k=3", headers=reader).json()
    client.delete(url, headers=reader)
    client.get(url)
    added = client.post(
        "/v1/lesions", files={"file": ("x", h.png())}, data=fields, headers=writer
    ).json()
    client.delete(f"/v1/lesions/{added['lesion_id']}", headers=writer)
    client.get("/healthz")
    client.get("/")
    path = tmp_path / "keys.audit.jsonl"
    lines = lines_of(path)
    said = [(line["who"], line["action"], line["status"], line["outcome"]) for line in lines]
    assert said == [
        ("key anna", "R", 200, 0),
        ("key anna", "R", 200, 0),
        ("key anna", "R", 200, 0),
        ("key anna", "R", 200, 0),
        ("key anna", "D", 403, 4),
        ("nobody", "R", 401, 4),
        ("key importer", "C", 201, 0),
        ("key importer", "D", 204, 0),
    ]
    assert {line["from"] for line in lines} == {"203.0.113.9"}
    assert lines[0]["route"] == "GET /v1/lesions/{lesion_id}"
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)
    assert len({line["request_id"] for line in lines}) == len(lines)
    key = PseudonymKey.load(tmp_path / "keys.audit.jsonl.key")
    patient = {"kind": "patient", "id": key.patient(lesion.patient_id)}
    for line in lines[:4]:
        assert patient in line["objects"]
    assert {"kind": "lesion", "id": key.name_of("lesion", lesion.lesion_id)} in lines[0]["objects"]
    shown = {key.patient(hit["lesion"]["patient_id"]) for hit in found["hits"]}
    assert shown <= {one["id"] for one in lines[3]["objects"]}
    for line in lines[6:]:
        assert {"kind": "patient", "id": key.patient("new-patient")} in line["objects"]


def test_nothing_of_a_patient_stands_in_it_in_clear(service, tmp_path):
    client, index, reader, _ = service
    for lesion in index.page(limit=4):
        where = f"patient={lesion.patient_id}"
        client.get("/v1/lesions", params={"where": where, "after": "x"}, headers=reader)
        client.get(f"/v1/lesions/{lesion.lesion_id}/similar", headers=reader)
        client.get(f"/v1/patients/{lesion.patient_id}/tracks", headers=reader)
        form = {"patient_id": lesion.patient_id, "lesion_id": lesion.lesion_id}
        client.post("/v1/search", files={k: (None, v) for k, v in form.items()}, headers=reader)
    text = (tmp_path / "keys.audit.jsonl").read_text()
    assert len(text.splitlines()) == 16
    for lesion in index.page(limit=100):
        for identifier in (lesion.patient_id, lesion.study_id, lesion.lesion_id):
            assert identifier not in text
    assert reader["Authorization"].removeprefix("Bearer ") not in text


def test_others_of_the_machine_cannot_read_it(service, tmp_path):
    client, *_ = service
    client.get("/v1/lesions")
    for name in ("keys.audit.jsonl", "keys.audit.jsonl.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_without_keys_it_is_written_where_it_is_named(guarded, tmp_path):
    file = tmp_path / "logs" / "audit.jsonl"
    token = new_start_token()
    client = guarded(audit_log=file, start_token=token)
    client.get("/v1/lesions", headers=bearer(token))
    client.get("/v1/lesions", headers={"Via": "1.1 proxy"})
    client.get("/v1/lesions", headers={"Host": "evil.example"})
    client.get("/v1/nothing", headers=bearer(token))
    said = [(line["who"], line["status"], line["route"]) for line in lines_of(file)]
    assert said == [
        ("start token", 200, "GET /v1/lesions"),
        ("nobody", 403, "GET unmatched"),
        ("nobody", 421, "GET unmatched"),
        ("start token", 404, "GET unmatched"),
    ]


def test_it_rotates_and_keeps_its_mode_and_its_key(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "FILE_MB", 1)
    monkeypatch.setattr(audit, "FILES_KEPT", 2)
    file = tmp_path / "audit.jsonl"
    log = AuditLog(file)
    noted = Noted({("patient", f"patient {n}"): None for n in range(500)})
    for number in range(400):
        log.write({"number": number}, noted)
    log.close()
    files = sorted(tmp_path.glob("audit.jsonl*"))
    assert [path.name for path in files] == [
        "audit.jsonl",
        "audit.jsonl.1",
        "audit.jsonl.2",
        "audit.jsonl.key",
    ]
    assert all(path.stat().st_size <= 1 << 20 for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    last = lines_of(file)[-1]
    assert (last["number"], last["more_objects"]) == (399, 500 - len(last["objects"]))
    again = AuditLog(file)
    again.write({}, noted)
    again.close()
    assert lines_of(file)[-1]["objects"] == last["objects"], "the key outlives the service"


def test_a_log_that_cannot_be_written_is_told_at_the_start_and_while_it_runs(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="--audit-log"):
        AuditLog(tmp_path / "file" / "audit.jsonl")
    log = AuditLog(tmp_path / "audit.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    with caplog.at_level(logging.ERROR):
        log.write({"number": 1}, Noted())
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "could not be written" in caplog.text
    log.write({"number": 2}, Noted())
    log.close()
    assert [line["number"] for line in lines_of(tmp_path / "audit.jsonl")] == [1, 2]
