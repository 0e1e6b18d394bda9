"""Words over HTTP: alone, beside a lesion, and the terms that a search field completes."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from service.http.app import create_app
from service.http.schemas.search import WordSearchOut
from service.http.settings import Settings


@pytest.fixture(scope="module")
def client(engine):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        yield client


def test_words_alone(client):
    answer = client.post("/v1/search", data={"text": "liver lesion under 5 cm, wibble", "k": "3"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert WordSearchOut.model_validate(found).model_dump() == found
    assert found["box"] is None
    assert [chip["label"] for chip in found["words"]["chips"]] == [
        "liver",
        "long diameter under 50 mm",
    ]
    assert [one["word"] for one in found["words"]["unknown"]] == ["wibble"]
    assert found["hits"]
    for hit in found["hits"]:
        assert 0 <= hit["match"] <= 1
        assert [reason["term"] for reason in hit["words"]] == ["liver"]


def test_words_beside_a_lesion(client, engine):
    lesion = engine.index.page(limit=1)[0]
    sent = {"lesion_id": lesion.lesion_id, "text": "liver", "k": "4"}
    found = client.post("/v1/search", data=sent).json()
    assert WordSearchOut.model_validate(found).model_dump() == found
    assert found["box"] == lesion.box.to_list()
    assert all(hit["words"] for hit in found["hits"])
    assert lesion.patient_id not in {hit["lesion"]["patient_id"] for hit in found["hits"]}


def test_a_search_without_words_has_none(client, engine):
    lesion = engine.index.page(limit=1)[0]
    found = client.get(f"/v1/lesions/{lesion.lesion_id}/similar").json()
    assert "words" not in found
    assert not any("match" in hit or "words" in hit for hit in found["hits"])


@pytest.mark.parametrize("text", ["qqqqqq", "x" * 501])
def test_words_that_cannot_be(client, text):
    answer = client.post("/v1/search", data={"text": text})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_terms_of_the_vocabulary(client):
    terms = {one["name"]: one for one in client.get("/v1/vocabulary").json()["terms"]}
    assert len(terms) == 334, "LesaNet's 333 and part-solid"
    assert terms["calcified"]["kind"] == "attribute"
    assert "hepatic" in terms["liver"]["synonyms"]
