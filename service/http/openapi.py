"""The OpenAPI document, with an example of every answer.

``python -m service.http.openapi`` prints it; the tests keep a copy to see what changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
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


def openapi_text() -> str:
    """The document as indented JSON; no index is opened."""
    from service.http.app import create_app
    from service.http.settings import Settings

    document = create_app(Settings(index=Path("index"))).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
