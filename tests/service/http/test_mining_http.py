"""``/v1/mining``: a run as a job of the service, its verdicts and its picture."""

from __future__ import annotations

import time
from datetime import date

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from retrieval.lesion import Recist
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards.access import role_for
from service.http.guards.keys import Role
from service.http.settings import Settings
from tests.retrieval.tracking.following.series import GreyEncoder
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.carriers import write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, Study

PLAIN = {"propose": False, "locate": False}
LONGEST_S = 120.0


@pytest.fixture
def source(tmp_path):
    """Three patients with a report each, and one whose images are gone."""
    for number in range(1, 5):
        one = Study(f"MRN-{number}", number, date(2020, 1, number))
        datasets = one.datasets()
        if number < 4:
            write_files(datasets, tmp_path / "source" / str(number))
        recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
        write_marks("sr", [Drawn(datasets[one.key], recist)], tmp_path / "source", str(number))
    return tmp_path / "source"


@pytest.fixture
def serve(tmp_path):
    encoder = GreyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:

        def served(**settings):
            chosen = Settings(index=tmp_path / "index", **settings)
            return TestClient(create_app(chosen, engine=SearchEngine(encoder, index)))

        yield served


def ended(client):
    start = time.monotonic()
    while (told := client.get("/v1/mining").json())["state"] == "running":
        assert time.monotonic() - start < LONGEST_S, told
        time.sleep(0.1)
    return told


def test_a_run_is_started_watched_and_looked_at(serve, source, tmp_path):
    out = tmp_path / "archive"
    with serve(mine_out=out, mine_sources=(source,)) as client:
        before = client.get("/v1/mining").json()
        assert (before["state"], before["report"], before["sheet"]) == ("idle", None, None)
        assert client.get("/v1/mining/marks").json()["total"] == 0
        assert client.get("/v1/mining/sheet.png").status_code == 404
        started = client.post("/v1/mining", json=PLAIN)
        assert (started.status_code, started.json()["state"]) == (202, "running")
        again = client.post("/v1/mining", json=PLAIN)
        assert (again.status_code, "is going on" in again.text) == (409, True)
        told = ended(client)
        assert (told["state"], told["error"]) == ("done", None)
        assert told["report"]["verdicts"] == {"kept": 3, "no image": 1}
        assert len(DeepLesionArchive.open(out).rows) == 3
        sheet = client.get(told["sheet"])
        assert sheet.headers["content-type"] == "image/png"
        assert cv2.imdecode(np.frombuffer(sheet.content, np.uint8), 1).shape[1] > 200
        marks = client.get("/v1/mining/marks", params={"verdict": "kept", "limit": 2}).json()
        assert (marks["total"], len(marks["marks"]), marks["next_after"]) == (3, 2, 2)
        rest = client.get(
            "/v1/mining/marks", params={"verdict": "kept", "limit": 2, "after": 2}
        ).json()
        assert (len(rest["marks"]), rest["next_after"]) == (1, None)
        assert "MRN" not in client.get("/v1/mining/marks").text
    # A service that starts anew knows what stands in the archive.
    with serve(mine_out=out, mine_sources=(source,)) as client:
        later = client.get("/v1/mining").json()
        assert (later["state"], later["report"]["lesions"]) == ("idle", 3)


def test_a_cancelled_run_goes_on_later_and_a_service_that_ends_ends_its_run(
    serve, source, tmp_path
):
    settings = {"mine_out": tmp_path / "archive", "mine_sources": (source,)}
    with serve(**settings) as client:
        client.post("/v1/mining", json=PLAIN)
        told = client.delete("/v1/mining").json()
        assert (told["state"], told["report"]) == ("cancelled", None)
        assert client.delete("/v1/mining").json()["state"] == "cancelled"
        client.post("/v1/mining", json=PLAIN)
    with serve(**settings) as client:
        # Were the first run still there, the archive would be locked.
        client.post("/v1/mining", json=PLAIN)
        told = ended(client)
        assert (told["state"], told["error"]) == ("done", None)
        assert told["report"]["lesions"] == 3


def test_what_fails_is_said(serve, source, tmp_path):
    out = tmp_path / "archive"
    with serve(mine_out=out, mine_sources=(tmp_path / "nowhere",)) as client:
        client.post("/v1/mining", json=PLAIN)
        told = ended(client)
        assert told["state"] == "failed"
        assert "does not exist" in told["error"]
        refused = client.post("/v1/mining", json={"source": "pacs"})
        assert (refused.status_code, "without a PACS" in refused.text) == (404, True)
        for wrong in ({"out": "/tmp/x"}, {"sources": ["/"]}, {"singles": "maybe"}):
            assert client.post("/v1/mining", json=wrong).status_code == 422
    with serve() as client:
        assert client.get("/v1/mining").status_code == 404
        assert "LESION_SEARCH_MINE_OUT" in client.post("/v1/mining", json={}).text


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/mining", "/v1/mining/marks", "/v1/mining/sheet.png"])
def test_all_of_it_needs_the_role_write(method, path):
    assert role_for(method, path) is Role.WRITE
