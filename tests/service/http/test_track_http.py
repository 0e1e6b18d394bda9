"""Tracks and matches over HTTP, against the engine."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion
from service.engine.patient_tracks import report_of
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.samples import ToyEncoder

STUDIES = ("p_01", "p_02", "p_03")


def record(name: str, study: str, turn: float, *, patient: str = "p") -> LesionRecord:
    """A lesion whose vector turns by ``turn`` in a plane: near turns are near lesions."""
    vector = np.zeros(ToyEncoder.dimension, np.float32)
    vector[:2] = np.cos(turn), np.sin(turn)
    lesion = Lesion(
        lesion_id=name,
        patient_id=patient,
        study_id=study,
        series_id=f"{study}_01",
        key_slice_index=5,
        box=Box(10 + 40 * turn, 10, 30 + 40 * turn, 30),
        long_mm=20.0,
        short_mm=15.0,
        location=(0.3 + 0.2 * turn, 0.5, 0.5),
    )
    return LesionRecord(lesion, vector, ImageSource("archive", "none.png", (1.0, 1.0), 2.0))


@pytest.fixture
def engine(tmp_path):
    encoder = ToyEncoder()
    binding = EncoderBinding(encoder.fingerprint, encoder.name, encoder.dimension, {})
    with LesionIndex.create(tmp_path / "index", binding) as index:
        records = [
            record(f"{kind}{number}", study, turn)
            for number, study in enumerate(STUDIES, start=1)
            for kind, turn in (("a", 0.0), ("b", 1.5))
        ]
        index.add([*records, record("other", "q_01", 0.0, patient="q")])
        yield SearchEngine(encoder, index)


@pytest.fixture
def client(engine):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as opened:
        yield opened


def decide(client, first, second, decision):
    body = {"lesion_a": first, "lesion_b": second, "decision": decision}
    return client.post("/v1/matches", json=body)


def tracks_of(client, patient="p"):
    document = client.get(f"/v1/patients/{patient}/tracks").json()
    return [{lesion["lesion_id"] for lesion in track["lesions"]} for track in document["tracks"]]


def test_tracks_answer_as_the_engine_does(client, engine):
    answered = client.get("/v1/patients/p/tracks")
    assert answered.status_code == 200
    assert answered.json() == report_of(engine.index, "p", model=engine.matcher).to_json()
    assert tracks_of(client) == [{"a1", "a2", "a3"}, {"b1", "b2", "b3"}]
    document = answered.json()
    assert document["notice"].startswith("Research use only")
    assert [study["category"] for study in document["response"]["studies"]] == ["SD", "SD"]
    assert document["ordered_by"] == "study_number"


def test_marks_may_be_incomplete(client, engine):
    engine.index.remove(["b3"])
    for marks, category in (("complete", "PR"), ("incomplete", "NE"), ("recorded", "NE")):
        document = client.get("/v1/patients/p/tracks", params={"marks": marks}).json()
        assert document["response"]["studies"][-1]["category"] == category
    assert client.get("/v1/patients/p/tracks", params={"marks": "some"}).status_code == 422


def test_marks_declared_complete_are_evidence_until_it_is_taken_back(client, engine):
    engine.index.remove(["b3"])

    def declare(study, *, complete):
        body = {"patient_id": "p", "study_id": study, "complete": complete}
        return client.post("/v1/marks", json=body)

    def told():
        document = client.get("/v1/patients/p/tracks").json()
        lost = next(t for t in document["tracks"] if t["lesions"][0]["lesion_id"] == "b1")
        category = document["response"]["studies"][-1]["category"]
        followed = engine.search(LesionQuery(lesion_id="b1")).follow_ups[-1].state
        return lost["vanished_in"], category, followed, document["studies"][-1]["marks"]

    assert told() == (None, "NE", "not marked", "incomplete")
    answered = declare(STUDIES[2], complete=True)
    expected = {"patient_id": "p", "study_id": STUDIES[2], "marks": "complete"}
    assert (answered.status_code, answered.json()) == (200, expected)
    assert told() == (STUDIES[2], "PR", "vanished", "complete")
    assert declare(STUDIES[2], complete=False).json()["marks"] == "incomplete"
    assert told() == (None, "NE", "not marked", "incomplete")
    unknown = declare("p_77", complete=True)
    assert unknown.status_code == 404
    assert "p_01, p_02, p_03" in unknown.json()["detail"]


def test_a_rejected_match_ends_a_track_at_once_and_comes_back_when_taken_back(client, engine):
    def state_in_second_study():
        result = engine.search(LesionQuery(lesion_id="a1")).to_json()
        return result["follow_ups"][0]["state"], result["follow_ups"][0]["lesion"]

    assert state_in_second_study()[0] == "persistent"
    for second in ("a2", "a3"):
        answered = decide(client, second, "a1", "reject")
        assert answered.status_code == 200
        assert answered.json() == {"lesion_a": "a1", "lesion_b": second, "verdict": "rejected"}
    assert {"a1"} in tracks_of(client)
    assert state_in_second_study() == ("not marked", None)
    for second in ("a2", "a3"):
        assert decide(client, "a1", second, "remove").json()["verdict"] is None
    assert engine.index.matches() == []
    assert {"a1", "a2", "a3"} in tracks_of(client)
    assert state_in_second_study()[0] == "persistent"


def test_a_confirmed_match_is_kept_whatever_its_score(client, engine):
    assert decide(client, "a1", "b2", "confirm").json()["verdict"] == "confirmed"
    assert any({"a1", "b2"} <= members for members in tracks_of(client))
    follow_up = engine.search(LesionQuery(lesion_id="a1")).follow_ups[0]
    assert (follow_up.lesion.lesion_id, follow_up.state) == ("b2", "persistent")
    assert follow_up.score == 1.0
    similar = client.get("/v1/lesions/a1/similar").json()
    assert similar["follow_ups"] == [
        x.to_json() for x in engine.search(LesionQuery(lesion_id="a1")).follow_ups
    ]


def test_a_contradiction_is_refused_before_it_is_stored(client, engine):
    for first, second in (("a1", "a2"), ("a2", "a3")):
        assert decide(client, first, second, "confirm").status_code == 200
    before = engine.index.matches()
    for first, second, decision in (("a1", "a3", "reject"), ("a1", "b1", "confirm")):
        response = decide(client, first, second, decision)
        assert response.status_code == 409
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == 409
        assert engine.index.matches() == before
    assert tracks_of(client)[0] == {"a1", "a2", "a3"}
    assert decide(client, "a2", "a3", "remove").status_code == 200
    assert decide(client, "a1", "a3", "reject").status_code == 200


def test_a_decision_may_be_changed(client, engine):
    decide(client, "a1", "a2", "reject")
    assert decide(client, "a2", "a1", "confirm").status_code == 200
    assert [match.verdict for match in engine.index.matches("p")] == ["confirmed"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"lesion_a": "a1", "lesion_b": "nobody", "decision": "confirm"}, 404, "/v1/lesions"),
        ({"lesion_a": "a1", "lesion_b": "nobody", "decision": "remove"}, 404, "/v1/lesions"),
        ({"lesion_a": "a1", "lesion_b": "a1", "decision": "confirm"}, 422, "itself"),
        ({"lesion_a": "a1", "lesion_b": "other", "decision": "reject"}, 422, "different patients"),
        ({"lesion_a": "a1", "lesion_b": "a2", "decision": "maybe"}, 422, "'confirm', 'reject'"),
        ({"lesion_a": "a1", "lesion_b": "a2"}, 422, "decision"),
        ({"lesion_a": "a1", "lesion_b": "a2", "decision": "reject", "x": 1}, 422, "x: "),
    ],
)
def test_a_decision_that_cannot_be_is_told_why(client, engine, body, status, words):
    response = client.post("/v1/matches", json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]
    assert engine.index.matches() == []


def test_another_sites_form_cannot_decide(client, engine):
    """A page elsewhere can post text to the loopback address without being asked: not JSON."""
    body = '{"lesion_a": "a1", "lesion_b": "a2", "decision": "reject"}'
    response = client.post("/v1/matches", content=body, headers={"content-type": "text/plain"})
    assert response.status_code == 422
    assert engine.index.matches() == []


def test_an_unknown_patient_is_not_found(client):
    response = client.get("/v1/patients/nobody/tracks")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "nobody" in response.json()["detail"]


def test_scores_of_another_encoders_matcher_are_warned_of(client, engine):
    (warning,) = client.get("/v1/patients/p/tracks").json()["warnings"]
    assert engine.encoder.fingerprint in warning
    assert client.get("/v1/lesions/a1/similar").json()["warnings"] == [warning]
