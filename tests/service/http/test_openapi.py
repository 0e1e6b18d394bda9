"""The API's description: every route of the design, an example of every answer, a snapshot."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from service.http.app import create_app
from service.http.examples.answers import EXAMPLES
from service.http.openapi import openapi_text
from service.http.settings import Settings

SNAPSHOT = Path(__file__).parent / "openapi.json"
RENEW = "python -m service.http.openapi > tests/service/http/openapi.json"

DESIGN = {
    "/v1/search": {"post"},
    "/v1/detect": {"post"},
    "/v1/lesions/{lesion_id}": {"get", "delete"},
    "/v1/lesions/{lesion_id}/similar": {"get"},
    "/v1/lesions/{lesion_id}/image.png": {"get"},
    "/v1/patients/{patient_id}/tracks": {"get"},
    "/v1/patients/{patient_id}/searches": {"get"},
    "/v1/lesions": {"get", "post"},
    "/v1/matches": {"post"},
    "/v1/map": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/v1/uploads": {"post"},
    "/v1/uploads/{upload_id}": {"delete"},
    "/v1/uploads/{upload_id}/slices/{slice_index}": {"get"},
    "/v1/lesions/{lesion_id}/slices": {"get"},
    "/v1/lesions/{lesion_id}/slices/{slice_index}": {"get"},
    "/v1/patients": {"get"},
    "/v1/vocabulary": {"get"},
    "/v1/follow": {"post"},
    "/v1/measure": {"post"},
    "/v1/mining": {"get", "post", "delete"},
    "/v1/mining/marks": {"get"},
    "/v1/mining/sheet.png": {"get"},
    "/v1/lesions/{lesion_id}/mask": {"get"},
    "/v1/lesions/{lesion_id}/forecast": {"get"},
    "/v1/similarity": {"get"},
    "/v1/capabilities": {"get"},
    "/v1/report": {"post"},
    "/v1/patients/{patient_id}/report": {"get"},
}
MODULES = (
    "search",
    "viewer",
    "tracks",
    "detection",
    "vocabulary",
    "following",
    "measuring",
    "mining",
    "forecast",
    "similarity",
)


@pytest.fixture(scope="module")
def document():
    return create_app(Settings(index=Path("index"))).openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_route_of_the_design_is_there(document):
    for path, methods in DESIGN.items():
        assert methods <= set(document["paths"][path]), path


def test_every_operation_says_what_it_does(document):
    for path, method, operation in operations(document):
        assert operation.get("description"), (method, path)


def test_every_json_answer_has_an_example(document):
    for path in DESIGN:
        for method, operation in document["paths"][path].items():
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if schema and not status.startswith(("4", "5")):
                    for one in schema.get("anyOf", [schema]):
                        name = one["$ref"].rpartition("/")[2]
                        assert document["components"]["schemas"][name]["examples"], (method, path)


def test_the_examples_are_what_the_models_allow():
    modules = [importlib.import_module(f"service.http.schemas.{name}") for name in MODULES]
    for name, example in EXAMPLES.items():
        (model,) = {getattr(m, name) for m in modules if hasattr(m, name)}
        read = model.model_validate(example).model_dump(mode="json")
        assert {field: read[field] for field in example} == example


def test_the_api_is_as_its_snapshot_has_it():
    assert json.loads(openapi_text()) == json.loads(SNAPSHOT.read_text()), (
        f"the API has changed: if it should, run `{RENEW}` and commit the result"
    )
