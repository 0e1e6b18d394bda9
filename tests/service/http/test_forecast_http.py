"""Forecasts over HTTP, against the engine."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from service.engine.growth import GrowthLibrary
from service.engine.search_engine import SearchEngine
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.growing import growing_index
from tests.service.samples import ToyEncoder

LAST = "000003_03_01_a"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with growing_index(tmp_path_factory.mktemp("growing") / "index", 12) as index:
        yield SearchEngine(ToyEncoder(), index)


@pytest.fixture(scope="module")
def client(engine):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as opened:
        yield opened


def test_the_answer_is_the_engines(client, engine):
    answer = client.get(f"/v1/lesions/{LAST}/forecast")
    assert answer.status_code == 200
    expected = GrowthLibrary(engine.index, engine.matcher).forecast(LAST).to_json()
    assert answer.json() == expected
    assert expected["state"] == "forecast"
    assert "Research use only" in expected["notice"]
    assert any("Treatment is not known" in one for one in expected["caveats"])


def test_a_lesion_that_is_not_there_is_404(client):
    assert client.get("/v1/lesions/nobody/forecast").status_code == 404


@pytest.mark.parametrize("days", ["0", "3651", "-1", "nan", "inf", "soon"])
def test_days_that_nobody_can_look_ahead_are_422(client, days):
    answer = client.get(f"/v1/lesions/{LAST}/forecast", params={"days": days})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_abstention_is_an_answer(client):
    answer = client.get(f"/v1/lesions/{LAST}/forecast", params={"measure": "volume_mm3"})
    assert answer.status_code == 200
    assert answer.json()["state"] == "abstained"
    assert answer.json()["population"] is None
