"""A small application behind the guards: no engine, no torch."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from service.http.guards.install import install_guards
from service.http.problems import install_problem_handlers
from service.http.settings import Settings


def guarded_app(**settings) -> FastAPI:
    """Routes that say who came through, behind the guards that the settings ask for."""
    app = FastAPI(docs_url=None, redoc_url=None)
    for path in ("/", "/healthz", "/web/page.js", "/metrics", "/v1/lesions"):
        app.add_api_route(path, lambda: {"through": True}, methods=["GET"])
    for path in ("/v1/search", "/v1/matches", "/v1/uploads", "/v1/lesions", "/v1/unheard-of"):
        app.add_api_route(path, _echo, methods=["POST"])
    app.add_api_route("/v1/lesions/{lesion_id}", lambda lesion_id: {}, methods=["DELETE"])
    app.add_api_route("/v1/uploads/{upload_id}", lambda upload_id: {}, methods=["DELETE"])
    app.add_api_route("/v1/defect", _fail, methods=["GET"])
    install_problem_handlers(app)
    install_guards(app, Settings(index="unused", **settings))
    return app


async def _echo(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


def _fail() -> None:
    raise RuntimeError("a defect")


@pytest.fixture
def guarded():
    """Makes clients of guarded applications."""

    def make(*, client=("testclient", 50000), base_url="http://testserver", **settings):
        app = guarded_app(**settings)
        return TestClient(app, base_url=base_url, client=client, raise_server_exceptions=False)

    return make
