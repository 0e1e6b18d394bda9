"""How many requests are served at once; the others are told to come back, not kept waiting."""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.guards.access import client_of, is_open
from service.http.problems import problem


class Places:
    """The places for requests, so many in all and so many for one client.

    A place is held from a request's head until its answer is read. Used from the event loop alone.
    """

    def __init__(self, most: int, *, per_client: int) -> None:
        self.most = most
        self.per_client = min(most, per_client)
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._taken.total()

    @property
    def are_all_taken(self) -> bool:
        """Whether the next request is refused, whoever sends it."""
        return self.taken >= self.most

    def take(self, client: str) -> bool:
        """Takes a place; False where there is none for this client."""
        if self.are_all_taken or self._taken[client] >= self.per_client:
            return False
        self._taken[client] += 1
        return True

    def give_back(self, client: str) -> None:
        """Gives a place back."""
        self._taken[client] -= 1
        if self._taken[client] <= 0:
            del self._taken[client]


class CrowdLimit:
    """Answers 503 with Retry-After where no place is left, 429 where this client has its share."""

    def __init__(self, app: ASGIApp, *, places: Places) -> None:
        self._app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        if not self._places.take(client):
            await self._refusal()(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.give_back(client)

    def _refusal(self) -> ASGIApp:
        retry = {"Retry-After": "1"}
        if self._places.are_all_taken:
            words = f"{self._places.most} requests are being served: try again in a moment"
            return problem(503, words, retry)
        words = f"{self._places.per_client} requests of this client are being served: wait for one"
        return problem(429, words, retry)
