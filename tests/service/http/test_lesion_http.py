"""Lesions added and removed over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from index.measured import declare_measuring
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.lesion_location import LocationEstimate
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder

SPACING = "0.9,0.9,2.5"


@pytest.fixture(scope="module")
def served(archive, tmp_path_factory):
    """An engine whose index may be changed, and a client of it."""
    folder = tmp_path_factory.mktemp("own")
    copied = shutil.copytree(archive.root, folder / "archive")
    encoder = ToyEncoder()
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(copied), index, encoder)
        engine = SearchEngine(encoder, index)
        settings = Settings(index=index.path, workers=1)
        with TestClient(create_app(settings, engine=engine)) as client:
            yield engine, client


@pytest.fixture
def own(served):
    """The same; what a test adds to the index or removes from it is undone."""
    engine, client = served
    ids, _ = engine.index.vectors()
    before = engine.index.records(ids)
    yield engine, client
    for lesion_id in set(engine.index.vectors()[0]) - set(ids):
        client.delete(f"/v1/lesions/{lesion_id}")
    engine.index.add(before)


@pytest.fixture
def series(archive):
    """The first lesion, its box as the API takes it, and the series' files."""
    lesion = archive.lesions[0]
    folder = (archive.root / archive.source(lesion).image).parent
    files = [("files", ("x", path.read_bytes())) for path in sorted(folder.iterdir())]
    return lesion, ",".join(str(edge) for edge in lesion.box.to_list()), files


def add(client, series, **fields):
    _, box, files = series
    form = {"box": box, "spacing": SPACING, "patient_id": "new", "study_id": "new_01", **fields}
    return client.post(
        "/v1/lesions", files=files, data={k: v for k, v in form.items() if v is not None}
    )


def kept_folders(engine):
    folder = engine.index.path / "added" / "Images_png"
    return list(folder.iterdir()) if folder.exists() else []


def test_an_added_lesion_is_found_at_once_with_its_pixels(own, series, archive):
    _, client = own
    response = add(
        client, series, lesion_type="liver", study_date="2024-05-17", tags="calcified,seen"
    )
    assert response.status_code == 201
    lesion = response.json()
    assert response.headers["location"] == f"/v1/lesions/{lesion['lesion_id']}"
    assert (lesion["patient_id"], lesion["series_id"]) == ("new", "new_01_added")
    assert (lesion["lesion_type"], lesion["study_date"]) == ("liver", "2024-05-17")
    assert [tag["term"] for tag in lesion["tags"]] == ["calcified", "seen"]
    assert lesion["tags"][0] == {"term": "calcified", "probability": 1.0, "source": "given"}
    assert client.get(response.headers["location"]).json() == lesion
    hits = client.get(f"/v1/lesions/{series[0].lesion_id}/similar", params={"k": 1}).json()["hits"]
    assert hits[0]["lesion"] == lesion
    assert hits[0]["similarity"] == pytest.approx(1.0, abs=1e-5)
    told = client.get(f"/v1/lesions/{lesion['lesion_id']}/slices").json()
    assert (told["slices"], told["key_slice_index"]) == (3, 2)
    shown = client.get(f"/v1/lesions/{lesion['lesion_id']}/slices/2").content
    hu = np.frombuffer(shown, "<i2").reshape(96, 96)
    np.testing.assert_array_equal(hu, archive.slab(series[0], half_depth_mm=0).hu[0])
    picture = client.get(f"/v1/lesions/{lesion['lesion_id']}/image.png").content
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (240, 240, 3)


def test_an_added_lesion_is_measured_where_the_index_says_so(own, series):
    engine, client = own
    assert add(client, series).json()["measured"] is None
    declare_measuring(engine.index)
    try:
        added = add(client, series, study_id="new_02").json()
    finally:
        declare_measuring(engine.index, wanted=False)
    sizes = added["measured"]
    assert sizes["long_mm"]["value"] > sizes["short_mm"]["value"] > 5
    assert sizes["volume_mm3"]["value"] > 100
    assert client.get(f"/v1/lesions/{added['lesion_id']}").json() == added
    told = client.get(f"/v1/lesions/{added['lesion_id']}/mask").json()
    assert told["measured"] == sizes
    (key,) = [one for one in told["contours"] if one["offset"] == 0]
    x1, y1, x2, y2 = added["box"]
    assert all(x1 <= x <= x2 and y1 <= y <= y2 for path in key["paths"] for x, y in path)
    missing = client.get(f"/v1/lesions/{series[0].lesion_id}/mask")
    assert missing.status_code == 404
    assert "index measure" in missing.json()["detail"]


def test_an_added_lesion_keeps_its_estimated_position_with_its_error(own, series):
    _, client = own
    index = own[0].index
    engine = SearchEngine(own[0].encoder, index, locator=FixedLocator())
    with TestClient(create_app(Settings(index=index.path, workers=1), engine=engine)) as locating:
        added = add(locating, series).json()
    assert added["location"] == [0.25, 0.5, 0.75]
    assert added["location_error"] == [0.01, 0.02, 0.04]
    assert client.get(f"/v1/lesions/{added['lesion_id']}").json() == added


class FixedLocator:
    def locate_lesion(self, slab, box):
        return LocationEstimate((0.25, 0.5, 0.75), (0.01, 0.02, 0.04))


def test_a_recist_mark_gives_the_diameters(own, series):
    _, client = own
    lesion = add(client, series, box=None, recist="30,40,60,40,45,30,45,50").json()
    assert lesion["long_mm"] == pytest.approx(27.0)
    assert lesion["short_mm"] == pytest.approx(18.0)


def test_the_same_mark_again_is_the_same_lesion(own, series):
    engine, client = own
    before = engine.index.count()
    first = add(client, series).json()
    second = add(client, series, tags="again").json()
    assert first["lesion_id"] == second["lesion_id"]
    assert engine.index.count() == before + 1
    assert client.get(f"/v1/lesions/{first['lesion_id']}").json()["tags"] == [
        {"term": "again", "probability": 1.0, "source": "given"}
    ]
    assert len(kept_folders(engine)) == 1
    assert client.get(f"/v1/lesions/{first['lesion_id']}/image.png").status_code == 200


def test_an_archives_lesion_is_not_replaced(own, series):
    engine, client = own
    lesion = series[0]
    same = {
        "series_id": lesion.series_id,
        "patient_id": lesion.patient_id,
        "study_id": lesion.study_id,
    }
    stored = engine.index.get(lesion.lesion_id)
    files = [("file", ("x", series[2][1][1][1]))]
    form = {**same, "box": series[1], "spacing": SPACING, "key_slice_index": "11"}
    response = client.post("/v1/lesions", files=files, data=form)
    assert response.status_code == 409
    assert "series_id" in response.json()["detail"]
    assert engine.index.get(lesion.lesion_id).source == stored.source
    assert kept_folders(engine) == []


def test_a_removed_lesion_is_gone_at_once(own, series):
    engine, client = own
    added = add(client, series).json()["lesion_id"]
    path = f"/v1/lesions/{added}"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert kept_folders(engine) == []
    hits = client.get(f"/v1/lesions/{series[0].lesion_id}/similar", params={"k": 50}).json()["hits"]
    assert added not in {hit["lesion"]["lesion_id"] for hit in hits}


def test_an_archives_pixels_stay_when_its_lesion_is_removed(own):
    engine, client = own
    record = engine.index.get(engine.index.page("", 1)[0].lesion_id)
    assert client.delete(f"/v1/lesions/{record.lesion.lesion_id}").status_code == 204
    assert (Path(record.source.archive) / record.source.image).is_file()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"box": None}, "no lesion is marked"),
        ({"recist": "30,40,60,40,45,30,45,50"}, "both a box and a RECIST mark"),
        ({"box": "900,900,950,950"}, "outside the image"),
        ({"patient_id": "../etc"}, "patient_id"),
        ({"patient_id": None}, "patient_id"),
        ({"study_id": "a b"}, "study_id"),
        ({"lesion_type": "heart"}, "lesion type 'heart' is unknown"),
        ({"study_date": "soon"}, "study_date"),
        ({"tags": "a b"}, "tags"),
        ({"upload_id": "0" * 32}, "exactly one of"),
    ],
)
def test_a_lesion_that_cannot_be_added_is_told_why(own, series, fields, words):
    engine, client = own
    before = engine.index.count()
    response = add(client, series, **fields)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]
    assert engine.index.count() == before
    assert kept_folders(engine) == []


def test_pixels_of_a_lesion_that_was_not_stored_are_removed(own, series, monkeypatch):
    engine, client = own

    def refuse(*_):
        raise OSError("disk")

    monkeypatch.setattr("index.lesion_index.LesionIndex.add", refuse)
    assert add(client, series).status_code == 500
    assert kept_folders(engine) == []
