"""How many requests are served at once; the others are told to come back, not kept waiting."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.guards.access import is_open
from service.http.problems import problem


class CrowdLimit:
    """Answers 503 with Retry-After when ``most`` requests are being served already."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._served >= self._most:
            words = f"{self._most} requests are being served: try again in a moment"
            await problem(503, words, {"Retry-After": "1"})(scope, receive, send)
            return
        self._served += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._served -= 1
