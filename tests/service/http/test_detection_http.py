"""Detection over HTTP, against the engine."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from retrieval.detection.proposals import Proposal
from retrieval.lesion import Box
from service.engine.search_engine import SearchEngine
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.detectors import FixedDetector

BEST, OTHER = Box(30, 40, 60, 60), Box(10, 10, 25, 25)
SPACING = "0.9,0.9,2.5"


@pytest.fixture(scope="module")
def client(engine):
    detector = FixedDetector(Proposal(BEST, 0.9), Proposal(OTHER, 0.4))
    detecting = SearchEngine(engine.encoder, engine.index, detector)
    settings = Settings(index=engine.index.path)
    with TestClient(create_app(settings, engine=detecting)) as opened:
        yield opened


@pytest.fixture
def image(archive):
    source = archive.source(archive.lesions[0])
    return {"file": ("x", (archive.root / source.image).read_bytes())}


def test_the_proposals_are_told_best_first(client, image):
    response = client.post("/v1/detect", files=image, data={"spacing": SPACING})
    assert response.status_code == 200
    document = response.json()
    found = [(one["box"], one["score"]) for one in document["candidates"]]
    assert found == [(BEST.to_list(), 0.9), (OTHER.to_list(), 0.4)]
    assert all(one["long_mm"] > 0 for one in document["candidates"])
    assert {one["category"] for one in document["candidates"]} == {None}
    assert document["detector"] == {"name": "fixed", "fingerprint": "fixed0"}
    assert document["key_slice_index"] == 1
    assert document["timing_ms"]["total"] >= document["timing_ms"]["detect"]


def test_unlikely_proposals_are_told_when_all_are_asked_for(engine, image):
    detector = FixedDetector(Proposal(BEST, 0.9), Proposal(OTHER, 0.02))
    detecting = SearchEngine(engine.encoder, engine.index, detector)
    with TestClient(create_app(Settings(index=engine.index.path), engine=detecting)) as client:

        def scores(**fields):
            data = {"spacing": SPACING, **fields}
            found = client.post("/v1/detect", files=image, data=data).json()["candidates"]
            return [one["score"] for one in found]

        assert scores() == [0.9]
        assert scores(all="true") == [0.9, 0.02]


def test_a_point_chooses_the_proposal_that_holds_it(client, image):
    def search(**fields):
        return client.post("/v1/search", files=image, data={"spacing": SPACING, **fields})

    assert search().json()["box"] == BEST.to_list()
    chosen = search(point="15,20").json()
    assert (chosen["box"], chosen["box_source"]) == (OTHER.to_list(), "detected")
    assert len(chosen["candidates"]) == 2
    missed = search(point="90,90")
    assert missed.status_code == 422
    assert "90,90" in missed.json()["detail"]
    assert search(point="1").status_code == 422


def test_detection_from_a_held_upload(client, image):
    upload = client.post("/v1/uploads", files=image, data={"spacing": SPACING}).json()
    response = client.post("/v1/detect", data={"upload_id": upload["upload_id"]})
    assert len(response.json()["candidates"]) == 2


def test_without_a_detector_there_is_a_clear_problem(engine, image):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        response = client.post("/v1/detect", files=image, data={"spacing": SPACING})
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert "no detector" in response.json()["detail"]
