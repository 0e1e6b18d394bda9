"""Query by reference, follow-ups found in the PACS, reports stored back and read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom.dataset import Dataset

from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.sources.marks.mark import LengthRole
from retrieval.sources.marks.reading import read_marks
from retrieval.tracking.following.expected import PlaceSource
from retrieval.tracking.states import FollowUpState
from service.deid.pseudonyms import PseudonymKey
from service.engine.following import OtherPatientError, SameStudyError
from service.engine.query import LesionQuery
from service.pacs.indexing import accept_finding, index_lesion
from service.pacs.reports.tracks import report_of_patient, report_of_query
from service.pacs.search import follow_in_pacs, search_pacs
from service.pacs.series import find_series, read_slab
from tests.service.pacs.orthanc.phantom_study import (
    DAYS,
    PATIENT,
    SOME,
    dumped,
    one_run_each,
    some,
    stacked,
)
from tests.service.pacs.orthanc.server import Orthanc


def test_only_the_slices_that_are_needed_are_retrieved(pacs, phantom, patient, engine, monkeypatch):
    client = pacs.client()
    asked = []
    retrieve = client.retrieve
    monkeypatch.setattr(
        client,
        "retrieve",
        lambda series, uid, **whose: (asked.append(uid), retrieve(series, uid, **whose))[1],
    )
    mark = next(iter(phantom[2].values()))
    series = find_series(client, mark.reference)
    slab = read_slab(client, series, mark.position, half_depth_mm=2.0)
    assert slab.key_slice_index == mark.position
    assert 3 <= len(asked) == len(slab.hu) <= 5 < len(series.images)
    _, images = stacked(patient, 2)
    wanted = np.clip(images[slab.slice_numbers[0] :][: len(slab.hu)], -1024, 3071)
    np.testing.assert_array_equal(slab.hu, wanted)


def test_a_query_by_reference_answers_as_the_engine_does(pacs, phantom, engine):
    mark = next(iter(phantom[2].values()))
    client = pacs.client()
    answer = search_pacs(engine, client, mark.query)
    series = find_series(client, mark.reference)
    depth = engine.encoder.spec.half_depth_mm
    slab = read_slab(client, series, mark.position, half_depth_mm=depth)
    direct = engine.search(LesionQuery(recist=mark.recist), slab)
    assert [hit.to_json() for hit in answer.result.hits] == [h.to_json() for h in direct.hits]
    assert len(answer.result.hits) == 10
    assert answer.lesion.patient_id == PATIENT
    assert answer.lesion.study_date == DAYS[2]
    (other,) = answer.studies
    assert other.source == "none"
    assert "no detector" in other.note
    assert any("own" in warning for warning in answer.result.warnings)


class RememberingEncoder:
    """The encoder itself, that notes the pixels and the box of every patch."""

    def __init__(self, encoder):
        self._encoder = encoder
        self.patches = []

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def embed(self, patches, **options):
        self.patches += [(patch.hu.tobytes(), patch.box) for patch in patches]
        return self._encoder.embed(patches, **options)


def test_the_query_is_embedded_once(pacs, phantom, engine):
    encoder = RememberingEncoder(engine.encoder)
    client = pacs.client()
    mark = next(iter(phantom[2].values()))
    search_pacs(engine.with_models(encoder, engine.detector), client, mark.query)
    assert len(encoder.patches) >= 1
    assert len(set(encoder.patches)) == len(encoder.patches)


def test_follow_ups_come_from_stored_reports_and_are_reported_in_turn(
    pacs, phantom, engine, tmp_path
):
    client = pacs.client()
    uids = {}
    for track, mark in some(phantom[2]):
        made = report_of_query(search_pacs(engine, client, mark.query))
        client.store(made.datasets)
        uids[track] = next(read_marks(made.datasets[0])).tracking_uid
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
        _check_reports(report_of_query(answer), (truth, mark), uids[track], tmp_path)
        matched += 1
    assert matched >= SOME - 1


def _check_reports(made, marks, uid, tmp_path):
    """One report a study, both under the first report's tracking UID; dcmtk finds nothing wrong."""
    assert made.measurements == 2
    for report, mark in zip(made.datasets, marks, strict=True):
        assert report.StudyInstanceUID == mark.labels.study_uid
        (read,) = read_marks(report)
        assert read.tracking_uid == uid
        assert read.image.sop_uid == mark.reference.sop_uid
        assert read.stated_mm(LengthRole.LONG) == pytest.approx(mark.long_mm)
        path = tmp_path / "report.dcm"
        report.save_as(path, enforce_file_format=True)
        assert uid in dumped(path)


def test_a_track_s_reports_go_to_their_own_studies(pacs, phantom, engine):
    client = pacs.client()
    track, mark = some(phantom[2])[0]
    later = phantom[4][track]
    first = report_of_query(search_pacs(engine, client, mark.query))
    client.store(first.datasets)
    made = report_of_query(search_pacs(engine, client, later.query))
    assert [str(one.StudyInstanceUID) for one in made.datasets] == [
        mark.labels.study_uid,
        later.labels.study_uid,
    ]
    client.store(made.datasets)
    uids = set()
    for report, where in zip(made.datasets, (mark, later), strict=True):
        held = [
            client.retrieve(entry, uid, patient_id=PATIENT)
            for entry in client.series_of(where.labels.study_uid, "SR")
            for uid in client.instance_uids(entry)
        ]
        (stored,) = [one for one in held if one.SOPInstanceUID == report.SOPInstanceUID]
        (read,) = read_marks(stored)
        assert read.image.sop_uid == where.reference.sop_uid
        uids.add(read.tracking_uid)
    assert uids == {next(read_marks(first.datasets[0])).tracking_uid}
    # The same lesion from two reports of its study is one to a query.
    answer = search_pacs(engine, client, later.query)
    assert answer.studies[0].source == "report"
    assert answer.studies[0].lesions == 1


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

    def detect(self, slab: Slab) -> list[Proposal]:
        here = [mark for mark in self._marks if mark.position == slab.key_slice_index]
        found = [Proposal(mark.recist.box(), 0.9, mark.long_mm) for mark in here]
        return [*found, Proposal(Box(80, 2, 95, 17), 0.2, 12.0)]


def test_where_nobody_marked_anything_the_detector_proposes(
    pacs, phantom, patient, engine, monkeypatch
):
    found = one_run_each(pacs, phantom, patient, "MRN-4712")
    monkeypatch.setattr(engine, "detector", TruthfulDetector([found[4]]))
    monkeypatch.setattr("service.pacs.proposals.STEP_MM", 0.1)
    answer = search_pacs(engine, pacs.client(), found[2].query)
    (study,) = answer.studies
    assert study.source == "detector"
    assert study.lesions == 2
    assert "nobody marked" in study.note
    (follow_up,) = answer.result.follow_ups
    assert follow_up.state in {FollowUpState.PERSISTENT, FollowUpState.UNCERTAIN}
    assert follow_up.lesion is None or "detector" in follow_up.lesion.terms
    if follow_up.state is FollowUpState.PERSISTENT:
        assert follow_up.lesion.box == found[4].recist.box()


def test_an_indexed_lesion_is_followed_into_another_series_of_the_pacs(
    pacs, phantom, patient, engine, key_file
):
    marks = one_run_each(pacs, phantom, patient, "MRN-4713")
    client = pacs.client(pseudonym_key=key_file)
    lesion, _ = index_lesion(engine, client, marks[2].query, lesion_type=marks[2].lesion_type)
    found = follow_in_pacs(engine, client, lesion.lesion_id, marks[4].reference)
    # Its own slices came from the PACS: the place is that of two series, not of a location.
    assert found.expected.source is not PlaceSource.LOCATION
    assert not any("own slices" in warning for warning in found.warnings)
    assert found.study_id == PseudonymKey.load(key_file).uid(marks[4].labels.study_uid)
    assert "MRN-4713" not in json.dumps(found.to_json())
    assert found.candidates
    with pytest.raises(SameStudyError):
        follow_in_pacs(engine, client, lesion.lesion_id, marks[2].reference)
    reference = phantom[4]["000004_t01"].reference
    with pytest.raises(OtherPatientError):
        follow_in_pacs(engine, client, lesion.lesion_id, reference)
    assert engine.index.searches.of(lesion.patient_id) == []
    found = follow_in_pacs(engine, client, lesion.lesion_id, marks[4].reference, keep=True)
    (kept,) = engine.index.searches.of(lesion.patient_id)
    assert (kept.study_id, kept.state) == (found.study_id, found.state)
    chosen = found.candidates[0]
    for _ in range(2):
        later = accept_finding(engine, client, lesion.lesion_id, chosen, marks[4].reference)
        assert (later.study_id, later.key_slice_index) == (found.study_id, chosen.key_slice_index)
        (match,) = engine.index.matches(lesion.patient_id)
        assert {match.lesion_a, match.lesion_b} == {lesion.lesion_id, later.lesion_id}
    engine.index.remove([lesion.lesion_id, later.lesion_id])


def test_the_pacs_holds_what_was_stored(pacs: Orthanc, phantom):
    mark = phantom[2]["000004_t01"]
    series = find_series(pacs.client(), mark.reference)
    header: Dataset = pacs.client().header(
        series.entry, mark.reference.sop_uid, patient_id=series.study.patient_id
    )
    assert header.PatientID == PATIENT
    assert "PixelData" not in header
