"""Calls that a browser makes for somebody else's page.

A service on loopback trusts whoever sits at the machine. Every page that is open in that person's
browser can reach it too: by a name of its own that it turns to 127.0.0.1 (DNS rebinding), which the
Host header shows, or plainly, which Origin and Sec-Fetch-Site show. And a proxy on that machine
passes on what other machines send: the headers that proxies add show it.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.guards.access import is_open
from service.http.problems import problem

_PROXY_HEADERS = {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"}

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class OriginCheck:
    """Refuses calls by unknown names and, without keys, from other sites' pages or by a proxy.

    ``hosts`` None means any name. A key is proof enough of where a request comes from: no browser
    adds it on its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        origins: Collection[str],
        asks_for_keys: bool,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins
        self._asks_for_keys = asks_for_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            if self._hosts is not None and name_of(host) not in self._hosts:
                words = (
                    "the service is not known by this name: call it by the address it listens on, "
                    "or name this one in LESION_SEARCH_ALLOWED_HOSTS"
                )
                await problem(421, words)(scope, receive, send)
                return
            guarded = not self._asks_for_keys and not is_open(scope["path"])
            if guarded and _is_forwarded(headers):
                words = (
                    "the request came through a proxy, and this service asks for no keys: start it "
                    "with --keys FILE to use it from other machines"
                )
                await problem(403, words)(scope, receive, send)
                return
            if guarded and self._is_foreign(headers, host):
                words = (
                    "a page of another site may not call this service: name its origin in "
                    "LESION_SEARCH_CORS_ORIGINS if it should"
                )
                await problem(403, words)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin in self._origins:
            return False
        if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            return True
        return origin is not None and _netloc(origin) != host.lower()


def _is_forwarded(headers: Headers) -> bool:
    """Whether a proxy passed the request on: then loopback says nothing of who sent it."""
    return any(name in _PROXY_HEADERS or name.startswith("x-forwarded-") for name in headers)


def name_of(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
