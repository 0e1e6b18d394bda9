"""Security headers on every answer, also on that of a defect."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.observing import FAILED
from service.http.problems import problem

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""What the page needs and no more: it loads its own files, and draws pixels that it fetched."""

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_API = "/v1/"
_CACHE = b"cache-control"

RawHeaders = list[tuple[bytes, bytes]]


class SecurityHeaders:
    """Adds the headers; keeps answers about patients out of every cache unless a route allows it.

    ``shared`` is for services that pages of other origins may call.
    """

    def __init__(self, app: ASGIApp, *, shared: bool) -> None:
        self._app = app
        policy = "cross-origin" if shared else "same-origin"
        headers = {**SECURITY_HEADERS, "Cross-Origin-Resource-Policy": policy}
        self._headers = [(n.lower().encode(), value.encode()) for n, value in headers.items()]
        self._names = {name for name, _ in self._headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self._secured(message.get("headers", []), scope["path"])
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # Starlette answers a defect outside of every middleware, without these headers.
            if not started:
                await problem(500, FAILED)(scope, receive, send_with_headers)
            raise

    def _secured(self, headers: RawHeaders, path: str) -> RawHeaders:
        """The headers with those of this guard in place of their namesakes."""
        kept = [pair for pair in headers if pair[0].lower() not in self._names]
        if path.startswith(_API) and all(name.lower() != _CACHE for name, _ in kept):
            kept.append((_CACHE, b"no-store"))
        return kept + self._headers
