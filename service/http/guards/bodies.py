"""A request's body: how it is encoded, how large it is, how fast it comes; before it is parsed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import problem

_UTF8 = {b"utf-8", b"utf8", b"us-ascii", b"ascii"}

PLAIN_BYTES = 1 << 20
"""The most of a body that is no multipart form: JSON is parsed whole, and nobody else served."""


@dataclass(frozen=True, slots=True)
class BodyPace:
    """``idle_s``: a pause, and what the slowest rate over the whole body comes on top of."""

    idle_s: float
    min_bytes_per_s: float

    def patience_s(self, received: int, spent_s: float) -> float:
        """How long to wait for the next part of a body that took ``spent_s`` so far."""
        by_rate_s = self.idle_s + received / self.min_bytes_per_s
        return max(0.0, min(self.idle_s, by_rate_s - spent_s))


class BodyLimits:
    """Bounds a body's size, declared or not, and how slowly it may come.

    ``max_bytes`` is for multipart forms, which carry images; other bodies have ``PLAIN_BYTES``.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, pace: BodyPace) -> None:
        self._app = app
        self._max = max_bytes
        self._pace = pace

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
        elif not _is_utf8(headers.get("content-type", "")):
            words = "the Content-Type names another charset than UTF-8: send the form in UTF-8"
            await problem(415, words)(scope, receive, send)
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
        start = time.monotonic()

        async def receive_within_limits() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            patience_s = self._pace.patience_s(received, time.monotonic() - start)
            try:
                async with asyncio.timeout(patience_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, self._too_slow()) from None
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > most:
                raise HTTPException(413, _too_large(most))
            return message

        return receive_within_limits

    def _too_slow(self) -> str:
        return (
            f"the body paused for more than {self._pace.idle_s:g} s or came more slowly than "
            f"{self._pace.min_bytes_per_s:g} bytes a second"
        )


def _is_utf8(content_type: str) -> bool:
    """Whether a form's texts are UTF-8: other codecs of Python make texts that are none."""
    _, options = parse_options_header(content_type)
    return options.get(b"charset", b"utf-8").lower() in _UTF8


def _too_large(most: int) -> str:
    return f"the request is larger than {most >> 20} MB: send a smaller image, as a multipart form"
