"""``POST /v1/measure`` with the bundled network on a ball of soft tissue."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from tests.retrieval.segmentation.scenes import INTERVAL, KEY, SPACING, ball, mark
from tests.retrieval.tracking.following.series import GreyEncoder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    encoder = GreyEncoder()
    folder = tmp_path_factory.mktemp("measure") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        engine = SearchEngine(encoder, index)
        with TestClient(create_app(Settings(index=folder), engine=engine)) as opened:
            yield opened


@pytest.fixture(scope="module")
def volume():
    affine = np.diag([-SPACING[0], -SPACING[1], INTERVAL, 1.0])
    image = nibabel.Nifti1Image(ball().hu.transpose(2, 1, 0).astype(np.int16), affine)
    return {"file": ("ball.nii", image.to_bytes())}


RECIST = ",".join(f"{value}" for point in mark().points for value in point)


def asked(client, volume, **fields):
    return client.post("/v1/measure", files=volume, data={"key_slice_index": KEY, **fields})


def test_a_ball_from_two_lines(client, volume):
    response = asked(client, volume, recist=RECIST)
    assert response.status_code == 200, response.text
    document = response.json()
    assert document["method"] == "network"
    long = document["measurements"]["long_mm"]
    assert long["value"] == pytest.approx(16, abs=3.0)
    assert long["interval_90"][0] < long["value"] < long["interval_90"][1]
    assert document["marked"]["long_mm"] == pytest.approx(16)
    assert document["marked"]["volume_mm3"]["factor"] == 1.78
    first, last = document["slices"]
    assert first < KEY < last
    assert {one["slice_index"] for one in document["contours"]} == set(range(first, last + 1))


def test_a_box_a_click_and_two_dimensions(client, volume):
    box = asked(client, volume, box="18,15,48,45", in_3d="false").json()
    assert "volume_mm3" not in box["measurements"]
    assert len(box["contours"]) == 1
    click = asked(client, volume, point="32,31").json()
    assert click["asked"] == "point"
    assert click["measurements"]["long_mm"]["value"] == pytest.approx(16, abs=3.0)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "no lesion is marked"),
        ({"box": "1,2,3"}, "3 numbers"),
        ({"box": "300,300,320,320"}, "outside"),
        ({"box": "18,15,48,45", "point": "30,30"}, "one of"),
        ({"recist": "5,5,5,5,5,5,5,5"}, "no length"),
        ({"box": "nan,15,48,45"}, "finite"),
        ({"recist": "nan,5,9,5,7,3,7,8"}, "finite"),
        ({"point": "inf,30"}, "finite"),
    ],
)
def test_what_cannot_be_measured_is_told(client, volume, fields, word):
    response = asked(client, volume, **fields)
    assert response.status_code == 422, response.text
    assert word in response.json()["detail"]
