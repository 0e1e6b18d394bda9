"""Answers sent no faster than they are read: in pieces, within a time, within a sum of bytes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import problem

logger = logging.getLogger(__name__)

PIECE_BYTES = 1 << 18
"""Of a body that is written at once; answers up to this size always have room."""


@dataclass(frozen=True, slots=True)
class SendLimits:
    """How long a client may take to read, and how much may wait for all of them.

    Attributes:
        idle_s: a pause, and the time that the slowest rate comes on top of.
        min_bytes_per_s: the slowest rate, over the whole answer.
        unsent_bytes: of the answers that are being sent, all clients together.
    """

    idle_s: float
    min_bytes_per_s: float
    unsent_bytes: int


class UnsentBytes:
    """The bytes of every answer that is made and not yet read. Used from the event loop alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, count: int) -> bool:
        """Whether there is room for an answer; it is then counted until ``give_back``."""
        if count > PIECE_BYTES and self.held + count > self._most:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """Forgets bytes that were sent, or never will be."""
        self.held -= count


@dataclass(frozen=True, slots=True)
class Wire:
    """What lies below an answer: ``drained`` returns when the system has taken every byte."""

    drained: Callable[[], Awaitable[None]]
    cut: Callable[[], Awaitable[None]]


class PacedAnswers:
    """Sends the answers of one connection piece by piece, each after the socket took the last.

    ``send`` returns only then: whoever sends, and every guard before it, keeps its place until the
    client has read. A client that is too slow is cut off. An answer that has no room among the
    unsent ones is replaced by 503.
    """

    def __init__(self, app: ASGIApp, *, wire: Wire, limits: SendLimits, unsent: UnsentBytes):
        self._app = app
        self._wire = wire
        self._limits = limits
        self._unsent = unsent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self._wire, self._limits, self._unsent, send)

        async def paced(message: Message) -> None:
            if not await answer.send(message):
                words = "too many answers wait to be read: try again in a moment"
                refusal = problem(503, words, {"Retry-After": "1"})
                await refusal(scope, receive, answer.send_refusal)

        await self._app(scope, receive, paced)


class _Answer:
    """One answer on its way."""

    def __init__(self, wire: Wire, limits: SendLimits, unsent: UnsentBytes, send: Send) -> None:
        self._wire = wire
        self._limits = limits
        self._unsent = unsent
        self._send = send
        self._start: Message | None = None
        self._began_s = 0.0
        self._sent_bytes = 0
        self._is_over = False

    async def send(self, message: Message) -> bool:
        """Sends a message, its start together with its first bytes; False if there is no room."""
        if self._is_over:
            return True
        if message["type"] == "http.response.start":
            # Until its first bytes are there it can still become another answer.
            self._start = message
            return True
        body = message.get("body", b"")
        if not self._unsent.take(len(body)):
            if self._start is not None:
                return False
            await self._cut("there is no room for the rest of an answer")
            return True
        try:
            await self._send_start()
            await self._send_body(body, is_last=not message.get("more_body", False))
        finally:
            self._unsent.give_back(len(body))
        return True

    async def send_refusal(self, message: Message) -> None:
        """Sends the answer that takes this one's place; small enough to need no room."""
        self._start = None
        await self._send(message)
        self._is_over = not message.get("more_body", False) and "body" in message

    async def _send_start(self) -> None:
        if self._start is not None:
            self._began_s = time.monotonic()
            start, self._start = self._start, None
            await self._send(start)

    async def _send_body(self, body: bytes, *, is_last: bool) -> None:
        view = memoryview(body)
        pieces = max(1, -(-len(view) // PIECE_BYTES))
        for number in range(pieces):
            piece = bytes(view[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])
            more = not is_last or number + 1 < pieces
            try:
                async with asyncio.timeout(self._patience_s()):
                    await self._send(
                        {"type": "http.response.body", "body": piece, "more_body": more}
                    )
                    await self._wire.drained()
            except TimeoutError:
                await self._cut("a client did not read its answer in time")
                return
            self._sent_bytes += len(piece)

    def _patience_s(self) -> float:
        by_rate = self._limits.idle_s + self._sent_bytes / self._limits.min_bytes_per_s
        left_s = self._began_s + by_rate - time.monotonic()
        return max(0.0, min(self._limits.idle_s, left_s))

    async def _cut(self, why: str) -> None:
        self._is_over = True
        logger.warning("%s: it is cut off", why)
        await self._wire.cut()
