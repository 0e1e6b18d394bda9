"""The page on the service: its curl commands, run in their order, are answered."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder
from tests.service.test_docs import commands_of

PAGE = Path(__file__).parents[3] / "docs" / "service.md"
ROOT = "http://127.0.0.1:8000"


@pytest.fixture
def served(archive, tmp_path, monkeypatch):
    """A service over a copy of the toy index, in a folder that has the page's slice."""
    monkeypatch.chdir(tmp_path)
    lesion = archive.lesions[0]
    shutil.copyfile(archive.root / archive.source(lesion).image, tmp_path / "slice.png")
    encoder = ToyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        settings = Settings(index=index.path, workers=1)
        with TestClient(create_app(settings, engine=SearchEngine(encoder, index))) as client:
            yield lesion, client


def curl(client, words):
    """The options of curl that the page uses."""
    method, url, fields, files, headers = "GET", None, {}, {}, {}
    rest = iter(words)
    for word in rest:
        if word == "-F":
            name, _, value = next(rest).partition("=")
            method = "POST"
            if value.startswith("@"):
                files[name] = ("x", Path(value[1:]).read_bytes())
            else:
                fields[name] = value
        elif word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-o":
            next(rest)
        else:
            url = word
    sent = {"data": fields, "files": files} if method == "POST" else {}
    return client.request(method, url.removeprefix(ROOT), headers=headers, **sent)


def test_every_curl_command_of_the_page_is_answered(served):
    lesion, client = served
    known = {"LESION": lesion.lesion_id, "PATIENT": lesion.patient_id}
    known["96,128,126,153"] = ",".join(str(edge) for edge in lesion.box.to_list())
    ran = 0
    for command in commands_of(PAGE):
        words = shlex.split(command)
        assert words[0] == "curl"
        for name, value in known.items():
            words = [word.replace(name, value) for word in words]
        response = curl(client, words[1:])
        assert response.is_success, (command, response.text)
        if words[-1].endswith("/v1/uploads"):
            known["UPLOAD"] = response.json()["upload_id"]
        if words[-1].endswith("/v1/lesions"):
            known["ADDED"] = response.json()["lesion_id"]
        ran += 1
    assert ran >= 14
