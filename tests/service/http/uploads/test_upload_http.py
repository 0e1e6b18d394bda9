"""Uploads held between requests, over HTTP."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from retrieval.sources.deeplesion.png import read_deeplesion_png
from service.engine.query import LesionQuery
from service.http.app import create_app
from service.http.settings import Settings

SPACING = "0.9,0.9,2.5"


@pytest.fixture(scope="module")
def client(engine):
    settings = Settings(index=engine.index.path, max_uploads=4)
    with TestClient(create_app(settings, engine=engine)) as opened:
        yield opened


@pytest.fixture
def series(archive):
    """The first lesion and the files of its series, first to last."""
    lesion = archive.lesions[0]
    folder = (archive.root / archive.source(lesion).image).parent
    return lesion, sorted(folder.iterdir())


@pytest.fixture
def held(client, series):
    """An upload of the whole series."""
    files = [("files", ("x", path.read_bytes())) for path in series[1]]
    response = client.post("/v1/uploads", files=files, data={"spacing": SPACING})
    assert response.status_code == 201
    return response.json()


def test_an_upload_tells_its_geometry(held, series):
    assert {name: held[name] for name in held if name != "upload_id"} == {
        "slices": 3,
        "rows": 96,
        "columns": 96,
        "spacing_mm_px": [0.9, 0.9],
        "slice_interval_mm": 2.5,
        "first_slice_index": 1,
        "key_slice_index": 2,
        "feet_first": False,
        "grid": "file",
        "identity": None,
        "warnings": [],
        "expires_in_s": 1800,
    }
    assert len(held["upload_id"]) == 32


def test_slices_come_back_as_hounsfield_units(client, held, series):
    for number, path in enumerate(series[1], start=1):
        response = client.get(f"/v1/uploads/{held['upload_id']}/slices/{number}")
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["cache-control"] == "private, no-store"
        size = (int(response.headers["x-rows"]), int(response.headers["x-columns"]))
        hu = np.frombuffer(response.content, "<i2").reshape(size)
        np.testing.assert_array_equal(hu, read_deeplesion_png(path))
    for number in (0, 4):
        response = client.get(f"/v1/uploads/{held['upload_id']}/slices/{number}")
        assert response.status_code == 404


def test_a_search_from_an_upload_answers_as_the_engine_does(client, engine, archive, held, series):
    lesion = series[0]
    box = ",".join(str(edge) for edge in lesion.box.to_list())
    form = {"upload_id": held["upload_id"], "box": box, "k": "5"}
    response = client.post("/v1/search", data=form)
    expected = engine.search(
        LesionQuery(lesion.box, k=5), archive.slab(lesion, half_depth_mm=5)
    ).to_json()
    assert response.json()["hits"] == expected["hits"]


def test_a_search_may_name_the_key_slice_of_an_upload(client, archive):
    """Two slices of different patients: the named one is searched for."""
    lesions = [archive.lesions[0], archive.lesions[-1]]
    contents = [(archive.root / archive.source(one).image).read_bytes() for one in lesions]
    files = [("files", ("x", content)) for content in contents]
    upload = client.post("/v1/uploads", files=files, data={"spacing": SPACING}).json()
    for number, lesion in enumerate(lesions, start=1):
        box = ",".join(str(edge) for edge in lesion.box.to_list())
        form = {"upload_id": upload["upload_id"], "box": box, "key_slice_index": str(number)}
        recognised = client.post("/v1/search", data=form).json()["recognised"]
        assert recognised["lesion_id"] == lesion.lesion_id


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"key_slice_index": "7"}, 422, "numbered 1 to 3"),
        ({"spacing": SPACING}, 422, "leave `spacing` and `series` out"),
        ({"lesion_id": "a"}, 422, "exactly one of"),
        ({"upload_id": "0" * 32}, 404, "/v1/uploads"),
    ],
)
def test_a_search_that_an_upload_cannot_answer_is_told_why(client, held, fields, status, words):
    form = {"upload_id": held["upload_id"], "box": "10,10,20,20", **fields}
    response = client.post("/v1/search", data=form)
    assert response.status_code == status
    assert words in response.json()["detail"]


def test_a_dropped_upload_is_gone(client, held):
    path = f"/v1/uploads/{held['upload_id']}"
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert client.get(f"{path}/slices/1").status_code == 404


def test_an_upload_that_is_no_ct_is_refused(client):
    response = client.post("/v1/uploads", files={"file": ("x", b"nonsense")})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert client.post("/v1/uploads", data={"spacing": SPACING}).status_code == 422


def test_an_upload_larger_than_what_is_held_is_refused(engine):
    settings = Settings(index=engine.index.path, max_uploads_mb=1)
    volume = np.zeros((200, 200, 8), np.int16)
    content = nifti_of(volume)
    with TestClient(create_app(settings, engine=engine)) as client:
        response = client.post("/v1/uploads", files={"file": ("x", content)})
    assert response.status_code == 413
    assert "1 MB" in response.json()["detail"]


def nifti_of(volume):
    import nibabel as nib

    return nib.Nifti1Image(volume, np.diag([-1.0, -1.0, 2.0, 1.0])).to_bytes()
