"""What the page reads: slices around a lesion, patients, the map."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.map_points import IndexMap
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from service.jobs.pixel_check import compare_pixels
from tests.service.samples import ToyEncoder


@pytest.fixture(scope="module")
def client(engine):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as opened:
        yield opened


@pytest.fixture
def own(archive, tmp_path):
    """A copy of the archive, its engine, and a client of it: for tests that change things."""
    copied = shutil.copytree(archive.root, tmp_path / "archive")
    encoder = ToyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(copied), index, encoder)
        engine = SearchEngine(encoder, index)
        with TestClient(create_app(Settings(index=index.path), engine=engine)) as client:
            yield copied, engine, client


def test_the_slices_around_a_lesion_are_told(client, archive):
    lesion = archive.lesions[0]
    assert client.get(f"/v1/lesions/{lesion.lesion_id}/slices").json() == {
        "slices": 3,
        "rows": 96,
        "columns": 96,
        "spacing_mm_px": [0.9, 0.9],
        "slice_interval_mm": 2.5,
        "first_slice_index": 10,
        "key_slice_index": 11,
        "feet_first": False,
        "box": lesion.box.to_list(),
    }
    assert client.get("/v1/lesions/nobody/slices").status_code == 404


def test_a_slice_is_the_archives_pixels(client, archive):
    lesion = archive.lesions[0]
    for number in (10, 11, 12):
        response = client.get(f"/v1/lesions/{lesion.lesion_id}/slices/{number}")
        hu = np.frombuffer(response.content, "<i2").reshape(96, 96)
        path = archive.image_path(lesion.series_id, number)
        np.testing.assert_array_equal(hu, read_deeplesion_png(path))
    for number in (9, 13):
        path = f"/v1/lesions/{lesion.lesion_id}/slices/{number}"
        assert client.get(path).status_code == 404


def test_a_gap_ends_the_slices(own):
    root, engine, client = own
    lesion = engine.index.page("", 1)[0]
    folder = root / "Images_png" / lesion.series_id
    (folder / "012.png").rename(folder / "013.png")
    told = client.get(f"/v1/lesions/{lesion.lesion_id}/slices").json()
    assert (told["first_slice_index"], told["slices"]) == (10, 2)
    (folder / "011.png").unlink()
    assert client.get(f"/v1/lesions/{lesion.lesion_id}/slices").status_code == 404


@pytest.mark.parametrize("what", ["image.png", "slices/11"])
def test_what_the_client_has_is_not_sent_again_until_it_changes(own, what):
    root, engine, client = own
    lesion = engine.index.page("", 1)[0]
    path = f"/v1/lesions/{lesion.lesion_id}/{what}"
    first = client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-store"
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    file = root / "Images_png" / lesion.series_id / "011.png"
    pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert cv2.imwrite(str(file), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize("when", ["before anything was shown", "after it was shown"])
def test_another_patients_slice_under_the_same_name_is_not_shown(own, when):
    root, engine, client = own
    lesion, *others = engine.index.page("", 100)
    other = next(one for one in others if one.patient_id != lesion.patient_id)
    shown = [f"/v1/lesions/{lesion.lesion_id}/{what}" for what in PICTURES]
    if when == "after it was shown":
        assert [client.get(path).status_code for path in shown] == [200] * len(shown)
    folder = root / "Images_png"
    shutil.copyfile(folder / other.series_id / "011.png", folder / lesion.series_id / "011.png")
    for path in shown:
        answer = client.get(path)
        assert answer.status_code == 404
        assert "other pixels than when it was indexed" in answer.json()["detail"]
    report = compare_pixels(engine.index)
    assert report.compared == engine.index.count()
    (problem,) = report.problems
    assert lesion.lesion_id in problem.what


PICTURES = ("image.png", "slices", "slices/10", "slices/11", "slices/12")


def test_patients_are_listed_page_by_page(client, archive):
    seen, after = [], ""
    while after is not None:
        page = client.get("/v1/patients", params={"after": after, "limit": 2}).json()
        seen += page["patients"]
        after = page["next_after"]
    patients = sorted({lesion.patient_id for lesion in archive.lesions})
    assert [one["patient_id"] for one in seen] == patients
    for one in seen:
        theirs = [x for x in archive.lesions if x.patient_id == one["patient_id"]]
        assert one["lesions"] == len(theirs)
        assert one["studies"] == len({x.study_id for x in theirs})
    assert client.get("/v1/patients", params={"limit": 5}).json()["next_after"] is None
    assert client.get("/v1/patients", params={"after": "~"}).json()["patients"] == []
    assert client.get("/v1/patients", params={"limit": 0}).status_code == 422


def test_the_map_keeps_what_pca_keeps(client, engine, archive):
    """The points are the two largest principal components, moved and shrunk alike."""
    document = client.get("/v1/map").json()
    assert (document["method"], document["total"]) == ("pca", len(archive.lesions))
    ids, vectors = engine.index.vectors()
    centred = vectors - vectors.mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:2]
    expected = centred @ components.T
    points = {point["lesion_id"]: (point["x"], point["y"]) for point in document["points"]}
    shown = np.array([points[lesion_id] for lesion_id in ids])
    assert shown.min() >= 0
    assert shown.max() <= 1
    apart = np.linalg.norm(expected[:, None] - expected[None], axis=-1)
    apart_shown = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    scale = apart_shown.max() / apart.max()
    np.testing.assert_allclose(apart_shown, apart * scale, atol=1e-4)


def test_a_point_is_told_as_its_lesion(client, engine):
    point = client.get("/v1/map").json()["points"][0]
    lesion = engine.index.get(point["lesion_id"]).lesion
    assert point["lesion_type"] == lesion.lesion_type
    assert (point["long_mm"], point["patient_id"]) == (lesion.long_mm, lesion.patient_id)


def test_the_map_is_filtered_and_thinned(client, engine):
    liver = client.get("/v1/map", params={"where": "type=liver"}).json()
    expected = engine.index.count(LesionFilter.parse("type=liver"))
    assert liver["total"] == expected
    assert {point["lesion_type"] for point in liver["points"]} == {"liver"}
    thinned = client.get("/v1/map", params={"limit": 4}).json()
    assert len(thinned["points"]) == 4
    assert thinned["total"] == 15
    assert client.get("/v1/map", params={"where": "colour=red"}).status_code == 422


def test_a_large_index_is_thinned_on_the_map(engine, monkeypatch):
    monkeypatch.setattr("service.http.map_points.MOST_LESIONS", 4)
    ids, _ = engine.index.vectors()
    made = IndexMap(engine.index).current()
    assert [lesion.lesion_id for lesion in made.lesions] == ids[::4]
    assert made.points.shape == (len(ids[::4]), 2)
    assert made.shown(LesionFilter(), 100, total=len(ids)).total == len(ids)


def test_the_map_follows_the_index(own):
    _, engine, client = own
    first = client.get("/v1/map")
    etag = first.headers["etag"]
    assert client.get("/v1/map", headers={"If-None-Match": etag}).status_code == 304
    gone = first.json()["points"][0]["lesion_id"]
    engine.index.remove([gone])
    second = client.get("/v1/map", headers={"If-None-Match": etag})
    assert second.status_code == 200
    assert gone not in {point["lesion_id"] for point in second.json()["points"]}
    engine.index.remove([point["lesion_id"] for point in second.json()["points"]])
    assert client.get("/v1/map").json()["points"] == []
