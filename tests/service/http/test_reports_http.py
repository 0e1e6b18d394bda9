"""Reports as files: a mark on DICOM images, and the tracks of an indexed patient."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import highdicom.sr as hd
import numpy as np
import pydicom
import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.reading import read_marks
from retrieval.synthesis.phantom.archive import generate_archive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards.keys import Role, add_key
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from service.pacs.reports import codes
from service.pacs.reports.own import DERIVED
from tests.retrieval.segmentation.scenes import INTERVAL, KEY, SPACING, ball, mark
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.samples import ToyEncoder

LABELS = SeriesLabels("MRN-7", "now", date(2024, 5, 17))
RECIST = ",".join(f"{value}" for point in mark().points for value in point)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    root = tmp_path_factory.mktemp("reports") / "archive"
    generate_archive(root, patients=2, seed=7, first_patient=2)
    encoder = ToyEncoder()
    with LesionIndex.create(root.parent / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(root), index, encoder)
        yield SearchEngine(encoder, index)


@pytest.fixture(scope="module")
def client(engine):
    app = create_app(Settings(index=engine.index.path), engine=engine)
    with TestClient(app) as opened:
        yield opened


def zipped(images):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for image in images:
            written = io.BytesIO()
            image.save_as(written, enforce_file_format=True)
            archive.writestr(f"{image.InstanceNumber}.dcm", written.getvalue())
    return packed.getvalue()


def series():
    return ct_series(ball().hu, LABELS, spacing_mm_px=SPACING, interval_mm=INTERVAL)


def held(client, images):
    # Sent in another order than they lie in: what tells the slices apart is their position.
    body = {"file": ("series.zip", zipped(images[::-1]))}
    answer = client.post("/v1/uploads", files=body, data={"grid": "display"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def report_of(client, upload_id, **fields):
    data = {"upload_id": upload_id, "grid": "display", "key_slice_index": KEY, **fields}
    answer = client.post("/v1/report", data=data)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(answer.content))


def test_a_mark_on_an_upload_names_its_very_image(client):
    upload = held(client, series())
    assert upload["identity"]["reportable"] is True
    assert "image_uids" not in upload["identity"]
    report = report_of(client, upload["upload_id"], recist=RECIST, lesion_type="lung")
    assert report.PatientID == "MRN-7"
    assert str(report.PatientName) == ""
    assert report.StudyInstanceUID == LABELS.study_uid
    (found,) = [one for one in read_marks(report) if isinstance(one, Mark)]
    assert found.image.sop_uid == LABELS.instance_uid(KEY)
    content = hd.srread(io.BytesIO(written(report))).content
    (group,) = content.get_image_measurement_groups()
    values = {one.name: one.value for one in group.get_measurements()}
    assert values[codes.LONG_AXIS] == pytest.approx(16, abs=0.01)
    ends = group.get_measurements(name=codes.LONG_AXIS)[0].referenced_coordinates[0].value
    assert np.allclose(sorted(map(tuple, ends - 0.5)), sorted(mark().points[:2]))


def test_what_the_network_measured_is_called_estimated(client):
    upload = held(client, series())
    fields = {"recist": RECIST, "measured": "true"}
    report = report_of(client, upload["upload_id"], **fields)
    data = {"upload_id": upload["upload_id"], "grid": "display", "key_slice_index": KEY}
    told = client.post("/v1/measure", data={**data, "recist": RECIST}).json()["measurements"]
    (group,) = hd.srread(io.BytesIO(written(report))).content.get_image_measurement_groups()
    values = {one.name: one for one in group.get_measurements()}
    assert values[codes.LONG_AXIS].value == pytest.approx(told["long_mm"]["value"], abs=0.1)
    assert values[codes.VOLUME].value == pytest.approx(told["volume_mm3"]["value"], rel=0.02)
    assert values[codes.VOLUME].unit == codes.CUBIC_MILLIMETRE
    assert values[codes.VOLUME].derivation == codes.ESTIMATED


def test_the_same_mark_makes_the_same_report(client):
    upload = held(client, series())
    made = [report_of(client, upload["upload_id"], recist=RECIST) for _ in range(2)]
    assert made[0].SOPInstanceUID == made[1].SOPInstanceUID


def test_images_that_are_no_one_dicom_stack_make_none(client):
    images = series()
    images[0].ImagePositionPatient = [-100, -120, -900]
    scattered = held(client, images)
    assert scattered["identity"]["reportable"] is False
    one = held(client, series()[KEY : KEY + 1])
    statuses = {}
    for upload in (scattered, one):
        fields = {"upload_id": upload["upload_id"], "grid": "display", "recist": RECIST}
        answer = client.post("/v1/report", data=fields)
        statuses[upload["upload_id"]] = answer.status_code
        if upload is scattered:
            assert "refers to DICOM images" in answer.json()["detail"]
    assert list(statuses.values()) == [422, 200]


def test_an_unmarked_lesion_makes_none(client):
    upload = held(client, series())
    answer = client.post("/v1/report", data={"upload_id": upload["upload_id"]})
    assert answer.status_code == 422
    assert "box" in answer.json()["detail"]


def test_a_patient_of_the_index_leaves_as_reports(client, engine):
    patient = engine.index.patients()[0]
    answer = client.get(f"/v1/patients/{patient}/report")
    assert answer.status_code == 200, answer.text
    reports = [pydicom.dcmread(io.BytesIO(one)) for one in contents(answer)]
    tracks = client.get(f"/v1/patients/{patient}/tracks").json()["tracks"]
    told = sorted(
        round(group.get_measurements(name=codes.LONG_AXIS)[0].value, 3)
        for report in reports
        for group in groups_of(report)
    )
    lesions = [lesion for track in tracks for lesion in track["lesions"]]
    assert told == sorted(round(one["long_mm"], 3) for one in lesions if one["long_mm"])
    assert {report.PatientID for report in reports} == {patient}
    # One report for each study, in their order, a track's UID the same in all of them.
    studies = {record.lesion.study_id for record in engine.index.patient(patient)}
    assert [report.StudyID for report in reports] == sorted(studies)
    assert len(studies) > 1
    uids = [group.tracking_uid for report in reports for group in groups_of(report)]
    assert len(set(uids)) == len(tracks) < len(uids)
    assert answer.headers["content-disposition"].endswith('"patient_reports.zip"')
    assert all(DERIVED.encode() in written(report) for report in reports)
    again = contents(client.get(f"/v1/patients/{patient}/report"))
    uids = {pydicom.dcmread(io.BytesIO(one)).SOPInstanceUID for one in again}
    assert uids == {report.SOPInstanceUID for report in reports}
    assert client.get("/v1/patients/nobody/report").status_code == 404


def groups_of(report):
    content = hd.srread(io.BytesIO(written(report))).content
    return [*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()]


def contents(answer):
    if answer.headers["content-type"] == "application/dicom":
        return [answer.content]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def written(report):
    file = io.BytesIO()
    report.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_capabilities_are_those_of_the_index_the_models_and_the_key(client, engine, tmp_path):
    told = client.get("/v1/capabilities").json()
    assert told == {
        "detect": False,
        "measure": True,
        "follow": True,
        "forecast": True,
        "report": True,
        "pacs": False,
        "study_list": False,
        "write": True,
        "measured": False,
        "categories": False,
        "mine": [],
    }
    keys = tmp_path / "keys.json"
    secret = add_key(keys, "reader", Role.READ)
    app = create_app(Settings(index=engine.index.path, keys=keys), engine=engine)
    with TestClient(app, base_url="http://127.0.0.1") as asked:
        headers = {"X-API-Key": secret}
        assert asked.get("/v1/capabilities", headers=headers).json()["write"] is False
        assert asked.get("/v1/capabilities").status_code == 401


def test_an_index_of_single_studies_offers_no_forecast(tmp_path):
    encoder = ToyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        app = create_app(Settings(index=index.path), engine=SearchEngine(encoder, index))
        with TestClient(app) as asked:
            assert asked.get("/v1/capabilities").json()["forecast"] is False
