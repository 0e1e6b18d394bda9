"""Volumes of every format over HTTP as on the command line: the same hits, refusals and words."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from starlette.testclient import TestClient

from service.engine.model_files import ModelFiles
from service.engine.search_engine import open_engine
from service.http.app import create_app
from service.http.settings import Settings
from tests.retrieval.sources.volumes.bodies import SPACING_MM, body, stored_image, written

SIZE = (9, 64, 64)
BOX = "36,18,50,32"


@pytest.fixture(scope="module")
def client(built_index, encoder_file):
    engine = open_engine(built_index, ModelFiles(encoder_file))
    with (
        engine.index,
        TestClient(create_app(Settings(index=built_index), engine=engine)) as opened,
    ):
        yield opened


@pytest.fixture
def by_command(run, built_index, encoder_file):
    """The answer of ``query``, or its refusal."""

    def call(path: Path, *options: str):
        arguments = ["query", path, "--index", built_index, "--encoder", encoder_file, "--box", BOX]
        return run(*arguments, "--json", *options)

    return call


def sent(client, *files: Path, **fields: str):
    content = [("files", (file.name, file.read_bytes())) for file in files]
    return client.post("/v1/search", files=content, data={"box": BOX, **fields})


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".hdr", ".nhdr", ".mhd"])
def test_http_answers_as_the_command_line(client, by_command, tmp_path, ending):
    path = written(stored_image(body(size=SIZE)), tmp_path / f"ct{ending}", packed=".gz" in ending)
    status, out, err = by_command(path)
    assert status == 0, err
    expected = json.loads(out)
    response = sent(client, *sorted(tmp_path.iterdir()))
    assert response.status_code == 200, response.json()
    assert response.json()["hits"] == expected["hits"]
    assert response.json()["warnings"] == expected["warnings"]


@pytest.mark.parametrize("ending", [".mhd", ".nhdr", ".hdr"])
def test_a_header_and_its_data_file_in_a_zip(client, tmp_path, ending):
    path = written(stored_image(body(size=SIZE)), tmp_path / f"ct{ending}")
    alone = sent(client, *sorted(tmp_path.iterdir())).json()["hits"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(tmp_path.iterdir(), reverse=True):
            archive.write(file, f"case/{file.name}")
    response = client.post(
        "/v1/search", files={"file": ("case.zip", packed.getvalue())}, data={"box": BOX}
    )
    assert response.status_code == 200, (path, response.json())
    assert response.json()["hits"] == alone


def test_a_header_without_its_data_file_is_refused(client, tmp_path):
    path = written(stored_image(body(size=SIZE)), tmp_path / "ct.mhd")
    response = sent(client, path)
    assert response.status_code == 422
    assert "not beside it" in response.json()["detail"]


def test_a_header_that_names_another_folder_is_refused(client, tmp_path):
    path = written(stored_image(body(size=SIZE)), tmp_path / "ct.mhd")
    path.write_text(path.read_text().replace("ct.raw", "../../../../etc/passwd"))
    response = sent(client, *sorted(tmp_path.iterdir()))
    assert response.status_code == 422
    assert "beside the header" in response.json()["detail"]


def test_a_claim_of_a_huge_volume_is_refused_before_it_is_read(client, tmp_path):
    path = written(stored_image(body(size=SIZE)), tmp_path / "ct.nrrd")
    path.write_bytes(path.read_bytes().replace(b"sizes: 64 64 9", b"sizes: 64000 64000 9000"))
    response = sent(client, path)
    assert response.status_code == 422
    assert "64000" in response.json()["detail"]


def test_what_is_not_hu_is_refused_alike_and_searched_on_the_users_word(
    client, by_command, tmp_path
):
    lost = SimpleITK.GetImageFromArray(body(size=SIZE) + np.int16(1024))
    lost.SetSpacing(SPACING_MM)
    path = written(lost, tmp_path / "lost.nii")
    status, _, err = by_command(path)
    assert status == 2
    assert "does not hold HU" in err
    response = sent(client, path)
    assert response.status_code == 422
    assert "does not hold HU" in response.json()["detail"]
    assert "lost intercept" in response.json()["detail"]
    status, out, _ = by_command(path, "--assume-hu")
    assert status == 0
    answered = sent(client, path, assume_hu="true")
    assert answered.status_code == 200
    for warnings in (json.loads(out)["warnings"], answered.json()["warnings"]):
        assert any("is taken for HU because assume_hu says so" in warning for warning in warnings)
