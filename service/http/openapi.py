"""The OpenAPI document as text.

``python -m service.http.openapi`` prints it; the tests keep a copy to see what changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from service.http.app import create_app
from service.http.settings import Settings


def openapi_text() -> str:
    """The document as indented JSON; no index is opened."""
    document = create_app(Settings(index=Path("index"))).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
