"""The round trip with a real PACS: query by reference, follow-ups found there, reports stored."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from index.track_types import FollowUpState
from retrieval.ct import CTSlab
from retrieval.detection.proposals import Proposal
from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import Box, LesionType, Recist
from retrieval.sources.phantom.config import PhantomConfig
from retrieval.sources.phantom.patient import make_patient
from service.app import create_app
from service.cli import main
from service.dicomweb_errors import PacsError, PacsLimitError, UnknownReferenceError
from service.dicomweb_index import index_lesion
from service.dicomweb_report import report_of_patient, report_of_query
from service.dicomweb_search import PacsQuery, search_pacs
from service.dicomweb_series import PacsImageError, PacsReference, find_series, read_slab
from service.engine import SearchEngine, binding_of
from service.indexing import index_archive
from service.pseudonyms import PseudonymKey
from service.settings import Settings
from service.structured_marks import marks_of
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.orthanc import PASSWORD, USER, Orthanc, running_orthanc

PATIENT = "MRN-4711"
DAYS = {2: date(2021, 3, 4), 4: date(2021, 9, 4)}
PHANTOM = PhantomConfig(patients=4, seed=1, image_size_px=192)
PHANTOM_NUMBER = 4
"""This phantom patient has two studies with the same four lesions."""


@dataclass(frozen=True)
class Mark:
    """One lesion of the phantom where it lies in the PACS."""

    labels: SeriesLabels
    position: int
    recist: Recist
    track: str
    lesion_type: LesionType
    long_mm: float

    @property
    def reference(self) -> PacsReference:
        sop_uid = self.labels.instance_uid(self.position)
        return PacsReference(self.labels.series_uid, self.labels.study_uid, sop_uid)

    @property
    def query(self) -> PacsQuery:
        return PacsQuery(self.reference, recist=self.recist)


SOME = 3
"""Of its lesions, these many: enough to be mistaken for one another."""


def some(marks):
    return list(marks.items())[:SOME]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="module")
def patient():
    return make_patient(PHANTOM, PHANTOM_NUMBER)


@pytest.fixture(scope="module")
def phantom(pacs, patient) -> dict[int, dict[str, Mark]]:
    """The phantom patient stored in the PACS; study to track to its mark."""
    marks: dict[int, dict[str, Mark]] = {}
    for study, day in DAYS.items():
        rows = {m.track_id: m.row for m in patient.lesions if m.row.study == study}
        spacing, interval = next(
            (row.spacing_mm_px, row.slice_interval_mm) for row in rows.values()
        )
        labels = SeriesLabels(PATIENT, str(study), day, first_z_mm=-200.0 - 50 * study)
        numbers, images = _stacked(patient, study)
        # The runs of slices have gaps between them, as the positions must say.
        datasets = ct_series(images, labels, spacing_mm_px=spacing, interval_mm=interval)
        for dataset, number in zip(datasets, numbers, strict=True):
            dataset.ImagePositionPatient[2] = labels.first_z_mm + interval * (number - numbers[0])
        pacs.store(datasets)
        marks[study] = {
            track: Mark(
                labels,
                numbers.index(row.key_slice),
                row.recist,
                track,
                row.lesion_type,
                row.recist.diameters_mm(spacing)[0],
            )
            for track, row in rows.items()
        }
    return marks


def _stacked(patient, study):
    """Slice numbers and (slices, rows, columns) HU of a study, runs one after another."""
    runs = [run for run in patient.images if run.study == study]
    numbers = [run.first_slice + k for run in runs for k in range(len(run.hu))]
    return numbers, np.concatenate([run.hu for run in runs]).astype(np.float32)


@pytest.fixture(scope="module")
def filled(archive, tmp_path_factory):
    """An index of other patients by the bundled encoder, which opens it for each test anew."""
    encoder = LesionEncoder.load(None)
    folder = tmp_path_factory.mktemp("pacs") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
    return encoder, folder


@pytest.fixture
def engine(filled):
    encoder, folder = filled
    with LesionIndex.open(folder) as index:
        opened = SearchEngine(encoder, index)
        before = {lesion.lesion_id for lesion in index.page(limit=500)}
        yield opened
        index.remove({lesion.lesion_id for lesion in index.page(limit=500)} - before)


@pytest.fixture(autouse=True)
def no_reports(pacs):
    pacs.forget_reports()


@pytest.fixture
def key_file(tmp_path):
    PseudonymKey.create(tmp_path / "pseudonyms.key")
    return tmp_path / "pseudonyms.key"


def test_only_the_slices_that_are_needed_are_retrieved(pacs, phantom, patient, engine, monkeypatch):
    client = pacs.client()
    asked = []
    retrieve = client.retrieve
    monkeypatch.setattr(
        client, "retrieve", lambda series, uid: (asked.append(uid), retrieve(series, uid))[1]
    )
    mark = next(iter(phantom[2].values()))
    series = find_series(client, mark.reference)
    slab = read_slab(client, series, mark.position, half_depth_mm=2.0)
    assert slab.key_slice_index == mark.position
    assert 3 <= len(asked) == len(slab.hu) <= 5 < len(series.images)
    _, images = _stacked(patient, 2)
    wanted = np.clip(images[slab.first_slice_index :][: len(slab.hu)], -1024, 3071)
    np.testing.assert_array_equal(slab.hu, wanted)


def test_a_query_by_reference_answers_as_the_engine_does(pacs, phantom, engine):
    mark = next(iter(phantom[2].values()))
    client = pacs.client()
    answer = search_pacs(engine, client, mark.query)
    series = find_series(client, mark.reference)
    depth = engine.encoder.spec.half_depth_mm
    slab = read_slab(client, series, mark.position, half_depth_mm=depth)
    direct = engine.search(slab, recist=mark.recist)
    assert [hit.to_json() for hit in answer.result.hits] == [h.to_json() for h in direct.hits]
    assert len(answer.result.hits) == 10
    assert answer.lesion.patient_id == PATIENT
    assert answer.lesion.study_date == DAYS[2]
    (other,) = answer.studies
    assert other.source == "none"
    assert "no detector" in other.note
    assert any("own" in warning for warning in answer.result.warnings)


def test_follow_ups_come_from_stored_reports_and_are_reported_in_turn(
    pacs, phantom, engine, tmp_path
):
    client = pacs.client()
    uids = {}
    for track, mark in some(phantom[2]):
        made = report_of_query(search_pacs(engine, client, mark.query))
        client.store(made.datasets)
        uids[track] = marks_of(made.datasets[0])[0].track_uid
    matched = 0
    for track, mark in some(phantom[4]):
        answer = search_pacs(engine, client, mark.query)
        (follow_up,) = answer.result.follow_ups
        assert answer.studies[0].source == "report"
        assert answer.studies[0].lesions == SOME
        if follow_up.state is not FollowUpState.PERSISTENT:
            continue
        truth = phantom[2][track]
        # Coordinates of a report are single precision.
        assert follow_up.lesion.box.to_list() == pytest.approx(truth.recist.box().to_list())
        assert follow_up.change_mm == pytest.approx(mark.long_mm - truth.long_mm, abs=1e-6)
        _check_report(report_of_query(answer), (truth, mark), uids[track], tmp_path)
        matched += 1
    assert matched >= SOME - 1


def _check_report(made, marks, uid, tmp_path):
    """Both measurements under the first report's tracking UID; dcmtk finds nothing wrong."""
    (report,) = made.datasets
    assert made.measurements == 2
    assert report.StudyInstanceUID == marks[1].labels.study_uid
    read = marks_of(report)
    assert {mark.track_uid for mark in read} == {uid}
    assert [mark.sop_uid for mark in read] == [mark.reference.sop_uid for mark in marks]
    assert [mark.long_mm for mark in read] == pytest.approx([mark.long_mm for mark in marks])
    path = tmp_path / "report.dcm"
    report.save_as(path, enforce_file_format=True)
    assert uid in dumped(path)


def dumped(path):
    """What dcmtk reads of a report."""
    done = subprocess.run(["dsrdump", "+Pl", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_follow_ups_come_from_the_index_under_the_keys_pseudonyms(pacs, phantom, engine, key_file):
    client = pacs.client(pseudonym_key=key_file)
    key = PseudonymKey.load(key_file)
    for _, mark in some(phantom[2]):
        index_lesion(engine, client, mark.query, lesion_type=mark.lesion_type)
    states = []
    for track, mark in some(phantom[4]):
        answer = search_pacs(engine, client, mark.query)
        text = json.dumps(answer.to_json())
        for secret in (PATIENT, mark.labels.study_uid, mark.labels.series_uid, "2021-"):
            assert secret not in text
        assert answer.lesion.patient_id == key.patient(PATIENT)
        assert all(hit.lesion.patient_id != key.patient(PATIENT) for hit in answer.result.hits)
        assert answer.studies[0].source == "index"
        (follow_up,) = answer.result.follow_ups
        states.append(follow_up.state)
        if follow_up.lesion is not None and follow_up.state is FollowUpState.PERSISTENT:
            assert follow_up.lesion.key_slice_index == phantom[2][track].position
    assert states.count(FollowUpState.PERSISTENT) >= SOME - 1
    made = report_of_patient(engine, client, phantom[4]["000004_t01"].reference)
    assert made.measurements == SOME
    assert {str(one.StudyInstanceUID) for one in made.datasets} == {
        phantom[2]["000004_t01"].labels.study_uid
    }


class TruthfulDetector:
    """Proposes the phantom's boxes on their key slices, and a wrong one everywhere."""

    name, fingerprint, half_depth_mm = "truth", "truth0", 2.5

    def __init__(self, marks) -> None:
        self._marks = list(marks)

    def detect(self, slab: CTSlab) -> list[Proposal]:
        here = [mark for mark in self._marks if mark.position == slab.key_slice_index]
        found = [Proposal(mark.recist.box(), 0.9, mark.long_mm) for mark in here]
        return [*found, Proposal(Box(80, 2, 95, 17), 0.2, 12.0)]


def test_where_nobody_marked_anything_the_detector_proposes(
    pacs, phantom, patient, engine, monkeypatch
):
    """One run of slices about one lesion, so that the series has no gaps."""
    mark = phantom[4]["000004_t01"]
    labels = SeriesLabels("MRN-4712", "a", DAYS[2], first_z_mm=-200.0)
    later = SeriesLabels("MRN-4712", "b", DAYS[4], first_z_mm=-100.0)
    found = {}
    for study, where in ((2, labels), (4, later)):
        row = next(
            m.row for m in patient.lesions if m.track_id == mark.track and m.row.study == study
        )
        run = next(
            run
            for run in patient.images
            if run.study == study
            and run.first_slice <= row.key_slice < run.first_slice + len(run.hu)
        )
        images = ct_series(
            run.hu.astype(np.float32),
            where,
            spacing_mm_px=row.spacing_mm_px,
            interval_mm=row.slice_interval_mm,
        )
        pacs.store(images)
        position = row.key_slice - run.first_slice
        found[study] = Mark(where, position, row.recist, mark.track, row.lesion_type, mark.long_mm)
    monkeypatch.setattr(engine, "_detector", TruthfulDetector([found[4]]))
    monkeypatch.setattr("service.dicomweb_proposals.STEP_MM", 0.1)
    answer = search_pacs(engine, pacs.client(), found[2].query)
    (study,) = answer.studies
    assert study.source == "detector"
    assert study.lesions == 2
    assert "nobody marked" in study.note
    (follow_up,) = answer.result.follow_ups
    assert follow_up.state in {FollowUpState.PERSISTENT, FollowUpState.UNCERTAIN}
    assert follow_up.lesion is None or "detector" in follow_up.lesion.tags
    if follow_up.state is FollowUpState.PERSISTENT:
        assert follow_up.lesion.box == found[4].recist.box()


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
    kept = client.retrieve(entry, report["sop_instance_uid"])
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


def test_what_the_pacs_refuses_or_the_limits_do(pacs, phantom, engine):
    mark = phantom[2]["000004_t01"]
    with pytest.raises(PacsError, match="credentials"):
        search_pacs(engine, pacs.client(password="wrong"), mark.query)
    with pytest.raises(PacsLimitError, match="MAX_INSTANCES"):
        search_pacs(engine, pacs.client(max_instances=3), mark.query)
    with pytest.raises(UnknownReferenceError):
        find_series(pacs.client(), PacsReference(mark.labels.series_uid, "1.2.3"))


def test_only_ct_is_read_and_burned_in_text_is_refused(pacs, engine):
    labels = SeriesLabels("MRN-9", "mr", date(2020, 1, 1))
    other = SeriesLabels("MRN-9", "burned", date(2020, 1, 1))
    plane = np.zeros((3, 32, 32), np.float32)
    mr, burned = (
        ct_series(plane, one, spacing_mm_px=(1.0, 1.0), interval_mm=2.0) for one in (labels, other)
    )
    for image in mr:
        image.Modality = "MR"
    for image in burned:
        image.BurnedInAnnotation = "YES"
    pacs.store([*mr, *burned])
    box = Box(5, 5, 20, 20)
    with pytest.raises(PacsImageError, match="modality 'MR'"):
        search_pacs(engine, pacs.client(), PacsQuery(PacsReference(labels.series_uid), box=box))
    with pytest.raises(PacsImageError, match="BurnedInAnnotation"):
        search_pacs(engine, pacs.client(), PacsQuery(PacsReference(other.series_uid), box=box))


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
    out = tmp_path / "sr.dcm"
    written = run("report", later, "--out", str(out), "--store")
    assert written["stored"]
    assert dcmread(out).PatientID == PATIENT
    assert first.labels.series_uid not in json.dumps(found)
    dumped(out)
    engine.index.remove([added["lesion_id"]])


def test_a_pattern_in_a_patient_id_finds_nobody_else(pacs, phantom, engine):
    """To QIDO-RS the id is a pattern that fits the phantom patient as well."""
    labels = SeriesLabels("MRN-*", "star", date(2020, 1, 1))
    texture = np.random.default_rng(0).normal(40, 50, (3, 64, 64)).astype(np.float32)
    pacs.store(ct_series(texture, labels, spacing_mm_px=(1.0, 1.0), interval_mm=2.0))
    query = PacsQuery(PacsReference(labels.series_uid), box=Box(20, 20, 40, 40))
    answer = search_pacs(engine, pacs.client(), query)
    assert answer.lesion.patient_id == "MRN-*"
    assert answer.studies == ()
    assert len(pacs.client().studies_of(PATIENT)) == 2


def test_the_pacs_holds_what_was_stored(pacs: Orthanc, phantom):
    mark = phantom[2]["000004_t01"]
    series = find_series(pacs.client(), mark.reference)
    header: Dataset = pacs.client().header(series.entry, mark.reference.sop_uid)
    assert header.PatientID == PATIENT
    assert "PixelData" not in header
