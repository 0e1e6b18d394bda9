"""The token of one start: who may use a service that asks for no keys.

A service on loopback is open to every account and every program of the machine. ``serve`` makes a
token, as Jupyter does, and prints a link that carries it. The page's address gives it once: the
answer keeps it in a cookie that no script reads (HttpOnly) and no other site sends
(SameSite=Strict), and leads to the address without it. Programs send it as they would send a key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

FIELD = "token"
_BYTES = 24
_COOKIE = "lesion_search"


def new_start_token() -> str:
    """A token of 192 random bits."""
    return secrets.token_urlsafe(_BYTES)


class StartToken:
    """Judges requests by one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def is_in(self, scope: Scope) -> bool:
        """Whether a request carries it: as a key, or in the page's cookie."""
        headers = Headers(scope=scope)
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            secret = headers.get("x-api-key", "")
        if secret:
            return self._is_right(secret.strip())
        name = _cookie_name(scope)
        sent = headers.getlist("cookie")
        return any(self._is_cookie(_cookie_value(text, name)) for text in sent)

    def entered(self, scope: Scope) -> Response | None:
        """The answer to the link that was printed: keeps the token, leads to the page."""
        if scope["method"] != "GET" or scope["path"] != "/":
            return None
        sent = parse_qs(scope["query_string"].decode("latin-1")).get(FIELD, [""])[0]
        if not self._is_right(sent):
            return None
        answer = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        answer.set_cookie(
            _cookie_name(scope),
            self._cookie(),
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
        )
        return answer

    def _is_right(self, sent: str) -> bool:
        return hmac.compare_digest(sent.encode("utf-8", "replace"), self._token)

    def _cookie(self) -> str:
        """Made of the token, so that it is not to be had from a browser's cookies."""
        return hmac.new(self._token, b"cookie", hashlib.sha256).hexdigest()

    def _is_cookie(self, sent: str) -> bool:
        return hmac.compare_digest(sent.encode("utf-8", "replace"), self._cookie().encode())


def _cookie_name(scope: Scope) -> str:
    """One for each port: cookies of one name are shared by every port of a host."""
    server = scope.get("server")
    return f"{_COOKIE}_{server[1]}" if server else _COOKIE


def _cookie_value(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
