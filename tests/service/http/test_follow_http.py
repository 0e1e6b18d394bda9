"""``POST /v1/follow`` against the toy archive's index."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import ImageSource
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards.keys import Role, add_key
from service.http.settings import Settings
from tests.retrieval.tracking.following.series import (
    INTERVAL,
    SPACING,
    GreyEncoder,
    located_mark,
    node_of,
    scan,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    encoder = GreyEncoder()
    folder = tmp_path_factory.mktemp("follow") / "index"
    own = scan()
    lesion = located_mark(own)
    source = ImageSource("nowhere", "x/001.png", SPACING, INTERVAL)
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index.add([LesionRecord(lesion, node_of(own, lesion, encoder).vector, source)])
        engine = SearchEngine(encoder, index)
        with TestClient(create_app(Settings(index=folder), engine=engine)) as opened:
            yield opened


@pytest.fixture(scope="module")
def volume():
    later = scan(shift_px=(2, -2), first=2, noise=3)
    affine = np.diag([-SPACING[0], -SPACING[1], INTERVAL, 1.0])
    image = nibabel.Nifti1Image(later.hu.transpose(2, 1, 0).astype(np.int16), affine)
    written = io.BytesIO(image.to_bytes())
    return {"file": ("later.nii", written.getvalue())}


def test_a_proposal_and_its_acceptance(client, volume):
    asked = {"lesion_id": "prior", "patient_id": "P", "study_id": "S2"}
    response = client.post("/v1/follow", files=volume, data=asked)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["accepted"] is None
    assert document["candidates"]
    assert client.get("/readyz").json()["lesions"] == 1
    response = client.post("/v1/follow", files=volume, data={**asked, "accept": "1"})
    accepted = response.json()["accepted"]
    assert accepted["study_id"] == "S2"
    tracks = client.get("/v1/patients/P/tracks").json()
    (link,) = tracks["links"]
    assert link["state"] == "confirmed"
    assert {link["earlier"], link["later"]} == {"prior", accepted["lesion_id"]}


def test_a_kept_search_is_listed(client, volume):
    asked = {"lesion_id": "prior", "patient_id": "P", "study_id": "S4"}
    assert client.post("/v1/follow", files=volume, data=asked).json()["kept"] is False
    assert client.get("/v1/patients/P/searches").json()["searches"] == []
    answer = client.post("/v1/follow", files=volume, data={**asked, "keep": "true"}).json()
    assert answer["kept"] is True
    (kept,) = client.get("/v1/patients/P/searches").json()["searches"]
    assert kept["study_id"] == "S4"
    assert kept["state"] == answer["state"]
    assert kept["slices"] == answer["covered"]["slices"]
    assert kept["share"] == answer["covered"]["share"]
    assert kept["is_evidence"] == (answer["state"] == "not found" and kept["share"] >= 0.95)
    assert client.get("/v1/patients/nobody/searches").status_code == 404
    nameless = {"lesion_id": "prior", "keep": "true"}
    answer = client.post("/v1/follow", files=volume, data=nameless).json()
    assert answer["kept"] is False
    assert any("not kept" in warning for warning in answer["warnings"])
    client.app.state.service.engine.index.searches.forget("prior", "S4")


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"lesion_id": "nobody"}, 404, "no lesion has this id"),
        ({"lesion_id": "prior", "patient_id": "Q"}, 422, "patient Q"),
        ({"lesion_id": "prior", "study_id": "S1"}, 422, "another study"),
        ({"lesion_id": "prior", "accept": "0"}, 422, "accept"),
    ],
)
def test_mistakes_are_said(client, volume, fields, status, word):
    response = client.post("/v1/follow", files=volume, data=fields)
    assert response.status_code == status
    assert word in response.text


def test_looking_needs_a_reading_key_and_accepting_a_writing_one(client, volume, tmp_path):
    file = tmp_path / "keys.json"
    reader, writer = add_key(file, "r", Role.READ), add_key(file, "w", Role.WRITE)
    engine = client.app.state.service.engine
    settings = Settings(index=engine.index.path, keys=file)
    asked = {"lesion_id": "prior", "patient_id": "P", "study_id": "S3"}
    with TestClient(create_app(settings, engine=engine)) as guarded:

        def status(secret, **more):
            headers = {"Authorization": f"Bearer {secret}"}
            fields = {**asked, **more}
            return guarded.post(
                "/v1/follow", files=volume, data=fields, headers=headers
            ).status_code

        before = engine.index.count()
        assert status("wrong") == 401
        assert status(reader) == 200
        assert status(reader, accept="1") == 403
        assert status(reader, keep="true") == 403
        assert engine.index.count() == before
        assert status(writer, accept="1") == 200
        assert engine.index.matches("P")
