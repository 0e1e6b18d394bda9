"""The PACS's study list over HTTP: found, opened as an upload, a report stored beside it."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from starlette.testclient import TestClient

from service.http.app import create_app
from service.http.settings import Settings
from service.pacs.reports import codes
from tests.retrieval.segmentation.scenes import INTERVAL, KEY, SPACING, ball, mark
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.pacs.orthanc.server import PASSWORD, USER

PRIOR = SeriesLabels(
    "LIST-53", "prior", date(2023, 2, 1), study_name="CT chest", accession="LIST-7"
)
CURRENT = SeriesLabels("LIST-53", "current", date(2024, 5, 17), study_name="CT abdomen, follow-up")
OTHER = SeriesLabels("LIST-530", "only", date(2024, 5, 18))
RECIST = ",".join(f"{value}" for point in mark().points for value in point)


@pytest.fixture(scope="module")
def stored(pacs):
    for labels in (PRIOR, CURRENT, OTHER):
        pacs.store(ct_series(ball().hu, labels, spacing_mm_px=SPACING, interval_mm=INTERVAL))


@pytest.fixture
def http(pacs, stored, engine, monkeypatch):
    for name, value in (("URL", pacs.url), ("USER", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"LESION_SEARCH_PACS_{name}", value)
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        yield client


def listed(http, **query):
    answer = http.get("/v1/dicomweb/studies", params=query)
    assert answer.status_code == 200, answer.text
    return [(one["patient_id"], one["study_date"]) for one in answer.json()["studies"]]


def test_studies_are_found_by_patient_day_and_uid(http):
    both = [("LIST-53", "2024-05-17"), ("LIST-53", "2023-02-01")]
    assert listed(http, patient="LIST-53") == both
    assert listed(http, patient="LIST-53*") == [("LIST-530", "2024-05-18"), *both]
    assert listed(http, patient="LIST-53", first="2024-01-01") == both[:1]
    assert listed(http, last="2023-12-31", patient="LIST*") == both[1:]
    assert listed(http, study=PRIOR.study_uid) == both[1:]
    assert listed(http, patient="nobody") == []


def test_studies_are_found_by_what_they_are_called_and_by_their_accession_number(http):
    current, prior = [("LIST-53", "2024-05-17"), ("LIST-53", "2023-02-01")]
    assert listed(http, description="follow-up", patient="LIST*") == [current]
    assert listed(http, description="CT*", patient="LIST-53") == [current, prior]
    assert listed(http, description="T chest", patient="*") == [prior]
    assert listed(http, accession="LIST-7") == [prior]
    assert listed(http, accession="LIST-?", patient="LIST-53") == [prior]
    answer = http.get("/v1/dicomweb/studies", params={"accession": "LIST-7"}).json()
    (study,) = answer["studies"]
    assert (study["description"], study["accession_number"]) == ("CT chest", "LIST-7")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "say which studies"),
        ({"patient": "*"}, "say which studies"),
        ({"description": " ", "accession": "??"}, "say which studies"),
        ({"first": "2024-02-01", "last": "2024-01-01"}, "earlier one first"),
        ({"study": "1.2/../3"}, "study"),
    ],
)
def test_a_search_that_names_nothing_is_refused(http, query, words):
    answer = http.get("/v1/dicomweb/studies", params=query)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def opened(http, labels):
    (series,) = http.get(f"/v1/dicomweb/studies/{labels.study_uid}/series").json()
    assert series["instances"] == len(ball().hu)
    asked = {
        "series_instance_uid": series["series_instance_uid"],
        "study_instance_uid": labels.study_uid,
    }
    answer = http.post("/v1/dicomweb/uploads?grid=display", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_series_becomes_an_upload_and_its_mark_a_report_in_the_pacs(http, pacs):
    upload = opened(http, CURRENT)
    identity = upload["identity"]
    assert (identity["patient_id"], identity["study_date"]) == ("LIST-53", "2024-05-17")
    assert identity["reportable"] is True
    form = {"upload_id": upload["upload_id"], "grid": "display", "key_slice_index": KEY}
    answer = http.post(
        "/v1/dicomweb/uploads/report", data={**form, "recist": RECIST, "measured": "true"}
    )
    assert answer.status_code == 201, answer.text
    (told,) = answer.json()["reports"]
    assert told["study_instance_uid"] == CURRENT.study_uid
    client = pacs.client()
    (entry,) = client.series_of(CURRENT.study_uid, "SR")
    kept = client.retrieve(entry, told["sop_instance_uid"], patient_id="LIST-53")
    text = str(kept)
    assert CURRENT.instance_uid(KEY) in text
    assert codes.VOLUME.meaning in text


def test_a_report_is_not_stored_beside_images_that_the_pacs_does_not_have(http, pacs):
    elsewhere = SeriesLabels("LIST-53", "elsewhere", date(2024, 5, 17))
    images = ct_series(ball().hu, elsewhere, spacing_mm_px=SPACING, interval_mm=INTERVAL)
    files = []
    for image in images:
        name = f"{image.InstanceNumber}.dcm"
        files.append(("files", (name, encoded(image))))
    upload = http.post("/v1/uploads", files=files, data={"grid": "display"}).json()
    assert upload["identity"]["reportable"] is True
    form = {"upload_id": upload["upload_id"], "grid": "display", "recist": RECIST}
    answer = http.post("/v1/dicomweb/uploads/report", data=form)
    assert answer.status_code == 404, answer.text
    assert not pacs.client().series_of(CURRENT.study_uid, "SR")


def encoded(image):
    file = BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_with_pseudonyms_there_is_no_list_and_no_report_of_own_images(
    http, pacs, engine, key_file, monkeypatch
):
    assert http.get("/v1/capabilities").json()["study_list"] is True
    monkeypatch.setenv("LESION_SEARCH_PACS_PSEUDONYM_KEY", str(key_file))
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        told = client.get("/v1/capabilities").json()
        assert (told["pacs"], told["study_list"]) == (True, False)
        refused = client.get("/v1/dicomweb/studies", params={"patient": "LIST-53"})
        assert refused.status_code == 422
        assert "pseudonyms" in refused.json()["detail"]
        asked = {"series_instance_uid": CURRENT.series_uid}
        upload = client.post("/v1/dicomweb/uploads", json=asked).json()
        assert upload["identity"]["patient_id"] != "LIST-53"
        assert upload["identity"]["reportable"] is False
