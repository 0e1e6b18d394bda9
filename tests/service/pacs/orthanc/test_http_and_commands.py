"""The PACS over HTTP and by the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread
from starlette.testclient import TestClient

from service.cli import main
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.pacs.orthanc.phantom_study import (
    PATIENT,
    dumped,
)
from tests.service.pacs.orthanc.server import PASSWORD, USER


@pytest.fixture
def http(pacs, engine, monkeypatch):
    for name, value in (("URL", pacs.url), ("USER", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"LESION_SEARCH_PACS_{name}", value)
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        yield client


def body(mark, **changes):
    return {
        "series_instance_uid": mark.labels.series_uid,
        "sop_instance_uid": mark.reference.sop_uid,
        "recist": [value for point in mark.recist.points for value in point],
        **changes,
    }


def test_search_and_report_over_http(http, pacs, phantom, tmp_path):
    first, later = phantom[2]["000004_t01"], phantom[4]["000004_t01"]
    stored = http.post("/v1/dicomweb/reports", json=body(first))
    assert stored.status_code == 201, stored.text
    (report,) = stored.json()["reports"]
    assert report["study_instance_uid"] == first.labels.study_uid
    found = http.post("/v1/dicomweb/search", json=body(later, k=3))
    assert found.status_code == 200, found.text
    assert len(found.json()["hits"]) == 3
    assert found.json()["pacs"]["studies"][0]["source"] == "report"
    client = pacs.client()
    (entry,) = client.series_of(first.labels.study_uid, "SR")
    kept = client.retrieve(entry, report["sop_instance_uid"], patient_id=first.labels.patient_id)
    kept.save_as(tmp_path / "stored.dcm", enforce_file_format=True)
    assert "Imaging Measurement Report" in dumped(tmp_path / "stored.dcm")


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"series_instance_uid": "1.2.3"}, 404, "no series"),
        ({"sop_instance_uid": "1.2.3"}, 404, "SOP instance"),
        ({"series_instance_uid": "1.2.3/../.."}, 422, "series_instance_uid"),
        ({"pacs": "http://elsewhere"}, 422, "pacs"),
        ({"box": [1, 1, 9, 9]}, 422, "one of"),
        ({"recist": None}, 422, "no detector"),
        ({"key_slice_index": 1}, 422, "not both"),
        ({"sop_instance_uid": None, "key_slice_index": 500}, 422, "not in the series"),
        ({"k": 100000}, 422, "at most"),
    ],
)
def test_a_wrong_request_is_one_plain_problem(http, phantom, changes, status, words):
    answer = http.post("/v1/dicomweb/search", json=body(phantom[2]["000004_t01"], **changes))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_the_commands(pacs, phantom, engine, key_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESION_SEARCH_PACS_USER", USER)
    monkeypatch.setenv("LESION_SEARCH_PACS_PASSWORD", PASSWORD)
    first, later = phantom[2]["000004_t01"], phantom[4]["000004_t01"]

    def run(command, mark, *more):
        recist = ",".join(str(value) for point in mark.recist.points for value in point)
        words = ["pacs", command, "--pacs", pacs.url, "--index", str(engine.index.path)]
        words += ["--series", mark.labels.series_uid, "--instance", mark.reference.sop_uid]
        words += ["--recist", recist, "--key", str(key_file), "--json", *more]
        assert main(words) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    added = run("add", first, "--type", "liver")
    assert added["lesion_type"] == "liver"
    found = run("query", later)
    assert found["pacs"]["identifiers"] == "pseudonyms"
    assert found["pacs"]["studies"][0]["source"] == "index"
    written = run("report", later, "--out", str(tmp_path / "reports"), "--store")
    assert written["stored"]
    assert first.labels.series_uid not in json.dumps(found)
    studies = [one.labels.study_uid for one in (first, later)]
    assert [one["study_instance_uid"] for one in written["reports"]] == studies
    for file, study in zip(written["files"], studies, strict=True):
        report = dcmread(file)
        assert (report.PatientID, report.StudyInstanceUID) == (PATIENT, study)
        dumped(Path(file))
    engine.index.remove([added["lesion_id"]])
