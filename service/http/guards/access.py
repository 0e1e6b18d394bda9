"""Who may call what, and how often."""

from __future__ import annotations

import logging
import math

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.guards.keys import ApiKey, KeyFileError, KeyRing, Role
from service.http.guards.rates import TokenBuckets, network_of
from service.http.guards.start_token import StartToken
from service.http.problems import NotAllowedError, problem

logger = logging.getLogger(__name__)

_CLIENT = "lesion_search.client"
_WHO = "lesion_search.who"
_OPEN_PATHS = {"/", "/healthz", "/readyz"}
_OPEN_FOLDER = "/web/"
_READING_METHODS = {"GET", "HEAD", "OPTIONS"}
_READING_POSTS = (
    "/v1/search",
    "/v1/detect",
    "/v1/measure",
    "/v1/report",
    "/v1/follow",
    "/v1/dicomweb/search",
    "/v1/dicomweb/uploads",
)
"""What only reads; a route here that may also change something asks ``require_writer`` itself."""

_ROLE = "lesion_search.role"
NOT_A_WRITER = "this key may read: changing the index needs one with role write"
_OWN_UPLOADS = "/v1/uploads"
_MINING = "/v1/mining"

NO_KEY = (
    "this service asks for an API key: send it as `Authorization: Bearer KEY` or as `X-API-Key: "
    "KEY`; `lesion-search keys add` makes one"
)


def is_open(path: str) -> bool:
    """Whether a path is for everybody: the page's files and whether the service lives."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER)


def role_for(method: str, path: str) -> Role:
    """What a request needs. A route that nobody thought of here needs ``write``, unless it reads.

    Searching posts an image and an upload is held for its owner alone: both only read the index.
    Mining is for whoever looks after a whole hospital's marks, looking at it included.
    """
    if path == _MINING or path.startswith(_MINING + "/"):
        return Role.WRITE
    reads = (
        method in _READING_METHODS
        or (method == "POST" and path in _READING_POSTS)
        or path == _OWN_UPLOADS
        or path.startswith(_OWN_UPLOADS + "/")
    )
    return Role.READ if reads else Role.WRITE


NO_TOKEN = (
    "this service asks for the token of its start: open the link that `lesion-search serve` "
    "printed, or send the token as `Authorization: Bearer TOKEN`"
)


class Access:
    """Asks for a key where there is a file of them, and bounds how often one client asks.

    Without keys it asks for the token of this start, if one was made. A client is a key, or an
    address without one: wrong keys are counted too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing | None,
        token: StartToken | None,
        buckets: TokenBuckets | None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._token = None if keys is not None else token
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            refusal = self._entered(scope) if is_open(scope["path"]) else self._judge(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _entered(self, scope: Scope) -> ASGIApp | None:
        return None if self._token is None else self._token.entered(scope)

    def _judge(self, scope: Scope) -> ASGIApp | None:
        try:
            key = self._key_of(scope)
        except KeyFileError as wrong:
            logger.error("no key can be checked: %s", wrong)
            return problem(503, "keys cannot be checked at the moment; the service's log says why")
        scope[_CLIENT] = _name_of(scope, key)
        scope[_WHO] = None if key is None else f"key {key.name}"
        scope[_ROLE] = Role.WRITE if key is None else key.role
        if self._buckets is not None:
            wait_s = self._buckets.take(scope[_CLIENT])
            if wait_s > 0:
                seconds = str(math.ceil(wait_s))
                words = f"too many requests in a short time: wait {seconds} s and try again"
                return problem(429, words, {"Retry-After": seconds})
        return self._refusal(scope, key)

    def _refusal(self, scope: Scope, key: ApiKey | None) -> ASGIApp | None:
        if self._keys is None:
            if self._token is None:
                return None
            if self._token.is_in(scope):
                scope[_WHO] = "start token"
                return None
            return problem(401, NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        if key is None:
            return problem(401, NO_KEY, {"WWW-Authenticate": "Bearer"})
        if role_for(scope["method"], scope["path"]) is Role.WRITE and key.role is not Role.WRITE:
            return problem(403, NOT_A_WRITER)
        scope[_ROLE] = key.role
        return None

    def _key_of(self, scope: Scope) -> ApiKey | None:
        if self._keys is None:
            return None
        headers = Headers(scope=scope)
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            secret = headers.get("x-api-key", "")
        return self._keys.find(secret.strip())


def require_writer(scope: Scope) -> None:
    """Raises NotAllowedError where the key of the request may not change the index."""
    if scope.get(_ROLE, Role.WRITE) is not Role.WRITE:
        raise NotAllowedError(NOT_A_WRITER)


def client_of(scope: Scope) -> str:
    """Who sent a request that ``Access`` let through: a key's name, else a network."""
    return str(scope.get(_CLIENT) or _name_of(scope, None))


def may_write(scope: Scope) -> bool:
    """Whether who sent a request that ``Access`` let through may change the index."""
    return scope.get(_ROLE, Role.WRITE) is Role.WRITE


def who_asked(scope: Scope) -> str:
    """The name of the key that a request came with, ``start token``, or ``nobody``."""
    return str(scope.get(_WHO) or "nobody")


def _name_of(scope: Scope, key: ApiKey | None) -> str:
    if key is not None:
        return f"key {key.name}"
    client = scope.get("client")
    return f"address {network_of(client[0])}" if client else "address unknown"
