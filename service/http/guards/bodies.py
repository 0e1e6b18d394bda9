"""A request's body: how it is encoded, how large it is, how fast it comes; before it is parsed."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import problem

PLAIN_BYTES = 1 << 20
"""The most of a body that is no multipart form: JSON is parsed whole, and nobody is served then."""


class BodyLimits:
    """Bounds a body's size, declared or not, and the pause between two parts of it.

    ``max_bytes`` is for multipart forms, which carry images; other bodies have ``PLAIN_BYTES``.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, idle_s: float) -> None:
        self._app = app
        self._max = max_bytes
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        declared = headers.get("content-length", "0")
        if encoding not in {"", "identity"}:
            words = "a compressed body is not inflated: send it without Content-Encoding"
            await problem(415, words, {"Accept-Encoding": "identity"})(scope, receive, send)
        elif not (declared.isascii() and declared.isdecimal() and len(declared) < 20):
            await problem(400, "Content-Length is not a number")(scope, receive, send)
        elif int(declared) > (most := self._most(headers)):
            await problem(413, _too_large(most))(scope, receive, send)
        else:
            await self._app(scope, self._bounded(receive, most), send)

    def _most(self, headers: Headers) -> int:
        is_form = headers.get("content-type", "").strip().lower().startswith("multipart/form-data")
        return self._max if is_form else min(self._max, PLAIN_BYTES)

    def _bounded(self, receive: Receive, most: int) -> Receive:
        received = 0
        is_complete = False

        async def receive_within_limits() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout(self._idle_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"the body paused for more than {self._idle_s:g} s"
                ) from None
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > most:
                raise HTTPException(413, _too_large(most))
            return message

        return receive_within_limits


def _too_large(most: int) -> str:
    return f"the request is larger than {most >> 20} MB: send a smaller image, as a multipart form"
