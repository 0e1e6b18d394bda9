"""What the OpenAPI document says beside the routes: names of operations, an example an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.http.examples.answers import EXAMPLES


def operation_id(route: APIRoute) -> str:
    """``lesions_add``: what clients made from the document call an operation."""
    subject = route.path.removeprefix("/v1").strip("/").partition("/")[0]
    return route.name if route.name.startswith(subject) else f"{subject}_{route.name}"


def with_examples(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The application's own ``openapi``, with the examples of its models put in."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for name, model in document["components"]["schemas"].items():
            if name in EXAMPLES:
                model["examples"] = [EXAMPLES[name]]
        return document

    return openapi
