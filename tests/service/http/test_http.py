"""The HTTP service against the engine it wraps."""

from __future__ import annotations

import gzip
import json

import cv2
import nibabel as nib
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.errors import CatalogError
from service.engine.query import LesionQuery
from service.http.app import create_app
from service.http.schemas.search import SearchOut
from service.http.settings import Settings

SPACING = "0.9,0.9,2.5"


@pytest.fixture(scope="module")
def settings(engine):
    return Settings(index=engine.index.path, max_body_mb=1, max_volume_mb=1, max_hits=50)


@pytest.fixture(scope="module")
def client(engine, settings):
    with TestClient(create_app(settings, engine=engine)) as opened:
        yield opened


@pytest.fixture
def query(archive):
    """The first lesion, its box as the API takes it, and its PNG."""
    lesion = archive.lesions[0]
    box = ",".join(str(edge) for edge in lesion.box.to_list())
    return lesion, box, (archive.root / archive.source(lesion).image).read_bytes()


def without_time(document):
    return {name: value for name, value in document.items() if name != "timing_ms"}


def assert_problem(response, status, *words):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    for word in words:
        assert word in document["detail"]
    assert "\n" not in document["detail"]


def test_an_indexed_lesion_answers_as_the_engine_does(client, engine, query):
    lesion = query[0]
    expected = without_time(engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=5)).to_json())
    by_get = client.get(f"/v1/lesions/{lesion.lesion_id}/similar", params={"k": 5})
    by_post = client.post("/v1/search", data={"lesion_id": lesion.lesion_id, "k": "5"})
    assert without_time(by_get.json()) == expected
    assert without_time(by_post.json()) == expected


def test_an_uploaded_slice_answers_as_the_engine_does(client, engine, archive, query):
    """One PNG alone has no neighbours, as a slab of one slice has none."""
    lesion, box, png = query
    response = client.post(
        "/v1/search",
        files={"file": ("anything.bin", png)},
        data={"box": box, "spacing": SPACING, "patient_id": lesion.patient_id, "k": "4"},
    )
    slab = archive.slab(lesion, half_depth_mm=0)
    expected = engine.search(
        LesionQuery(lesion.box, patient_id=lesion.patient_id, k=4), slab
    ).to_json()
    assert response.status_code == 200
    answered = response.json()
    assert answered["hits"] == expected["hits"]
    assert [found["state"] for found in answered["follow_ups"]]
    assert answered["timing_ms"]["read"] > 0


def test_several_slices_make_one_slab(client, engine, archive, query):
    lesion, box, _ = query
    key = archive.root / archive.source(lesion).image
    files = [("files", (f"{n}", key.with_name(f"{n:03d}.png").read_bytes())) for n in (10, 11, 12)]
    response = client.post("/v1/search", files=files, data={"box": box, "spacing": SPACING})
    expected = engine.search(
        LesionQuery(lesion.box), archive.slab(lesion, half_depth_mm=5)
    ).to_json()
    assert response.json()["hits"] == expected["hits"]
    assert response.json()["recognised"] == {"lesion_id": lesion.lesion_id, "iou": 1.0}


@pytest.mark.parametrize("compress", [False, True])
def test_a_nifti_file_is_read_plain_and_compressed(client, compress, tmp_path):
    volume = np.full((40, 40, 5), -1000, np.int16)
    volume[5:35, 5:35] = 40
    volume[10:20, 10:20] = 60
    nib.Nifti1Image(volume, np.diag([-1.0, -1.0, 2.0, 1.0])).to_filename(tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes()
    sent = gzip.compress(content) if compress else content
    response = client.post("/v1/search", files={"file": ("x", sent)}, data={"box": "8,8,22,22"})
    assert response.status_code == 200
    assert response.json()["box_source"] == "given"


def test_a_vector_finds_its_lesion(client, engine, query):
    vector = engine.index.get(query[0].lesion_id).vector
    text = json.dumps([float(value) for value in vector])
    hits = client.post("/v1/search", data={"vector": text, "k": "1"}).json()["hits"]
    assert hits[0]["lesion"]["lesion_id"] == query[0].lesion_id


def test_an_answer_has_exactly_the_form_that_openapi_shows(client, engine, query):
    """The search routes send what the engine made without checking it against the model again."""
    lesion, box, png = query
    vector = ",".join(str(value) for value in engine.index.get(lesion.lesion_id).vector)
    sent = {"box": box, "spacing": SPACING, "patient_id": lesion.patient_id}
    answers = [
        client.post("/v1/search", data={"vector": vector}),
        client.get(f"/v1/lesions/{lesion.lesion_id}/similar"),
        client.post("/v1/search", files={"file": ("x", png)}, data=sent),
    ]
    for answer in answers:
        document = answer.json()
        assert SearchOut.model_validate_json(answer.content, strict=True).model_dump() == document
        assert document["hits"]


def test_a_filter_is_obeyed(client, query):
    path = f"/v1/lesions/{query[0].lesion_id}/similar"
    hits = client.get(path, params={"where": "type=lung", "k": 50}).json()["hits"]
    assert {hit["lesion"]["lesion_type"] for hit in hits} == {"lung"}


def test_lesions_are_listed_page_by_page(client, archive):
    seen, after = [], ""
    while after is not None:
        page = client.get("/v1/lesions", params={"after": after, "limit": 4}).json()
        seen += [lesion["lesion_id"] for lesion in page["lesions"]]
        after = page["next_after"]
    assert seen == sorted(lesion.lesion_id for lesion in archive.lesions)


def test_lesions_are_listed_by_how_sure_their_category_is(client, archive):
    seen, after = [], ""
    while after is not None:
        asked = {"after": after, "limit": 4, "order": "surest"}
        page = client.get("/v1/lesions", params=asked).json()
        seen += [lesion["lesion_id"] for lesion in page["lesions"]]
        after = page["next_after"]
    # No category was found here: they come by their ids.
    assert seen == sorted(lesion.lesion_id for lesion in archive.lesions)


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "nan x",
        "inf x",
        "-inf x",
        "1.5 x",
        "-0.5 x",
        "2.0 x",
        "000001",
        "0.5",
        "0.5 ",
        " 0.5 x",
    ],
)
def test_a_place_that_no_page_of_the_surest_names_is_refused(client, after):
    refused = client.get("/v1/lesions", params={"after": after, "order": "surest"})
    assert refused.status_code == 422
    assert repr(after) in refused.json()["detail"]
    assert "next_after" in refused.json()["detail"]


@pytest.mark.parametrize("after", ["0 x", "0.25 x y", "1.0 x", "-1.0 "])
def test_a_place_that_a_page_of_the_surest_may_name_is_taken(client, archive, after):
    place = f"{after}{archive.lesions[0].lesion_id}"
    taken = client.get("/v1/lesions", params={"after": place, "order": "surest"})
    assert taken.status_code == 200


def test_a_lesion_is_told_as_the_archive_has_it(client, query):
    lesion = query[0]
    assert client.get(f"/v1/lesions/{lesion.lesion_id}").json() == lesion.to_json()


def test_a_picture_is_a_square_png_with_the_box_on_it(client, query):
    response = client.get(f"/v1/lesions/{query[0].lesion_id}/image.png")
    assert response.headers["content-type"] == "image/png"
    picture = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (240, 240, 3)
    coloured = (picture.max(axis=2).astype(int) - picture.min(axis=2)) > 40
    rows, columns = np.nonzero(coloured)
    wanted = query[0].box.width * 0.9 / 0.5
    assert columns.max() - columns.min() == pytest.approx(wanted, abs=3)
    assert rows.max() - rows.min() == pytest.approx(query[0].box.height * 0.9 / 0.5, abs=3)


def test_health_and_readiness(client, archive):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "lesions": len(archive.lesions)}


def test_the_page_and_what_it_loads_come_from_here_alone(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "core/style.css"):
        assert f"web/{name}" in page.text
        assert client.get(f"/web/{name}").status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "exactly one of"),
        ({"lesion_id": "a", "vector": "1,2"}, "exactly one of"),
        ({"vector": "1,2,3"}, "256 numbers"),
        ({"vector": "one"}, "is not numbers"),
        ({"lesion_id": "a", "k": "0"}, "k: "),
        ({"lesion_id": "a", "k": "51"}, "at most 50"),
        ({"lesion_id": "a", "boxes": "1"}, "boxes: "),
        ({"lesion_id": "a", "where": "colour=red"}, "colour"),
    ],
)
def test_a_request_that_makes_no_query_is_told_why(client, fields, words):
    assert_problem(client.post("/v1/search", data=fields), 422, words)


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        (b"", {}, "of no kind that is read"),
        (b"GIF89a" + bytes(400), {}, "of no kind that is read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), {"spacing": SPACING}, "not a PNG"),
        (b"\x1f\x8b" + bytes(40), {}, "damaged"),
        (gzip.compress(bytes(3 << 20)), {}, "inflates to more than 1 MB"),
    ],
)
def test_an_upload_that_is_no_ct_is_refused_without_a_path(client, content, fields, words):
    response = client.post(
        "/v1/search",
        files={"file": ("../../etc/x.png", content)},
        data={"box": "1,1,9,9", **fields},
    )
    assert_problem(response, 422, words)
    # The client's own name may stand there, without what would lead out of a folder.
    detail = response.json()["detail"].replace("etc/x.png", "x.png").replace("and/or", "")
    assert "/" not in detail
    assert ".." not in detail


def test_a_png_needs_its_spacing_and_its_box(client, query):
    _, box, png = query
    file = {"file": ("a.png", png)}
    assert_problem(client.post("/v1/search", files=file, data={"box": box}), 422, "spacing")
    response = client.post("/v1/search", files=file, data={"spacing": SPACING})
    assert_problem(response, 422, "x1,y1,x2,y2")
    fields = {"spacing": SPACING, "box": "900,900,950,950"}
    assert_problem(client.post("/v1/search", files=file, data=fields), 422, "outside the image")


def test_an_unknown_lesion_is_not_found(client):
    for path in ("", "/similar", "/image.png"):
        response = client.get(f"/v1/lesions/nobody{path}")
        assert_problem(response, 404, "/v1/lesions")
        assert str(client.app.state.service.engine.index.path) not in response.text
    assert_problem(client.get("/v1/nothing"), 404)


def test_a_body_over_the_limit_is_refused_declared_or_not(client):
    big = b"x" * ((1 << 20) + 1)
    declared = client.post("/v1/search", files={"file": ("a", big)})
    assert_problem(declared, 413, "1 MB")

    def chunks():
        for _ in range(3):
            yield b"y" * (1 << 19)

    headers = {"content-type": "multipart/form-data; boundary=b"}
    streamed = client.post("/v1/search", content=chunks(), headers=headers)
    assert_problem(streamed, 413, "1 MB")


def test_no_upload_is_left_behind(client, query, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, box, png = query
    for content in (png, b"nonsense"):
        files = {"file": ("a.png", content)}
        client.post("/v1/search", files=files, data={"box": box, "spacing": SPACING})
    assert list(tmp_path.iterdir()) == []


def test_a_defect_is_a_500_that_says_nothing_of_it(engine, settings, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.engine.search_engine.SearchEngine.search", fail)
    with TestClient(create_app(settings, engine=engine), raise_server_exceptions=False) as client:
        response = client.post("/v1/search", data={"lesion_id": "a"})
    assert_problem(response, 500)
    assert "secret" not in response.text


def test_an_index_that_cannot_be_used_is_not_the_clients_fault(engine, settings, monkeypatch):
    def fail(*_, **__):
        raise CatalogError("row 7 is damaged in /some/where")

    monkeypatch.setattr("service.engine.search_engine.SearchEngine.search", fail)
    with TestClient(create_app(settings, engine=engine)) as client:
        response = client.post("/v1/search", data={"lesion_id": "a"})
    assert_problem(response, 503, "cannot be used")
    assert "/some/where" not in response.text


def test_a_lesion_whose_archive_has_gone_has_no_picture(client, query, monkeypatch):
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: path.suffix != ".png")
    response = client.get(f"/v1/lesions/{query[0].lesion_id}/image.png")
    assert_problem(response, 404, "no longer")
