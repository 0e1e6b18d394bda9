"""Connections: how many there are, how long they may be idle, and how fast they are written to.

The server (uvicorn, h11) writes as fast as answers are made and keeps a connection that says
nothing. This is its protocol with bounds.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http.guards.sending import PacedAnswers, SendLimits, UnsentBytes, Wire
from service.http.problems import problem
from service.http.settings import Settings

logger = logging.getLogger(__name__)

RESERVED_DESCRIPTORS = 256
"""For what is not a client: the catalog, decoders, uploads on their way, pictures."""

KERNEL_BYTES = 1 << 18
"""What the system keeps of an answer for one connection; it would take some megabytes."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """``most`` connections, answers sent as ``sending`` says.

    ``head_s`` is the time until a connection has sent the whole head of a request, from its begin
    or its last answer.
    """

    most: int
    head_s: float
    sending: SendLimits


def descriptor_limit(wanted: int) -> int:
    """The descriptors that this process may open, after asking the system for ``wanted``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


def connection_limits(settings: Settings) -> ConnectionLimits:
    """The settings' limits, as far as the system has descriptors for them."""
    descriptors = descriptor_limit(settings.max_connections + RESERVED_DESCRIPTORS)
    most = max(1, min(settings.max_connections, descriptors - RESERVED_DESCRIPTORS))
    if most < settings.max_connections:
        logger.warning("%s connections at once: the system gives no more descriptors", most)
    sending = SendLimits(
        settings.send_idle_s, settings.min_bytes_per_s, settings.max_unsent_mb << 20
    )
    return ConnectionLimits(most, settings.head_s, sending)


def server_config(app: ASGIApp, settings: Settings, **options: Any) -> uvicorn.Config:
    """How uvicorn serves an application within the settings' limits."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # h11 bounds a request's headers; httptools, taken where it is installed, does not.
        http=bounded_protocol(connection_limits(settings)),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # X-Forwarded-For of a stranger must not choose the client's address.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.certificate_key,
        timeout_graceful_shutdown=settings.shutdown_s,
        **options,
    )


def _refusal() -> bytes:
    """The answer to a connection too many, as bytes: no request of it is ever read."""
    full = problem(503, "every connection is in use: try again in a moment", {"Retry-After": "1"})
    lines = [b"HTTP/1.1 503 Service Unavailable", b"connection: close"]
    lines += [name + b": " + value for name, value in full.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(full.body)])


def bounded_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """The protocol of one server: its connections share the limits."""

    class Connection(BoundedConnection):
        bounds = limits
        unsent = UnsentBytes(limits.sending.unsent_bytes)

    return Connection


class BoundedConnection(H11Protocol):
    """One connection of a server; subclasses name the bounds that its connections share."""

    bounds: ConnectionLimits
    unsent: UnsentBytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a place among the connections, that of the one idle for longest if need be."""
        super().connection_made(transport)
        # The transport then says so whenever a byte waits, and not only from 64 kB on.
        transport.set_write_buffer_limits(high=0)
        self._socket_option(socket.SO_SNDBUF, KERNEL_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self._lost = asyncio.Event()
        wire = Wire(self.flow.drain, self.cut)
        self.app = PacedAnswers(self.app, wire=wire, limits=self.bounds.sending, unsent=self.unsent)
        self._wait_for_head()
        if len(self.connections) > self.bounds.most:
            self._make_room()

    def handle_events(self) -> None:
        """Reads on; a request whose head is whole is no longer waited for."""
        super().handle_events()
        if not self.is_idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The connection's next request is waited for."""
        self._wait_for_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the place back."""
        self._stop_waiting()
        super().connection_lost(exc)
        self._lost.set()

    async def cut(self) -> None:
        """Ends the connection now; what the client has not taken is dropped, by the kernel too."""
        self._drop()
        await self._lost.wait()

    def _drop(self) -> None:
        self._socket_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _socket_option(self, option: int, value: int | bytes) -> None:
        below = self.transport.get_extra_info("socket")
        if below is not None and below.fileno() >= 0:
            below.setsockopt(socket.SOL_SOCKET, option, value)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self.idle_since = time.monotonic()
        self._timer = self.loop.call_later(self.bounds.head_s, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.is_idle and self.transport.get_write_buffer_size() == 0:
            self._drop()
        else:
            # The last answer is still on its way: ``sending`` bounds that.
            self._wait_for_head()

    def _make_room(self) -> None:
        others = [
            other
            for other in self.connections
            if isinstance(other, BoundedConnection) and other is not self and other.is_idle
        ]
        if others:
            oldest = min(others, key=lambda other: other.idle_since)
            self.connections.discard(oldest)
            oldest._drop()
            return
        self.connections.discard(self)
        self.transport.write(_refusal())
        self.transport.close()
